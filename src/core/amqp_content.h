/*
 * A message as it comes in: a method (deliver or return), a header with properties, body frames.
 */
#ifndef HMS_CORE_AMQP_CONTENT_H
#define HMS_CORE_AMQP_CONTENT_H

#include "core/amqp_codec.h"

struct hms_amqp_content {
    enum { HMS_AMQP_NO_CONTENT, HMS_AMQP_WANTS_HEADER, HMS_AMQP_WANTS_BODY } step;
    int is_returned;                                   /* it was ours; the body is not kept */
    char tag[HMS_AMQP_SHORT_MAX_BYTES + 1];            /* of the consumer it was delivered to */
    char correlation_id[HMS_AMQP_SHORT_MAX_BYTES + 1]; /* empty if it has none */
    int is_unreadable;                                 /* the properties are */
    int is_oversized; /* the body is longer than the limit, and not kept */
    struct hms_buffer body;
    uint64_t missing_bytes;
    size_t wire_bytes; /* of all its frames */
};

/* The limit is that of a body that is kept. */
void hms_amqp_content_init(struct hms_amqp_content *content, size_t limit_bytes);
void hms_amqp_content_free(struct hms_amqp_content *content);

/*
 * Takes the next frame of its channel, of the kinds method (basic.deliver, basic.return), header
 * and body. Returns 1 when the content is complete, which is valid until the next frame, 0 when
 * more has to come, or HMS_EPROTO if this frame cannot be the next.
 */
int hms_amqp_content_add(struct hms_amqp_content *content, const struct hms_amqp_frame *frame);

#endif
