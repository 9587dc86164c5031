/*
 * A request and its answer. Internal to the HTTP server; http_server.h has what handlers see.
 */
#ifndef HMS_CORE_HTTP_EXCHANGE_H
#define HMS_CORE_HTTP_EXCHANGE_H

#include <sys/queue.h>
#include <sys/types.h>

#include "core/buffer.h"
#include "core/http_message.h"

struct hms_http_connection;

STAILQ_HEAD(hms_http_exchanges, hms_http_exchange);

struct hms_http_exchange {
    struct hms_http_message message;
    struct hms_http_connection *connection; /* NULL: the client has gone */
    STAILQ_ENTRY(hms_http_exchange) link;
    struct hms_buffer answer; /* complete, waits for those before it */
    int is_pending;           /* asked, not answered */
    int is_local;             /* came over a unix socket */
    uid_t peer_uid;           /* of who sent it there; (uid_t)-1 if that is not known */
};

/* Never returns NULL. */
struct hms_http_exchange *hms_http_exchange_new(struct hms_http_connection *connection,
                                                const struct hms_http_limits *limits, int is_local,
                                                uid_t peer_uid);
void hms_http_exchange_free(struct hms_http_exchange *exchange);

/* Ready for the connection's next request. */
void hms_http_exchange_reset(struct hms_http_exchange *exchange);

#endif
