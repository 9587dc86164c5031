/*
 * One byte stream to a broker: look-up of the name, connect (each address in turn), bytes both
 * ways, with TLS or without. Whatever fails is told once, with a text, and ends the stream.
 */
#ifndef HMS_CORE_AMQP_STREAM_H
#define HMS_CORE_AMQP_STREAM_H

#include <stddef.h>
#include <uv.h>

/* Unsent bytes past which a write fails the stream; users stop well below. */
#define HMS_AMQP_STREAM_UNSENT_MAX_BYTES (4u << 20)

struct hms_amqp_stream;
struct hms_tls_context;

/* All run from the loop, never within a call; none after hms_amqp_stream_close(). */
struct hms_amqp_stream_handlers {
    /* Bytes can be written. Once, before all others but on_failed. */
    void (*on_open)(void *arg);

    /* Returns how many bytes it took; the rest is offered again in the next turn of the loop. */
    size_t (*on_data)(void *arg, const char *data, size_t size_bytes);

    /* Bytes have gone out: hms_amqp_stream_unsent_bytes() is smaller than it was. */
    void (*on_sent)(void *arg);

    /* The stream has ended, `why` says by what; only closing is left. */
    void (*on_failed)(void *arg, const char *why);
};

/*
 * Never returns NULL; strings are copied, handlers borrowed, and the context is for as long as the
 * stream lives; NULL means no TLS. Begins to connect.
 */
struct hms_amqp_stream *hms_amqp_stream_open(uv_loop_t *loop, const char *host, const char *port,
                                             const struct hms_tls_context *tls_context,
                                             const struct hms_amqp_stream_handlers *handlers,
                                             void *arg);

/* Queues bytes (copied), which go out in the next turn. Only after on_open. */
void hms_amqp_stream_write(struct hms_amqp_stream *stream, const char *data, size_t size_bytes);

/* Bytes that the kernel has not taken yet. */
size_t hms_amqp_stream_unsent_bytes(const struct hms_amqp_stream *stream);

/*
 * Ends it; of the unsent bytes only what the kernel takes at once still goes out. closed(arg) runs
 * from the loop, then nothing is left of it.
 */
void hms_amqp_stream_close(struct hms_amqp_stream *stream, void (*closed)(void *arg), void *arg);

#endif
