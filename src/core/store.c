/*
 * One document, one writer at a time. The store owns its directory, lock, timer and work request;
 * the text of a document belongs to the pool's thread while the state is WRITING.
 */
#include "core/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"

#define DOCUMENT_MAX_BYTES (16 * 1024 * 1024)
#define BACKOFF_MIN_MS     500
#define BACKOFF_MAX_MS     30000

enum store_state {
    STORE_IDLE,
    STORE_DELAYED, /* a write was asked for; the timer runs */
    STORE_WRITING, /* on the pool */
    STORE_BACKOFF, /* the last write failed; the timer runs */
    STORE_CLOSED,  /* waits for the timer's close callback */
};

/* Somebody who wants to know when the write that includes his change is over. */
struct waiter {
    STAILQ_ENTRY(waiter) link;
    void (*settled)(void *arg, int error);
    void *arg;
};

STAILQ_HEAD(waiter_list, waiter);

struct hms_store {
    uv_loop_t *loop;
    struct hms_log *log;
    uv_timer_t timer;
    uv_work_t work;
    enum store_state state;

    char *path; /* for messages */
    char *file_name;
    char *temp_name;
    int directory_fd;
    int lock_fd;

    int wanted; /* asked for since the last snapshot */
    uint64_t due_ms;
    json_t *(*snapshot)(void *arg);
    void *snapshot_arg;
    struct waiter_list waiters; /* for the next write ... */

    struct waiter_list written; /* ... and for the one under way */
    char *text;                 /* of the write under way */
    int last_try;
    int write_errno;
    const char *write_step;
    uint64_t failures;
    uint64_t backoff_ms; /* 0: the last write went well */

    int closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void begin_write(struct hms_store *store);

/* Writing, on the pool. */

static int write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t written = write(fd, text, left);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        text += written;
        left -= (size_t)written;
    }
    return 0;
}

/* Returns NULL, or the step that failed with errno set. */
static const char *write_temp(const struct hms_store *store)
{
    const char *step = NULL;
    int saved_errno;
    int fd = openat(store->directory_fd, store->temp_name,
                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return "create";
    if (write_all(fd, store->text) != 0)
        step = "write";
    else if (fsync(fd) != 0)
        step = "sync";
    saved_errno = errno;
    if (close(fd) != 0 && step == NULL)
        return "close";
    errno = saved_errno;
    return step;
}

static const char *replace_document(const struct hms_store *store)
{
    const char *step = write_temp(store);
    int saved_errno = errno;

    if (step != NULL) { /* a torn temporary file only takes room */
        unlinkat(store->directory_fd, store->temp_name, 0);
        errno = saved_errno;
        return step;
    }
    if (renameat(store->directory_fd, store->temp_name, store->directory_fd, store->file_name) != 0)
        return "rename";
    if (fsync(store->directory_fd) != 0)
        return "sync the directory of";
    return NULL;
}

static void on_pool(uv_work_t *work)
{
    struct hms_store *store = hms_container_of(work, struct hms_store, work);

    store->write_step = replace_document(store);
    store->write_errno = store->write_step ? errno : 0;
}

/* Scheduling, on the loop. */

static void on_timer(uv_timer_t *timer)
{
    begin_write(hms_container_of(timer, struct hms_store, timer));
}

static void wait_ms(struct hms_store *store, enum store_state state, uint64_t delay_ms)
{
    store->state = state;
    uv_timer_start(&store->timer, on_timer, delay_ms, 0);
}

/* Everything but the timer. */
static void release(struct hms_store *store)
{
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    if (store->directory_fd >= 0)
        close(store->directory_fd);
    free(store->path);
    free(store->file_name);
    free(store->temp_name);
    free(store);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct hms_store *store = hms_container_of((uv_timer_t *)handle, struct hms_store, timer);
    void (*closed)(void *arg) = store->closed;
    void *arg = store->closed_arg;

    release(store);
    closed(arg);
}

static void close_timer(struct hms_store *store)
{
    store->state = STORE_CLOSED;
    uv_close((uv_handle_t *)&store->timer, on_timer_closed);
}

static void wait_until_due(struct hms_store *store)
{
    uint64_t now_ms = uv_now(store->loop);

    wait_ms(store, STORE_DELAYED, store->due_ms > now_ms ? store->due_ms - now_ms : 0);
}

/* What comes after a write, or instead of one when closing. */
static void next_step(struct hms_store *store)
{
    store->state = STORE_IDLE;
    if (store->closing && (!store->wanted || store->last_try))
        close_timer(store);
    else if (store->closing)
        begin_write(store);
    else if (store->backoff_ms > 0)
        wait_ms(store, STORE_BACKOFF, store->backoff_ms);
    else if (store->wanted)
        wait_until_due(store);
}

static void note_failure(struct hms_store *store)
{
    store->failures++;
    store->wanted = 1;
    store->backoff_ms = store->backoff_ms ? store->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (store->backoff_ms > BACKOFF_MAX_MS)
        store->backoff_ms = BACKOFF_MAX_MS;
    hms_log(store->log, HMS_LOG_ERROR, "store", "cannot %s %s: %s%s", store->write_step,
            store->path, strerror(store->write_errno),
            store->last_try ? "; its last changes are lost" : "; will try again");
}

static void tell_waiters(struct hms_store *store, int error)
{
    struct waiter *waiter;

    while ((waiter = STAILQ_FIRST(&store->written)) != NULL) {
        STAILQ_REMOVE_HEAD(&store->written, link);
        waiter->settled(waiter->arg, error);
        free(waiter);
    }
}

static void on_written(uv_work_t *work, int status)
{
    struct hms_store *store = hms_container_of(work, struct hms_store, work);

    free(store->text);
    store->text = NULL;
    tell_waiters(store, store->write_step != NULL ? HMS_EIO : HMS_OK);
    if (store->write_step != NULL) {
        note_failure(store);
    } else if (store->backoff_ms > 0) {
        store->backoff_ms = 0;
        hms_log(store->log, HMS_LOG_INFO, "store", "%s is written again", store->path);
    }
    next_step(store);
}

static void begin_write(struct hms_store *store)
{
    json_t *document;

    assert(store->state != STORE_WRITING && store->state != STORE_CLOSED);
    document = store->snapshot(store->snapshot_arg);
    /* Turned into text here: a snapshot may share values with what changes on the loop. */
    store->text = json_dumps(document, HMS_JSON_DUMP);
    json_decref(document);
    assert(store->text != NULL);
    store->wanted = 0;
    STAILQ_CONCAT(&store->written, &store->waiters);
    store->last_try = store->closing;
    store->state = STORE_WRITING;
    uv_queue_work(store->loop, &store->work, on_pool, on_written);
}

void hms_store_write(struct hms_store *store, int64_t delay_ms, json_t *(*snapshot)(void *arg),
                     void *arg)
{
    uint64_t due_ms = uv_now(store->loop) + (uint64_t)delay_ms;

    assert(!store->closing && delay_ms >= 0);
    store->snapshot = snapshot;
    store->snapshot_arg = arg;
    if (!store->wanted || due_ms < store->due_ms)
        store->due_ms = due_ms;
    store->wanted = 1;
    if (store->state == STORE_IDLE || store->state == STORE_DELAYED)
        wait_until_due(store);
}

void hms_store_sync(struct hms_store *store, void (*settled)(void *arg, int error), void *arg)
{
    struct waiter *waiter = hms_malloc(sizeof(*waiter));

    assert(store->wanted || store->state == STORE_BACKOFF);
    waiter->settled = settled;
    waiter->arg = arg;
    STAILQ_INSERT_TAIL(&store->waiters, waiter, link);
    if (store->state == STORE_BACKOFF)
        wait_until_due(store);
}

uint64_t hms_store_failures(const struct hms_store *store)
{
    return store->failures;
}

void hms_store_close(struct hms_store *store, void (*closed)(void *arg), void *arg)
{
    assert(!store->closing);
    store->closing = 1;
    store->closed = closed;
    store->closed_arg = arg;
    uv_timer_stop(&store->timer);
    if (store->state != STORE_WRITING)
        next_step(store);
}

/* Opening, before the loop runs. */

static int fail_open(char *error, size_t error_size, const char *what, const char *path)
{
    int cause = errno;

    snprintf(error, error_size, "cannot %s %s: %s", what, path, strerror(cause));
    switch (cause) {
    case EACCES:
    case EPERM:
    case EROFS:
        return HMS_EPERM;
    case ENOENT:
    case ENOTDIR:
        return HMS_ENOENT;
    default:
        return HMS_EIO;
    }
}

/* mkdir -p; an existing one keeps its mode. */
static int make_directories(const char *directory, char *error, size_t error_size)
{
    char *path = hms_strdup(directory);
    char *slash = path;
    int result = HMS_OK;

    while (result == HMS_OK && slash != NULL) {
        slash = strchr(slash + (*slash != '\0'), '/');
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            result = fail_open(error, error_size, "create directory", path);
        if (slash != NULL)
            *slash = '/';
    }
    free(path);
    return result;
}

static int open_directory(struct hms_store *store, const char *directory, char *error,
                          size_t error_size)
{
    int result;

    store->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->directory_fd < 0 && errno == ENOENT) {
        result = make_directories(directory, error, error_size);
        if (result != HMS_OK)
            return result;
        store->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (store->directory_fd < 0)
        return fail_open(error, error_size, "open directory", directory);
    return HMS_OK;
}

/* A file of its own carries the lock, since renaming replaces the document's. */
static int take_lock(struct hms_store *store, const char *directory, const char *name, char *error,
                     size_t error_size)
{
    char *lock_name = hms_asprintf("%s.lock", name);
    char *lock_path = hms_asprintf("%s/%s", directory, lock_name);
    int result = HMS_OK;

    store->lock_fd =
        openat(store->directory_fd, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (store->lock_fd < 0) {
        result = fail_open(error, error_size, "open", lock_path);
    } else if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        result = errno == EWOULDBLOCK ? HMS_EBUSY : HMS_EIO;
        snprintf(error, error_size, "%s: %s", lock_path,
                 result == HMS_EBUSY ? "another process holds this lock" : strerror(errno));
    }
    free(lock_name);
    free(lock_path);
    return result;
}

/* Returns HMS_OK, HMS_ELIMIT, or HMS_EIO with errno set. */
static int read_bytes(int fd, struct hms_buffer *buffer)
{
    char chunk[16384];
    int result = HMS_OK;
    ssize_t got;

    while (result == HMS_OK && (got = read(fd, chunk, sizeof(chunk))) != 0) {
        if (got > 0)
            result = hms_buffer_append(buffer, chunk, (size_t)got);
        else if (errno != EINTR)
            result = HMS_EIO;
    }
    return result;
}

static json_t *parse(const struct hms_buffer *buffer, char why[HMS_JSON_ERROR_SIZE])
{
    json_t *document;

    if (buffer->size_bytes == 0) {
        snprintf(why, HMS_JSON_ERROR_SIZE, "it is empty");
        return NULL;
    }
    document = hms_json_parse(buffer->data, buffer->size_bytes, why);
    if (document == NULL || json_is_object(document))
        return document;
    json_decref(document);
    snprintf(why, HMS_JSON_ERROR_SIZE, "it is not a JSON object");
    return NULL;
}

static int set_aside(struct hms_store *store, const char *why, char *error, size_t error_size)
{
    char when[HMS_CLOCK_TEXT_SIZE];
    char *aside = hms_asprintf("%s.damaged-%s", store->file_name,
                               hms_clock_format(hms_clock_wall_ns(), when));
    int result = HMS_OK;

    if (renameat(store->directory_fd, store->file_name, store->directory_fd, aside) != 0 ||
        fsync(store->directory_fd) != 0)
        result = fail_open(error, error_size, "set aside the damaged", store->path);
    else
        hms_log(store->log, HMS_LOG_ERROR, "store",
                "%s is damaged (%s): set aside as %s, beginning anew", store->path, why, aside);
    free(aside);
    return result;
}

static int read_document(struct hms_store *store, json_t **document, char *error, size_t error_size)
{
    char why[HMS_JSON_ERROR_SIZE];
    struct hms_buffer buffer;
    int result;
    int fd = openat(store->directory_fd, store->file_name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? HMS_OK : fail_open(error, error_size, "open", store->path);
    hms_buffer_init(&buffer, DOCUMENT_MAX_BYTES);
    result = read_bytes(fd, &buffer);
    if (result == HMS_EIO) {
        result = fail_open(error, error_size, "read", store->path);
    } else if (result == HMS_ELIMIT) {
        snprintf(why, sizeof(why), "it is larger than %d bytes", DOCUMENT_MAX_BYTES);
        result = set_aside(store, why, error, error_size);
    } else {
        *document = parse(&buffer, why);
        if (*document == NULL)
            result = set_aside(store, why, error, error_size);
    }
    hms_buffer_free(&buffer);
    close(fd);
    return result;
}

int hms_store_open(struct hms_store **store, uv_loop_t *loop, struct hms_log *log,
                   const char *directory, const char *name, json_t **document, char *error,
                   size_t error_size)
{
    struct hms_store *new = hms_calloc(1, sizeof(*new));
    int result;

    *store = NULL;
    *document = NULL;
    new->loop = loop;
    new->log = log;
    new->directory_fd = new->lock_fd = -1;
    STAILQ_INIT(&new->waiters);
    STAILQ_INIT(&new->written);
    new->path = hms_asprintf("%s/%s.json", directory, name);
    new->file_name = hms_asprintf("%s.json", name);
    new->temp_name = hms_asprintf("%s.json.tmp", name);
    result = open_directory(new, directory, error, error_size);
    if (result == HMS_OK)
        result = take_lock(new, directory, name, error, error_size);
    if (result == HMS_OK) {
        unlinkat(new->directory_fd, new->temp_name, 0); /* what a crash may have left */
        result = read_document(new, document, error, error_size);
    }
    if (result != HMS_OK) {
        release(new);
        return result;
    }
    uv_timer_init(loop, &new->timer);
    *store = new;
    return HMS_OK;
}
