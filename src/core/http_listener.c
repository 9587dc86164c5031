/*
 * Listening sockets are made by hand rather than by libuv: a unix socket has to have its mode from
 * the first moment, and the server accepts by itself (see http_server.c).
 */
#include "core/http_listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "core/alloc.h"
#include "core/error.h"

#define BACKLOG          1024
#define UNIX_PREFIX      "unix:"
#define UNIX_MODE        0660
#define ADDRESS_TEXT_MAX 80

static int fail(int code, char *error, size_t error_size, const char *where, const char *why)
{
    snprintf(error, error_size, "cannot listen on %s: %s", where, why);
    return code;
}

/* The same for the system's errno. */
static int fail_errno(char *error, size_t error_size, const char *where)
{
    int code = HMS_EIO;

    if (errno == EADDRINUSE)
        code = HMS_EBUSY;
    else if (errno == EACCES || errno == EPERM)
        code = HMS_EPERM;
    return fail(code, error, error_size, where, strerror(errno));
}

static int parse_port(const char *text, int *port)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return HMS_EINVAL;
    *port = atoi(text);
    return *port <= 65535 ? HMS_OK : HMS_EINVAL;
}

/* "HOST:PORT" with a literal address, so that nothing is looked up. */
static int parse_tcp(const char *where, struct sockaddr_storage *address)
{
    const char *colon = strrchr(where, ':');
    char host[ADDRESS_TEXT_MAX];
    size_t size;
    int port;

    if (colon == NULL || parse_port(colon + 1, &port) != HMS_OK)
        return HMS_EINVAL;
    size = (size_t)(colon - where);
    if (size >= sizeof(host))
        return HMS_EINVAL;
    memcpy(host, where, size);
    host[size] = '\0';
    if (strcmp(host, "localhost") == 0)
        return uv_ip4_addr("127.0.0.1", port, (struct sockaddr_in *)address);
    if (host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        return uv_ip6_addr(host + 1, port, (struct sockaddr_in6 *)address);
    }
    return uv_ip4_addr(host, port, (struct sockaddr_in *)address);
}

static char *tcp_text(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char host[ADDRESS_TEXT_MAX];

    memset(&address, 0, sizeof(address));
    getsockname(fd, (struct sockaddr *)&address, &size);
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address;

        uv_ip6_name(six, host, sizeof(host));
        return hms_asprintf("[%s]:%u", host, (unsigned)ntohs(six->sin6_port));
    }
    uv_ip4_name((const struct sockaddr_in *)&address, host, sizeof(host));
    return hms_asprintf("%s:%u", host,
                        (unsigned)ntohs(((const struct sockaddr_in *)&address)->sin_port));
}

static int open_tcp(struct hms_http_listener *listener, const char *where, char *error,
                    size_t error_size)
{
    struct sockaddr_storage address = {0};
    socklen_t size;
    int on = 1;

    if (parse_tcp(where, &address) != 0)
        return fail(HMS_EINVAL, error, error_size, where,
                    "neither HOST:PORT (an IPv4 or [IPv6] address or localhost) nor unix:PATH");
    size = address.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    listener->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return fail_errno(error, error_size, where);
    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener->fd, (struct sockaddr *)&address, size) != 0 ||
        listen(listener->fd, BACKLOG) != 0) {
        int code = fail_errno(error, error_size, where);

        close(listener->fd);
        return code;
    }
    listener->where = tcp_text(listener->fd);
    return HMS_OK;
}

/* Whether a process listens on a socket file (a full queue also says so). */
static int is_listened_on(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int listened;

    if (fd < 0)
        return 1;
    listened = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
               errno != ECONNREFUSED;
    close(fd);
    return listened;
}

/* bind(), which replaces a socket file that a dead process left. */
static int bind_unix(int fd, const struct sockaddr_un *address)
{
    struct stat file;

    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -1;
    if (lstat(address->sun_path, &file) != 0 || !S_ISSOCK(file.st_mode) ||
        is_listened_on(address)) {
        errno = EADDRINUSE;
        return -1;
    }
    if (unlink(address->sun_path) != 0)
        return -1;
    return bind(fd, (const struct sockaddr *)address, sizeof(*address));
}

static int open_unix(struct hms_http_listener *listener, const char *where, char *error,
                     size_t error_size)
{
    const char *path = where + strlen(UNIX_PREFIX);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat file;
    int code;

    if (*path == '\0' || strlen(path) >= sizeof(address.sun_path))
        return fail(HMS_EINVAL, error, error_size, where, "the path is empty or too long");
    memcpy(address.sun_path, path, strlen(path));
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return fail_errno(error, error_size, where);
    /* Linux gives the file the socket's mode, less the umask: it is never open to more. */
    if (fchmod(listener->fd, UNIX_MODE) != 0 || bind_unix(listener->fd, &address) != 0) {
        code = fail_errno(error, error_size, where);
        close(listener->fd);
        return code;
    }
    if (chmod(path, UNIX_MODE) != 0 || lstat(path, &file) != 0 ||
        listen(listener->fd, BACKLOG) != 0) {
        code = fail_errno(error, error_size, where);
        unlink(path);
        close(listener->fd);
        return code;
    }
    listener->path = hms_strdup(path);
    listener->path_dev = file.st_dev;
    listener->path_ino = file.st_ino;
    listener->where = hms_strdup(where);
    return HMS_OK;
}

int hms_http_listener_open(struct hms_http_listener *listener, const char *where, char *error,
                           size_t error_size)
{
    memset(listener, 0, sizeof(*listener));
    if (strncmp(where, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return open_unix(listener, where, error, error_size);
    return open_tcp(listener, where, error, error_size);
}

void hms_http_listener_close(struct hms_http_listener *listener)
{
    struct stat file;

    if (listener->path != NULL && lstat(listener->path, &file) == 0 &&
        file.st_dev == listener->path_dev && file.st_ino == listener->path_ino)
        unlink(listener->path);
    close(listener->fd);
    free(listener->path);
    free(listener->where);
}
