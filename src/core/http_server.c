/*
 * The server: its listening socket, its accept loop, its end.
 *
 * It accepts by itself, on a poll handle. libuv's own listener, when descriptors run out, either
 * drops the whole queue or spins; here accepting pauses and the clients wait in the queue.
 */
#include "core/http_server.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/http_connection.h"
#include "core/http_listener.h"
#include "core/http_service.h"

#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_MS  100
#define REFUSED_MAX      64 /* connections over the limit that are told so at a time */

struct hms_http_server {
    struct hms_http_service service;
    struct hms_http_listener listener;
    uv_poll_t poll;
    uv_timer_t accept_timer; /* while accepting is paused */
    uv_timer_t grace_timer;
    int open_handles; /* of the server itself */
    int is_closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

struct hms_http_limits hms_http_limits_default(void)
{
    return (struct hms_http_limits){
        .target_bytes = 4096,
        .header_bytes = 16384,
        .body_bytes = 65536,
        .pending_bytes = 4 * 1024 * 1024,
        .connections = 1024,
        .pipelined = 32,
        .request_timeout_ms = 10000,
        .idle_timeout_ms = 60000,
        .write_timeout_ms = 30000,
    };
}

/* ---- accepting ---- */

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void on_accept_timer(uv_timer_t *timer)
{
    struct hms_http_server *server = timer->data;

    uv_poll_start(&server->poll, UV_READABLE, on_acceptable);
}

/* Out of descriptors or memory: trying on would only spin. */
static void pause_accepting(struct hms_http_server *server, int error)
{
    hms_http_service_reject(&server->service, HMS_LOG_WARN, "clients", strerror(error));
    uv_poll_stop(&server->poll);
    uv_timer_start(&server->accept_timer, on_accept_timer, ACCEPT_PAUSE_MS, 0);
}

/* Errors of one client's network, which accept(2) passes on. */
static int is_clients_error(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case ENETDOWN:
    case EPROTO:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
        return 1;
    default:
        return 0;
    }
}

static void welcome(struct hms_http_server *server, int fd)
{
    struct hms_http_service *service = &server->service;
    int over = service->counters.open_connections - service->limits.connections;
    struct hms_http_connection *connection;

    if (over >= REFUSED_MAX) {
        hms_http_service_reject(service, HMS_LOG_WARN, "a client", "too many connections");
        close(fd);
        return;
    }
    service->counters.connections++;
    connection = hms_http_connection_open(service, fd);
    if (connection != NULL && over >= 0)
        hms_http_connection_refuse(connection, 503, "too many connections");
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct hms_http_server *server = poll->data;

    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(server->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            welcome(server, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (!is_clients_error(errno)) {
            pause_accepting(server, errno);
            return;
        }
    }
}

/* ---- life ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct hms_http_server *server = handle->data;
    void (*closed)(void *arg) = server->closed;
    void *arg = server->closed_arg;

    if (--server->open_handles > 0)
        return;
    hms_http_service_free(&server->service);
    free(server);
    closed(arg);
}

static void close_handle(struct hms_http_server *server, uv_handle_t *handle)
{
    handle->data = server; /* the turn's belongs to the service until here */
    uv_close(handle, on_handle_closed);
}

/* The last connection has gone: what they shared may go too. */
static void close_shared(struct hms_http_server *server)
{
    close_handle(server, (uv_handle_t *)&server->grace_timer);
    close_handle(server, (uv_handle_t *)&server->service.turn);
}

static void on_connection_gone(struct hms_http_service *service)
{
    struct hms_http_server *server = hms_container_of(service, struct hms_http_server, service);

    if (server->is_closing && LIST_EMPTY(&service->connections))
        close_shared(server);
}

int hms_http_server_open(struct hms_http_server **result, uv_loop_t *loop, struct hms_log *log,
                         const char *where, const struct hms_http_limits *limits,
                         hms_http_handler handler, void *arg, char *error, size_t error_size)
{
    struct hms_http_server *server = hms_calloc(1, sizeof(*server));
    int code = hms_http_listener_open(&server->listener, where, error, error_size);

    if (code != HMS_OK) {
        free(server);
        return code;
    }
    server->service.loop = loop;
    server->service.log = log;
    server->service.limits = *limits;
    server->service.handler = handler;
    server->service.handler_arg = arg;
    server->service.is_local = server->listener.path != NULL;
    server->service.on_gone = on_connection_gone;
    hms_http_service_init(&server->service);
    uv_timer_init(loop, &server->accept_timer);
    uv_timer_init(loop, &server->grace_timer);
    uv_poll_init(loop, &server->poll, server->listener.fd);
    server->open_handles = 4; /* these and the service's */
    server->poll.data = server->accept_timer.data = server->grace_timer.data = server;
    uv_poll_start(&server->poll, UV_READABLE, on_acceptable);
    *result = server;
    return HMS_OK;
}

/* Runs once the kernel no longer watches the socket. */
static void on_poll_closed(uv_handle_t *handle)
{
    struct hms_http_server *server = handle->data;

    hms_http_listener_close(&server->listener);
    on_handle_closed(handle);
}

static void on_grace_timer(uv_timer_t *timer)
{
    struct hms_http_server *server = timer->data;

    hms_http_connections_close(&server->service);
}

void hms_http_server_close(struct hms_http_server *server, int64_t grace_ms,
                           void (*closed)(void *arg), void *arg)
{
    assert(!server->is_closing);
    server->is_closing = 1;
    server->closed = closed;
    server->closed_arg = arg;
    uv_close((uv_handle_t *)&server->poll, on_poll_closed);
    close_handle(server, (uv_handle_t *)&server->accept_timer);
    if (LIST_EMPTY(&server->service.connections)) {
        close_shared(server);
        return;
    }
    if (grace_ms > 0) {
        uv_timer_start(&server->grace_timer, on_grace_timer, (uint64_t)grace_ms, 0);
        hms_http_connections_drain(&server->service);
    } else {
        hms_http_connections_close(&server->service);
    }
}

const char *hms_http_server_where(const struct hms_http_server *server)
{
    return server->listener.where;
}

struct hms_http_counters hms_http_server_counters(const struct hms_http_server *server)
{
    return server->service.counters;
}
