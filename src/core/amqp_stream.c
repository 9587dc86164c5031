/*
 * A stream owns its handles, the look-up, two buffers for output (one grows while the kernel has
 * the other), one for input, of which a part may wait for the next turn of the loop, and its end of
 * TLS, through which all bytes pass on their way from one of them to the socket.
 */
#include "core/amqp_stream.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/tls.h"

#define INPUT_BYTES 65536
#define KEEPALIVE_S 30

/* For each address but the last, so that one out of reach does not use up the time of all. */
#define CONNECT_MS 2000

/* TLS adds a little to what it is given. */
#define SENDING_MAX_BYTES (HMS_AMQP_STREAM_UNSENT_MAX_BYTES / 8 * 9)

enum state {
    RESOLVING,
    CONNECTING, /* to one of the addresses */
    REOPENING,  /* the socket of an address that failed is being closed */
    SECURING,   /* shaking hands */
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
    int has_socket;      /* initialised and not yet closed */
    uv_timer_t patience; /* for an address, while there are others */
    uv_idle_t turn;      /* active while there is something to do in the next turn */
    int open_handles;

    struct hms_tls *tls;      /* or NULL */
    struct hms_buffer output; /* not yet handed to the kernel */
    struct hms_buffer sending;
    uv_write_t write;
    int is_writing;
    int write_error; /* nothing can be sent any more */
    int error_turns; /* turns of the loop since then */

    char input[INPUT_BYTES];
    size_t input_begin, input_end; /* what on_data has not taken */
    int has_more;                  /* TLS may have bytes for `input` */
    char *network;                 /* INPUT_BYTES for what TLS is to receive; or NULL */
    char why[256];                 /* FAILED: to be told in the next turn, then empty */

    void (*closed)(void *arg);
    void *closed_arg;
};

static void on_turn(uv_idle_t *turn);
static void on_connected(uv_connect_t *connect, int status);
static void flush(struct hms_amqp_stream *stream);

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
    hms_tls_free(stream->tls);
    free(stream->network);
    hms_buffer_free(&stream->output);
    hms_buffer_free(&stream->sending);
    stream->closed(stream->closed_arg);
    free(stream);
}

static void on_socket_closed(uv_handle_t *handle);

static void give_up_address(struct hms_amqp_stream *stream, int status)
{
    uv_timer_stop(&stream->patience);
    if (stream->next == NULL) {
        fail(stream, "cannot connect", uv_strerror(status));
        return;
    }
    stream->state = REOPENING;
    uv_close((uv_handle_t *)&stream->socket, on_socket_closed);
}

static void on_patience(uv_timer_t *timer)
{
    give_up_address(hms_container_of(timer, struct hms_amqp_stream, patience), UV_ETIMEDOUT);
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
        give_up_address(stream, result);
    else if (stream->next != NULL)
        uv_timer_start(&stream->patience, on_patience, CONNECT_MS, 0);
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

    *buf = uv_buf_init(stream->tls ? stream->network : stream->input, INPUT_BYTES);
}

/* Lets TLS fill the input. What came before an error is offered before the error is told. */
static void decrypt(struct hms_amqp_stream *stream)
{
    size_t used = 0;
    int result = 1;

    while (used < sizeof(stream->input) && result > 0) {
        result = hms_tls_read(stream->tls, stream->input + used, sizeof(stream->input) - used);
        if (result > 0)
            used += (size_t)result;
    }
    stream->has_more = result != 0;
    stream->input_begin = 0;
    stream->input_end = used;
    if (result < 0 && used == 0)
        fail(stream, hms_tls_why(stream->tls), NULL);
    flush(stream); /* TLS may have an answer of its own, or let through what waited for one */
}

/* Offers what was read and not taken yet. Returns whether there may be more of it. */
static int offer(struct hms_amqp_stream *stream)
{
    if (stream->input_begin == stream->input_end && stream->has_more)
        decrypt(stream);
    if (stream->state == OPEN && stream->input_begin < stream->input_end)
        stream->input_begin +=
            stream->handlers->on_data(stream->arg, stream->input + stream->input_begin,
                                      stream->input_end - stream->input_begin);
    assert(stream->input_begin <= stream->input_end);
    return stream->has_more || stream->input_begin < stream->input_end;
}

static void open_stream(struct hms_amqp_stream *stream)
{
    stream->state = OPEN;
    stream->handlers->on_open(stream->arg);
}

static void secure(struct hms_amqp_stream *stream)
{
    int result = hms_tls_handshake(stream->tls);

    flush(stream); /* also what tells the broker that it is refused */
    if (result < 0)
        fail(stream, hms_tls_why(stream->tls), NULL);
    else if (result > 0)
        open_stream(stream);
}

/* Where more may follow, the loop goes its round first. */
static void take(struct hms_amqp_stream *stream, size_t size_bytes)
{
    int is_full = size_bytes == INPUT_BYTES;

    if (stream->tls == NULL) {
        stream->input_begin = 0;
        stream->input_end = size_bytes;
    } else {
        hms_tls_receive(stream->tls, stream->network, size_bytes);
        stream->has_more = 1;
    }
    if (stream->state == SECURING)
        secure(stream);
    if (stream->state == OPEN && (offer(stream) || is_full) && stream->state == OPEN) {
        uv_read_stop((uv_stream_t *)&stream->socket);
        need_turn(stream);
    }
}

static void on_read(uv_stream_t *socket, ssize_t size, const uv_buf_t *buf)
{
    struct hms_amqp_stream *stream = socket->data;

    if (size == UV_EOF)
        fail(stream, "the broker closed the connection", NULL);
    else if (size < 0)
        fail(stream, "reading failed", uv_strerror((int)size));
    else if (size > 0)
        take(stream, (size_t)size);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct hms_amqp_stream *stream = connect->data;

    if (stream->state != CONNECTING)
        return;
    if (status != 0) {
        give_up_address(stream, status);
        return;
    }
    uv_timer_stop(&stream->patience);
    uv_tcp_nodelay(&stream->socket, 1);
    uv_tcp_keepalive(&stream->socket, 1, KEEPALIVE_S);
    uv_read_start((uv_stream_t *)&stream->socket, on_alloc, on_read);
    stream->state = SECURING;
    if (stream->tls != NULL)
        secure(stream);
    else
        open_stream(stream);
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

static const char stalled[] = "the broker does not take what is sent";

static void on_written(uv_write_t *write, int status);

/* Moves what is to be sent to `sending`. */
static int encrypt(struct hms_amqp_stream *stream)
{
    int result = hms_tls_send(stream->tls, &stream->output, &stream->sending);

    if (result != HMS_OK)
        fail(stream, result == HMS_ELIMIT ? stalled : hms_tls_why(stream->tls), NULL);
    return result;
}

/* Why the broker takes no more may be what it said last: that is read before this is told. */
static void break_off(struct hms_amqp_stream *stream, int error)
{
    stream->write_error = error;
    need_turn(stream);
}

static void flush(struct hms_amqp_stream *stream)
{
    struct hms_buffer swap = stream->sending;
    uv_buf_t buf;
    int result;

    if (stream->is_writing || stream->write_error != 0)
        return;
    if (stream->tls == NULL) {
        stream->sending = stream->output;
        stream->output = swap;
    } else if (encrypt(stream) != HMS_OK) {
        return;
    }
    if (stream->sending.size_bytes == 0)
        return;
    buf = uv_buf_init(stream->sending.data, (unsigned)stream->sending.size_bytes);
    result = uv_write(&stream->write, (uv_stream_t *)&stream->socket, &buf, 1, on_written);
    stream->is_writing = result == 0;
    if (result != 0)
        break_off(stream, result);
}

static void on_written(uv_write_t *write, int status)
{
    struct hms_amqp_stream *stream = hms_container_of(write, struct hms_amqp_stream, write);

    stream->is_writing = 0;
    hms_buffer_clear(&stream->sending);
    if (stream->state == CLOSING)
        return;
    if (status != 0)
        break_off(stream, status);
    else if (stream->state == OPEN)
        stream->handlers->on_sent(stream->arg);
    if (stream->state == OPEN || stream->state == SECURING)
        flush(stream);
}

static void on_turn(uv_idle_t *turn)
{
    struct hms_amqp_stream *stream = turn->data;
    int has_more;

    uv_idle_stop(turn);
    if (stream->state == FAILED) {
        stream->handlers->on_failed(stream->arg, stream->why);
        return;
    }
    flush(stream);
    if (stream->write_error != 0 && stream->error_turns++ > 0)
        fail(stream, "writing failed", uv_strerror(stream->write_error));
    has_more = stream->state == OPEN && offer(stream);
    if (stream->state != OPEN && stream->state != SECURING)
        return;
    if (!has_more)
        uv_read_start((uv_stream_t *)&stream->socket, on_alloc, on_read);
    if (has_more || stream->write_error != 0)
        need_turn(stream);
}

void hms_amqp_stream_write(struct hms_amqp_stream *stream, const char *data, size_t size_bytes)
{
    assert(stream->state == OPEN || stream->state == FAILED);
    if (stream->state == FAILED)
        return;
    if (hms_buffer_append(&stream->output, data, size_bytes) != HMS_OK) {
        fail(stream, stalled, NULL);
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

static void on_handle_closed(uv_handle_t *handle)
{
    struct hms_amqp_stream *stream = handle->data;

    stream->open_handles--;
    maybe_free(stream);
}

struct hms_amqp_stream *hms_amqp_stream_open(uv_loop_t *loop, const char *host, const char *port,
                                             const struct hms_tls_context *tls_context,
                                             const struct hms_amqp_stream_handlers *handlers,
                                             void *arg)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct hms_amqp_stream *stream = hms_calloc(1, sizeof(*stream));
    int result;

    stream->loop = loop;
    stream->handlers = handlers;
    stream->arg = arg;
    if (tls_context != NULL) {
        stream->tls = hms_tls_new(tls_context, host);
        stream->network = hms_malloc(INPUT_BYTES);
    }
    hms_buffer_init(&stream->output, HMS_AMQP_STREAM_UNSENT_MAX_BYTES);
    hms_buffer_init(&stream->sending, SENDING_MAX_BYTES);
    uv_timer_init(loop, &stream->patience);
    stream->patience.data = stream;
    uv_idle_init(loop, &stream->turn);
    stream->turn.data = stream;
    stream->open_handles = 2;
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
    uv_close((uv_handle_t *)&stream->patience, on_handle_closed);
    uv_close((uv_handle_t *)&stream->turn, on_handle_closed);
}
