/*
 * An HTTP server and raw clients on one loop, for the server's test programs. Nothing sleeps:
 * fixture_until() runs the loop until a condition holds, and fails the test at a deadline.
 */
#ifndef HMS_TESTS_CORE_HTTP_FIXTURE_H
#define HMS_TESTS_CORE_HTTP_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/http_server.h"
#include "core/log.h"

#define DEADLINE_MS 20000
#define PARKED_MAX  64
#define BIG_BYTES   (8 * 1024 * 1024)
#define SLOW_NS     1000000 /* a request for /slow holds the loop */
#define H           "Host: h\r\n"

struct fixture {
    uv_loop_t loop;
    struct hms_log *log;
    int null_fd;
    struct hms_http_server *server;
    int is_closed;
    struct hms_http_exchange *parked[PARKED_MAX]; /* asked for /park, not answered */
    int parked_count;
    int handled;
    int64_t close_grace_ms; /* of /close */
    char *big;
};

struct client {
    int fd;
    struct hms_buffer in; /* all that was received */
    int is_closed;        /* by the server */
};

static void on_server_closed(void *arg)
{
    ((struct fixture *)arg)->is_closed = 1;
}

/* Answers "METHOD path|q|body". */
static void answer_echo(struct hms_http_exchange *exchange)
{
    const char *query = hms_http_query(exchange, "q");
    size_t size;
    const char *body = hms_http_body(exchange, &size);
    char *text = hms_asprintf("%s %s|%s|%.*s", hms_http_method(exchange), hms_http_path(exchange),
                              query ? query : "-", (int)size, body);

    hms_http_respond(exchange, 200, "text/plain", NULL, text, strlen(text));
    free(text);
}

static void on_request(void *arg, struct hms_http_exchange *exchange)
{
    static const char *const headers[] = {"X-Safe", "a\r\nX-Forged: b", "Allow", "GET", NULL};
    struct fixture *fixture = arg;
    const char *path = hms_http_path(exchange);

    fixture->handled++;
    if (strcmp(path, "/park") == 0) {
        assert_true(fixture->parked_count < PARKED_MAX);
        fixture->parked[fixture->parked_count++] = exchange;
    } else if (strcmp(path, "/big") == 0) {
        hms_http_respond(exchange, 200, "text/plain", NULL, fixture->big, BIG_BYTES);
    } else if (strcmp(path, "/slow") == 0) {
        uint64_t start_ns = uv_hrtime();

        while (uv_hrtime() - start_ns < SLOW_NS)
            continue;
        hms_http_respond(exchange, 200, "text/plain", NULL, "slow", 4);
    } else if (strcmp(path, "/empty") == 0) {
        hms_http_respond(exchange, 204, NULL, NULL, NULL, 0);
    } else if (strcmp(path, "/headers") == 0) {
        hms_http_respond(exchange, 405, "text/plain", headers, "no", 2);
    } else if (strcmp(path, "/close") == 0) {
        hms_http_server_close(fixture->server, fixture->close_grace_ms, on_server_closed, fixture);
        fixture->server = NULL;
        hms_http_respond(exchange, 200, "text/plain", NULL, "bye", 3);
    } else {
        answer_echo(exchange);
    }
}

static void fixture_open(struct fixture *fixture, const char *where,
                         const struct hms_http_limits *limits)
{
    struct hms_http_limits defaults = hms_http_limits_default();
    char error[256] = "";

    memset(fixture, 0, sizeof(*fixture));
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&fixture->loop);
    fixture->null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    fixture->log = hms_log_new(fixture->null_fd, HMS_LOG_TEXT, HMS_LOG_DEBUG);
    fixture->big = hms_calloc(1, BIG_BYTES);
    memset(fixture->big, 'b', BIG_BYTES);
    if (hms_http_server_open(&fixture->server, &fixture->loop, fixture->log, where,
                             limits ? limits : &defaults, on_request, fixture, error,
                             sizeof(error)) != HMS_OK)
        fail_msg("%s", error);
}

static void client_read(struct client *client)
{
    char data[65536];
    ssize_t size;

    while (!client->is_closed && (size = recv(client->fd, data, sizeof(data), 0)) != -1) {
        if (size == 0)
            client->is_closed = 1;
        else
            hms_buffer_append(&client->in, data, (size_t)size);
    }
    if (!client->is_closed && errno != EAGAIN)
        client->is_closed = 1;
}

/* One round of the loop; waits a moment for an event. The client reads unless it is NULL. */
static void fixture_turn(struct fixture *fixture, struct client *client)
{
    struct pollfd ready[2] = {{.fd = uv_backend_fd(&fixture->loop), .events = POLLIN},
                              {.fd = client ? client->fd : -1, .events = POLLIN}};

    if (client != NULL && client->is_closed)
        ready[1].fd = -1;
    poll(ready, 2, uv_backend_timeout(&fixture->loop) == 0 ? 0 : 5);
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    if (client != NULL)
        client_read(client);
}

#define fixture_until(fixture, client, condition)                                                  \
    do {                                                                                           \
        int64_t until_ms_ = hms_clock_mono_ms() + DEADLINE_MS;                                     \
        while (!(condition)) {                                                                     \
            if (hms_clock_mono_ms() > until_ms_)                                                   \
                fail_msg("not within the deadline: %s", #condition);                               \
            fixture_turn(fixture, client);                                                         \
        }                                                                                          \
    } while (0)

#define fixture_open_connections(fixture)                                                          \
    (hms_http_server_counters((fixture)->server).open_connections)

static void fixture_begin_close(struct fixture *fixture, int64_t grace_ms)
{
    hms_http_server_close(fixture->server, grace_ms, on_server_closed, fixture);
    fixture->server = NULL;
}

/* Closes what is open, and proves that the server left no handle. */
static void fixture_close(struct fixture *fixture)
{
    if (fixture->server != NULL)
        fixture_begin_close(fixture, 0);
    fixture_until(fixture, NULL, fixture->is_closed);
    while (fixture->parked_count > 0)
        hms_http_respond(fixture->parked[--fixture->parked_count], 200, NULL, NULL, NULL, 0);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    hms_log_free(fixture->log);
    close(fixture->null_fd);
    free(fixture->big);
}

/* Answers one of the parked requests (0 is the oldest). */
static void fixture_answer(struct fixture *fixture, int index, const char *body)
{
    struct hms_http_exchange *exchange = fixture->parked[index];

    fixture->parked_count--;
    memmove(&fixture->parked[index], &fixture->parked[index + 1],
            (size_t)(fixture->parked_count - index) * sizeof(exchange));
    hms_http_respond(exchange, 200, "text/plain", NULL, body, strlen(body));
}

static void client_connect(struct client *client, const struct fixture *fixture)
{
    const char *where = hms_http_server_where(fixture->server);
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in tcp;

    memset(client, 0, sizeof(*client));
    hms_buffer_init(&client->in, 256u * 1024 * 1024);
    if (strncmp(where, "unix:", 5) == 0) {
        snprintf(local.sun_path, sizeof(local.sun_path), "%s", where + 5);
        client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client->fd, (struct sockaddr *)&local, sizeof(local)), 0);
    } else {
        uv_ip4_addr("127.0.0.1", atoi(strrchr(where, ':') + 1), &tcp);
        client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client->fd, (struct sockaddr *)&tcp, sizeof(tcp)), 0);
    }
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
}

static void client_close(struct client *client)
{
    close(client->fd);
    hms_buffer_free(&client->in);
}

static const char *client_text(const struct client *client)
{
    return client->in.data ? client->in.data : "";
}

/* How often a text stands in what was received. */
static int client_count(const struct client *client, const char *text)
{
    const char *at = client_text(client);
    const char *end = at + client->in.size_bytes;
    int count = 0;

    while ((at = memmem(at, (size_t)(end - at), text, strlen(text))) != NULL) {
        at += strlen(text);
        count++;
    }
    return count;
}

/* Sends all, running the loop while the socket is full; stops if the server has closed. */
static void client_send_bytes(struct client *client, struct fixture *fixture, const char *data,
                              size_t size)
{
    int64_t until_ms = hms_clock_mono_ms() + DEADLINE_MS;

    while (size > 0 && !client->is_closed) {
        ssize_t sent = send(client->fd, data, size, MSG_NOSIGNAL);

        assert_true(hms_clock_mono_ms() < until_ms);
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        } else if (errno == EAGAIN) {
            fixture_turn(fixture, client);
        } else {
            return;
        }
    }
}

static void client_send(struct client *client, struct fixture *fixture, const char *text)
{
    client_send_bytes(client, fixture, text, strlen(text));
}

/* A request on a connection of its own; returns what came until the server closed (free it). */
static char *ask_once(struct fixture *fixture, const char *request)
{
    struct client client;
    char *answer;

    client_connect(&client, fixture);
    client_send(&client, fixture, request);
    fixture_until(fixture, &client, client.is_closed);
    answer = hms_strdup(client_text(&client));
    client_close(&client);
    return answer;
}

/* A request that must be answered with the status 200: the server is alive. */
static void check_alive(struct fixture *fixture)
{
    char *answer = ask_once(fixture, "GET /alive HTTP/1.1\r\n" H "Connection: close\r\n\r\n");

    assert_non_null(strstr(answer, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(answer, "GET /alive|-|"));
    free(answer);
}

#endif
