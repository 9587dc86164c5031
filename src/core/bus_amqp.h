/*
 * The bus over RabbitMQ (protocol.md, section 1): one component on one connection, which is made,
 * kept and made again in the background. While it is down requests and notifications wait in a
 * bounded queue: notifications coalesce, requests fail at their deadline.
 */
#ifndef HMS_CORE_BUS_AMQP_H
#define HMS_CORE_BUS_AMQP_H

#include <stddef.h>
#include <uv.h>

#include "core/bus.h"

/* Bounds; past any of the first four hms_bus_request() and _notify() return HMS_ELIMIT. */
#define HMS_BUS_AMQP_CALLS_MAX      4096        /* requests without an answer yet */
#define HMS_BUS_AMQP_QUEUE_MESSAGES 8192        /* waiting to be sent */
#define HMS_BUS_AMQP_QUEUE_BYTES    (64u << 20) /* of their bodies */
#define HMS_BUS_AMQP_SENT_MAX_BYTES (16u << 20) /* of a body: what brokers take by default */
#define HMS_BUS_AMQP_BODY_MAX_BYTES (32u << 20) /* of one received; longer ones are dropped */

struct hms_log;

/* All strings are copied. */
struct hms_bus_amqp_options {
    const char *url;           /* amqp[s]://[user@]host[:port][/vhost]; see hms_bus_amqp_check() */
    const char *password;      /* or NULL, if there is a file */
    const char *password_file; /* read anew for each connection; wins over password; or NULL */
    const char *ca_file;       /* amqps: PEM; NULL: the system's */
    const char *cert_file;     /* amqps: client certificate and ... */
    const char *key_file;      /* ... key, PEM; or both NULL */
    enum hms_bus_role role;    /* this component's: replies come to role.callback.address */
    const char *address;       /* IPv4 text */
    int heartbeat_s;           /* AMQP heartbeat that is asked for, 1 to 3600 */
};

/*
 * NULL if the text is a broker's URL, else what it must be. A password in it is refused: it would
 * show in the process list. An empty path means the vhost "/"; parts may be percent-encoded.
 */
const char *hms_bus_amqp_check(const char *url);

/*
 * Returns 0 and begins to connect, or HMS_EINVAL or HMS_EIO with a text in error (an option is
 * wrong, a TLS file cannot be read). A broker that cannot be reached is no error: it is waited for,
 * with jittered backoff from 0.2 s to 5 s, and the log tells when contact is lost and found.
 */
int hms_bus_amqp_open(struct hms_bus **bus, uv_loop_t *loop, struct hms_log *log,
                      const struct hms_bus_amqp_options *options, char *error, size_t error_size);

#endif
