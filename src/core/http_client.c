/*
 * HTTP client on curl's multi_socket interface. curl tells which sockets and timer it wants, libuv
 * watches them. The client owns its requests, its lanes (one for each host with calls under way)
 * and the watchers of curl's sockets.
 *
 * curl's own callbacks only store what came: users are called from dispatch(), outside of curl, and
 * so may start, cancel and close as they like (curl forbids that within its callbacks).
 */
#include "core/http_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/queue.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/http_easy.h"
#include "core/http_upload.h"

#define WAITING_MAX        8192 /* calls that wait for a connection */
#define HEADER_LIMIT_BYTES (64 * 1024)
#define SLICE_BYTES        (16 * 1024)  /* at most to one on_data */
#define PIECE_HIGH_BYTES   (128 * 1024) /* a stream with so much to hand over is not read on */
#define PIECE_LIMIT_BYTES  (2 * PIECE_HIGH_BYTES)
#define TURN_BUDGET_NS     INT64_C(1000000) /* for the users' callbacks, then the loop goes on */
#define STALL_CHECK_MS     250

enum request_state { REQUEST_WAITING, REQUEST_RUNNING, REQUEST_ENDED };

/* The calls to one host; there while it has any. */
struct lane {
    LIST_ENTRY(lane) link;
    char *key;
    int running;
    int users;
    TAILQ_HEAD(, hms_http_request) waiting;
};

struct hms_http_request {
    TAILQ_ENTRY(hms_http_request) link; /* in the client's list, or its lane's while it waits */
    TAILQ_ENTRY(hms_http_request) ready_link;
    struct hms_http_client *client;
    struct lane *lane; /* NULL for a stream */
    CURL *easy;
    struct curl_slist *headers;
    struct hms_http_upload *upload; /* NULL unless the body comes from a file */
    enum request_state state;
    hms_http_data_fn on_data;
    hms_http_done_fn done;
    void *arg;
    struct hms_buffer body;  /* kept until the end */
    struct hms_buffer piece; /* to hand over to on_data, */
    size_t piece_at;         /* from here on */
    size_t header_bytes;
    int64_t date_s;
    int64_t stall_timeout_ms; /* 0: none */
    int64_t moved_bytes;      /* when it was last looked at, */
    int64_t still_ms;         /* and for how long it has been so many */
    int ready;                /* is in the client's ready list */
    int header_told;          /* on_data knows that the header came */
    int header_came;          /* of a final answer */
    int is_success;           /* 2xx */
    int is_paused;            /* curl holds back what does not fit into piece */
    int is_too_large;         /* why curl was told to stop */
    char error_text[CURL_ERROR_SIZE];
};

TAILQ_HEAD(request_list, hms_http_request);

/* One socket of curl's. */
struct watcher {
    LIST_ENTRY(watcher) link;
    uv_poll_t poll;
    struct hms_http_client *client;
    curl_socket_t fd;
};

struct hms_http_client {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer; /* curl's */
    uv_timer_t stall; /* runs while a call that may stall does */
    uv_idle_t later;  /* dispatch in the next turn (a timer of 0 ms may fire in this one) */
    int connections;
    int waiting;
    struct request_list running;
    struct request_list ready; /* have something for on_data */
    LIST_HEAD(, lane) lanes;
    LIST_HEAD(, watcher) watchers;
    int dispatching;
    int closing;
    int open_handles;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* --- requests: their end ------------------------------------------------------------------- */

static void set_state(struct hms_http_request *request, enum request_state state)
{
    if (state <= request->state)
        abort();
    request->state = state;
}

static void release_lane(struct lane *lane)
{
    if (--lane->users > 0)
        return;
    LIST_REMOVE(lane, link);
    free(lane->key);
    free(lane);
}

static void on_stall_timer(uv_timer_t *timer);

static void run(struct hms_http_request *request)
{
    struct hms_http_client *client = request->client;

    set_state(request, REQUEST_RUNNING);
    if (request->lane != NULL)
        request->lane->running++;
    TAILQ_INSERT_TAIL(&client->running, request, link);
    if (curl_multi_add_handle(client->multi, request->easy) != CURLM_OK)
        abort();
    if (request->stall_timeout_ms > 0 && !uv_is_active((uv_handle_t *)&client->stall))
        uv_timer_start(&client->stall, on_stall_timer, STALL_CHECK_MS, STALL_CHECK_MS);
}

static void fill_lane(struct hms_http_client *client, struct lane *lane)
{
    struct hms_http_request *request;

    while (lane->running < client->connections && (request = TAILQ_FIRST(&lane->waiting)) != NULL) {
        TAILQ_REMOVE(&lane->waiting, request, link);
        client->waiting--;
        run(request);
    }
}

/* Takes the request out of every list and out of curl. */
static void detach(struct hms_http_request *request)
{
    struct hms_http_client *client = request->client;
    struct lane *lane = request->lane;

    if (request->ready)
        TAILQ_REMOVE(&client->ready, request, ready_link);
    if (request->state == REQUEST_RUNNING) {
        TAILQ_REMOVE(&client->running, request, link);
        curl_multi_remove_handle(client->multi, request->easy);
        if (lane != NULL)
            lane->running--;
    } else {
        TAILQ_REMOVE(&lane->waiting, request, link);
        client->waiting--;
    }
    set_state(request, REQUEST_ENDED);
    if (lane == NULL)
        return;
    if (!client->closing)
        fill_lane(client, lane);
    release_lane(lane);
}

static void on_handle_closed(struct hms_http_client *client)
{
    if (--client->open_handles > 0)
        return;
    if (client->closed != NULL)
        client->closed(client->closed_arg);
    free(client);
}

static void on_upload_closed(void *arg)
{
    on_handle_closed(arg);
}

static void finish(struct hms_http_request *request, int error, const char *reason)
{
    struct hms_http_answer answer = {.error = error, .date_s = request->date_s, .reason = reason};
    long status = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    answer.status = (int)status;
    answer.body = request->body.data != NULL ? request->body.data : "";
    answer.body_bytes = request->body.size_bytes;
    detach(request);
    request->done(request->arg, &answer);
    curl_easy_cleanup(request->easy);
    if (request->upload != NULL)
        hms_http_upload_close(request->upload, on_upload_closed, request->client);
    curl_slist_free_all(request->headers);
    hms_buffer_free(&request->body);
    hms_buffer_free(&request->piece);
    free(request);
}

void hms_http_cancel(struct hms_http_request *request)
{
    finish(request, HMS_ECANCELED, hms_strerror(HMS_ECANCELED));
}

/* OpenSSL's words for an alert: a server that wants another certificate of ours, or any, says so
 * only after the handshake (TLS 1.3). */
static int is_tls_refusal(const struct hms_http_request *request)
{
    return strstr(request->error_text, "alert") != NULL &&
           (strstr(request->error_text, "certificate") != NULL ||
            strstr(request->error_text, "unknown ca") != NULL);
}

static int error_of(const struct hms_http_request *request, CURLcode code)
{
    if (request->is_too_large)
        return HMS_ELIMIT;
    switch (code) {
    case CURLE_OK:
        return HMS_OK;
    case CURLE_OPERATION_TIMEDOUT:
        return HMS_ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        return HMS_ECONNECT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
        return HMS_EPERM;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return is_tls_refusal(request) ? HMS_EPERM : HMS_EIO;
    case CURLE_SSL_CONNECT_ERROR: /* speaks no TLS, or none that we do */
        return is_tls_refusal(request) ? HMS_EPERM : HMS_EPROTO;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9 */
    case CURLE_BAD_CONTENT_ENCODING:
        return HMS_EPROTO;
    case CURLE_OUT_OF_MEMORY: /* memory does not run out (alloc.h): one of curl's own bounds */
        return HMS_ELIMIT;
    default:
        return HMS_EIO;
    }
}

static void finish_by_curl(struct hms_http_request *request, CURLcode code)
{
    int error = error_of(request, code);
    char reason[CURL_ERROR_SIZE + 128];
    long os_errno = 0;

    curl_easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (error == HMS_OK)
        reason[0] = '\0';
    else if (error == HMS_ELIMIT)
        snprintf(reason, sizeof(reason), "the answer is too large");
    else if (request->upload != NULL && hms_http_upload_trouble(request->upload) != NULL)
        snprintf(reason, sizeof(reason), "cannot read what to send: %s",
                 hms_http_upload_trouble(request->upload));
    else if (is_tls_refusal(request))
        snprintf(reason, sizeof(reason), "the peer refuses our certificate, or wants one (%s)",
                 request->error_text);
    else if (code == CURLE_COULDNT_CONNECT && os_errno != 0)
        snprintf(reason, sizeof(reason), "cannot connect: %s", strerror((int)os_errno));
    else
        snprintf(reason, sizeof(reason), "%s",
                 request->error_text[0] != '\0' ? request->error_text : curl_easy_strerror(code));
    finish(request, error, reason);
}

/* --- calls that stall ----------------------------------------------------------------------- */

/* The bytes that the peer's side has taken and given so far. */
static int64_t count_moved(const struct hms_http_request *request)
{
    curl_off_t sent = 0, received = 0;
    curl_socket_t fd = CURL_SOCKET_BAD;
    int queued = 0;

    curl_easy_getinfo(request->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    curl_easy_getinfo(request->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
    curl_easy_getinfo(request->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd != CURL_SOCKET_BAD && ioctl(fd, SIOCOUTQ, &queued) != 0)
        queued = 0; /* what the kernel holds back: megabytes, which a slow link takes minutes for */
    return sent - queued + received + (int64_t)request->header_bytes;
}

/* Looks at a call that may stall: whether it has. Time is counted in looks, so that a pause of this
 * whole process is none of the call's. */
static int has_stalled(struct hms_http_request *request)
{
    int64_t moved_bytes = count_moved(request);

    request->still_ms =
        moved_bytes == request->moved_bytes ? request->still_ms + STALL_CHECK_MS : 0;
    request->moved_bytes = moved_bytes;
    return request->still_ms >= request->stall_timeout_ms;
}

static void end_stalled(struct hms_http_request *request)
{
    char reason[64];

    snprintf(reason, sizeof(reason), "no byte moved for %.1f s",
             (double)request->stall_timeout_ms / 1000.0);
    finish(request, HMS_ETIMEDOUT, reason);
}

/* Looks at every call that may stall; one that has ends, and the list may be another one then: the
 * rest has its turn at the next look. */
static void on_stall_timer(uv_timer_t *timer)
{
    struct hms_http_client *client = timer->data;
    struct hms_http_request *request, *stalled = NULL;
    int count = 0;

    TAILQ_FOREACH(request, &client->running, link)
    {
        if (request->stall_timeout_ms == 0)
            continue;
        count++;
        if (has_stalled(request) && stalled == NULL)
            stalled = request;
    }
    if (count == 0)
        uv_timer_stop(timer);
    if (stalled != NULL)
        end_stalled(stalled);
}

/* --- what curl brought goes to the users ---------------------------------------------------- */

static void make_ready(struct hms_http_request *request)
{
    if (request->ready)
        return;
    request->ready = 1;
    TAILQ_INSERT_TAIL(&request->client->ready, request, ready_link);
}

/* Takes the next slice of what has arrived, and lets curl go on when that was all. */
static size_t take_slice(struct hms_http_request *request, char slice[SLICE_BYTES])
{
    size_t size = request->piece.size_bytes - request->piece_at;

    if (size > SLICE_BYTES)
        size = SLICE_BYTES;
    memcpy(slice, request->piece.data + request->piece_at, size);
    request->piece_at += size;
    if (request->piece_at < request->piece.size_bytes) {
        make_ready(request);
        return size;
    }
    hms_buffer_clear(&request->piece);
    request->piece_at = 0;
    if (request->is_paused) {
        request->is_paused = 0;
        curl_easy_pause(request->easy, CURLPAUSE_CONT);
    }
    return size;
}

/* The request may be gone after this. */
static void deliver(struct hms_http_request *request)
{
    char slice[SLICE_BYTES];
    size_t size = 0;

    TAILQ_REMOVE(&request->client->ready, request, ready_link);
    request->ready = 0;
    if (request->header_told) {
        size = take_slice(request, slice);
    } else {
        request->header_told = 1;
        if (request->piece.size_bytes > 0)
            make_ready(request);
    }
    request->on_data(request->arg, slice, size);
}

static void on_later(uv_idle_t *idle);

/* Tells users what came. Does not hold the loop for long: the rest follows in its next turn. */
static void dispatch(struct hms_http_client *client)
{
    int64_t until_ns = hms_clock_mono_ns() + TURN_BUDGET_NS;
    struct hms_http_request *request;
    CURLMsg *message;
    int left;

    if (client->dispatching || uv_is_active((uv_handle_t *)&client->later))
        return;
    client->dispatching = 1;
    while (!client->closing) {
        if (hms_clock_mono_ns() > until_ns) {
            uv_idle_start(&client->later, on_later);
            break;
        }
        if ((request = TAILQ_FIRST(&client->ready)) != NULL) {
            deliver(request);
        } else if ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
            finish_by_curl(request, message->data.result);
        } else {
            break;
        }
    }
    client->dispatching = 0;
}

static void on_later(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    dispatch(idle->data);
}

/* Lets curl work at once, and the users hear of it from the loop. */
static void kick(struct hms_http_client *client)
{
    int running;

    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    if (!client->dispatching)
        uv_idle_start(&client->later, on_later);
}

/* --- sockets and timer ---------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct hms_http_client *client = timer->data;
    int running;

    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    dispatch(client);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct hms_http_client *client = arg;

    if (timeout_ms < 0)
        uv_timer_stop(&client->timer);
    else
        uv_timer_start(&client->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watcher *watcher = poll->data;
    struct hms_http_client *client = watcher->client;
    int flags = 0, running;

    /* The peer may have said why before it reset the connection: curl shall read that first. */
    if (status < 0)
        flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(client->multi, watcher->fd, flags, &running);
    if (status < 0 && !uv_is_closing((uv_handle_t *)poll))
        curl_multi_socket_action(client->multi, watcher->fd, CURL_CSELECT_ERR, &running);
    dispatch(client);
}

static void on_watcher_closed(uv_handle_t *handle)
{
    struct watcher *watcher = handle->data;
    struct hms_http_client *client = watcher->client;

    free(watcher);
    on_handle_closed(client);
}

static void close_watcher(struct watcher *watcher)
{
    LIST_REMOVE(watcher, link);
    uv_close((uv_handle_t *)&watcher->poll, on_watcher_closed);
}

static struct watcher *watch(struct hms_http_client *client, curl_socket_t fd)
{
    struct watcher *watcher = hms_calloc(1, sizeof(*watcher));

    watcher->client = client;
    watcher->fd = fd;
    if (uv_poll_init_socket(client->loop, &watcher->poll, fd) != 0) {
        free(watcher);
        return NULL;
    }
    watcher->poll.data = watcher;
    client->open_handles++;
    LIST_INSERT_HEAD(&client->watchers, watcher, link);
    curl_multi_assign(client->multi, fd, watcher);
    return watcher;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct hms_http_client *client = arg;
    struct watcher *watcher = socket_arg;
    int events = 0;

    if (what == CURL_POLL_REMOVE) {
        if (watcher != NULL) {
            curl_multi_assign(client->multi, fd, NULL);
            close_watcher(watcher);
        }
        return 0;
    }
    if (watcher == NULL && (watcher = watch(client, fd)) == NULL)
        return -1;
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    uv_poll_start(&watcher->poll, events, on_poll);
    return 0;
}

/* --- what arrives --------------------------------------------------------------------------- */

static void read_date(struct hms_http_request *request, const char *line, size_t size)
{
    static const char name[] = "date:";
    char value[64];
    size_t length = sizeof(name) - 1;

    if (size <= length || size - length >= sizeof(value) || strncasecmp(line, name, length) != 0)
        return;
    memcpy(value, line + length, size - length);
    value[size - length] = '\0';
    request->date_s = curl_getdate(value, NULL);
    if (request->date_s < 0)
        request->date_s = 0;
}

static size_t on_curl_header(char *line, size_t one, size_t size, void *arg)
{
    struct hms_http_request *request = arg;
    long status = 0;

    request->header_bytes += size;
    if (request->header_bytes > HEADER_LIMIT_BYTES) {
        request->is_too_large = 1;
        return 0;
    }
    read_date(request, line, size);
    if (request->header_came || (line[0] != '\r' && line[0] != '\n'))
        return size;
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return size; /* 100 Continue and its like: the answer follows */
    request->header_came = 1;
    request->is_success = status < 300;
    if (request->is_success && request->on_data != NULL)
        make_ready(request);
    return size;
}

static size_t on_curl_data(char *data, size_t one, size_t size, void *arg)
{
    struct hms_http_request *request = arg;
    int is_stream = request->on_data != NULL && request->is_success;

    if (is_stream && request->piece.size_bytes >= PIECE_HIGH_BYTES) {
        request->is_paused = 1;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (hms_buffer_append(is_stream ? &request->piece : &request->body, data, size) != HMS_OK) {
        request->is_too_large = 1;
        return 0;
    }
    if (is_stream && size > 0)
        make_ready(request);
    return size;
}

/* --- requests: their beginning -------------------------------------------------------------- */

static void set_callbacks(struct hms_http_request *request)
{
    CURL *easy = request->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error_text);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_curl_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_curl_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
}

/* Lets the body come from a file; the client closes after the last read of it. */
static void set_upload(struct hms_http_request *request, const struct hms_http_call *call)
{
    request->upload =
        hms_http_upload_new(request->client->loop, request->easy, call->body_fd, call->body_bytes);
    request->client->open_handles++;
}

/* The lane of that name, with one user more; takes over key. */
static struct lane *use_lane(struct hms_http_client *client, char *key)
{
    struct lane *lane;

    LIST_FOREACH(lane, &client->lanes, link)
    {
        if (strcmp(lane->key, key) == 0) {
            free(key);
            lane->users++;
            return lane;
        }
    }
    lane = hms_calloc(1, sizeof(*lane));
    lane->key = key;
    lane->users = 1;
    TAILQ_INIT(&lane->waiting);
    LIST_INSERT_HEAD(&client->lanes, lane, link);
    return lane;
}

int hms_http_call(struct hms_http_client *client, const struct hms_http_call *call,
                  hms_http_data_fn on_data, hms_http_done_fn done, void *arg,
                  struct hms_http_request **handle)
{
    struct hms_http_request *request;
    char *key;

    if (client->closing)
        return HMS_ECANCELED;
    if (client->waiting >= WAITING_MAX)
        return HMS_ELIMIT;
    if (call->connect_timeout_ms <= 0 || call->timeout_ms < 0 || call->stall_timeout_ms < 0 ||
        (key = hms_http_easy_host(call)) == NULL)
        return HMS_EINVAL;
    request = hms_calloc(1, sizeof(*request));
    request->client = client;
    request->on_data = on_data;
    request->done = done;
    request->arg = arg;
    hms_buffer_init(&request->body, call->answer_limit_bytes);
    hms_buffer_init(&request->piece, PIECE_LIMIT_BYTES);
    request->easy = hms_http_easy_new(call, &request->headers);
    set_callbacks(request);
    if (call->body_fd > 0)
        set_upload(request, call);
    request->stall_timeout_ms = call->stall_timeout_ms;
    if (handle != NULL)
        *handle = request;
    if (call->timeout_ms == 0) {
        free(key);
        run(request);
    } else {
        request->lane = use_lane(client, key);
        TAILQ_INSERT_TAIL(&request->lane->waiting, request, link);
        client->waiting++;
        fill_lane(client, request->lane);
    }
    if (request->state == REQUEST_RUNNING)
        kick(client);
    return HMS_OK;
}

/* --- client --------------------------------------------------------------------------------- */

struct hms_http_client *hms_http_client_new(uv_loop_t *loop, int connections)
{
    struct hms_http_client *client = hms_calloc(1, sizeof(*client));

    client->loop = loop;
    client->connections = connections;
    TAILQ_INIT(&client->running);
    TAILQ_INIT(&client->ready);
    LIST_INIT(&client->lanes);
    LIST_INIT(&client->watchers);
    uv_timer_init(loop, &client->timer);
    uv_timer_init(loop, &client->stall);
    uv_idle_init(loop, &client->later);
    client->timer.data = client->stall.data = client->later.data = client;
    client->open_handles = 3;
    client->multi = curl_multi_init();
    if (client->multi == NULL)
        abort();
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)connections);
    return client;
}

static void on_own_handle_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

void hms_http_client_close(struct hms_http_client *client, void (*closed)(void *arg), void *arg)
{
    struct hms_http_request *request;
    struct lane *lane;

    client->closing = 1;
    client->closed = closed;
    client->closed_arg = arg;
    while ((request = TAILQ_FIRST(&client->running)) != NULL) {
        hms_http_cancel(request);
        assert(TAILQ_FIRST(&client->running) != request);
    }
    while ((lane = LIST_FIRST(&client->lanes)) != NULL) {
        request = TAILQ_FIRST(&lane->waiting); /* the last one takes the lane with it */
        hms_http_cancel(request);
        assert(LIST_FIRST(&client->lanes) != lane || TAILQ_FIRST(&lane->waiting) != request);
    }
    curl_multi_cleanup(client->multi);
    while (!LIST_EMPTY(&client->watchers))
        close_watcher(LIST_FIRST(&client->watchers));
    uv_close((uv_handle_t *)&client->timer, on_own_handle_closed);
    uv_close((uv_handle_t *)&client->stall, on_own_handle_closed);
    uv_close((uv_handle_t *)&client->later, on_own_handle_closed);
}
