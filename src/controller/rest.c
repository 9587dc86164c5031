/* Requests to commands, results to answers. Owns the HTTP server and the requests under way. */
#include "controller/rest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/access.h"
#include "controller/dispatcher.h"
#include "controller/gather.h"
#include "controller/platform.h"
#include "controller/registry.h"
#include "controller/standby.h"
#include "controller/view.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include "core/bus.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/http_server.h"
#include "core/json.h"
#include "core/log.h"

#define MODULE           "rest"
#define JSON             "application/json"
#define BASE_PATH        "/healthmonitor"
#define CLOSE_GRACE_MS   1000
#define ANSWER_MAX_BYTES (256u << 20)

/* Segments of the longest route, and one more to tell longer paths apart. */
#define SEGMENTS_MAX 5
#define ETAG_SIZE    48
#define ALLOW_SIZE   64

struct hms_rest {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_http_server *server;
    struct hms_rest_parts parts;
    char *token; /* of users, and ... */
    char *admin_token;
    uint64_t instance; /* tells our ETags from those of an earlier process */
    int closing;
    struct hms_log_limit refused_limit;
    void (*closed_fn)(void *arg);
    void *closed_arg;
};

/* A path cut at its slashes, without the base path. */
struct path {
    char *text;
    const char *segments[SEGMENTS_MAX];
    size_t count;
};

/* A command under way. */
struct request {
    struct hms_rest *rest;
    struct hms_http_exchange *exchange;
};

typedef void (*route_fn)(struct hms_rest *rest, struct hms_http_exchange *exchange);

/* `*` stands for the address, then for the container. */
struct route {
    const char *segments[SEGMENTS_MAX];
    const char *method;
    const char *command; /* of the dispatcher, or ... */
    route_fn fn;         /* ... answered here */
    int needs_admin;
};

static void get_platform(struct hms_rest *rest, struct hms_http_exchange *exchange);
static void get_healthz(struct hms_rest *rest, struct hms_http_exchange *exchange);

static const struct route routes[] = {
    {{"containers"}, "GET", "get_all_containers", NULL, 0},
    {{"containers"}, "POST", "change_all_threshold", NULL, 0},
    {{"containers", "*"}, "GET", "get_host_containers", NULL, 0},
    {{"containers", "*"}, "POST", "change_threshold", NULL, 0},
    {{"containers", "*", "*"}, "GET", "get_container", NULL, 0},
    {{"containers", "*", "*"}, "PUT", "add_container", NULL, 0},
    {{"containers", "*", "*"}, "DELETE", "remove_container", NULL, 0},
    {{"containers", "*", "*", "decisions"}, "GET", "get_decisions", NULL, 0},
    {{"containers", "*", "*", "quarantine"}, "DELETE", "release_container", NULL, 0},
    {{"containers", "*"}, "PUT", "add_host", NULL, 1},
    {{"containers", "*"}, "DELETE", "remove_host", NULL, 1},
    {{"hosts"}, "GET", "get_hosts", NULL, 0},
    {{"hosts", "*"}, "GET", "get_host", NULL, 0},
    {{"platform"}, "GET", NULL, get_platform, 0},
    {{"healthz"}, "GET", NULL, get_healthz, 0},
};

#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))

/* ---- answers ---- */

static void respond_text(struct hms_http_exchange *exchange, int status, const char *text,
                         size_t size_bytes, const char *name, const char *value)
{
    const char *headers[] = {"Cache-Control", "no-cache", "X-Content-Type-Options", "nosniff", name,
                             value,           NULL};

    hms_http_respond(exchange, status, size_bytes > 0 ? JSON : NULL, headers, text, size_bytes);
}

/* Takes over body. name and value are one more header field, or NULL. */
static void respond(struct hms_http_exchange *exchange, int status, json_t *body, const char *name,
                    const char *value)
{
    char *text = json_dumps(body, HMS_JSON_DUMP);

    respond_text(exchange, status, text, strlen(text), name, value);
    free(text);
    json_decref(body);
}

static void respond_view(struct hms_rest *rest, struct hms_http_exchange *exchange,
                         const struct hms_view *view)
{
    const char *known = hms_http_header(exchange, "If-None-Match");
    struct hms_buffer buffer;
    char etag[ETAG_SIZE];

    snprintf(etag, sizeof(etag), "\"%" PRIx64 "-%" PRIx64 "\"", rest->instance,
             hms_registry_version(rest->parts.registry));
    if (known != NULL && strstr(known, etag) != NULL) {
        respond_text(exchange, 304, NULL, 0, "ETag", etag);
        return;
    }
    hms_buffer_init(&buffer, ANSWER_MAX_BYTES);
    if (hms_view_text(view, &buffer) == HMS_OK)
        respond_text(exchange, 200, buffer.data, buffer.size_bytes, "ETag", etag);
    else
        respond(exchange, 500, hms_bus_error("INTERNAL_ERROR", "the answer is too long"), NULL,
                NULL);
    hms_buffer_free(&buffer);
}

static void log_write(struct hms_rest *rest, const struct hms_http_exchange *exchange,
                      enum hms_verdict verdict)
{
    const char *method = hms_http_method(exchange);

    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        hms_log(rest->log, HMS_LOG_INFO, MODULE, "%s %s: %d", method, hms_http_path(exchange),
                hms_verdict_status(verdict));
}

static void on_result(void *arg, const struct hms_dispatcher_result *result)
{
    struct request *request = arg;
    struct hms_http_exchange *exchange = request->exchange;
    struct hms_rest *rest = request->rest;

    free(request);
    log_write(rest, exchange, result->verdict);
    if (result->view != NULL)
        respond_view(rest, exchange, result->view);
    else
        respond(exchange, hms_verdict_status(result->verdict), json_incref(result->body), NULL,
                NULL);
}

static void get_platform(struct hms_rest *rest, struct hms_http_exchange *exchange)
{
    respond(exchange, 200, hms_platform_json(rest->parts.platform, (int64_t)uv_now(rest->loop)),
            NULL, NULL);
}

static void get_healthz(struct hms_rest *rest, struct hms_http_exchange *exchange)
{
    static const char *const words[] = {
        [HMS_GATHER_STARTING] = "starting",
        [HMS_GATHER_DISCONNECTED] = "disconnected",
        [HMS_GATHER_HEALTHY] = "ok",
    };
    enum hms_gather_health health = hms_gather_health(rest->parts.gather);

    respond(exchange, health == HMS_GATHER_HEALTHY ? 200 : 503,
            json_pack("{s:s, s:s, s:s, s:I}", "status", words[health], "role",
                      hms_standby_is_active(rest->parts.standby) ? "active" : "standby", "version",
                      HMS_VERSION, "hosts", (json_int_t)hms_registry_count(rest->parts.registry)),
            NULL, NULL);
}

/* ---- routes ---- */

static void path_cut(struct path *path, const char *target)
{
    static const size_t base_size = sizeof(BASE_PATH) - 1;
    char *rest;

    if (strncmp(target, BASE_PATH, base_size) == 0 &&
        (target[base_size] == '/' || target[base_size] == '\0'))
        target += base_size;
    path->count = 0;
    path->text = rest = hms_strdup(target + (*target == '/'));
    while (rest != NULL && path->count < SEGMENTS_MAX)
        path->segments[path->count++] = strsep(&rest, "/");
    if (path->count > 1 && *path->segments[path->count - 1] == '\0')
        path->count--; /* a slash at the end changes nothing */
}

static int route_fits(const struct route *route, const struct path *path)
{
    size_t i;

    for (i = 0; i < path->count; i++) {
        const char *wanted = route->segments[i];

        if (wanted == NULL || *path->segments[i] == '\0')
            return 0;
        if (*wanted != '*' && strcmp(wanted, path->segments[i]) != 0)
            return 0;
    }
    return path->count == SEGMENTS_MAX || route->segments[path->count] == NULL;
}

/* The route, or NULL; allow is then "" for an unknown path, else the methods that it has. */
static const struct route *find_route(const struct path *path, const char *method,
                                      char allow[ALLOW_SIZE])
{
    const struct route *found = NULL;
    size_t i, used = 0;

    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    *allow = '\0';
    for (i = 0; i < ROUTE_COUNT; i++) {
        if (!route_fits(&routes[i], path))
            continue;
        if (strcmp(routes[i].method, method) == 0)
            found = &routes[i];
        used += (size_t)snprintf(allow + used, ALLOW_SIZE - used, "%s%s, ", routes[i].method,
                                 strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
    }
    if (used > 0)
        snprintf(allow + used, ALLOW_SIZE - used, "OPTIONS");
    return found;
}

/* ---- requests to commands ---- */

static int refuse_parameter(struct hms_http_exchange *exchange, const char *why)
{
    respond(exchange, 400, hms_bus_error("invalid_param", "%s", why), NULL, NULL);
    return HMS_EINVAL;
}

/* A body, where there is one, must be an object, whether the route reads it or not. */
static int read_body(struct hms_http_exchange *exchange, json_t **object)
{
    char error[HMS_JSON_ERROR_SIZE];
    size_t size_bytes;
    const char *text = hms_http_body(exchange, &size_bytes);

    *object = NULL;
    if (size_bytes == 0)
        return HMS_OK;
    *object = hms_json_parse(text, size_bytes, error);
    if (*object == NULL)
        return refuse_parameter(exchange, error);
    if (!json_is_object(*object)) {
        json_decref(*object);
        return refuse_parameter(exchange, "the body must be a JSON object");
    }
    return HMS_OK;
}

/* The threshold of the body or of the query goes into the message; both must agree. */
static int add_threshold(struct hms_http_exchange *exchange, const json_t *body, json_t *message)
{
    const char *query = hms_http_query(exchange, "threshold");
    json_t *from_body = json_object_get(body, "threshold");
    char error[HMS_JSON_ERROR_SIZE];
    json_t *from_query;

    if (from_body != NULL)
        json_object_set(message, "threshold", from_body);
    if (query == NULL)
        return HMS_OK;
    from_query = hms_json_parse(query, strlen(query), error);
    if (!json_is_number(from_query)) {
        json_decref(from_query);
        return refuse_parameter(exchange, "threshold in the query must be a number");
    }
    if (from_body != NULL && (!json_is_number(from_body) ||
                              json_number_value(from_body) != json_number_value(from_query))) {
        json_decref(from_query);
        return refuse_parameter(exchange, "threshold differs between query and body");
    }
    json_object_set_new(message, "threshold", from_query);
    return HMS_OK;
}

/* What a host is added or removed with: the body's fields, and what HTTP has words of its own for.
 */
static int add_host_fields(struct hms_http_exchange *exchange, const json_t *body, json_t *message)
{
    const char *prefer = hms_http_header(exchange, "Prefer");
    const char *force = hms_http_query(exchange, "force");
    const char *address = hms_json_string(body, "address");

    if (address != NULL && strcmp(address, hms_json_string(message, "address")) != 0)
        return refuse_parameter(exchange, "address differs between path and body");
    if (force != NULL && strcmp(force, "true") != 0 && strcmp(force, "false") != 0)
        return refuse_parameter(exchange, "force in the query must be true or false");
    if (body != NULL)
        json_object_update_missing(message, (json_t *)body);
    if (force != NULL)
        json_object_set_new(message, "force", json_boolean(strcmp(force, "true") == 0));
    if (prefer != NULL && strcasestr(prefer, "respond-async") != NULL)
        json_object_set_new(message, "async", json_true());
    return HMS_OK;
}

static int add_parameters(const struct route *route, struct hms_http_exchange *exchange,
                          const json_t *body, json_t *message)
{
    if (route->needs_admin)
        return add_host_fields(exchange, body, message);
    return strcmp(route->method, "POST") == 0 ? add_threshold(exchange, body, message) : HMS_OK;
}

static void run_command(struct hms_rest *rest, const struct route *route, const struct path *path,
                        struct hms_http_exchange *exchange)
{
    int is_write = strcmp(route->method, "GET") != 0;
    struct request *request;
    json_t *body = NULL, *message;

    if (is_write && read_body(exchange, &body) != HMS_OK)
        return;
    message = json_pack("{s:s}", "command", route->command);
    if (path->count > 1)
        json_object_set_new(message, "address", hms_json_text(path->segments[1]));
    if (path->count > 2)
        json_object_set_new(message, "containerID", hms_json_text(path->segments[2]));
    if (add_parameters(route, exchange, body, message) == HMS_OK) {
        request = hms_malloc(sizeof(*request));
        *request = (struct request){.rest = rest, .exchange = exchange};
        hms_dispatcher_run(rest->parts.dispatcher, message, on_result, request);
    }
    json_decref(message);
    json_decref(body);
}

/* Where the active controller has the same resource, or NULL; free it. Addresses, ids and names
 * need no escapes; nothing else is pointed to. */
static char *location_at_active(const struct hms_rest *rest,
                                const struct hms_http_exchange *exchange)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    const char *url = hms_standby_active_url(rest->parts.standby);
    const char *path = hms_http_path(exchange);
    const char *threshold = hms_http_query(exchange, "threshold");
    const char *end = path;

    while (*end == '/' || (*end != '\0' && strchr(plain, *end) != NULL))
        end++;
    if (url == NULL || *end != '\0')
        return NULL;
    if (threshold == NULL)
        return hms_asprintf("%s%s", url, path);
    return threshold[strspn(threshold, plain)] == '\0'
               ? hms_asprintf("%s%s?threshold=%s", url, path, threshold)
               : NULL;
}

/* Only the active controller changes anything. */
static void point_to_active(struct hms_rest *rest, struct hms_http_exchange *exchange)
{
    const char *active = hms_standby_active(rest->parts.standby);
    char *location = location_at_active(rest, exchange);
    json_t *body =
        active
            ? hms_bus_error("invalid_op", "this controller stands by: %s is the active one", active)
            : hms_bus_error("unreachable", "this controller stands by, and no other is active");

    json_object_set_new(body, "active", active ? json_string(active) : json_null());
    respond(exchange, location ? 307 : 503, body, location ? "Location" : NULL, location);
    free(location);
}

static void serve_path(struct hms_rest *rest, const struct path *path,
                       struct hms_http_exchange *exchange)
{
    const char *method = hms_http_method(exchange);
    char allow[ALLOW_SIZE];
    const struct route *route = find_route(path, method, allow);

    if (*allow == '\0')
        respond(exchange, 404, hms_bus_error("INVALID_REQUEST", "no such resource"), NULL, NULL);
    else if (strcmp(method, "OPTIONS") == 0)
        respond_text(exchange, 204, NULL, 0, "Allow", allow);
    else if (route == NULL)
        respond(exchange, 405, hms_bus_error("INVALID_REQUEST", "allowed here: %s", allow), "Allow",
                allow);
    else if (route->fn != NULL)
        route->fn(rest, exchange);
    else if (strcmp(route->method, "GET") != 0 && !hms_standby_is_active(rest->parts.standby))
        point_to_active(rest, exchange);
    else
        run_command(rest, route, path, exchange);
}

/* ---- entrance ---- */

static const struct {
    int status;
    const char *text;
} refusals[] = {
    [HMS_ACCESS_BAD_HOST] = {403, "use an IP address or localhost to reach this interface, "
                                  "or give it a token"},
    [HMS_ACCESS_CROSS_SITE] = {403, "requests of foreign sites may change nothing"},
    [HMS_ACCESS_NO_TOKEN] = {401, "a bearer token is needed"},
    [HMS_ACCESS_NOT_JSON] = {415, "the body must be declared as " JSON},
    [HMS_ACCESS_NOT_ADMIN] = {403, "this takes the token of --admin-token-file, or the unix socket "
                                   "as root or as the controller's user"},
};

static int is_trusted_user(const struct hms_http_exchange *exchange)
{
    uid_t peer = hms_http_peer_uid(exchange);

    return peer != (uid_t)-1 && (peer == 0 || peer == geteuid());
}

static enum hms_access check_access(const struct hms_rest *rest, const struct path *path,
                                    const struct hms_http_exchange *exchange)
{
    struct hms_access_tokens tokens = {rest->token, rest->admin_token};
    char allow[ALLOW_SIZE];
    const struct route *route = find_route(path, hms_http_method(exchange), allow);
    size_t body_bytes;
    struct hms_access_request request = {
        .method = hms_http_method(exchange),
        .is_healthz = path->count == 1 && strcmp(path->segments[0], "healthz") == 0,
        .is_local_socket = hms_http_is_local_socket(exchange),
        .is_trusted_user = is_trusted_user(exchange),
        .needs_admin = route != NULL && route->needs_admin,
        .host = hms_http_header(exchange, "Host"),
        .origin = hms_http_header(exchange, "Origin"),
        .content_type = hms_http_header(exchange, "Content-Type"),
        .authorization = hms_http_header(exchange, "Authorization"),
    };

    hms_http_body(exchange, &body_bytes);
    request.has_body = body_bytes > 0;
    return hms_access_check(&request, &tokens);
}

static void refuse_access(struct hms_rest *rest, enum hms_access access,
                          struct hms_http_exchange *exchange)
{
    int status = refusals[access].status;

    if (hms_log_limit_pass(&rest->refused_limit, (int64_t)uv_now(rest->loop)))
        hms_log(rest->log, HMS_LOG_WARN, MODULE, "%s %s refused: %s", hms_http_method(exchange),
                hms_http_path(exchange), refusals[access].text);
    respond(exchange, status, hms_bus_error("INVALID_REQUEST", "%s", refusals[access].text),
            status == 401 ? "WWW-Authenticate" : NULL, "Bearer");
}

static void on_request(void *arg, struct hms_http_exchange *exchange)
{
    struct hms_rest *rest = arg;
    enum hms_access access;
    struct path path;

    if (rest->closing) {
        respond(exchange, 503, hms_bus_error("INTERNAL_ERROR", "the controller is stopping"), NULL,
                NULL);
        return;
    }
    path_cut(&path, hms_http_path(exchange));
    access = check_access(rest, &path, exchange);
    if (access == HMS_ACCESS_GRANTED)
        serve_path(rest, &path, exchange);
    else
        refuse_access(rest, access, exchange);
    free(path.text);
}

/* ---- life ---- */

static void rest_free(struct hms_rest *rest)
{
    free(rest->token);
    free(rest->admin_token);
    free(rest);
}

int hms_rest_open(struct hms_rest **opened, uv_loop_t *loop, struct hms_log *log,
                  const char *listen, const struct hms_access_tokens *tokens,
                  const struct hms_rest_parts *parts, char *error, size_t error_size)
{
    struct hms_http_limits limits = hms_http_limits_default();
    struct hms_rest *rest = hms_calloc(1, sizeof(*rest));
    int result;

    rest->loop = loop;
    rest->log = log;
    rest->parts = *parts;
    rest->token = tokens->user ? hms_strdup(tokens->user) : NULL;
    rest->admin_token = tokens->admin ? hms_strdup(tokens->admin) : NULL;
    rest->instance = (uint64_t)hms_clock_wall_ns();
    rest->refused_limit = (struct hms_log_limit){.period_ms = 60000, .burst = 5};
    result = hms_http_server_open(&rest->server, loop, log, listen, &limits, on_request, rest,
                                  error, error_size);
    if (result != HMS_OK) {
        rest_free(rest);
        return result;
    }
    *opened = rest;
    return HMS_OK;
}

const char *hms_rest_where(const struct hms_rest *rest)
{
    return hms_http_server_where(rest->server);
}

uint64_t hms_rest_bytes_out(const struct hms_rest *rest)
{
    return hms_http_server_counters(rest->server).bytes_out;
}

static void on_server_closed(void *arg)
{
    struct hms_rest *rest = arg;
    void (*closed_fn)(void *) = rest->closed_fn;
    void *closed_arg = rest->closed_arg;

    rest_free(rest);
    closed_fn(closed_arg);
}

void hms_rest_close(struct hms_rest *rest, void (*closed)(void *arg), void *arg)
{
    rest->closing = 1;
    rest->closed_fn = closed;
    rest->closed_arg = arg;
    hms_http_server_close(rest->server, CLOSE_GRACE_MS, on_server_closed, rest);
}
