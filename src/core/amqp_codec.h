/*
 * AMQP 0-9-1 frames without a socket: bytes to frames, and methods to bytes. Methods, properties
 * and their tables are librabbitmq's; the seven bytes around them are ours, so that nothing in the
 * library can wait for a socket, and what a peer sends is bounded before it is decoded.
 */
#ifndef HMS_CORE_AMQP_CODEC_H
#define HMS_CORE_AMQP_CODEC_H

#include <amqp.h>
#include <amqp_framing.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

/* Header and end mark of every frame. */
#define HMS_AMQP_FRAME_OVERHEAD 8

/* Of a whole frame: the least that both sides must take, and the most that ours ever has. */
#define HMS_AMQP_FRAME_MIN_BYTES 4096
#define HMS_AMQP_FRAME_MAX_BYTES 131072

/*
 * Of methods, and of the properties of a message. Tables nest, and the library decodes them by
 * recursion: this bounds its depth.
 */
#define HMS_AMQP_METHOD_MAX_BYTES     8192
#define HMS_AMQP_PROPERTIES_MAX_BYTES 4096

/* Of a routing key, a correlation id, a consumer's tag, ... */
#define HMS_AMQP_SHORT_MAX_BYTES 255

struct hms_amqp_frame {
    enum { HMS_AMQP_METHOD, HMS_AMQP_HEADER, HMS_AMQP_BODY, HMS_AMQP_HEARTBEAT } kind;
    uint16_t channel;
    size_t wire_bytes;
    amqp_method_number_t method;               /* METHOD: its number and ... */
    void *fields;                              /* ... the struct of amqp_framing.h */
    uint64_t body_bytes;                       /* HEADER: of the body that follows */
    const amqp_basic_properties_t *properties; /* HEADER; NULL if they cannot be read */
    const char *data;                          /* BODY */
    size_t size_bytes;
};

struct hms_amqp_decoder {
    struct hms_buffer partial; /* the begin of a frame */
    amqp_pool_t pool;          /* what the last frame points to */
};

void hms_amqp_decoder_init(struct hms_amqp_decoder *decoder);
void hms_amqp_decoder_free(struct hms_amqp_decoder *decoder);

/*
 * Takes the next frame off *data, which has *size_bytes bytes. Returns 1 (the frame is valid until
 * the next call and as long as the bytes are), 0 (all bytes were taken; no frame is complete yet),
 * or HMS_EPROTO with a static text in *why; then the connection is beyond repair.
 */
int hms_amqp_decoder_next(struct hms_amqp_decoder *decoder, const char **data, size_t *size_bytes,
                          struct hms_amqp_frame *frame, const char **why);

/*
 * Append one frame to `out`. What the fields point to is borrowed; strings whose length has one
 * byte on the wire are at most HMS_AMQP_SHORT_MAX_BYTES long, and a frame must fit: asserted.
 */
void hms_amqp_encode_method(struct hms_buffer *out, uint16_t channel, amqp_method_number_t method,
                            void *fields);
void hms_amqp_encode_header(struct hms_buffer *out, uint16_t channel, uint64_t body_bytes,
                            amqp_basic_properties_t *properties);
void hms_amqp_encode_body(struct hms_buffer *out, uint16_t channel, const char *data,
                          size_t size_bytes);
void hms_amqp_encode_heartbeat(struct hms_buffer *out);

#endif
