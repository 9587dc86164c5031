/*
 * The whole controller over real HTTP on loopback, with scripted managers on a local bus: routes,
 * statuses, who is let in, what a changed or silent manager looks like.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "../wait.h"
#include "controller/controller.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include "core/bus_local.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "core/loop.h"
#include "scripted_manager.h"

#define REPLY_MS 500
#define A        "10.0.0.1"
#define B        "10.0.0.2"
#define TOKEN    "0123456789abcdef"
#define AS_JSON  "Content-Type: application/json\r\n"

struct world {
    struct hms_loop *loop;
    uv_loop_t *uv;
    struct hms_log *log;
    struct hms_bus *bus;
    struct hms_controller *controller;
    struct scripted_manager a, b;
    int closed;
    int replies; /* over the bus */
    json_t *reply;
};

/* ---- a client that sends one request and reads until the server closes ---- */

struct client {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    char *request;
    struct hms_buffer answer;
    char chunk[65536];
    int done;
    int status;
    json_t *body; /* NULL if there is none */
};

static void on_client_closed(uv_handle_t *handle)
{
    ((struct client *)handle->data)->done = 1;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct client *client = handle->data;

    *buf = uv_buf_init(client->chunk, sizeof(client->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct client *client = stream->data;

    if (size > 0)
        assert_int_equal(hms_buffer_append(&client->answer, buf->base, (size_t)size), HMS_OK);
    else if (size < 0)
        uv_close((uv_handle_t *)stream, on_client_closed);
}

static void on_written(uv_write_t *write, int status)
{
    (void)write;
    assert_int_equal(status, 0);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct client *client = connect->data;
    uv_buf_t buf = uv_buf_init(client->request, (unsigned)strlen(client->request));

    assert_int_equal(status, 0);
    uv_write(&client->write, connect->handle, &buf, 1, on_written);
    uv_read_start(connect->handle, on_alloc, on_read);
}

static void client_send(struct world *world, struct client *client, const char *method,
                        const char *target, const char *headers, const char *body)
{
    const char *where = hms_controller_where(world->controller);
    struct sockaddr_in address;

    memset(client, 0, sizeof(*client));
    hms_buffer_init(&client->answer, 64u << 20);
    client->request =
        hms_asprintf("%s %s HTTP/1.1\r\n%s%sContent-Length: %zu\r\n"
                     "Connection: close\r\n\r\n%s",
                     method, target, strstr(headers, "Host:") ? "" : "Host: localhost\r\n", headers,
                     strlen(body), body);
    uv_ip4_addr("127.0.0.1", atoi(strrchr(where, ':') + 1), &address);
    uv_tcp_init(world->uv, &client->tcp);
    client->tcp.data = client;
    client->connect.data = client;
    assert_int_equal(uv_tcp_connect(&client->connect, &client->tcp,
                                    (const struct sockaddr *)&address, on_connected),
                     0);
}

/* Runs the loop until the condition holds; fails at the deadline. */
static void client_finish(struct world *world, struct client *client)
{
    char error[HMS_JSON_ERROR_SIZE];
    const char *body;

    WAIT(world->uv, client->done);
    assert_non_null(client->answer.data);
    assert_int_equal(sscanf(client->answer.data, "HTTP/1.1 %d ", &client->status), 1);
    body = strstr(client->answer.data, "\r\n\r\n");
    assert_non_null(body);
    body += 4;
    if (*body != '\0') {
        client->body = hms_json_parse(body, strlen(body), error);
        assert_non_null(client->body);
    }
}

static void client_clear(struct client *client)
{
    free(client->request);
    hms_buffer_free(&client->answer);
    json_decref(client->body);
}

/* Sends, waits, and hands over the answer; client_clear() it. */
static void ask(struct world *world, struct client *client, const char *method, const char *target,
                const char *headers, const char *body)
{
    client_send(world, client, method, target, headers, body);
    client_finish(world, client);
}

static void expect(struct world *world, int status, const char *method, const char *target,
                   const char *headers, const char *body)
{
    struct client client;

    print_message("%s %s %s\n", method, target, body);
    ask(world, &client, method, target, headers, body);
    assert_int_equal(client.status, status);
    if (status >= 400 && strcmp(method, "HEAD") != 0)
        assert_string_equal(hms_json_string(client.body, "command"), "error");
    client_clear(&client);
}

/* ---- the world ---- */

static void on_closed(void *arg)
{
    ((struct world *)arg)->closed++;
}

static struct hms_controller_options options(void)
{
    return (struct hms_controller_options){.listen = "127.0.0.1:0",
                                           .address = "10.0.0.9",
                                           .aggregation_ms = 20,
                                           .reply_timeout_ms = REPLY_MS,
                                           .expiry_ms = 300000};
}

static struct world *world_new(const struct hms_controller_options *wanted)
{
    struct world *world = hms_calloc(1, sizeof(*world));
    char error[256] = "";

    signal(SIGPIPE, SIG_IGN);
    world->log = hms_log_new(STDERR_FILENO, HMS_LOG_TEXT, HMS_LOG_ERROR);
    world->loop = hms_loop_new(world->log);
    world->uv = hms_loop_uv(world->loop);
    world->bus = hms_bus_local_new(world->uv);
    assert_int_equal(hms_controller_open(&world->controller, world->loop, world->log, world->bus,
                                         wanted, error, sizeof(error)),
                     HMS_OK);
    scripted_open(&world->a, world->bus, A);
    scripted_open(&world->b, world->bus, B);
    return world;
}

static int setup(void **state)
{
    struct hms_controller_options wanted = options();

    *state = world_new(&wanted);
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    if (world->controller != NULL)
        hms_controller_close(world->controller, on_closed, world);
    scripted_close(&world->a);
    scripted_close(&world->b);
    WAIT(world->uv, world->closed == 1);
    hms_bus_close(world->bus, on_closed, world);
    WAIT(world->uv, world->closed == 2);
    assert_int_equal(hms_loop_free(world->loop), 0);
    json_decref(world->reply);
    hms_log_free(world->log);
    free(world);
    return 0;
}

static int is_healthy(struct world *world)
{
    struct client client;
    int status;

    ask(world, &client, "GET", "/healthz", "", "");
    status = client.status;
    client_clear(&client);
    return status == 200;
}

/* Both managers are there and their content has arrived. */
static void both_are_known(struct world *world)
{
    struct client client;

    scripted_notify(&world->a, "live");
    scripted_notify(&world->b, "live");
    WAIT(world->uv, is_healthy(world));
    ask(world, &client, "GET", "/containers", "", "");
    assert_int_equal(json_array_size(json_object_get(client.body, "description")), 2);
    client_clear(&client);
}

/* ---- tests ---- */

static void health_follows_the_first_content(void **state)
{
    struct world *world = *state;

    expect(world, 200, "GET", "/containers", "", "");
    assert_false(is_healthy(world));
    scripted_notify(&world->a, "live");
    WAIT(world->uv, is_healthy(world));
}

static void reads_tell_the_content(void **state)
{
    struct world *world = *state;
    struct client client;
    json_t *description;

    both_are_known(world);
    ask(world, &client, "GET", "/healthmonitor/containers", "", "");
    assert_int_equal(client.status, 200);
    assert_string_equal(hms_json_string(client.body, "command"), "ok");
    description = json_array_get(json_object_get(client.body, "description"), 1);
    assert_string_equal(hms_json_string(description, "address"), B);
    assert_string_equal(hms_json_string(description, "manager_status"), "updated");
    assert_string_equal(hms_json_string(description, "host_state"), "online");
    assert_non_null(hms_json_string(description, "last_alive"));
    assert_true(json_equal(json_object_get(description, "content"), world->b.content));
    client_clear(&client);

    ask(world, &client, "GET", "/containers/" A, "", "");
    description = json_object_get(client.body, "description");
    assert_string_equal(hms_json_string(description, "address"), A);
    assert_true(json_equal(json_object_get(description, "content"), world->a.content));
    client_clear(&client);

    ask(world, &client, "GET", "/containers/" A "/db", "", "");
    description = json_object_get(client.body, "description");
    assert_int_equal(json_object_size(json_object_get(description, "content")), 1);
    assert_string_equal(json_string_value(hms_json_path(description, "content", "aaaa99992222",
                                                        "container_state", NULL)),
                        "exited");
    client_clear(&client);
}

static void containers_have_several_names(void **state)
{
    struct world *world = *state;

    both_are_known(world);
    expect(world, 200, "GET", "/containers/" A "/web", "", "");
    expect(world, 200, "GET", "/containers/" A "/aaaa11112222", "", "");
    expect(world, 200, "GET", "/containers/" A "/aaaa111122223333", "", "");
    expect(world, 200, "GET", "/containers/" A "/aaaa1", "", "");
    expect(world, 409, "GET", "/containers/" A "/aaaa", "", "");
    expect(world, 404, "GET", "/containers/" A "/aaa", "", "");
    expect(world, 404, "GET", "/containers/" A "/mail", "", "");
}

static void unknown_paths_and_methods(void **state)
{
    struct world *world = *state;
    struct client client;

    both_are_known(world);
    expect(world, 404, "GET", "/", "", "");
    expect(world, 404, "GET", "/container", "", "");
    expect(world, 404, "GET", "/healthmonitorcontainers", "", "");
    expect(world, 404, "GET", "/containers//web", "", "");
    expect(world, 404, "GET", "/containers/" A "/web/decisions/more", "", "");
    expect(world, 404, "GET", "/containers/10.9.9.9", "", "");
    expect(world, 400, "GET", "/containers/nowhere", "", "");
    expect(world, 200, "GET", "/containers/", "", "");
    expect(world, 405, "POST", "/healthz", "", "");
    expect(world, 405, "PUT", "/containers/" A "/web/quarantine", "", "");

    ask(world, &client, "PATCH", "/containers/" A "/web", "", "");
    assert_int_equal(client.status, 405);
    assert_non_null(strstr(client.answer.data, "Allow: GET, HEAD, PUT, DELETE, OPTIONS\r\n"));
    client_clear(&client);
    ask(world, &client, "OPTIONS", "/containers", "", "");
    assert_int_equal(client.status, 204);
    assert_non_null(strstr(client.answer.data, "Allow: GET, HEAD, POST, OPTIONS\r\n"));
    client_clear(&client);
    ask(world, &client, "HEAD", "/containers", "", "");
    assert_int_equal(client.status, 200);
    assert_null(client.body);
    client_clear(&client);
}

static void thresholds_come_by_body_or_query(void **state)
{
    struct world *world = *state;
    static const struct {
        int status;
        const char *target;
        const char *headers;
        const char *body;
    } cases[] = {
        {200, "/containers", AS_JSON, "{\"threshold\":30}"},
        {200, "/containers?threshold=30", "", ""},
        {200, "/containers?threshold=30.5", AS_JSON, "{\"threshold\":30.5}"},
        {200, "/containers?threshold=30", AS_JSON, "{}"},
        {200, "/containers/" A "?threshold=0", "", ""},
        {200, "/containers/" A, AS_JSON, "{\"threshold\":100}"},
        {400, "/containers?threshold=30", AS_JSON, "{\"threshold\":31}"},
        {400, "/containers?threshold=30", AS_JSON, "{\"threshold\":\"30\"}"},
        {400, "/containers", AS_JSON, "{}"},
        {400, "/containers", "", ""},
        {400, "/containers", AS_JSON, "{\"threshold\":101}"},
        {400, "/containers", AS_JSON, "{\"threshold\":-0.1}"},
        {400, "/containers", AS_JSON, "{\"threshold\":\"50\"}"},
        {400, "/containers", AS_JSON, "{\"threshold\":null}"},
        {400, "/containers", AS_JSON, "{\"threshold\":1e999}"},
        {400, "/containers", AS_JSON, "{\"threshold\":50,\"threshold\":60}"},
        {400, "/containers", AS_JSON, "{\"threshold\":50"},
        {400, "/containers", AS_JSON, "[50]"},
        {400, "/containers", AS_JSON, "garbage"},
        {400, "/containers?threshold=", "", ""},
        {400, "/containers?threshold=nan", "", ""},
        {400, "/containers?threshold=0x10", "", ""},
        {400, "/containers?threshold=50%20", AS_JSON, "{\"threshold\":51}"},
        {400, "/containers?threshold=%2250%22", "", ""},
        {415, "/containers", "Content-Type: text/plain\r\n", "{\"threshold\":30}"},
        {415, "/containers", "", "{\"threshold\":30}"},
        {404, "/containers/10.9.9.9", AS_JSON, "{\"threshold\":30}"},
    };
    size_t i;

    both_are_known(world);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        world->a.order[0] = '\0';
        expect(world, cases[i].status, "POST", cases[i].target, cases[i].headers, cases[i].body);
        assert_true((cases[i].status == 200) == (world->a.order[0] != '\0'));
    }
}

static void writes_reach_the_manager(void **state)
{
    struct world *world = *state;
    struct client client;

    both_are_known(world);
    expect(world, 200, "DELETE", "/containers/" A "/web", "", "");
    assert_string_equal(world->a.order,
                        "{\"command\":\"container_ignore\",\"containerID\":\"aaaa11112222\"}");
    expect(world, 200, "PUT", "/healthmonitor/containers/" A "/web", AS_JSON, "{}");
    assert_string_equal(world->a.order,
                        "{\"command\":\"container_add\",\"containerID\":\"aaaa11112222\"}");
    expect(world, 200, "DELETE", "/containers/" A "/web/quarantine", "", "");
    assert_string_equal(world->a.order,
                        "{\"command\":\"container_release\",\"containerID\":\"aaaa11112222\"}");
    ask(world, &client, "GET", "/containers/" A "/web/decisions", "", "");
    assert_int_equal(client.status, 200);
    assert_int_equal(json_array_size(json_object_get(client.body, "description")), 1);
    client_clear(&client);
    expect(world, 400, "PUT", "/containers/" A "/web", AS_JSON, "{");
    world->a.error_type = "invalid_op";
    expect(world, 409, "PUT", "/containers/" A "/web", "", "");
}

static void failing_managers(void **state)
{
    struct world *world = *state;
    struct client client;
    json_t *list;

    both_are_known(world);
    world->b.error_type = "INTERNAL_ERROR";
    expect(world, 502, "PUT", "/containers/" B "/web", "", "");
    ask(world, &client, "POST", "/containers?threshold=5", "", "");
    assert_int_equal(client.status, 207);
    list = json_object_get(client.body, "description");
    assert_string_equal(hms_json_string(json_array_get(list, 0), "command"), "ok");
    assert_string_equal(hms_json_string(json_array_get(list, 1), "command"), "error");
    client_clear(&client);

    world->a.hold = world->b.hold = 1;
    expect(world, 504, "PUT", "/containers/" B "/web", "", "");
    ask(world, &client, "POST", "/containers?threshold=5", "", "");
    assert_int_equal(client.status, 504);
    client_clear(&client);
}

static void foreign_sites_are_kept_out(void **state)
{
    struct world *world = *state;

    both_are_known(world);
    expect(world, 403, "GET", "/containers", "Host: evil.example\r\n", "");
    expect(world, 403, "DELETE", "/containers/" A "/web", "Origin: http://evil.example\r\n", "");
    expect(world, 403, "POST", "/containers?threshold=1", "Origin: null\r\n", "");
    assert_string_equal(world->a.order, "");
    expect(world, 200, "DELETE", "/containers/" A "/web",
           "Host: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n", "");
}

static void an_unchanged_answer_is_not_sent_again(void **state)
{
    struct world *world = *state;
    struct client client;
    char *etag, *header;

    both_are_known(world);
    ask(world, &client, "GET", "/containers", "", "");
    etag = strstr(client.answer.data, "ETag: ");
    assert_non_null(etag);
    header = hms_asprintf("If-None-Match: %.*s\r\n", (int)strcspn(etag + 6, "\r"), etag + 6);
    client_clear(&client);
    expect(world, 304, "GET", "/containers", header, "");
    expect(world, 304, "GET", "/containers/" A "/web", header, "");
    expect(world, 404, "GET", "/containers/" A "/mail", header, "");
    scripted_notify(&world->a, "update");
    WAIT(world->uv, world->a.asks == 2);
    expect(world, 200, "GET", "/containers", header, "");
    free(header);
}

static void the_platform_adds_up(void **state)
{
    struct world *world = *state;
    struct client client;
    json_t *description;

    both_are_known(world);
    ask(world, &client, "GET", "/platform", "", "");
    assert_int_equal(client.status, 200);
    description = json_object_get(client.body, "description");
    assert_int_equal(json_integer_value(hms_json_path(description, "hosts", "online", NULL)), 2);
    assert_int_equal(json_integer_value(hms_json_path(description, "containers", "total", NULL)),
                     4);
    assert_int_equal(json_integer_value(hms_json_path(description, "containers", "up", NULL)), 2);
    assert_int_equal(
        json_integer_value(hms_json_path(description, "containers", "by_state", "exited", NULL)),
        2);
    assert_true(json_real_value(hms_json_path(description, "availability", "now_pct", NULL)) ==
                50.0);
    assert_int_equal(json_array_size(json_object_get(description, "managers")), 2);
    assert_non_null(hms_json_path(description, "monitoring", "bytes_per_s", NULL));
    assert_non_null(hms_json_path(description, "rest", "bytes_per_s", NULL));
    client_clear(&client);
}

static void on_bus_reply(void *arg, int error, const json_t *reply)
{
    struct world *world = arg;

    assert_int_equal(error, HMS_OK);
    world->reply = json_incref((json_t *)reply);
    world->replies++;
}

static void the_bus_is_another_door(void **state)
{
    struct world *world = *state;

    both_are_known(world);
    hms_bus_request(world->bus, HMS_BUS_CONTROLLER, "10.0.0.9",
                    json_pack("{s:s, s:s}", "command", "get_host_containers", "address", A),
                    WAIT_DEADLINE_MS, on_bus_reply, world);
    WAIT(world->uv, world->replies == 1);
    assert_true(
        json_equal(hms_json_path(world->reply, "description", "content", NULL), world->a.content));
}

static void closing_answers_what_is_under_way(void **state)
{
    struct world *world = *state;
    struct client client;

    both_are_known(world);
    world->a.hold = 1;
    client_send(world, &client, "PUT", "/containers/" A "/web", "", "");
    WAIT(world->uv, world->a.order[0] != '\0');
    hms_controller_close(world->controller, on_closed, world);
    client_finish(world, &client);
    assert_int_equal(client.status, 503);
    client_clear(&client);
    WAIT(world->uv, world->closed == 1);
    world->controller = NULL;
}

static void a_token_guards_everything_but_health(void **state)
{
    char path[] = "/tmp/hms-test-token-XXXXXX";
    struct hms_controller_options wanted = options();
    struct world *world;
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, TOKEN "\n", strlen(TOKEN) + 1), strlen(TOKEN) + 1);
    close(fd);
    wanted.token_file = path;
    wanted.listen = "0.0.0.0:0";
    world = world_new(&wanted);
    unlink(path);
    expect(world, 401, "GET", "/containers", "", "");
    expect(world, 401, "GET", "/platform", "Authorization: Bearer wrong\r\n", "");
    expect(world, 200, "GET", "/containers", "Authorization: Bearer " TOKEN "\r\n", "");
    expect(world, 200, "GET", "/containers",
           "Host: hms.example\r\nAuthorization: Bearer " TOKEN "\r\n", "");
    scripted_notify(&world->a, "live");
    WAIT(world->uv, is_healthy(world));
    teardown((void **)&world);
}

static void hosts_take_the_administrator(void **state)
{
    static const char add[] = "{\"docker\":\"none\"}";
    static const char admin[] = AS_JSON "Authorization: Bearer " TOKEN "\r\n";
    char path[] = "/tmp/hms-test-token-XXXXXX";
    struct hms_controller_options wanted = options();
    struct world *world;
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, TOKEN, strlen(TOKEN)), strlen(TOKEN));
    close(fd);
    wanted.admin_token_file = path;
    world = world_new(&wanted);
    unlink(path);
    expect(world, 403, "PUT", "/containers/" A, AS_JSON, add);
    expect(world, 403, "DELETE", "/containers/" A, "", "");
    expect(world, 200, "GET", "/hosts", "", "");
    expect(world, 404, "GET", "/hosts/" A, "", "");
    expect(world, 201, "PUT", "/healthmonitor/containers/" A, admin, add);
    expect(world, 200, "PUT", "/containers/" A, admin, add);
    expect(world, 400, "PUT", "/containers/" A, admin,
           "{\"docker\":\"none\",\"address\":\"10.9.9.9\"}");
    expect(world, 409, "PUT", "/containers/" A, admin, "{\"password\":\"secret\"}");
    expect(world, 200, "GET", "/hosts/" A, "", "");
    expect(world, 400, "DELETE", "/containers/" A "?force=perhaps", admin, "");
    expect(world, 200, "DELETE", "/containers/" A "?force=true", admin, "");
    expect(world, 404, "DELETE", "/containers/" A, admin, "");
    teardown((void **)&world);
}

/* Options for one more controller on the bus, but for what is set in `wrong`. */
static struct hms_controller_options with(const struct hms_controller_options *wrong)
{
    struct hms_controller_options wanted = options();

    wanted.address = wrong->address ? wrong->address : "10.0.0.8";
    if (wrong->listen != NULL)
        wanted.listen = wrong->listen;
    wanted.token_file = wrong->token_file;
    wanted.admin_token_file = wrong->admin_token_file;
    if (wrong->aggregation_ms != 0)
        wanted.aggregation_ms = wrong->aggregation_ms;
    if (wrong->reply_timeout_ms != 0)
        wanted.reply_timeout_ms = wrong->reply_timeout_ms;
    if (wrong->expiry_ms != 0)
        wanted.expiry_ms = wrong->expiry_ms;
    return wanted;
}

static void wrong_options_are_named(void **state)
{
    struct world *world = *state;
    static const struct {
        int error;
        const char *word;                    /* in the text */
        struct hms_controller_options wrong; /* what differs */
    } cases[] = {
        {HMS_EPERM, "--token-file", {.listen = "0.0.0.0:0"}},
        {HMS_EIO, "--token-file", {.listen = "0.0.0.0:0", .token_file = "/nonexistent"}},
        {HMS_EIO, "--admin-token-file", {.admin_token_file = "/nonexistent"}},
        {HMS_EINVAL, "--address", {.address = "here"}},
        {HMS_EINVAL, "--aggregation-ms", {.aggregation_ms = -1}},
        {HMS_EINVAL, "--reply-timeout-ms", {.reply_timeout_ms = -1}},
        {HMS_EINVAL, "--expiry-ms", {.expiry_ms = -1}},
    };
    struct hms_controller *other;
    char error[256];
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hms_controller_options wanted = with(&cases[i].wrong);

        print_message("%s\n", cases[i].word);
        *error = '\0';
        assert_int_equal(hms_controller_open(&other, world->loop, world->log, world->bus, &wanted,
                                             error, sizeof(error)),
                         cases[i].error);
        assert_non_null(strstr(error, cases[i].word));
    }
    /* A port in use; each time the address on the bus is free again afterwards. */
    for (i = 0; i < 2; i++) {
        struct hms_controller_options taken = options();

        taken.address = "10.0.0.8";
        taken.listen = hms_controller_where(world->controller);
        assert_true(hms_controller_open(&other, world->loop, world->log, world->bus, &taken, error,
                                        sizeof(error)) < 0);
        assert_non_null(strstr(error, "--listen"));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(health_follows_the_first_content),
        TEST(reads_tell_the_content),
        TEST(containers_have_several_names),
        TEST(unknown_paths_and_methods),
        TEST(thresholds_come_by_body_or_query),
        TEST(writes_reach_the_manager),
        TEST(failing_managers),
        TEST(foreign_sites_are_kept_out),
        TEST(an_unchanged_answer_is_not_sent_again),
        TEST(the_platform_adds_up),
        TEST(the_bus_is_another_door),
        TEST(closing_answers_what_is_under_way),
        cmocka_unit_test(a_token_guards_everything_but_health),
        cmocka_unit_test(hosts_take_the_administrator),
        TEST(wrong_options_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
