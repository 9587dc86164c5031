/*
 * What a connection sends: in order, asking the kernel first, copying only what it does not take.
 * Internal to the HTTP server.
 */
#ifndef HMS_CORE_HTTP_OUTPUT_H
#define HMS_CORE_HTTP_OUTPUT_H

#include <stddef.h>
#include <uv.h>

#include "core/buffer.h"

struct hms_http_service;

struct hms_http_output {
    struct hms_http_service *service;
    uv_stream_t *stream;
    void (*on_change)(struct hms_http_output *output); /* a write through libuv has ended */
    uv_write_t write;
    struct hms_buffer gathered; /* not yet given to libuv */
    struct hms_buffer flight;   /* libuv is writing it; empty: it is not */
    size_t left_bytes;          /* of flight, when last looked at */
    size_t unsent_bytes;        /* both, and answers that wait for those before them */
    int is_corked;              /* gather: more will come at once */
    int is_broken;              /* a write failed: nothing more is sent */
};

void hms_http_output_init(struct hms_http_output *output, struct hms_http_service *service,
                          uv_stream_t *stream, void (*on_change)(struct hms_http_output *output));

/* After the stream has been closed. */
void hms_http_output_free(struct hms_http_output *output);

/* Sends at most two buffers behind what was sent before; copies what cannot go at once. */
void hms_http_output_send(struct hms_http_output *output, const uv_buf_t *bufs, unsigned count);

/* Writes what has been gathered; on_change runs when libuv has written what did not go at once. */
void hms_http_output_flush(struct hms_http_output *output);

/* Adjusts unsent_bytes, here and in the service, by answers that wait outside of the buffers. */
void hms_http_output_count(struct hms_http_output *output, size_t hold, size_t release);

/* Whether libuv is writing. */
int hms_http_output_is_writing(const struct hms_http_output *output);

/* Whether the client has taken a byte since the write began or this was last asked. */
int hms_http_output_has_moved(struct hms_http_output *output);

#endif
