/*
 * One connection: bytes in, requests to the handler, answers out in the order of the requests.
 *
 * A connection owns its exchanges until it closes; then those that the handler has not answered
 * belong to the handler alone. The kernel is asked first: an answer whose turn it is goes out with
 * one writev() of header and body, and only what the socket does not take is copied.
 *
 * Requests are parsed within turns: a turn of the loop gives HTTP a few milliseconds, and whoever
 * has more to ask waits in line for the next. Answering never runs the handler from within.
 */
#include "core/http_connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/http_exchange.h"
#include "core/http_output.h"
#include "core/http_parser.h"
#include "core/http_service.h"

#define LINGER_MS             2000 /* to read what a refused client still sends */
#define SERVER_PENDING_FACTOR 16   /* pending_bytes of all connections, by that of one */

static const char continue_text[] = "HTTP/1.1 100 Continue\r\n\r\n";

enum state {
    OPEN,
    DRAINING,  /* takes no more requests, finishes those under way */
    LINGERING, /* all is sent; lets the client finish, so that no reset eats the last answer */
    CLOSING
};

struct hms_http_connection {
    struct hms_http_service *service;
    LIST_ENTRY(hms_http_connection) link;
    TAILQ_ENTRY(hms_http_connection) wait_link;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } socket;
    uv_timer_t timer;
    uv_shutdown_t shutdown;
    int open_handles;
    uid_t peer_uid; /* (uid_t)-1: not known */
    enum state state;

    struct hms_http_parser parser;
    struct hms_http_exchange *incoming; /* being received, or kept for the next request */
    struct hms_http_exchanges exchanges;
    int exchange_count;
    struct hms_buffer input; /* read, not parsed */
    struct hms_http_output output;

    uint64_t request_deadline_ms; /* of the loop's clock */
    uint64_t write_deadline_ms;
    uint64_t idle_deadline_ms;
    uint64_t linger_deadline_ms;
    uint64_t timer_due_ms;

    unsigned is_reading : 1;
    unsigned is_waiting : 1; /* for its turn */
    unsigned is_parsing : 1;
    unsigned is_idle : 1;
    unsigned must_linger : 1;
    unsigned owes_continue : 1;
};

static void settle(struct hms_http_connection *connection);
static void close_connection(struct hms_http_connection *connection);

/* The states only go forward. */
static void set_state(struct hms_http_connection *connection, enum state next)
{
    static const char *const names[] = {"open", "draining", "lingering", "closing"};

    assert(next > connection->state);
    hms_log(connection->service->log, HMS_LOG_DEBUG, "http", "connection %p: %s, now %s",
            (void *)connection, names[connection->state], names[next]);
    connection->state = next;
}

/* ---- exchanges ---- */

/* The exchange that receives the next request: mostly the one that served the last. */
static void need_incoming(struct hms_http_connection *connection)
{
    if (connection->incoming == NULL)
        connection->incoming =
            hms_http_exchange_new(connection, &connection->service->limits,
                                  connection->service->is_local, connection->peer_uid);
}

static void enqueue_incoming(struct hms_http_connection *connection)
{
    STAILQ_INSERT_TAIL(&connection->exchanges, connection->incoming, link);
    connection->exchange_count++;
    connection->incoming->is_pending = 1;
    connection->incoming = NULL;
}

static void dequeue_first(struct hms_http_connection *connection)
{
    struct hms_http_exchange *exchange = STAILQ_FIRST(&connection->exchanges);

    STAILQ_REMOVE_HEAD(&connection->exchanges, link);
    connection->exchange_count--;
    if (connection->incoming != NULL) {
        hms_http_exchange_free(exchange);
        return;
    }
    hms_http_exchange_reset(exchange);
    connection->incoming = exchange;
}

/* ---- answers ---- */

/* Sends the answers that have become the first in line. */
static void send_answered(struct hms_http_connection *connection)
{
    struct hms_http_exchange *exchange;

    while ((exchange = STAILQ_FIRST(&connection->exchanges)) != NULL && !exchange->is_pending) {
        uv_buf_t buf = uv_buf_init(exchange->answer.data, (unsigned)exchange->answer.size_bytes);

        hms_http_output_count(&connection->output, 0, exchange->answer.size_bytes);
        hms_http_output_send(&connection->output, &buf, 1);
        dequeue_first(connection);
    }
}

/* The Connection field of an answer, or NULL where the version's default says it. */
static const char *connection_field(const struct hms_http_connection *connection,
                                    const struct hms_http_exchange *exchange)
{
    if (connection->state != OPEN && STAILQ_NEXT(exchange, link) == NULL)
        return "close";
    return exchange->message.is_http_1_0 ? "keep-alive" : NULL;
}

void hms_http_respond(struct hms_http_exchange *exchange, int status, const char *content_type,
                      const char *const *headers, const void *body, size_t size_bytes)
{
    struct hms_http_connection *connection = exchange->connection;
    struct hms_http_service *service;
    struct hms_http_answer answer = {status, content_type, headers, size_bytes, NULL, NULL};
    uv_buf_t bufs[2];

    assert(exchange->is_pending);
    if (connection == NULL) {
        hms_http_exchange_free(exchange);
        return;
    }
    service = connection->service;
    service->counters.requests++;
    exchange->is_pending = 0;
    answer.date = hms_http_date_text(&service->date, hms_clock_wall_ns());
    answer.connection = connection_field(connection, exchange);
    hms_buffer_clear(&service->head);
    hms_http_answer_head(&service->head, &answer);
    if (strcmp(exchange->message.method, "HEAD") == 0 || !hms_http_answer_has_body(status))
        size_bytes = 0;
    if (exchange == STAILQ_FIRST(&connection->exchanges)) {
        bufs[0] = uv_buf_init(service->head.data, (unsigned)service->head.size_bytes);
        bufs[1] = uv_buf_init((char *)body, (unsigned)size_bytes);
        hms_http_output_send(&connection->output, bufs, 2);
        dequeue_first(connection);
        send_answered(connection);
    } else {
        hms_buffer_append(&exchange->answer, service->head.data, service->head.size_bytes);
        hms_buffer_append(&exchange->answer, body, size_bytes);
        hms_http_output_count(&connection->output, exchange->answer.size_bytes, 0);
    }
    settle(connection);
}

/* Tells a client that waits with its body to go on, once everything before it is answered. */
static void offer_continue(struct hms_http_connection *connection)
{
    uv_buf_t buf = uv_buf_init((char *)continue_text, sizeof(continue_text) - 1);

    if (!connection->owes_continue || connection->exchange_count > 0)
        return;
    connection->owes_continue = 0;
    hms_http_output_send(&connection->output, &buf, 1);
}

/* ---- input ---- */

/* Whether a connection has so much under way that no further request is taken from it. */
static int is_full(const struct hms_http_connection *connection)
{
    const struct hms_http_service *service = connection->service;
    const struct hms_http_limits *limits = &service->limits;

    if (connection->parser.in_request) /* what has begun may end */
        return 0;
    return connection->exchange_count >= limits->pipelined ||
           connection->output.unsent_bytes > limits->pending_bytes ||
           (connection->output.unsent_bytes > 0 &&
            service->unsent_bytes / SERVER_PENDING_FACTOR > limits->pending_bytes);
}

/* Hands the complete request to the handler, which may answer at once. */
static void dispatch(struct hms_http_connection *connection, int is_followed)
{
    struct hms_http_exchange *exchange = connection->incoming;

    connection->owes_continue = 0;
    enqueue_incoming(connection);
    if (!exchange->message.keep_alive) {
        connection->must_linger = is_followed ? 1 : 0;
        set_state(connection, DRAINING);
    }
    connection->output.is_corked = is_followed && connection->state == OPEN;
    connection->service->handler(connection->service->handler_arg, exchange);
    connection->output.is_corked = 0;
}

/* Parses up to the end of the next header or request. Returns the bytes used. */
static size_t parse_step(struct hms_http_connection *connection, const char *data, size_t size)
{
    struct hms_http_parser *parser = &connection->parser;
    int was_in_request = parser->in_request;
    size_t used = 0;
    enum hms_http_parse result;

    need_incoming(connection);
    result = hms_http_parser_feed(parser, &connection->incoming->message, data, size, &used);
    if (parser->in_request && !was_in_request)
        connection->request_deadline_ms = uv_now(connection->service->loop) +
                                          (uint64_t)connection->service->limits.request_timeout_ms;
    switch (result) {
    case HMS_HTTP_PARSE_MORE:
        break;
    case HMS_HTTP_PARSE_HEAD: /* a body that is under way needs no invitation */
        connection->owes_continue =
            used == size && connection->incoming->message.expects_continue ? 1 : 0;
        break;
    case HMS_HTTP_PARSE_COMPLETE:
        dispatch(connection, used < size);
        break;
    case HMS_HTTP_PARSE_BAD:
        hms_http_connection_refuse(connection, parser->status, parser->reason);
        break;
    }
    return used;
}

/* Parses as much as bounds and this turn allow. Returns the bytes used. */
static size_t parse(struct hms_http_connection *connection, const char *data, size_t size)
{
    size_t used = 0;

    connection->is_parsing = 1;
    while (used < size && connection->state == OPEN && !connection->output.is_broken &&
           !is_full(connection) && hms_http_service_has_time(connection->service))
        used += parse_step(connection, data + used, size - used);
    connection->is_parsing = 0;
    return used;
}

static void on_turn(uv_idle_t *turn)
{
    struct hms_http_service *service = turn->data;
    struct hms_http_connection *connection;
    struct hms_http_connection *last = TAILQ_LAST(&service->waiters, hms_http_waiters);

    do {
        connection = TAILQ_FIRST(&service->waiters);
        if (connection == NULL)
            break;
        TAILQ_REMOVE(&service->waiters, connection, wait_link);
        connection->is_waiting = 0;
        hms_buffer_consume(&connection->input,
                           parse(connection, connection->input.data, connection->input.size_bytes));
        settle(connection);
    } while (connection != last && hms_http_service_has_time(service));
    if (TAILQ_EMPTY(&service->waiters))
        uv_idle_stop(turn);
}

static void wait_turn(struct hms_http_connection *connection)
{
    struct hms_http_service *service = connection->service;

    if (connection->is_waiting)
        return;
    connection->is_waiting = 1;
    if (TAILQ_EMPTY(&service->waiters))
        uv_idle_start(&service->turn, on_turn);
    TAILQ_INSERT_TAIL(&service->waiters, connection, wait_link);
}

static void stop_waiting(struct hms_http_connection *connection)
{
    if (!connection->is_waiting)
        return;
    connection->is_waiting = 0;
    TAILQ_REMOVE(&connection->service->waiters, connection, wait_link);
}

static void on_alloc(uv_handle_t *handle, size_t suggested_size, uv_buf_t *buf)
{
    struct hms_http_connection *connection = handle->data;

    *buf = uv_buf_init(connection->service->read_buffer, HMS_HTTP_READ_BYTES);
}

/* The client sends no more: it may only have closed its half, so what it asked is answered. */
static void on_end(struct hms_http_connection *connection)
{
    connection->must_linger = 0;
    if (connection->state == LINGERING) {
        close_connection(connection);
        return;
    }
    if (connection->state == OPEN)
        set_state(connection, DRAINING);
    settle(connection);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct hms_http_connection *connection = stream->data;
    size_t used;

    if (size == 0)
        return;
    if (size == UV_EOF) {
        on_end(connection);
        return;
    }
    if (size < 0) {
        close_connection(connection);
        return;
    }
    connection->service->counters.bytes_in += (size_t)size;
    if (connection->state != OPEN) /* lingering: read to be thrown away */
        return;
    used = parse(connection, buf->base, (size_t)size);
    if (connection->state == OPEN)
        hms_buffer_append(&connection->input, buf->base + used, (size_t)size - used);
    settle(connection);
}

static void set_reading(struct hms_http_connection *connection, int on)
{
    if (connection->is_reading == (unsigned)on)
        return;
    connection->is_reading = on ? 1 : 0;
    if (on)
        uv_read_start(&connection->socket.stream, on_alloc, on_read);
    else
        uv_read_stop(&connection->socket.stream);
}

/* ---- timeouts ---- */

static uint64_t earliest_deadline_ms(const struct hms_http_connection *connection)
{
    uint64_t deadline_ms = UINT64_MAX;

    if (connection->state == LINGERING)
        return connection->linger_deadline_ms;
    if (hms_http_output_is_writing(&connection->output))
        deadline_ms = connection->write_deadline_ms;
    if (connection->is_idle && connection->idle_deadline_ms < deadline_ms)
        deadline_ms = connection->idle_deadline_ms;
    if (connection->state == OPEN && connection->parser.in_request &&
        connection->request_deadline_ms < deadline_ms)
        deadline_ms = connection->request_deadline_ms;
    return deadline_ms;
}

static void set_write_deadline(struct hms_http_connection *connection)
{
    connection->write_deadline_ms =
        uv_now(connection->service->loop) + (uint64_t)connection->service->limits.write_timeout_ms;
}

static void arm_timer(struct hms_http_connection *connection);

static void expire(struct hms_http_connection *connection)
{
    if (connection->state == LINGERING || connection->is_idle) {
        close_connection(connection);
    } else if (hms_http_output_is_writing(&connection->output) &&
               connection->write_deadline_ms <= uv_now(connection->service->loop)) {
        if (!hms_http_output_has_moved(&connection->output)) {
            close_connection(connection);
            return;
        }
        set_write_deadline(connection);
        arm_timer(connection);
    } else {
        hms_http_connection_refuse(connection, 408, "the request took too long to arrive");
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct hms_http_connection *connection = timer->data;

    connection->timer_due_ms = UINT64_MAX;
    if (earliest_deadline_ms(connection) <= uv_now(connection->service->loop))
        expire(connection);
    else
        arm_timer(connection);
}

/* Deadlines mostly move later: the timer is then left to fire early and to look again. */
static void arm_timer(struct hms_http_connection *connection)
{
    uint64_t now_ms = uv_now(connection->service->loop);
    uint64_t deadline_ms = earliest_deadline_ms(connection);

    if (deadline_ms >= connection->timer_due_ms)
        return;
    connection->timer_due_ms = deadline_ms;
    uv_timer_start(&connection->timer, on_timer, deadline_ms > now_ms ? deadline_ms - now_ms : 0,
                   0);
}

/* ---- life ---- */

static void note_idle(struct hms_http_connection *connection)
{
    unsigned is_idle = connection->state == OPEN && !connection->parser.in_request &&
                       connection->exchange_count == 0 && connection->output.unsent_bytes == 0 &&
                       connection->input.size_bytes == 0;

    if (is_idle && !connection->is_idle)
        connection->idle_deadline_ms = uv_now(connection->service->loop) +
                                       (uint64_t)connection->service->limits.idle_timeout_ms;
    connection->is_idle = is_idle;
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    struct hms_http_connection *connection =
        hms_container_of(shutdown, struct hms_http_connection, shutdown);

    if (status != 0)
        close_connection(connection);
}

static void linger(struct hms_http_connection *connection)
{
    set_state(connection, LINGERING);
    connection->linger_deadline_ms = uv_now(connection->service->loop) + LINGER_MS;
    if (uv_shutdown(&connection->shutdown, &connection->socket.stream, on_shutdown) != 0) {
        close_connection(connection);
        return;
    }
    set_reading(connection, 1);
    arm_timer(connection);
}

/* All that is sent and asked: goes on, waits or ends. */
static void settle_draining(struct hms_http_connection *connection)
{
    stop_waiting(connection);
    set_reading(connection, 0);
    hms_buffer_free(&connection->input);
    if (connection->exchange_count > 0 || connection->output.unsent_bytes > 0)
        arm_timer(connection);
    else if (connection->must_linger)
        linger(connection);
    else
        close_connection(connection);
}

/* After every event: brings output, reading, turn and timer in line with what is under way. */
static void settle(struct hms_http_connection *connection)
{
    int was_writing;
    int is_stopped;

    if (connection->is_parsing || connection->state == CLOSING)
        return;
    if (connection->state == OPEN)
        offer_continue(connection);
    was_writing = hms_http_output_is_writing(&connection->output);
    hms_http_output_flush(&connection->output);
    if (!was_writing && hms_http_output_is_writing(&connection->output))
        set_write_deadline(connection);
    if (connection->output.is_broken) {
        close_connection(connection);
        return;
    }
    note_idle(connection);
    if (connection->state == DRAINING) {
        settle_draining(connection);
    } else if (connection->state == OPEN) {
        is_stopped = is_full(connection);
        if (!is_stopped && connection->input.size_bytes > 0)
            wait_turn(connection);
        set_reading(connection, !is_stopped && connection->input.size_bytes == 0);
        arm_timer(connection);
    }
}

static void on_output_change(struct hms_http_output *output)
{
    settle(hms_container_of(output, struct hms_http_connection, output));
}

static uid_t peer_uid(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.uid : (uid_t)-1;
}

static int open_socket(struct hms_http_connection *connection, int fd)
{
    struct hms_http_service *service = connection->service;
    int error;

    if (service->is_local) {
        uv_pipe_init(service->loop, &connection->socket.pipe, 0);
        error = uv_pipe_open(&connection->socket.pipe, fd);
    } else {
        uv_tcp_init(service->loop, &connection->socket.tcp);
        error = uv_tcp_open(&connection->socket.tcp, fd);
        if (error == 0)
            uv_tcp_nodelay(&connection->socket.tcp, 1);
    }
    connection->socket.handle.data = connection;
    connection->open_handles++;
    return error;
}

struct hms_http_connection *hms_http_connection_open(struct hms_http_service *service, int fd)
{
    struct hms_http_connection *connection = hms_calloc(1, sizeof(*connection));

    connection->service = service;
    connection->peer_uid = service->is_local ? peer_uid(fd) : (uid_t)-1;
    connection->timer_due_ms = UINT64_MAX;
    STAILQ_INIT(&connection->exchanges);
    hms_buffer_init(&connection->input, HMS_HTTP_READ_BYTES);
    hms_http_output_init(&connection->output, service, &connection->socket.stream,
                         on_output_change);
    hms_http_parser_init(&connection->parser, &service->limits);
    LIST_INSERT_HEAD(&service->connections, connection, link);
    service->counters.open_connections++;
    uv_timer_init(service->loop, &connection->timer);
    connection->timer.data = connection;
    connection->open_handles++;
    if (open_socket(connection, fd) != 0) {
        close(fd);
        close_connection(connection);
        return NULL;
    }
    settle(connection);
    return connection;
}

/* Who it is, for the log. */
static const char *client_text(struct hms_http_connection *connection, char *text, size_t size)
{
    struct sockaddr_storage address = {0};
    int length = sizeof(address);
    char host[64];

    if (connection->service->is_local ||
        uv_tcp_getpeername(&connection->socket.tcp, (struct sockaddr *)&address, &length) != 0)
        return "a client";
    if (address.ss_family == AF_INET6)
        uv_ip6_name((struct sockaddr_in6 *)&address, host, sizeof(host));
    else
        uv_ip4_name((struct sockaddr_in *)&address, host, sizeof(host));
    snprintf(text, size, "client %s", host);
    return text;
}

void hms_http_connection_refuse(struct hms_http_connection *connection, int status, const char *why)
{
    char *body = hms_http_answer_error(status, why);
    char who[80];
    struct hms_http_exchange *exchange;

    hms_http_service_reject(connection->service, status == 503 ? HMS_LOG_WARN : HMS_LOG_INFO,
                            client_text(connection, who, sizeof(who)), why);
    need_incoming(connection);
    exchange = connection->incoming;
    enqueue_incoming(connection);
    connection->must_linger = 1;
    set_state(connection, DRAINING);
    hms_http_respond(exchange, status, "application/json", NULL, body, strlen(body));
    free(body);
}

/* What the handler has not answered stays with it. */
static void release_exchanges(struct hms_http_connection *connection)
{
    struct hms_http_exchange *exchange;

    while ((exchange = STAILQ_FIRST(&connection->exchanges)) != NULL) {
        STAILQ_REMOVE_HEAD(&connection->exchanges, link);
        exchange->connection = NULL;
        if (!exchange->is_pending)
            hms_http_exchange_free(exchange);
    }
    connection->exchange_count = 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct hms_http_connection *connection = handle->data;
    struct hms_http_service *service = connection->service;

    if (--connection->open_handles > 0)
        return;
    if (connection->incoming != NULL)
        hms_http_exchange_free(connection->incoming);
    hms_buffer_free(&connection->input);
    hms_http_output_free(&connection->output);
    LIST_REMOVE(connection, link);
    service->counters.open_connections--;
    free(connection);
    service->on_gone(service);
}

static void close_connection(struct hms_http_connection *connection)
{
    if (connection->state == CLOSING)
        return;
    set_state(connection, CLOSING);
    stop_waiting(connection);
    release_exchanges(connection);
    uv_close((uv_handle_t *)&connection->timer, on_closed);
    uv_close(&connection->socket.handle, on_closed);
}

static void drain(struct hms_http_connection *connection)
{
    if (connection->state == LINGERING) {
        close_connection(connection);
        return;
    }
    if (connection->state == OPEN)
        set_state(connection, DRAINING);
    settle(connection);
}

void hms_http_connections_drain(struct hms_http_service *service)
{
    struct hms_http_connection *connection;

    LIST_FOREACH(connection, &service->connections, link)
    drain(connection);
}

void hms_http_connections_close(struct hms_http_service *service)
{
    struct hms_http_connection *connection;

    LIST_FOREACH(connection, &service->connections, link)
    close_connection(connection);
}
