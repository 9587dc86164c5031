/*
 * The listening socket of the HTTP server: TCP or unix, made and removed with care.
 */
#ifndef HMS_CORE_HTTP_LISTENER_H
#define HMS_CORE_HTTP_LISTENER_H

#include <stddef.h>
#include <sys/types.h>

struct hms_http_listener {
    int fd;         /* nonblocking, close-on-exec, listening */
    char *where;    /* with the port that was picked; owned */
    char *path;     /* of a unix socket, else NULL; owned */
    dev_t path_dev; /* the socket file, to remove none but our own */
    ino_t path_ino;
};

/*
 * Listens as hms_http_server_open() describes. Returns 0; HMS_EINVAL for a malformed address,
 * HMS_EBUSY when it is taken, HMS_EPERM when it is not allowed, else HMS_EIO; with a text in error.
 */
int hms_http_listener_open(struct hms_http_listener *listener, const char *where, char *error,
                           size_t error_size);

/* Closes the socket and removes its file. */
void hms_http_listener_close(struct hms_http_listener *listener);

#endif
