/*
 * HTTP requests on the loop: libcurl's multi_socket interface, over TCP or a unix socket, with
 * connections kept and reused.
 *
 * No callback runs inside hms_http_call(); from within any callback every function may be called.
 */
#ifndef HMS_CORE_HTTP_CLIENT_H
#define HMS_CORE_HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct hms_http_client;
struct hms_http_request;
struct hms_http_tls;

struct hms_http_call {
    const char *method;       /* "GET", "POST", "DELETE", ... */
    const char *url;          /* absolute; with unix_socket its host is only a name */
    const char *unix_socket;  /* path, or NULL for TCP */
    const char *content_type; /* of the body, or NULL */
    const char *body;         /* copied; NULL for none */
    size_t body_bytes;
    int body_fd; /* 0, or a regular file: its first body_bytes bytes are the body instead. It is
                  * read piece by piece on libuv's pool, and closed at the end of the call */
    const struct hms_http_tls *tls; /* for https: copied; NULL for the system's authorities */
    const char *const *headers;     /* NULL, or "Name: value" lines ended by NULL; copied */
    int64_t connect_timeout_ms;     /* > 0 */
    int64_t timeout_ms;        /* of the call, from when it has its connection; 0: none (streams) */
    int64_t stall_timeout_ms;  /* ends the call when no byte moves for so long; 0: never */
    size_t answer_limit_bytes; /* of the body kept; more ends the call with HMS_ELIMIT */
};

struct hms_http_answer {
    int error;  /* 0, or HMS_ECONNECT, HMS_EPERM (we refuse the peer's certificate, or it ours),
                 * HMS_ETIMEDOUT, HMS_ECANCELED, HMS_ELIMIT, HMS_EPROTO, HMS_EIO */
    int status; /* HTTP status; 0 if none came */
    const char *body; /* 0-terminated, borrowed; empty for what on_data got */
    size_t body_bytes;
    int64_t date_s;     /* wall time in the answer's Date header, s since 1970; 0 if none */
    const char *reason; /* text for people when error is set; never NULL */
};

/* The end of a call, exactly once; the request is gone after it. */
typedef void (*hms_http_done_fn)(void *arg, const struct hms_http_answer *answer);
/* A piece of a 2xx body as it arrives, 16 KiB at most; the first call, with size 0, tells that the
 * header came. A long body comes in several turns of the loop. */
typedef void (*hms_http_data_fn)(void *arg, const char *data, size_t size_bytes);

/* Never returns NULL. At most `connections` at once to each host; further calls wait. Streams
 * (timeout_ms 0) do not count against it. */
struct hms_http_client *hms_http_client_new(uv_loop_t *loop, int connections);

/*
 * Starts a call; where a connection is free its bytes are written before the return. With on_data
 * the body is not kept but handed over piece by piece (if the status is 2xx). Returns 0 and, unless
 * `request` is NULL, a handle valid until `done`; or HMS_EINVAL, HMS_ELIMIT (too many calls wait),
 * HMS_ECANCELED (the client closes): then done never runs and body_fd stays the caller's.
 */
int hms_http_call(struct hms_http_client *client, const struct hms_http_call *call,
                  hms_http_data_fn on_data, hms_http_done_fn done, void *arg,
                  struct hms_http_request **request);

/* Ends a call early: done runs with HMS_ECANCELED before the return. */
void hms_http_cancel(struct hms_http_request *request);

/* Cancels what is under way and closes; closed(arg) runs from the loop when all is released. */
void hms_http_client_close(struct hms_http_client *client, void (*closed)(void *arg), void *arg);

#endif
