/*
 * HTTP/1.1 server on TCP or a unix socket: llhttp for the syntax, libuv for the rest.
 *
 * Keep-alive, pipelining (answers in order), chunked and sized bodies, HEAD, Expect: 100-continue.
 * Everything a client can make grow or last has a limit (struct hms_http_limits). Malformed input
 * is answered with 400 (408, 413, 414, 417, 431, 501, 503, 505 where they say more), with the error
 * object as JSON, and the connection closed. A turn of the loop gives HTTP a few milliseconds; who
 * asks for more waits for the next.
 */
#ifndef HMS_CORE_HTTP_SERVER_H
#define HMS_CORE_HTTP_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct hms_log;
struct hms_http_server;
struct hms_http_exchange;

struct hms_http_limits {
    size_t target_bytes;        /* request target; default 4096 */
    size_t header_bytes;        /* all header fields; default 16384 */
    size_t body_bytes;          /* request body; default 65536 */
    size_t pending_bytes;       /* unsent answers of a connection, then it is not read; 4 MiB;
                                   all connections together: 16 times as much */
    int connections;            /* at once; further ones get 503; default 1024 */
    int pipelined;              /* requests of one connection under way; default 32 */
    int64_t request_timeout_ms; /* from a request's first byte to its last, then 408; 10000 */
    int64_t idle_timeout_ms;    /* between requests; default 60000 */
    int64_t write_timeout_ms;   /* a client that takes no byte of an answer; default 30000 */
};

/* The defaults above. */
struct hms_http_limits hms_http_limits_default(void);

struct hms_http_counters {
    uint64_t connections; /* accepted since the start */
    uint64_t requests;    /* answered since the start */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t rejected; /* over a limit or malformed */
    int open_connections;
};

/*
 * A complete request. The exchange is the handler's until it answers it with hms_http_respond(),
 * at once or later, exactly once; if the client has gone meanwhile the answer is dropped.
 */
typedef void (*hms_http_handler)(void *arg, struct hms_http_exchange *exchange);

/*
 * Listens on `where`: "HOST:PORT" (an IPv4 or bracketed IPv6 literal, or "localhost"; port 0 picks
 * one) or "unix:PATH" (mode 660; a stale socket file that nobody listens on is replaced).
 * Returns 0 and the server, or a negative error with a text in error.
 */
int hms_http_server_open(struct hms_http_server **server, uv_loop_t *loop, struct hms_log *log,
                         const char *where, const struct hms_http_limits *limits,
                         hms_http_handler handler, void *arg, char *error, size_t error_size);

/*
 * Stops listening, drops idle connections, gives exchanges under way up to grace_ms to be answered
 * and sent, then closes; closed(arg) runs last. Exchanges not yet answered must still be answered
 * by the handler's owner, before or after; they stay valid until then.
 */
void hms_http_server_close(struct hms_http_server *server, int64_t grace_ms,
                           void (*closed)(void *arg), void *arg);

/* Where it listens, e.g. "127.0.0.1:8080" or "unix:/run/hms.sock"; borrowed. */
const char *hms_http_server_where(const struct hms_http_server *server);

struct hms_http_counters hms_http_server_counters(const struct hms_http_server *server);

/* What was asked. All borrowed, valid until the answer. */
const char *hms_http_method(const struct hms_http_exchange *exchange); /* "GET", ... */
const char *hms_http_path(const struct hms_http_exchange *exchange); /* percent-decoded, no query */
const char *hms_http_body(const struct hms_http_exchange *exchange, size_t *size_bytes);
/*
 * The first field of that name (case does not matter), or NULL. "Host" is the host that the request
 * is for: that of an absolute target, where the client sent one.
 */
const char *hms_http_header(const struct hms_http_exchange *exchange, const char *name);
/* The decoded value of the first query parameter of that name, or NULL. */
const char *hms_http_query(const struct hms_http_exchange *exchange, const char *name);
/* Whether the client came over the unix socket. */
int hms_http_is_local_socket(const struct hms_http_exchange *exchange);
/* The user that the client ran as when it connected to the unix socket; (uid_t)-1 over TCP. */
uid_t hms_http_peer_uid(const struct hms_http_exchange *exchange);

/*
 * Answers, with a status from 200 to 599; the exchange is gone afterwards. content_type may be
 * NULL. `headers` is NULL or pairs of name and value ended by NULL; control characters in a value
 * become blanks; Content-Length, Date and Connection are the server's. body is copied (or sent)
 * before the return. For HEAD the body is left out, its length told. Never runs the handler from
 * within.
 */
void hms_http_respond(struct hms_http_exchange *exchange, int status, const char *content_type,
                      const char *const *headers, const void *body, size_t size_bytes);

#endif
