/*
 * A stream owns its handles, the look-up, two buffers for output (one grows while the kernel has
 * the other) and one for input, of which a part may wait for the next turn of the loop.
 */
#include "core/amqp_stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/error.h"

#define INPUT_BYTES 65536
#define KEEPALIVE_S 30

enum state {
    RESOLVING,
    CONNECTING, /* to one of the addresses */
    REOPENING,  /* the socket of an address that failed is being closed */
    OPEN,
    FAILED,
    CLOSING,
};

struct hms_amqp_stream {
    uv_loop_t *loop;
    const struct hms_amqp_stream_handlers *handlers;
    void *arg;
    enum state state;
    uv_getaddrinfo_t lookup;
    int is_looking_up;
    struct addrinfo *addresses; /* of the look-up */
    struct addrinfo *next;      /* to try */
    uv_connect_t connect;
    uv_tcp_t socket;
    int has_socket; /* initialised and not yet closed */
    uv_idle_t turn; /* active while there is something to do in the next turn */
    int open_handles;

    struct hms_buffer output; /* not yet handed to the kernel */
    struct hms_buffer sending;
    uv_write_t write;
    int is_writing;

    char input[INPUT_BYTES];
    size_t input_begin, input_end; /* what on_data has not taken */
    char why[256];                 /* FAILED: to be told in the next turn, then empty */

    void (*closed)(void *arg);
    void *closed_arg;
};

static void on_turn(uv_idle_t *turn);
static void on_connected(uv_connect_t *connect, int status);

static void need_turn(struct hms_amqp_stream *stream)
{
    uv_idle_start(&stream->turn, on_turn);
}

static void fail(struct hms_amqp_stream *stream, const char *what, const char *detail)
{
    if (stream->state == FAILED || stream->state == CLOSING)
        return;
    stream->state = FAILED;
    snprintf(stream->why, sizeof(stream->why), "%s%s%s", what, detail ? ": " : "",
             detail ? detail : "");
    if (stream->has_socket)
        uv_read_stop((uv_stream_t *)&stream->socket);
    need_turn(stream);
}

/* ---- connect ---- */

static void maybe_free(struct hms_amqp_stream *stream)
{
    if (stream->state != CLOSING || stream->open_handles > 0 || stream->is_looking_up)
        return;
    uv_freeaddrinfo(stream->addresses);
    hms_buffer_free(&stream->output);
    hms_buffer_free(&stream->sending);
    stream->closed(stream->closed_arg);
    free(stream);
}

static void try_next(struct hms_amqp_stream *stream)
{
    struct addrinfo *address = stream->next;
    int result;

    stream->next = address->ai_next;
    stream->state = CONNECTING;
    uv_tcp_init(stream->loop, &stream->socket);
    stream->socket.data = stream;
    stream->has_socket = 1;
    stream->open_handles++;
    stream->connect.data = stream;
    result = uv_tcp_connect(&stream->connect, &stream->socket, address->ai_addr, on_connected);
    if (result != 0)
        fail(stream, "cannot connect", uv_strerror(result));
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct hms_amqp_stream *stream = handle->data;

    stream->open_handles--;
    stream->has_socket = 0;
    if (stream->state == REOPENING)
        try_next(stream);
    else
        maybe_free(stream);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct hms_amqp_stream *stream = handle->data;

    assert(stream->input_begin == stream->input_end);
    *buf = uv_buf_init(stream->input, sizeof(stream->input));
}

/* Offers what was read and not taken yet. */
static void offer(struct hms_amqp_stream *stream)
{
    stream->input_begin += stream->handlers->on_data(
        stream->arg, stream->input + stream->input_begin, stream->input_end - stream->input_begin);
    assert(stream->input_begin <= stream->input_end);
}

/* Where more may follow the loop goes its round first. */
static void on_read(uv_stream_t *socket, ssize_t size, const uv_buf_t *buf)
{
    struct hms_amqp_stream *stream = socket->data;

    if (size == UV_EOF) {
        fail(stream, "the broker closed the connection", NULL);
    } else if (size < 0) {
        fail(stream, "reading failed", uv_strerror((int)size));
    } else if (size > 0) {
        stream->input_begin = 0;
        stream->input_end = (size_t)size;
        offer(stream);
        if (stream->state == OPEN &&
            (size == sizeof(stream->input) || stream->input_begin < stream->input_end)) {
            uv_read_stop(socket);
            need_turn(stream);
        }
    }
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct hms_amqp_stream *stream = connect->data;

    if (stream->state != CONNECTING)
        return;
    if (status != 0 && stream->next != NULL) {
        stream->state = REOPENING;
        uv_close((uv_handle_t *)&stream->socket, on_socket_closed);
        return;
    }
    if (status != 0) {
        fail(stream, "cannot connect", uv_strerror(status));
        return;
    }
    stream->state = OPEN;
    uv_tcp_nodelay(&stream->socket, 1);
    uv_tcp_keepalive(&stream->socket, 1, KEEPALIVE_S);
    stream->handlers->on_open(stream->arg);
    if (stream->state == OPEN)
        uv_read_start((uv_stream_t *)&stream->socket, on_alloc, on_read);
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct hms_amqp_stream *stream = hms_container_of(lookup, struct hms_amqp_stream, lookup);

    stream->is_looking_up = 0;
    stream->addresses = stream->next = found;
    if (stream->state == CLOSING)
        maybe_free(stream);
    else if (status != 0)
        fail(stream, "the name cannot be looked up", uv_strerror(status));
    else
        try_next(stream);
}

/* ---- output ---- */

static void on_written(uv_write_t *write, int status);

static void flush(struct hms_amqp_stream *stream)
{
    struct hms_buffer swap = stream->sending;
    uv_buf_t buf;
    int result;

    if (stream->is_writing || stream->output.size_bytes == 0)
        return;
    stream->sending = stream->output;
    stream->output = swap;
    buf = uv_buf_init(stream->sending.data, (unsigned)stream->sending.size_bytes);
    result = uv_write(&stream->write, (uv_stream_t *)&stream->socket, &buf, 1, on_written);
    if (result != 0)
        fail(stream, "writing failed", uv_strerror(result));
    else
        stream->is_writing = 1;
}

static void on_written(uv_write_t *write, int status)
{
    struct hms_amqp_stream *stream = hms_container_of(write, struct hms_amqp_stream, write);

    stream->is_writing = 0;
    hms_buffer_clear(&stream->sending);
    if (status != 0)
        fail(stream, "writing failed", uv_strerror(status));
    if (stream->state != OPEN)
        return;
    stream->handlers->on_sent(stream->arg);
    if (stream->state == OPEN)
        flush(stream);
}

static void on_turn(uv_idle_t *turn)
{
    struct hms_amqp_stream *stream = turn->data;

    uv_idle_stop(turn);
    if (stream->state == FAILED) {
        stream->handlers->on_failed(stream->arg, stream->why);
        return;
    }
    flush(stream);
    if (stream->state == OPEN && stream->input_begin < stream->input_end)
        offer(stream);
    if (stream->state != OPEN)
        return;
    if (stream->input_begin < stream->input_end)
        need_turn(stream);
    else
        uv_read_start((uv_stream_t *)&stream->socket, on_alloc, on_read);
}

void hms_amqp_stream_write(struct hms_amqp_stream *stream, const char *data, size_t size_bytes)
{
    assert(stream->state == OPEN || stream->state == FAILED);
    if (stream->state == FAILED)
        return;
    if (hms_buffer_append(&stream->output, data, size_bytes) != HMS_OK) {
        fail(stream, "the broker does not take what is sent", NULL);
        return;
    }
    if (!stream->is_writing)
        need_turn(stream);
}

size_t hms_amqp_stream_unsent_bytes(const struct hms_amqp_stream *stream)
{
    return stream->output.size_bytes + stream->sending.size_bytes;
}

/* ---- life ---- */

static void on_turn_closed(uv_handle_t *handle)
{
    struct hms_amqp_stream *stream = handle->data;

    stream->open_handles--;
    maybe_free(stream);
}

struct hms_amqp_stream *hms_amqp_stream_open(uv_loop_t *loop, const char *host, const char *port,
                                             const struct hms_amqp_stream_handlers *handlers,
                                             void *arg)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct hms_amqp_stream *stream = hms_calloc(1, sizeof(*stream));
    int result;

    stream->loop = loop;
    stream->handlers = handlers;
    stream->arg = arg;
    hms_buffer_init(&stream->output, HMS_AMQP_STREAM_UNSENT_MAX_BYTES);
    hms_buffer_init(&stream->sending, HMS_AMQP_STREAM_UNSENT_MAX_BYTES);
    uv_idle_init(loop, &stream->turn);
    stream->turn.data = stream;
    stream->open_handles = 1;
    result = uv_getaddrinfo(loop, &stream->lookup, on_looked_up, host, port, &hints);
    if (result == 0)
        stream->is_looking_up = 1;
    else
        fail(stream, "the name cannot be looked up", uv_strerror(result));
    return stream;
}

void hms_amqp_stream_close(struct hms_amqp_stream *stream, void (*closed)(void *arg), void *arg)
{
    int is_reopening = stream->state == REOPENING;

    assert(stream->state != CLOSING);
    if (stream->state == OPEN)
        flush(stream);
    stream->state = CLOSING;
    stream->closed = closed;
    stream->closed_arg = arg;
    if (stream->is_looking_up)
        uv_cancel((uv_req_t *)&stream->lookup);
    if (stream->has_socket && !is_reopening)
        uv_close((uv_handle_t *)&stream->socket, on_socket_closed);
    uv_close((uv_handle_t *)&stream->turn, on_turn_closed);
}
