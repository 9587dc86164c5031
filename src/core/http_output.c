/*
 * Two buffers: one that libuv is writing, one that gathers meanwhile. Most answers need neither:
 * header and body go from where they are into one writev().
 */
#include "core/http_output.h"

#include <stdint.h>

#include "core/alloc.h"
#include "core/http_service.h"

#define KEPT_BYTES 16384 /* a buffer that grew larger is not kept */

void hms_http_output_init(struct hms_http_output *output, struct hms_http_service *service,
                          uv_stream_t *stream, void (*on_change)(struct hms_http_output *output))
{
    output->service = service;
    output->stream = stream;
    output->on_change = on_change;
    hms_buffer_init(&output->gathered, SIZE_MAX / 2);
    hms_buffer_init(&output->flight, SIZE_MAX / 2);
}

void hms_http_output_free(struct hms_http_output *output)
{
    hms_http_output_count(output, 0, output->unsent_bytes);
    hms_buffer_free(&output->gathered);
    hms_buffer_free(&output->flight);
}

void hms_http_output_count(struct hms_http_output *output, size_t hold, size_t release)
{
    output->unsent_bytes += hold - release;
    output->service->unsent_bytes += hold - release;
}

int hms_http_output_is_writing(const struct hms_http_output *output)
{
    return output->flight.size_bytes > 0;
}

int hms_http_output_has_moved(struct hms_http_output *output)
{
    size_t before = output->left_bytes;

    output->left_bytes = uv_stream_get_write_queue_size(output->stream);
    return output->left_bytes < before;
}

/* Gives the kernel what it takes at once. Returns the bytes taken. */
static size_t write_now(struct hms_http_output *output, const uv_buf_t *bufs, unsigned count)
{
    int sent = uv_try_write(output->stream, bufs, count);

    if (sent >= 0) {
        output->service->counters.bytes_out += (size_t)sent;
        return (size_t)sent;
    }
    if (sent != UV_EAGAIN)
        output->is_broken = 1;
    return 0;
}

static void gather(struct hms_http_output *output, const uv_buf_t *buf, size_t skip)
{
    hms_buffer_append(&output->gathered, buf->base + skip, buf->len - skip);
    hms_http_output_count(output, buf->len - skip, 0);
}

static void drop_gathered(struct hms_http_output *output, size_t size)
{
    hms_buffer_consume(&output->gathered, size);
    hms_http_output_count(output, 0, size);
}

/* Returns how many bytes of bufs went at once, behind all that was gathered. */
static size_t send_now(struct hms_http_output *output, const uv_buf_t *bufs, unsigned count)
{
    size_t before = output->gathered.size_bytes;
    uv_buf_t all[3];
    unsigned used = 0;
    size_t sent;

    if (before > 0)
        all[used++] = uv_buf_init(output->gathered.data, (unsigned)before);
    for (unsigned i = 0; i < count; i++)
        if (bufs[i].len > 0)
            all[used++] = bufs[i];
    sent = write_now(output, all, used);
    if (sent < before)
        before = sent;
    drop_gathered(output, before);
    return sent - before;
}

void hms_http_output_send(struct hms_http_output *output, const uv_buf_t *bufs, unsigned count)
{
    size_t sent = 0;

    if (output->is_broken)
        return;
    if (!output->is_corked && !hms_http_output_is_writing(output))
        sent = send_now(output, bufs, count);
    for (unsigned i = 0; i < count; i++) {
        size_t skip = sent < bufs[i].len ? sent : bufs[i].len;

        if (skip < bufs[i].len)
            gather(output, &bufs[i], skip);
        sent -= skip;
    }
}

static void release_buffer(struct hms_buffer *buffer)
{
    if (buffer->capacity_bytes > KEPT_BYTES)
        hms_buffer_free(buffer);
    else
        hms_buffer_clear(buffer);
}

static void on_write(uv_write_t *write, int status)
{
    struct hms_http_output *output = hms_container_of(write, struct hms_http_output, write);

    hms_http_output_count(output, 0, output->flight.size_bytes);
    if (status == 0)
        output->service->counters.bytes_out += output->flight.size_bytes;
    else
        output->is_broken = 1;
    release_buffer(&output->flight);
    output->on_change(output);
}

/* libuv writes what has been gathered, as the socket takes it. */
static void take_off(struct hms_http_output *output)
{
    struct hms_buffer empty = output->flight;
    uv_buf_t buf;

    output->flight = output->gathered;
    output->gathered = empty;
    output->left_bytes = output->flight.size_bytes;
    buf = uv_buf_init(output->flight.data, (unsigned)output->flight.size_bytes);
    if (uv_write(&output->write, output->stream, &buf, 1, on_write) != 0)
        output->is_broken = 1;
}

void hms_http_output_flush(struct hms_http_output *output)
{
    uv_buf_t buf;

    if (output->is_broken || hms_http_output_is_writing(output) || output->gathered.size_bytes == 0)
        return;
    buf = uv_buf_init(output->gathered.data, (unsigned)output->gathered.size_bytes);
    drop_gathered(output, write_now(output, &buf, 1));
    if (output->gathered.size_bytes == 0)
        release_buffer(&output->gathered);
    else if (!output->is_broken)
        take_off(output);
}
