/*
 * What all connections of one HTTP server share: limits, counters, buffers, and their share of the
 * loop's time. Internal to the HTTP server: its users see http_server.h only.
 */
#ifndef HMS_CORE_HTTP_SERVICE_H
#define HMS_CORE_HTTP_SERVICE_H

#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "core/buffer.h"
#include "core/http_answer.h"
#include "core/http_server.h"
#include "core/log.h"

#define HMS_HTTP_READ_BYTES 65536

struct hms_http_connection;

LIST_HEAD(hms_http_connections, hms_http_connection);
TAILQ_HEAD(hms_http_waiters, hms_http_connection);

/* Owned by the server, which sets the first fields and then calls hms_http_service_init(). */
struct hms_http_service {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_http_limits limits;
    hms_http_handler handler;
    void *handler_arg;
    int is_local;                                      /* a unix socket */
    void (*on_gone)(struct hms_http_service *service); /* a connection has been released */

    struct hms_http_counters counters;
    struct hms_log_limit log_limit; /* of what clients can provoke */
    struct hms_http_connections connections;
    size_t unsent_bytes; /* of all connections */

    uv_idle_t turn;                  /* runs while connections wait for their turn */
    struct hms_http_waiters waiters; /* have input that is not parsed yet */
    uint64_t turn_loop_ms;
    uint64_t turn_start_ns;

    struct hms_http_date date;
    struct hms_buffer head; /* of the answer being made */
    char *read_buffer;      /* for whichever connection is reading: it parses at once */
};

void hms_http_service_init(struct hms_http_service *service);

/* After the turn handle has been closed. */
void hms_http_service_free(struct hms_http_service *service);

/*
 * Whether this turn of the loop has time left for requests: HTTP gets a few milliseconds of each,
 * so that a client who asks for much at once delays no one else.
 */
int hms_http_service_has_time(struct hms_http_service *service);

/* Counts a rejection and tells the log who was refused and why, as often as the limit allows. */
void hms_http_service_reject(struct hms_http_service *service, enum hms_log_level level,
                             const char *who, const char *why);

#endif
