/*
 * One ssh child and the socket that it forwards. The forward owns the child, a private folder with
 * the socket, and the files in memory that the child reads key and known host from.
 *
 * ssh makes the socket only after it has logged in, so its coming is the sign that all is well.
 */
#include "core/ssh_forward.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/lines.h"
#include "core/log.h"
#include "core/ssh_askpass.h"
#include "core/ssh_command.h"
#include "core/ssh_reason.h"

#define LINE_LIMIT_BYTES   1024
#define PIECE_BYTES        4096
#define SOCKET_NAME        "engine.sock"
#define TIMEOUT_MIN_MS     1000
#define TIMEOUT_MAX_MS     600000
#define LAST_WORDS_MS      1000 /* for what ssh has said to arrive after its end */
#define TERM_PATIENCE_MS   2000
#define POLL_MS            20 /* how often it is looked whether ssh listens */
#define KEY_TEXT_MAX_BYTES (64 * 1024)

enum forward_state {
    FORWARD_STARTING,
    FORWARD_UP,
    FORWARD_ENDED,
    FORWARD_CLOSING,
};

struct hms_ssh_forward {
    uv_loop_t *loop;
    struct hms_log *log;
    enum forward_state state;
    hms_ssh_forward_ready_fn on_ready;
    hms_ssh_forward_end_fn on_end;
    void *arg;
    char *target; /* for people: "ssh://USER@HOST" */
    char folder[64];
    char socket[96];
    int key_fd; /* files in memory, -1 if there is none */
    int known_fd;
    int64_t timeout_ms;
    int64_t deadline_ms; /* monotonic, for the forward to be up */
    int has_timed_out;
    struct hms_ssh_reason reason;
    char complaint[HMS_SSH_REASON_SIZE];

    uv_process_t child;
    uv_pipe_t secret; /* the child's standard input */
    uv_pipe_t errors; /* its standard error */
    uv_timer_t timer; /* till the forward is up, for last words, for a child that ignores TERM */
    struct hms_lines lines;
    char piece[PIECE_BYTES];
    int is_running;
    int has_spoken; /* standard error has ended */
    int64_t exit_status;
    int exit_signal;

    int open_handles;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void set_state(struct hms_ssh_forward *forward, enum forward_state state)
{
    if (state <= forward->state)
        abort();
    forward->state = state;
}

/* --- options -------------------------------------------------------------------------------- */

static int is_plain(const char *text)
{
    const char *at;

    for (at = text; *at != '\0'; at++)
        if (!isgraph((unsigned char)*at))
            return 0;
    return *text != '\0' && *text != '-';
}

static int is_host_key(const char *text)
{
    size_t type = strcspn(text, " \t");
    const char *key = text + type + strspn(text + type, " \t");

    return type > 0 && strncmp(key, "AAAA", 4) == 0 && strpbrk(text, "\r\n") == NULL &&
           text[0] != '#' && text[0] != '@' && strlen(text) < KEY_TEXT_MAX_BYTES;
}

static const char *find_fault(const struct hms_ssh_forward_options *options)
{
    if (!is_plain(options->host))
        return "host: not a host's name or address";
    if (options->port < 0 || options->port > 65535)
        return "port: must be from 1 to 65535";
    if (options->user != NULL && !is_plain(options->user))
        return "user: not a user's name";
    if (options->remote_path[0] != '/' || !is_plain(options->remote_path) ||
        strpbrk(options->remote_path, ":%$\\\"") != NULL)
        return "path: must be absolute, without blanks and special characters";
    if (options->host_key != NULL && !is_host_key(options->host_key))
        return "host_key: not an OpenSSH public key line such as 'ssh-ed25519 AAAA...'";
    if (options->private_key != NULL &&
        (options->private_key[0] == '\0' || strlen(options->private_key) > KEY_TEXT_MAX_BYTES))
        return "private_key: must be a path or a key's PEM text, at most 64 KiB";
    if (options->password != NULL &&
        (options->password[0] == '\0' || strlen(options->password) >= HMS_SSH_PASSWORD_MAX ||
         strpbrk(options->password, "\r\n") != NULL))
        return "password: must be one line of 1 to 999 bytes";
    if (options->timeout_ms < TIMEOUT_MIN_MS || options->timeout_ms > TIMEOUT_MAX_MS)
        return "timeout_ms: must be from 1000 to 600000";
    return NULL;
}

static int is_key_text(const char *private_key)
{
    return private_key != NULL && strstr(private_key, "-----BEGIN ") != NULL;
}

/* --- the folder, and files in memory -------------------------------------------------------- */

static int fail(char *error, size_t error_size, const char *what, int number)
{
    snprintf(error, error_size, "ssh: %s: %s", what, strerror(number));
    return HMS_EIO;
}

static int make_folder(struct hms_ssh_forward *forward, char *error, size_t error_size)
{
    char base[40] = "/tmp";
    size_t size = sizeof(base);

    if (uv_os_tmpdir(base, &size) != 0) /* a long one would be too long for a socket's path */
        snprintf(base, sizeof(base), "/tmp");
    snprintf(forward->folder, sizeof(forward->folder), "%s/hms-ssh-XXXXXX", base);
    if (mkdtemp(forward->folder) == NULL) {
        forward->folder[0] = '\0';
        return fail(error, error_size, "cannot make a private folder", errno);
    }
    snprintf(forward->socket, sizeof(forward->socket), "%s/" SOCKET_NAME, forward->folder);
    return HMS_OK;
}

static void remove_folder(struct hms_ssh_forward *forward)
{
    if (forward->folder[0] == '\0')
        return;
    unlink(forward->socket);
    if (rmdir(forward->folder) != 0)
        hms_log(forward->log, HMS_LOG_WARN, "ssh", "cannot remove %s: %s", forward->folder,
                strerror(errno));
}

static int write_all(int fd, const char *text)
{
    size_t size = strlen(text);

    return write(fd, text, size) == (ssize_t)size;
}

/* A file of `before` and text in memory that the child can open as /proc/PID/fd/N, or -1. */
static int hold_text(const char *before, const char *text)
{
    int fd = memfd_create("hms-ssh", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    /* ssh wants a key to be its user's alone, and to end with a line's end. */
    if (fchmod(fd, S_IRUSR | S_IWUSR) == 0 && write_all(fd, before) && write_all(fd, text) &&
        write_all(fd, "\n"))
        return fd;
    close(fd);
    return -1;
}

static int hold_texts(struct hms_ssh_forward *forward,
                      const struct hms_ssh_forward_options *options, char *error, size_t error_size)
{
    if (is_key_text(options->private_key) &&
        (forward->key_fd = hold_text("", options->private_key)) < 0)
        return fail(error, error_size, "cannot hold the private key", errno);
    /* "*": the file is for this host alone, by whatever name ssh's configuration reaches it. */
    if (options->host_key != NULL && (forward->known_fd = hold_text("* ", options->host_key)) < 0)
        return fail(error, error_size, "cannot hold the host's key", errno);
    return HMS_OK;
}

/* --- the end -------------------------------------------------------------------------------- */

static void on_handle_closed(struct hms_ssh_forward *forward)
{
    if (--forward->open_handles > 0)
        return;
    remove_folder(forward);
    if (forward->key_fd >= 0)
        close(forward->key_fd);
    if (forward->known_fd >= 0)
        close(forward->known_fd);
    hms_lines_free(&forward->lines);
    free(forward->target);
    if (forward->closed != NULL)
        forward->closed(forward->closed_arg);
    free(forward);
}

static void on_own_handle_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_own_handle_closed);
}

static void close_handles(struct hms_ssh_forward *forward)
{
    if (forward->child.loop != NULL)
        close_handle((uv_handle_t *)&forward->child);
    close_handle((uv_handle_t *)&forward->secret);
    close_handle((uv_handle_t *)&forward->errors);
    close_handle((uv_handle_t *)&forward->timer);
}

static void describe_end(const struct hms_ssh_forward *forward, int *error,
                         char text[HMS_SSH_REASON_SIZE])
{
    *error = forward->reason.rank != 0 ? forward->reason.error : HMS_EREMOTE;
    hms_ssh_reason_text(&forward->reason, text);
    if (forward->has_timed_out) {
        *error = HMS_ETIMEDOUT;
        snprintf(text, HMS_SSH_REASON_SIZE, "not logged in after %.0f s",
                 (double)forward->timeout_ms / 1000.0);
    } else if (text[0] == '\0' && forward->exit_signal != 0) {
        snprintf(text, HMS_SSH_REASON_SIZE, "ssh was ended by signal %d", forward->exit_signal);
    } else if (text[0] == '\0') {
        snprintf(text, HMS_SSH_REASON_SIZE, "ssh ended with status %d without a word",
                 (int)forward->exit_status);
    }
}

/* The child has gone and said all that it had to say. */
static void conclude(struct hms_ssh_forward *forward)
{
    char text[HMS_SSH_REASON_SIZE];
    char *reason;
    int error;

    describe_end(forward, &error, text);
    uv_timer_stop(&forward->timer);
    set_state(forward, FORWARD_ENDED);
    reason = hms_asprintf("%s: %s", forward->target, text);
    forward->on_end(forward->arg, error, reason);
    free(reason);
}

static void on_last_words_timer(uv_timer_t *timer)
{
    conclude(timer->data);
}

static void on_exit_of_child(uv_process_t *child, int64_t status, int number)
{
    struct hms_ssh_forward *forward = child->data;

    forward->is_running = 0;
    forward->exit_status = status;
    forward->exit_signal = number;
    if (forward->state == FORWARD_CLOSING)
        close_handles(forward);
    else if (forward->has_spoken)
        conclude(forward);
    else /* a proxy command may keep its standard error open */
        uv_timer_start(&forward->timer, on_last_words_timer, LAST_WORDS_MS, 0);
}

static void on_impatience(uv_timer_t *timer)
{
    struct hms_ssh_forward *forward = timer->data;

    uv_process_kill(&forward->child, SIGKILL);
}

void hms_ssh_forward_close(struct hms_ssh_forward *forward, void (*closed)(void *arg), void *arg)
{
    set_state(forward, FORWARD_CLOSING);
    forward->closed = closed;
    forward->closed_arg = arg;
    if (!forward->is_running) {
        close_handles(forward);
        return;
    }
    uv_process_kill(&forward->child, SIGTERM);
    uv_timer_start(&forward->timer, on_impatience, TERM_PATIENCE_MS, 0);
}

/* --- while it runs -------------------------------------------------------------------------- */

static int on_line(void *arg, const char *line, size_t size)
{
    struct hms_ssh_forward *forward = arg;

    hms_log(forward->log, HMS_LOG_DEBUG, "ssh", "%s: %s", forward->target, line);
    hms_ssh_reason_note(&forward->reason, line);
    return 0;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct hms_ssh_forward *forward = handle->data;

    *buf = uv_buf_init(forward->piece, sizeof(forward->piece));
}

static void on_errors(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct hms_ssh_forward *forward = stream->data;

    if (size >= 0) {
        /* The rest of a line that is too long may be dropped. */
        (void)hms_lines_feed(&forward->lines, buf->base, (size_t)size, on_line, forward);
        return;
    }
    uv_read_stop(stream);
    forward->has_spoken = 1;
    if (!forward->is_running && forward->state < FORWARD_ENDED)
        conclude(forward);
}

/* Whether ssh listens already: the socket is there a moment earlier. */
static int does_listen(const struct hms_ssh_forward *forward)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result;

    if (fd < 0)
        return 0;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", forward->socket);
    result = connect(fd, (struct sockaddr *)&address, sizeof(address));
    close(fd);
    return result == 0;
}

static void on_poll_timer(uv_timer_t *timer)
{
    struct hms_ssh_forward *forward = timer->data;

    if (does_listen(forward)) {
        uv_timer_stop(timer);
        set_state(forward, FORWARD_UP);
        memset(&forward->reason, 0,
               sizeof(forward->reason)); /* what came of it no longer matters */
        forward->on_ready(forward->arg, forward->socket);
    } else if (hms_clock_mono_ms() >= forward->deadline_ms) {
        uv_timer_stop(timer);
        forward->has_timed_out = 1;
        uv_process_kill(&forward->child, SIGKILL);
    }
}

const char *hms_ssh_forward_complaint(struct hms_ssh_forward *forward)
{
    hms_ssh_reason_text(&forward->reason, forward->complaint);
    return forward->complaint;
}

/* --- the beginning -------------------------------------------------------------------------- */

static int spawn(struct hms_ssh_forward *forward, const struct hms_ssh_forward_options *options)
{
    struct hms_ssh_command command;
    uv_stdio_container_t stdio[3] = {{.flags = UV_IGNORE}, {.flags = UV_IGNORE}};
    uv_process_options_t process = {.exit_cb = on_exit_of_child,
                                    .flags = UV_PROCESS_DETACHED, /* from our terminal */
                                    .stdio = stdio,
                                    .stdio_count = 3};
    int result;

    if (options->password != NULL) {
        stdio[0].flags = UV_CREATE_PIPE | UV_READABLE_PIPE;
        stdio[0].data.stream = (uv_stream_t *)&forward->secret;
    }
    stdio[2].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
    stdio[2].data.stream = (uv_stream_t *)&forward->errors;
    hms_ssh_command_make(&command, options, forward->socket, forward->key_fd, forward->known_fd);
    process.file = command.arguments.list[0];
    process.args = command.arguments.list;
    process.env = command.environment.list;
    result = uv_spawn(forward->loop, &forward->child, &process);
    forward->open_handles++; /* the child's has to be closed also if there is none */
    forward->is_running = result == 0;
    hms_ssh_command_free(&command);
    return result;
}

struct secret {
    uv_write_t write;
    struct hms_ssh_forward *forward;
    char *line;
};

static void free_secret(struct secret *secret)
{
    OPENSSL_cleanse(secret->line, strlen(secret->line));
    free(secret->line);
    free(secret);
}

static void on_secret_written(uv_write_t *write, int status)
{
    struct secret *secret = hms_container_of(write, struct secret, write);

    close_handle((uv_handle_t *)&secret->forward->secret);
    free_secret(secret);
}

/* The child's askpass reads it when it is asked for. */
static int tell_secret(struct hms_ssh_forward *forward, const char *password)
{
    struct secret *secret = hms_calloc(1, sizeof(*secret));
    uv_buf_t buf;
    int result;

    secret->forward = forward;
    secret->line = hms_asprintf("%s\n", password);
    buf = uv_buf_init(secret->line, (unsigned)strlen(secret->line));
    result = uv_write(&secret->write, (uv_stream_t *)&forward->secret, &buf, 1, on_secret_written);
    if (result != 0)
        free_secret(secret);
    return result;
}

static int start(struct hms_ssh_forward *forward, const struct hms_ssh_forward_options *options,
                 char *error, size_t error_size)
{
    int result = spawn(forward, options);

    if (result == 0 && options->password != NULL)
        result = tell_secret(forward, options->password);
    if (result == 0)
        result = uv_read_start((uv_stream_t *)&forward->errors, on_alloc, on_errors);
    if (result == UV_ENOENT) { /* ssh itself is missed by setpriv */
        snprintf(error, error_size,
                 "ssh: there is no setpriv (util-linux) on this machine, which starts it");
        return HMS_EIO;
    }
    if (result != 0) {
        snprintf(error, error_size, "ssh: cannot be started: %s", uv_strerror(result));
        return HMS_EIO;
    }
    forward->deadline_ms = hms_clock_mono_ms() + forward->timeout_ms;
    uv_timer_start(&forward->timer, on_poll_timer, POLL_MS, POLL_MS);
    return HMS_OK;
}

static void init_handles(struct hms_ssh_forward *forward)
{
    uv_pipe_init(forward->loop, &forward->secret, 0);
    uv_pipe_init(forward->loop, &forward->errors, 0);
    uv_timer_init(forward->loop, &forward->timer);
    forward->child.data = forward->secret.data = forward->errors.data = forward->timer.data =
        forward;
    forward->open_handles = 3;
    hms_lines_init(&forward->lines, LINE_LIMIT_BYTES);
}

int hms_ssh_forward_open(struct hms_ssh_forward **opened, uv_loop_t *loop, struct hms_log *log,
                         const struct hms_ssh_forward_options *options,
                         hms_ssh_forward_ready_fn on_ready, hms_ssh_forward_end_fn on_end,
                         void *arg, char *error, size_t error_size)
{
    const char *fault = find_fault(options);
    struct hms_ssh_forward *forward;
    int result;

    if (fault != NULL) {
        snprintf(error, error_size, "%s", fault);
        return HMS_EINVAL;
    }
    forward = hms_calloc(1, sizeof(*forward));
    forward->loop = loop;
    forward->log = log;
    forward->on_ready = on_ready;
    forward->on_end = on_end;
    forward->arg = arg;
    forward->key_fd = forward->known_fd = -1;
    forward->timeout_ms = options->timeout_ms;
    forward->target = options->user != NULL
                          ? hms_asprintf("ssh://%s@%s", options->user, options->host)
                          : hms_asprintf("ssh://%s", options->host);
    init_handles(forward);
    if ((result = make_folder(forward, error, error_size)) == HMS_OK)
        result = hold_texts(forward, options, error, error_size);
    if (result == HMS_OK)
        result = start(forward, options, error, error_size);
    if (result != HMS_OK) {
        hms_ssh_forward_close(forward, NULL, NULL);
        return result;
    }
    *opened = forward;
    return HMS_OK;
}
