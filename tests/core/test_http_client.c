/* The HTTP client against a small scripted server on the same loop, over loopback and a pipe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/http_client.h"

#define DEADLINE_MS 20000
#define TICK_MS     10
#define CONNECTIONS 2
#define BIG_BYTES   (1024 * 1024)

/* --- server --------------------------------------------------------------------------------- */

union stream_handle {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

struct server {
    union stream_handle listener;
    int is_pipe;
    int port;
    char path[64];
    int accepted;
    int under_way;
    int under_way_max;
    struct peer *peers;
    struct peer *held; /* the last one that asked for /held */
};

struct peer {
    union stream_handle at;
    struct server *server;
    struct peer *next;
    struct hms_buffer in;
};

static void on_peer_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;

    hms_buffer_free(&peer->in);
    free(peer);
}

static void close_peer(struct peer *peer)
{
    struct peer **at;

    if (uv_is_closing(&peer->at.handle))
        return;
    for (at = &peer->server->peers; *at != peer; at = &(*at)->next)
        ;
    *at = peer->next;
    uv_close(&peer->at.handle, on_peer_closed);
}

static void on_written(uv_write_t *write, int status)
{
    free(write->data);
    free(write);
}

static void put(struct peer *peer, const char *data, size_t size)
{
    uv_write_t *write = hms_malloc(sizeof(*write));
    uv_buf_t buf = uv_buf_init(hms_malloc(size), (unsigned)size);

    memcpy(buf.base, data, size);
    write->data = buf.base;
    uv_write(write, &peer->at.stream, &buf, 1, on_written);
}

static void put_text(struct peer *peer, const char *text)
{
    put(peer, text, strlen(text));
}

static void put_answer(struct peer *peer, const char *status, const char *body, size_t size)
{
    char head[256];

    snprintf(head, sizeof(head),
             "HTTP/1.1 %s\r\nDate: Sat, 21 Nov 2026 01:39:50 GMT\r\nContent-Length: %zu\r\n\r\n",
             status, size);
    put_text(peer, head);
    put(peer, body, size);
}

static void put_big(struct peer *peer, int chunks)
{
    char *big = hms_calloc(1, BIG_BYTES);

    memset(big, 'x', BIG_BYTES);
    if (chunks == 0)
        put_answer(peer, "200 OK", big, BIG_BYTES);
    for (; chunks > 0; chunks--)
        put(peer, big, 64 * 1024);
    free(big);
}

static void answer(struct peer *peer, const char *path, const char *request, size_t request_size)
{
    int i;

    if (strcmp(path, "/hello") == 0) {
        put_answer(peer, "200 OK", "hello", 5);
    } else if (strcmp(path, "/echo") == 0) {
        put_answer(peer, "200 OK", request, request_size);
    } else if (strcmp(path, "/missing") == 0) {
        put_answer(peer, "404 Not Found", "{\"message\":\"no\"}", 16);
    } else if (strcmp(path, "/same") == 0) {
        put_text(peer, "HTTP/1.1 304 Not Modified\r\n\r\n");
    } else if (strcmp(path, "/continue") == 0) {
        put_text(peer, "HTTP/1.1 100 Continue\r\n\r\n");
        put_answer(peer, "200 OK", "after", 5);
    } else if (strcmp(path, "/big") == 0) {
        put_big(peer, 0);
    } else if (strcmp(path, "/garbage") == 0) {
        put_text(peer, "\x16\x03\x01 not HTTP at all\r\n\r\n");
        close_peer(peer);
    } else if (strcmp(path, "/heads") == 0) {
        put_text(peer, "HTTP/1.1 200 OK\r\n");
        for (i = 0; i < 4096; i++)
            put_text(peer, "X-Header: one of very many\r\n");
    } else if (strcmp(path, "/header") == 0) {
        put_text(peer, "HTTP/1.1 200 OK\r\nX-Long: ");
        put_big(peer, 2);
    } else if (strcmp(path, "/gone") == 0) {
        close_peer(peer);
    } else if (strcmp(path, "/short") == 0) {
        put_text(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
        close_peer(peer);
    } else if (strcmp(path, "/stream") == 0) {
        put_text(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        peer->server->held = peer;
    } else { /* "/held": for the test to answer */
        peer->server->held = peer;
        return;
    }
}

static void serve(struct peer *peer)
{
    char method[16], path[128];
    const char *length = NULL;
    char *end;
    size_t size;

    while (peer->in.size_bytes > 0 && (end = strstr(peer->in.data, "\r\n\r\n")) != NULL) {
        size = (size_t)(end - peer->in.data) + 4;
        length = strcasestr(peer->in.data, "\r\nContent-Length: ");
        if (length != NULL && length < end)
            size += strtoul(length + 18, NULL, 10);
        if (peer->in.size_bytes < size)
            return;
        assert_int_equal(sscanf(peer->in.data, "%15s %127s", method, path), 2);
        peer->server->under_way++;
        if (peer->server->under_way > peer->server->under_way_max)
            peer->server->under_way_max = peer->server->under_way;
        answer(peer, path, peer->in.data, size);
        if (strcmp(path, "/held") != 0)
            peer->server->under_way--;
        hms_buffer_consume(&peer->in, size);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    *buf = uv_buf_init(hms_malloc(suggested), (unsigned)suggested);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct peer *peer = stream->data;

    if (size < 0) {
        close_peer(peer);
    } else {
        assert_int_equal(hms_buffer_append(&peer->in, buf->base, (size_t)size), 0);
        serve(peer);
    }
    free(buf->base);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    struct peer *peer = hms_calloc(1, sizeof(*peer));

    assert_int_equal(status, 0);
    server->accepted++;
    peer->server = server;
    hms_buffer_init(&peer->in, BIG_BYTES);
    if (server->is_pipe)
        uv_pipe_init(listener->loop, &peer->at.pipe, 0);
    else
        uv_tcp_init(listener->loop, &peer->at.tcp);
    peer->at.handle.data = peer;
    assert_int_equal(uv_accept(listener, &peer->at.stream), 0);
    peer->next = server->peers;
    server->peers = peer;
    uv_read_start(&peer->at.stream, on_alloc, on_read);
}

static void server_open(struct server *server, uv_loop_t *loop, int is_pipe)
{
    struct sockaddr_in address;
    int size = sizeof(address);

    memset(server, 0, sizeof(*server));
    server->is_pipe = is_pipe;
    if (is_pipe) {
        snprintf(server->path, sizeof(server->path), "/tmp/hms-http-%ld.sock", (long)getpid());
        unlink(server->path);
        uv_pipe_init(loop, &server->listener.pipe, 0);
        assert_int_equal(uv_pipe_bind(&server->listener.pipe, server->path), 0);
    } else {
        uv_tcp_init(loop, &server->listener.tcp);
        uv_ip4_addr("127.0.0.1", 0, &address);
        uv_tcp_bind(&server->listener.tcp, (struct sockaddr *)&address, 0);
        uv_tcp_getsockname(&server->listener.tcp, (struct sockaddr *)&address, &size);
        server->port = ntohs(address.sin_port);
    }
    server->listener.handle.data = server;
    assert_int_equal(uv_listen(&server->listener.stream, 128, on_connection), 0);
}

static void server_close(struct server *server)
{
    while (server->peers != NULL)
        close_peer(server->peers);
    uv_close(&server->listener.handle, NULL);
}

/* --- frame ---------------------------------------------------------------------------------- */

struct fixture {
    uv_loop_t loop;
    struct server server;
    struct hms_http_client *client;
    uv_timer_t tick; /* also wakes run_until() when nothing else happens */
    int64_t deadline_ms;
    int is_late;
    int is_closed;
};

struct result {
    int done;
    int error;
    int status;
    int64_t date_s;
    struct hms_buffer body;
    char reason[256];
    int opened; /* on_data with size 0 */
    struct hms_buffer streamed;
    struct fixture *fixture;
    struct hms_http_request *request;
    struct result *victim; /* to cancel from done or on_data */
    struct result *next;   /* to start from done or on_data */
};

static void on_tick(uv_timer_t *timer)
{
    struct fixture *fixture = timer->data;

    fixture->is_late = hms_clock_mono_ms() > fixture->deadline_ms;
}

static int set_up_on(void **state, int is_pipe)
{
    struct fixture *fixture = hms_calloc(1, sizeof(*fixture));

    uv_loop_init(&fixture->loop);
    server_open(&fixture->server, &fixture->loop, is_pipe);
    fixture->client = hms_http_client_new(&fixture->loop, CONNECTIONS);
    uv_timer_init(&fixture->loop, &fixture->tick);
    fixture->tick.data = fixture;
    fixture->deadline_ms = hms_clock_mono_ms() + DEADLINE_MS;
    uv_timer_start(&fixture->tick, on_tick, TICK_MS, TICK_MS);
    *state = fixture;
    return 0;
}

static int set_up(void **state)
{
    return set_up_on(state, 0);
}

static int set_up_pipe(void **state)
{
    return set_up_on(state, 1);
}

static void on_client_closed(void *arg)
{
    ((struct fixture *)arg)->is_closed = 1;
}

static void close_client(struct fixture *fixture)
{
    hms_http_client_close(fixture->client, on_client_closed, fixture);
    fixture->client = NULL;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->client != NULL)
        close_client(fixture);
    server_close(&fixture->server);
    uv_close((uv_handle_t *)&fixture->tick, NULL);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_true(fixture->is_closed);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    free(fixture);
    return 0;
}

static void run_until(struct fixture *fixture, const int *count, int wanted)
{
    while (*count < wanted && !fixture->is_late)
        uv_run(&fixture->loop, UV_RUN_ONCE);
    assert_false(fixture->is_late);
}

static void begin(struct fixture *fixture, struct result *result, const char *method,
                  const char *path, int64_t timeout_ms, int is_stream);

static void on_done(void *arg, const struct hms_http_answer *answer)
{
    struct result *result = arg;
    struct result *victim = result->victim, *next = result->next;

    result->done++;
    result->error = answer->error;
    result->status = answer->status;
    result->date_s = answer->date_s;
    snprintf(result->reason, sizeof(result->reason), "%s", answer->reason);
    hms_buffer_append(&result->body, answer->body, answer->body_bytes);
    result->victim = result->next = NULL;
    if (victim != NULL)
        hms_http_cancel(victim->request);
    if (next != NULL)
        begin(result->fixture, next, "GET", "/hello", 5000, 0);
}

static void on_data(void *arg, const char *data, size_t size)
{
    struct result *result = arg;
    struct result *victim = result->victim, *next = result->next;

    if (size == 0) {
        result->opened++;
        return;
    }
    hms_buffer_append(&result->streamed, data, size);
    result->victim = result->next = NULL;
    if (next != NULL)
        begin(result->fixture, next, "GET", "/hello", 5000, 0);
    if (victim != NULL)
        hms_http_cancel(victim->request);
}

static void prepare(struct fixture *fixture, struct result *result)
{
    memset(result, 0, sizeof(*result));
    result->fixture = fixture;
    hms_buffer_init(&result->body, BIG_BYTES);
    hms_buffer_init(&result->streamed, BIG_BYTES);
}

static void begin(struct fixture *fixture, struct result *result, const char *method,
                  const char *path, int64_t timeout_ms, int is_stream)
{
    char url[128];
    struct hms_http_call call = {.method = method,
                                 .url = url,
                                 .connect_timeout_ms = 5000,
                                 .timeout_ms = timeout_ms,
                                 .answer_limit_bytes = 64 * 1024};

    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", fixture->server.port, path);
    if (fixture->server.is_pipe) {
        call.unix_socket = fixture->server.path;
        snprintf(url, sizeof(url), "http://engine%s", path);
    }
    assert_int_equal(hms_http_call(fixture->client, &call, is_stream ? on_data : NULL, on_done,
                                   result, &result->request),
                     0);
    assert_int_equal(result->done, 0);
}

static void release(struct result *result)
{
    hms_buffer_free(&result->body);
    hms_buffer_free(&result->streamed);
}

/* One call to its end. */
static void get(struct fixture *fixture, struct result *result, const char *method,
                const char *path, int64_t timeout_ms)
{
    prepare(fixture, result);
    begin(fixture, result, method, path, timeout_ms, 0);
    run_until(fixture, &result->done, 1);
}

/* --- tests ---------------------------------------------------------------------------------- */

static void test_reuses_its_connection(void **state)
{
    struct fixture *fixture = *state;
    struct result result;
    int i;

    for (i = 0; i < 20; i++) {
        get(fixture, &result, "GET", "/hello", 5000);
        assert_int_equal(result.error, 0);
        assert_int_equal(result.status, 200);
        assert_string_equal(result.body.data, "hello");
        assert_string_equal(result.reason, "");
        assert_int_equal(result.date_s, 1795225190);
        release(&result);
    }
    assert_int_equal(fixture->server.accepted, 1);
}

static void test_answers(void **state)
{
    static const struct {
        const char *path;
        int error;
        int status;
    } cases[] = {
        {"/missing", 0, 404},         {"/same", 0, 304},           {"/continue", 0, 200},
        {"/big", HMS_ELIMIT, 200},    {"/garbage", HMS_EPROTO, 0}, {"/heads", HMS_ELIMIT, 200},
        {"/header", HMS_ELIMIT, 200}, {"/gone", HMS_EIO, 0},       {"/short", HMS_EIO, 200},
        {"/held", HMS_ETIMEDOUT, 0},
    };
    struct fixture *fixture = *state;
    struct result result;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        get(fixture, &result, "GET", cases[i].path, cases[i].error == HMS_ETIMEDOUT ? 50 : 5000);
        if (result.error != cases[i].error || result.status != cases[i].status)
            fail_msg("%s: error %d (%s), status %d", cases[i].path, result.error, result.reason,
                     result.status);
        assert_int_equal(result.done, 1);
        assert_true((result.error != 0) == (result.reason[0] != '\0'));
        release(&result);
    }
}

static void test_sends_what_a_server_expects(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    get(fixture, &result, "POST", "/echo", 5000);
    assert_non_null(strstr(result.body.data, "POST /echo HTTP/1.1\r\n"));
    assert_non_null(strstr(result.body.data, "Content-Length: 0\r\n"));
    assert_null(strstr(result.body.data, "Expect"));
    assert_null(strstr(result.body.data, "Content-Type"));
    release(&result);
    get(fixture, &result, "DELETE", "/echo", 5000);
    assert_non_null(strstr(result.body.data, "DELETE /echo HTTP/1.1\r\n"));
    release(&result);
    get(fixture, &result, "PUT", "/echo", 5000);
    assert_non_null(strstr(result.body.data, "Content-Length: 0\r\n"));
    release(&result);
}

static void test_sends_body_and_headers(void **state)
{
    static const char *const headers[] = {"Authorization: Bearer abc", NULL};
    static const char body[] = "{\"threshold\":5}\0tail";
    struct fixture *fixture = *state;
    struct result result;
    char url[64];
    struct hms_http_call call = {.method = "POST",
                                 .url = url,
                                 .content_type = "application/json",
                                 .body = body,
                                 .body_bytes = sizeof(body),
                                 .headers = headers,
                                 .connect_timeout_ms = 5000,
                                 .timeout_ms = 5000,
                                 .answer_limit_bytes = 4096};

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/echo", fixture->server.port);
    prepare(fixture, &result);
    assert_int_equal(hms_http_call(fixture->client, &call, NULL, on_done, &result, NULL), 0);
    run_until(fixture, &result.done, 1);
    assert_non_null(strstr(result.body.data, "Authorization: Bearer abc\r\n"));
    assert_non_null(strstr(result.body.data, "Content-Type: application/json\r\n"));
    assert_memory_equal(result.body.data + result.body.size_bytes - sizeof(body), body,
                        sizeof(body));
    release(&result);
}

static void test_refuses_bad_calls(void **state)
{
    struct fixture *fixture = *state;
    static const char *const urls[] = {
        "",        "hello",       "ftp://127.0.0.1/", "file:///etc/passwd",
        "http://", "http://[::1", "http://a b/"};
    struct result result = {0};
    size_t i;

    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct hms_http_call call = {
            .method = "GET", .url = urls[i], .connect_timeout_ms = 1000, .timeout_ms = 1000};

        if (hms_http_call(fixture->client, &call, NULL, on_done, &result, NULL) != HMS_EINVAL)
            fail_msg("%s was taken", urls[i]);
    }
    assert_int_equal(result.done, 0);
}

static void test_connection_refused(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    server_close(&fixture->server);
    while (uv_is_active(&fixture->server.listener.handle))
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    get(fixture, &result, "GET", "/hello", 5000);
    assert_int_equal(result.error, HMS_ECONNECT);
    assert_non_null(strstr(result.reason, "Connection refused"));
    release(&result);
    server_open(&fixture->server, &fixture->loop, 0);
}

static void test_no_unix_socket(void **state)
{
    struct fixture *fixture = *state;
    struct hms_http_call call = {.method = "GET",
                                 .url = "http://engine/",
                                 .unix_socket = "/tmp/hms-http-nobody.sock",
                                 .connect_timeout_ms = 1000,
                                 .timeout_ms = 1000};
    struct result result;

    prepare(fixture, &result);
    assert_int_equal(hms_http_call(fixture->client, &call, NULL, on_done, &result, NULL), 0);
    run_until(fixture, &result.done, 1);
    assert_int_equal(result.error, HMS_ECONNECT);
    assert_non_null(strstr(result.reason, "No such file"));
    release(&result);
}

static void test_unix_socket(void **state)
{
    struct fixture *fixture = *state;
    struct result result;
    int i;

    for (i = 0; i < 5; i++) {
        get(fixture, &result, "GET", "/hello", 5000);
        assert_string_equal(result.body.data, "hello");
        release(&result);
    }
    assert_int_equal(fixture->server.accepted, 1);
}

static void test_limits_connections(void **state)
{
    struct fixture *fixture = *state;
    struct result results[30];
    int i;

    for (i = 0; i < 30; i++) {
        prepare(fixture, &results[i]);
        begin(fixture, &results[i], "GET", "/hello", 5000, 0);
    }
    for (i = 0; i < 30; i++) {
        run_until(fixture, &results[i].done, 1);
        assert_int_equal(results[i].error, 0);
        release(&results[i]);
    }
    assert_int_equal(fixture->server.accepted, CONNECTIONS);
    assert_true(fixture->server.under_way_max <= CONNECTIONS);
}

static void test_streams_are_not_counted(void **state)
{
    struct fixture *fixture = *state;
    struct result streams[CONNECTIONS + 1], result;
    int i;

    for (i = 0; i <= CONNECTIONS; i++) {
        prepare(fixture, &streams[i]);
        begin(fixture, &streams[i], "GET", "/stream", 0, 1);
        run_until(fixture, &streams[i].opened, 1);
    }
    get(fixture, &result, "GET", "/hello", 5000);
    assert_int_equal(result.error, 0);
    release(&result);
    for (i = 0; i <= CONNECTIONS; i++) {
        hms_http_cancel(streams[i].request);
        assert_int_equal(streams[i].error, HMS_ECANCELED);
        release(&streams[i]);
    }
}

static void test_stream_in_pieces(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    prepare(fixture, &result);
    begin(fixture, &result, "GET", "/stream", 0, 1);
    run_until(fixture, &result.opened, 1);
    assert_int_equal(result.streamed.size_bytes, 0);
    put_text(fixture->server.held, "3\r\nabc\r\n");
    while (result.streamed.size_bytes < 3 && !fixture->is_late)
        uv_run(&fixture->loop, UV_RUN_ONCE);
    assert_string_equal(result.streamed.data, "abc");
    put_text(fixture->server.held, "2\r\nde\r\n0\r\n\r\n");
    run_until(fixture, &result.done, 1);
    assert_int_equal(result.error, 0);
    assert_string_equal(result.streamed.data, "abcde");
    assert_int_equal(result.body.size_bytes, 0);
    assert_int_equal(result.opened, 1);
    release(&result);
}

/* A long body comes whole and in order, though it is more than is kept between two turns. */
static void test_long_stream(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    prepare(fixture, &result);
    begin(fixture, &result, "GET", "/big", 5000, 1);
    run_until(fixture, &result.done, 1);
    assert_int_equal(result.error, 0);
    assert_int_equal(result.streamed.size_bytes, BIG_BYTES);
    assert_int_equal(result.opened, 1);
    release(&result);
}

static void test_refused_stream_keeps_its_body(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    prepare(fixture, &result);
    begin(fixture, &result, "GET", "/missing", 0, 1);
    run_until(fixture, &result.done, 1);
    assert_int_equal(result.status, 404);
    assert_int_equal(result.opened, 0);
    assert_string_equal(result.body.data, "{\"message\":\"no\"}");
    release(&result);
}

static void test_empty_stream_opens(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    prepare(fixture, &result);
    begin(fixture, &result, "GET", "/stream", 0, 1);
    run_until(fixture, &result.opened, 1);
    put_text(fixture->server.held, "0\r\n\r\n");
    run_until(fixture, &result.done, 1);
    assert_int_equal(result.error, 0);
    assert_int_equal(result.opened, 1);
    release(&result);
}

/* Where a connection is kept, the bytes are with the server before the loop turns again. */
static void test_writes_within_the_call(void **state)
{
    struct fixture *fixture = *state;
    struct result first, second;
    uv_os_fd_t fd;
    char byte;

    get(fixture, &first, "GET", "/hello", 5000);
    prepare(fixture, &second);
    begin(fixture, &second, "POST", "/hello", 5000, 0);
    assert_int_equal(uv_fileno(&fixture->server.peers->at.handle, &fd), 0);
    assert_int_equal(recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), 1);
    assert_int_equal(byte, 'P');
    run_until(fixture, &second.done, 1);
    release(&first);
    release(&second);
}

/* A callback of one request ends another: running, waiting, or itself. */
static void test_cancel_within_callbacks(void **state)
{
    struct fixture *fixture = *state;
    struct result first, running, waiting, stream, next;

    prepare(fixture, &first);
    prepare(fixture, &running);
    prepare(fixture, &waiting);
    begin(fixture, &first, "GET", "/hello", 5000, 0);
    begin(fixture, &running, "GET", "/held", 5000, 0);
    begin(fixture, &waiting, "GET", "/hello", 5000, 0);
    first.victim = &waiting;
    run_until(fixture, &first.done, 1);
    assert_int_equal(waiting.error, HMS_ECANCELED);
    assert_int_equal(waiting.done, 1);

    prepare(fixture, &stream);
    prepare(fixture, &next);
    begin(fixture, &stream, "GET", "/stream", 0, 1);
    run_until(fixture, &stream.opened, 1);
    stream.victim = &stream;
    stream.next = &next;
    put_text(fixture->server.held, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    run_until(fixture, &stream.done, 1);
    assert_int_equal(stream.error, HMS_ECANCELED);
    run_until(fixture, &next.done, 1);
    assert_int_equal(next.error, 0);
    assert_int_equal(stream.done, 1);

    assert_int_equal(running.done, 0);
    hms_http_cancel(running.request);
    assert_int_equal(running.error, HMS_ECANCELED);
    release(&first);
    release(&running);
    release(&waiting);
    release(&stream);
    release(&next);
}

static void test_call_from_done(void **state)
{
    struct fixture *fixture = *state;
    struct result first, second;

    prepare(fixture, &first);
    prepare(fixture, &second);
    first.next = &second;
    begin(fixture, &first, "GET", "/hello", 5000, 0);
    run_until(fixture, &second.done, 1);
    assert_int_equal(second.error, 0);
    assert_int_equal(fixture->server.accepted, 1);
    release(&first);
    release(&second);
}

/* The server has closed the kept connection: the next call takes a new one. */
static void test_kept_connection_dies(void **state)
{
    struct fixture *fixture = *state;
    struct result result;

    get(fixture, &result, "GET", "/hello", 5000);
    release(&result);
    close_peer(fixture->server.peers);
    get(fixture, &result, "GET", "/hello", 5000);
    assert_int_equal(result.error, 0);
    release(&result);
    assert_int_equal(fixture->server.accepted, 2);
}

static void test_close_cancels(void **state)
{
    struct fixture *fixture = *state;
    struct result results[5];
    int i;

    for (i = 0; i < 5; i++) {
        prepare(fixture, &results[i]);
        begin(fixture, &results[i], "GET", "/held", i == 0 ? 0 : 5000, 0);
    }
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    close_client(fixture);
    for (i = 0; i < 5; i++) {
        assert_int_equal(results[i].done, 1);
        assert_int_equal(results[i].error, HMS_ECANCELED);
        release(&results[i]);
    }
}

static void on_done_close(void *arg, const struct hms_http_answer *answer)
{
    struct result *result = arg;

    result->done++;
    close_client(result->fixture);
}

static void test_close_within_done(void **state)
{
    struct fixture *fixture = *state;
    char url[64];
    struct hms_http_call call = {.method = "GET",
                                 .url = url,
                                 .connect_timeout_ms = 5000,
                                 .timeout_ms = 5000,
                                 .answer_limit_bytes = 4096};
    struct result result, other;

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/hello", fixture->server.port);
    prepare(fixture, &result);
    prepare(fixture, &other);
    begin(fixture, &other, "GET", "/held", 5000, 0);
    assert_int_equal(hms_http_call(fixture->client, &call, NULL, on_done_close, &result, NULL), 0);
    run_until(fixture, &result.done, 1);
    assert_int_equal(other.error, HMS_ECANCELED);
    release(&result);
    release(&other);
}

/* A name look-up in a thread must not hold the loop, also when the call is ended meanwhile. */
static void test_name_look_up(void **state)
{
    struct fixture *fixture = *state;
    struct hms_http_call call = {.method = "GET",
                                 .url = "http://no-such-host.invalid/",
                                 .connect_timeout_ms = 10000,
                                 .timeout_ms = 10000};
    struct result ended, failed;
    int64_t began_ms;

    prepare(fixture, &ended);
    prepare(fixture, &failed);
    began_ms = hms_clock_mono_ms();
    assert_int_equal(hms_http_call(fixture->client, &call, NULL, on_done, &ended, &ended.request),
                     0);
    hms_http_cancel(ended.request);
    assert_int_equal(ended.error, HMS_ECANCELED);
    assert_true(hms_clock_mono_ms() - began_ms < 1000);
    assert_int_equal(hms_http_call(fixture->client, &call, NULL, on_done, &failed, NULL), 0);
    run_until(fixture, &failed.done, 1);
    assert_true(failed.error == HMS_ECONNECT || failed.error == HMS_ETIMEDOUT);
    release(&ended);
    release(&failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reuses_its_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sends_what_a_server_expects, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sends_body_and_headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refuses_bad_calls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connection_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_unix_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unix_socket, set_up_pipe, tear_down),
        cmocka_unit_test_setup_teardown(test_limits_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_streams_are_not_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stream_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_stream_keeps_its_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty_stream_opens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_writes_within_the_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_writes_within_the_call, set_up_pipe, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_within_callbacks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_call_from_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_connection_dies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_cancels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_within_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_name_look_up, set_up, tear_down),
    };

    hms_alloc_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
