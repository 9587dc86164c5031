/* Owns the socket and the watchdog's timer. */
#include "core/notify_socket.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/log.h"

#define MODULE "service"

struct hms_notify_socket {
    struct hms_log *log;
    int fd; /* -1: nobody wants to know */
    struct sockaddr_un address;
    socklen_t address_size;
    uv_timer_t watchdog;
    int has_failed; /* and that was logged */
};

/* A path, or the name of an abstract socket with @ for its first byte. Returns 0 or -1. */
static int set_address(struct hms_notify_socket *notify, const char *name)
{
    size_t length = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || length < 2 ||
        length >= sizeof(notify->address.sun_path))
        return -1;
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, name, length);
    if (name[0] == '@')
        notify->address.sun_path[0] = '\0';
    notify->address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return 0;
}

static void open_socket(struct hms_notify_socket *notify)
{
    const char *name = getenv("NOTIFY_SOCKET");

    if (name == NULL || name[0] == '\0')
        return;
    if (set_address(notify, name) != 0) {
        hms_log(notify->log, HMS_LOG_WARN, MODULE,
                "NOTIFY_SOCKET is neither an absolute path nor an abstract name: not used");
        return;
    }
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify->fd < 0)
        hms_log(notify->log, HMS_LOG_WARN, MODULE, "cannot notify the service manager: %s",
                strerror(errno));
}

static void on_watchdog(uv_timer_t *timer)
{
    hms_notify_socket_send(timer->data, "WATCHDOG=1");
}

/* WATCHDOG_PID is that of the process that is watched: a child must not feign its life. */
static int is_watched_process(void)
{
    const char *pid = getenv("WATCHDOG_PID");

    return pid == NULL || strtoimax(pid, NULL, 10) == getpid();
}

static void start_watchdog(struct hms_notify_socket *notify)
{
    const char *text = getenv("WATCHDOG_USEC");
    uintmax_t period_ms = text ? strtoumax(text, NULL, 10) / 2000 : 0;

    if (notify->fd < 0 || text == NULL || !is_watched_process())
        return;
    if (period_ms == 0 || period_ms > INT32_MAX) {
        hms_log(notify->log, HMS_LOG_WARN, MODULE,
                "WATCHDOG_USEC must be a number of microseconds from 2000 on: not used");
        return;
    }
    uv_timer_start(&notify->watchdog, on_watchdog, 0, period_ms);
    uv_unref((uv_handle_t *)&notify->watchdog);
}

struct hms_notify_socket *hms_notify_socket_open(uv_loop_t *loop, struct hms_log *log)
{
    struct hms_notify_socket *notify = hms_calloc(1, sizeof(*notify));

    notify->log = log;
    notify->fd = -1;
    uv_timer_init(loop, &notify->watchdog);
    notify->watchdog.data = notify;
    open_socket(notify);
    start_watchdog(notify);
    return notify;
}

void hms_notify_socket_send(struct hms_notify_socket *notify, const char *state)
{
    if (notify->fd < 0 ||
        sendto(notify->fd, state, strlen(state), MSG_NOSIGNAL,
               (const struct sockaddr *)(const void *)&notify->address, notify->address_size) >= 0)
        return;
    if (!notify->has_failed)
        hms_log(notify->log, HMS_LOG_WARN, MODULE, "cannot notify the service manager: %s",
                strerror(errno));
    notify->has_failed = 1;
}

static void on_watchdog_closed(uv_handle_t *handle)
{
    struct hms_notify_socket *notify = handle->data;

    if (notify->fd >= 0)
        close(notify->fd);
    free(notify);
}

void hms_notify_socket_close(struct hms_notify_socket *notify)
{
    uv_close((uv_handle_t *)&notify->watchdog, on_watchdog_closed);
}
