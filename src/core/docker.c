/*
 * Calls of the Docker Engine API. A client owns its operations (calls and streams): each lives in
 * one struct docker_op from its beginning until its done callback has run.
 */
#include "core/docker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/docker_address.h"
#include "core/docker_private.h"
#include "core/error.h"
#include "core/json.h"
#include "core/json_rows.h"

#define CONNECTIONS        64 /* calls under way at once; a slow stop must not delay a start */
#define CONNECT_TIMEOUT_MS 5000
#define TCP_PORT           2375 /* Docker's own, where the address names none */
#define TLS_PORT           2376
#define ANSWER_LIMIT_BYTES (4 * 1024 * 1024)
#define ROW_LIMIT_BYTES    (1024 * 1024)
#define ROWS_MAX           65536
#define PLAIN_WORDS_MAX    200 /* bytes of an answer that is no JSON */
#define STOP_TIMEOUT_S     10  /* Docker's own, where the container names none */
#define STOP_TIMEOUT_MAX_S 86400
#define SKEW_NOTICED_NS    INT64_C(3000000000) /* a Date header tells whole seconds only */
#define NS_PER_S           INT64_C(1000000000)

struct call {
    struct docker_op op;
    struct hms_json_rows rows;
    json_t *kept;            /* of a list: its rows so far */
    const char *const *keys; /* of a list: what to keep of each row */
    char text[256];          /* of an error of ours */
};

/* --- operations ----------------------------------------------------------------------------- */

/* The engine's own words about a refusal, or a text of ours. */
static const char *refusal(const json_t *body, const struct hms_http_answer *http, char *text,
                           size_t text_size)
{
    const char *message = hms_json_string(body, "message");
    int length = (int)strcspn(http->body, "\r\n");

    if (message != NULL)
        return message;
    /* What is no engine, or wants TLS, may say so in its own way. */
    if (body == NULL && length > 0)
        snprintf(text, text_size, "HTTP status %d: %.*s", http->status,
                 length < PLAIN_WORDS_MAX ? length : PLAIN_WORDS_MAX, http->body);
    else
        snprintf(text, text_size, "the engine answered with HTTP status %d", http->status);
    return text;
}

static int is_success(const struct hms_http_answer *http)
{
    return http->error == HMS_OK && http->status >= 200 && http->status <= 299;
}

static void judge(struct docker_op *op, const struct hms_http_answer *http,
                  struct hms_docker_answer *answer, char *text, size_t text_size)
{
    if (http->body_bytes > 0)
        op->body = json_loadb(http->body, http->body_bytes, JSON_ALLOW_NUL, NULL);
    if (op->error == HMS_OK && is_success(http) && op->complete != NULL)
        op->complete(op, http);
    answer->status = http->status;
    answer->body = op->body;
    answer->message = "";
    if (op->error != HMS_OK) {
        answer->error = op->error;
        answer->message = op->reason;
    } else if (http->error != HMS_OK) {
        snprintf(text, text_size, "%s: %s", op->docker->url, http->reason);
        answer->error = http->error;
        answer->message = text;
    } else if (http->status == 404) {
        answer->error = HMS_ENOENT;
        answer->message = refusal(op->body, http, text, text_size);
    } else if (http->status != 304 && !is_success(http)) {
        answer->error = HMS_EREMOTE;
        answer->message = refusal(op->body, http, text, text_size);
    } else if (op->body == NULL && http->body_bytes > 0) {
        answer->error = HMS_EPROTO;
        answer->message = "the engine's answer is no JSON";
    }
}

static void finish(struct docker_op *op, const struct hms_http_answer *http)
{
    struct hms_docker_answer answer = {0};
    char text[512];

    judge(op, http, &answer, text, sizeof(text));
    TAILQ_REMOVE(&op->docker->ops, op, link);
    op->done(op->arg, &answer);
    json_decref(op->body);
    op->release(op);
}

static void on_http_done(void *arg, const struct hms_http_answer *http)
{
    finish(arg, http);
}

static void finish_unbegun(struct docker_op *op)
{
    struct hms_http_answer none = {.error = op->error, .body = "", .reason = op->reason};

    finish(op, &none);
}

void hms_docker_op_cancel(struct docker_op *op)
{
    if (op->request != NULL) {
        hms_http_cancel(op->request);
        return;
    }
    op->error = HMS_ECANCELED;
    op->reason = hms_strerror(HMS_ECANCELED);
    finish_unbegun(op);
}

void hms_docker_op_fail(struct docker_op *op, int error, const char *reason)
{
    op->error = error;
    op->reason = reason;
    hms_http_cancel(op->request);
}

/* The first of the owner's operations, among those up to `last`. */
static struct docker_op *first_of(struct hms_docker *docker, const void *arg, uint64_t last)
{
    struct docker_op *op;

    TAILQ_FOREACH(op, &docker->ops, link)
    {
        if (op->arg == arg && op->number <= last)
            return op;
    }
    return NULL;
}

void hms_docker_cancel(struct hms_docker *docker, void *arg)
{
    uint64_t last = docker->last_number;
    struct docker_op *op;

    while ((op = first_of(docker, arg, last)) != NULL)
        hms_docker_op_cancel(op);
}

static struct docker_op *first_unbegun(struct hms_docker *docker, uint64_t last)
{
    struct docker_op *op;

    TAILQ_FOREACH(op, &docker->ops, link)
    {
        if (op->request == NULL && op->number <= last)
            return op;
    }
    return NULL;
}

static void on_owed(uv_idle_t *idle)
{
    struct hms_docker *docker = idle->data;
    uint64_t last = docker->last_number;
    struct docker_op *op;

    uv_idle_stop(idle);
    while (!docker->closing && (op = first_unbegun(docker, last)) != NULL)
        finish_unbegun(op);
}

/* Tells its end later, when it cannot begin. */
static void owe(struct docker_op *op, const struct hms_http_call *call, int error)
{
    if (call->body_fd > 0)
        close(call->body_fd);
    if (op->error == HMS_OK) {
        op->error = error;
        op->reason = hms_strerror(error);
    }
    op->request = NULL;
    uv_idle_start(&op->docker->owed, on_owed);
}

void hms_docker_op_send(struct docker_op *op, struct hms_http_call *call, const char *path,
                        hms_http_data_fn on_data)
{
    struct hms_docker *docker = op->docker;
    char *url;
    int error;

    op->number = ++docker->last_number;
    TAILQ_INSERT_TAIL(&docker->ops, op, link);
    if (docker->closing || path == NULL || op->error != HMS_OK) {
        owe(op, call, docker->closing ? HMS_ECANCELED : HMS_EINVAL);
        return;
    }
    if (op->is_unversioned || docker->api[0] == '\0')
        url = hms_asprintf("%s%s", docker->base, path);
    else
        url = hms_asprintf("%s/v%s%s", docker->base, docker->api, path);
    call->url = url;
    call->unix_socket = docker->unix_socket;
    call->tls = docker->tls.ca != NULL ? &docker->tls : NULL;
    call->connect_timeout_ms = CONNECT_TIMEOUT_MS;
    call->answer_limit_bytes = ANSWER_LIMIT_BYTES;
    error = hms_http_call(docker->http, call, on_data, on_http_done, op, &op->request);
    free(url);
    if (error != HMS_OK)
        owe(op, call, error);
}

void hms_docker_op_begin(struct docker_op *op, const char *method, const char *path,
                         int64_t timeout_ms, hms_http_data_fn on_data)
{
    struct hms_http_call call = {.method = method, .timeout_ms = timeout_ms};

    hms_docker_op_send(op, &call, path, on_data);
}

/* --- calls ---------------------------------------------------------------------------------- */

static void release_call(struct docker_op *op)
{
    struct call *call = hms_container_of(op, struct call, op);

    hms_json_rows_free(&call->rows);
    json_decref(call->kept);
    free(call);
}

static struct call *new_call(struct hms_docker *docker, hms_docker_done_fn done, void *arg)
{
    struct call *call = hms_calloc(1, sizeof(*call));

    call->op.docker = docker;
    call->op.done = done;
    call->op.arg = arg;
    call->op.release = release_call;
    return call;
}

int hms_docker_is_word(const char *text)
{
    return *text != '\0' && *text != '.' &&
           text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                             "_.-")] == '\0';
}

/* A call on one container; the format's further arguments make what follows its id. */
static void call_container(struct hms_docker *docker, const char *method, const char *id,
                           const char *rest, int64_t timeout_ms, hms_docker_done_fn done, void *arg)
{
    struct call *call = new_call(docker, done, arg);
    char *path = hms_docker_is_word(id) ? hms_asprintf("/containers/%s/%s", id, rest) : NULL;

    hms_docker_op_begin(&call->op, method, path, timeout_ms, NULL);
    free(path);
}

void hms_docker_inspect(struct hms_docker *docker, const char *id, hms_docker_done_fn done,
                        void *arg)
{
    call_container(docker, "GET", id, "json", HMS_DOCKER_READ_TIMEOUT_MS, done, arg);
}

void hms_docker_start(struct hms_docker *docker, const char *id, hms_docker_done_fn done, void *arg)
{
    call_container(docker, "POST", id, "start", HMS_DOCKER_WRITE_TIMEOUT_MS, done, arg);
}

/* Stop or restart: `verb`. */
static void call_stopping(struct hms_docker *docker, const char *verb, const char *id,
                          int stop_timeout_s, hms_docker_done_fn done, void *arg)
{
    char rest[32];

    if (stop_timeout_s > STOP_TIMEOUT_MAX_S)
        stop_timeout_s = STOP_TIMEOUT_MAX_S;
    if (stop_timeout_s < 0)
        snprintf(rest, sizeof(rest), "%s", verb);
    else
        snprintf(rest, sizeof(rest), "%s?t=%d", verb, stop_timeout_s);
    if (stop_timeout_s < 0)
        stop_timeout_s = STOP_TIMEOUT_S;
    call_container(docker, "POST", id, rest,
                   HMS_DOCKER_WRITE_TIMEOUT_MS + stop_timeout_s * INT64_C(1000), done, arg);
}

void hms_docker_restart(struct hms_docker *docker, const char *id, int stop_timeout_s,
                        hms_docker_done_fn done, void *arg)
{
    call_stopping(docker, "restart", id, stop_timeout_s, done, arg);
}

void hms_docker_stop(struct hms_docker *docker, const char *id, int stop_timeout_s,
                     hms_docker_done_fn done, void *arg)
{
    call_stopping(docker, "stop", id, stop_timeout_s, done, arg);
}

void hms_docker_kill(struct hms_docker *docker, const char *id, const char *signal,
                     hms_docker_done_fn done, void *arg)
{
    char *rest = hms_asprintf("kill?signal=%s", signal);

    call_container(docker, "POST", hms_docker_is_word(signal) ? id : "", rest,
                   HMS_DOCKER_WRITE_TIMEOUT_MS, done, arg);
    free(rest);
}

/* --- lists ---------------------------------------------------------------------------------- */

static void on_row(void *arg, const json_t *row)
{
    struct call *call = arg;
    json_t *kept = json_object();
    const char *const *key;

    for (key = call->keys; *key != NULL; key++)
        json_object_set(kept, *key, json_object_get(row, *key));
    json_array_append_new(call->kept, kept);
}

static void on_list_data(void *arg, const char *data, size_t size_bytes)
{
    struct docker_op *op = arg;
    struct call *call = hms_container_of(op, struct call, op);
    int error = hms_json_rows_feed(&call->rows, data, size_bytes, on_row, call);

    if (error != HMS_OK)
        hms_docker_op_fail(op, error,
                           error == HMS_ELIMIT ? "the engine's list is too long"
                                               : "the engine's list is no JSON array of objects");
}

static void complete_list(struct docker_op *op, const struct hms_http_answer *http)
{
    struct call *call = hms_container_of(op, struct call, op);

    if (hms_json_rows_end(&call->rows) == HMS_OK) {
        op->body = json_incref(call->kept);
        return;
    }
    op->error = HMS_EPROTO;
    op->reason = "the engine's list ends early";
}

static void call_list(struct hms_docker *docker, const char *path, const char *const *keys,
                      hms_docker_done_fn done, void *arg)
{
    struct call *call = new_call(docker, done, arg);

    call->keys = keys;
    call->kept = json_array();
    call->op.complete = complete_list;
    hms_json_rows_init(&call->rows, ROWS_MAX, ROW_LIMIT_BYTES);
    hms_docker_op_begin(&call->op, "GET", path, HMS_DOCKER_READ_TIMEOUT_MS, on_list_data);
}

void hms_docker_list(struct hms_docker *docker, hms_docker_done_fn done, void *arg)
{
    static const char *const keys[] = {"Id", "State", NULL};

    call_list(docker, "/containers/json?all=1", keys, done, arg);
}

void hms_docker_networks(struct hms_docker *docker, hms_docker_done_fn done, void *arg)
{
    static const char *const keys[] = {"Id", "Name", "Driver", NULL};

    call_list(docker, "/networks", keys, done, arg);
}

/* --- version and clock ---------------------------------------------------------------------- */

static void note_clock(struct hms_docker *docker, int64_t date_s)
{
    /* The header cuts the fraction off: half a second is its mean. */
    int64_t skew_ns = date_s * NS_PER_S + NS_PER_S / 2 - hms_clock_wall_ns();

    if (date_s == 0 || llabs(skew_ns) < SKEW_NOTICED_NS)
        skew_ns = 0;
    if (skew_ns != 0 && docker->skew_ns == 0)
        hms_log(docker->log, HMS_LOG_WARN, "docker", "the clock of %s is off ours by %.0f s",
                docker->url, (double)skew_ns / (double)NS_PER_S);
    docker->skew_ns = skew_ns;
}

static void complete_negotiation(struct docker_op *op, const struct hms_http_answer *http)
{
    struct call *call = hms_container_of(op, struct call, op);

    op->reason = call->text;
    op->error = hms_docker_read_version(op->body, op->docker->api, call->text, sizeof(call->text));
    note_clock(op->docker, http->date_s);
}

void hms_docker_negotiate(struct hms_docker *docker, hms_docker_done_fn done, void *arg)
{
    struct call *call = new_call(docker, done, arg);

    call->op.is_unversioned = 1;
    call->op.complete = complete_negotiation;
    hms_docker_op_begin(&call->op, "GET", "/version", HMS_DOCKER_READ_TIMEOUT_MS, NULL);
}

const char *hms_docker_api_version(const struct hms_docker *docker)
{
    return docker->api;
}

int64_t hms_docker_now_ns(const struct hms_docker *docker)
{
    return hms_clock_wall_ns() + docker->skew_ns;
}

/* --- client --------------------------------------------------------------------------------- */

static int refuse(char *error, size_t error_size, const char *url, const char *why)
{
    snprintf(error, error_size, "%s: %s", url, why);
    return HMS_EINVAL;
}

/* Where the calls go: for people in `url`, for curl in `base` and `unix_socket`. */
static int set_address(struct hms_docker *docker, const struct hms_docker_address *address,
                       const char *url, char *error, size_t error_size)
{
    int is_tls = docker->tls.ca != NULL;
    int is_ipv6 = address->host != NULL && strchr(address->host, ':') != NULL;
    int port = address->port;

    if (address->transport == HMS_DOCKER_SSH)
        return refuse(error, error_size, url, "an engine behind ssh is reached by a forward only");
    if (address->transport == HMS_DOCKER_UNIX && is_tls)
        return refuse(error, error_size, url, "tls goes with tcp://HOST[:PORT] only");
    if (address->transport == HMS_DOCKER_UNIX) {
        docker->unix_socket = hms_strdup(address->path);
        docker->base = hms_strdup("http://docker");
        return HMS_OK;
    }
    if (port == 0)
        port = is_tls ? TLS_PORT : TCP_PORT;
    docker->base = hms_asprintf("%s://%s%s%s:%d", is_tls ? "https" : "http", is_ipv6 ? "[" : "",
                                address->host, is_ipv6 ? "]" : "", port);
    return HMS_OK;
}

static int read_address(struct hms_docker *docker, const char *url, char *error, size_t error_size)
{
    struct hms_docker_address address;
    int result = hms_docker_address_parse(&address, url, error, error_size);

    if (result == HMS_OK)
        result = set_address(docker, &address, url, error, error_size);
    hms_docker_address_clear(&address);
    return result;
}

static char *copy_text(const char *text)
{
    return text != NULL ? hms_strdup(text) : NULL;
}

static void free_client(struct hms_docker *docker)
{
    free(docker->url);
    free(docker->base);
    free(docker->unix_socket);
    hms_http_tls_clear(&docker->tls);
    free(docker);
}

int hms_docker_open(struct hms_docker **opened, uv_loop_t *loop, struct hms_log *log,
                    const char *url, char *error, size_t error_size)
{
    const struct hms_http_tls none = {0};

    return hms_docker_open_tls(opened, loop, log, url, &none, error, error_size);
}

int hms_docker_open_tls(struct hms_docker **opened, uv_loop_t *loop, struct hms_log *log,
                        const char *url, const struct hms_http_tls *tls, char *error,
                        size_t error_size)
{
    struct hms_docker *docker = hms_calloc(1, sizeof(*docker));

    docker->loop = loop;
    docker->log = log;
    docker->url = hms_strdup(url);
    docker->tls = (struct hms_http_tls){
        .ca = copy_text(tls->ca), .cert = copy_text(tls->cert), .key = copy_text(tls->key)};
    TAILQ_INIT(&docker->ops);
    if (read_address(docker, url, error, error_size) != HMS_OK) {
        free_client(docker);
        return HMS_EINVAL;
    }
    docker->http = hms_http_client_new(loop, CONNECTIONS);
    uv_idle_init(loop, &docker->owed);
    docker->owed.data = docker;
    docker->open_parts = 2;
    *opened = docker;
    return HMS_OK;
}

static void on_part_closed(struct hms_docker *docker)
{
    if (--docker->open_parts > 0)
        return;
    if (docker->closed != NULL)
        docker->closed(docker->closed_arg);
    free_client(docker);
}

static void on_http_closed(void *arg)
{
    on_part_closed(arg);
}

static void on_owed_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

void hms_docker_close(struct hms_docker *docker, void (*closed)(void *arg), void *arg)
{
    docker->closing = 1;
    docker->closed = closed;
    docker->closed_arg = arg;
    while (!TAILQ_EMPTY(&docker->ops))
        hms_docker_op_cancel(TAILQ_FIRST(&docker->ops));
    hms_http_client_close(docker->http, on_http_closed, docker);
    uv_close((uv_handle_t *)&docker->owed, on_owed_closed);
}
