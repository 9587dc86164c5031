/*
 * One connection to a broker, from the handshake to the end: heartbeats, three channels, the
 * exchange, consumers, messages both ways. It does not come back: whoever wants another one opens
 * it.
 */
#ifndef HMS_CORE_AMQP_CONNECTION_H
#define HMS_CORE_AMQP_CONNECTION_H

#include <uv.h>

#include "core/amqp_content.h"
#include "core/amqp_outbox.h"
#include "core/amqp_url.h"

#define HMS_AMQP_EXCHANGE "health_system_exchange"

/* Declarations and deliveries, publishing, and one for what may be refused, each for itself: the
 * frames of a message must follow each other on their channel, and a refusal closes the channel. */
enum hms_amqp_channel { HMS_AMQP_CONTROL = 1, HMS_AMQP_PUBLISH = 2, HMS_AMQP_HOLD = 3 };

struct hms_amqp_connection;
struct hms_log;
struct hms_tls_context;

struct hms_amqp_connection_options {
    const struct hms_amqp_url *url;            /* borrowed for the connection's life */
    const struct hms_tls_context *tls_context; /* for as long as the connection; NULL: no TLS */
    const char *password;                      /* copied */
    const char *name;      /* of this connection, for the broker's operator; copied */
    int heartbeat_s;       /* that is asked for */
    size_t body_max_bytes; /* of a message received */
};

/* All run from the loop, never within a call; none after hms_amqp_connection_close(). */
struct hms_amqp_connection_handlers {
    void (*on_open)(void *arg);    /* what follows may be called */
    void (*on_settled)(void *arg); /* once: the broker has confirmed all that on_open asked for */
    void (*on_blocked)(void *arg, const char *reason); /* NULL: it is not any more */
    void (*on_room)(void *arg);                        /* there may be room again */

    /* A complete message, valid until the return. */
    void (*on_content)(void *arg, const struct hms_amqp_content *content);

    /* What the broker says on the channel HMS_AMQP_HOLD, but for deliveries, which are dropped. */
    void (*on_hold)(void *arg, amqp_method_number_t method, const void *fields);

    /* It is over; only closing is left. */
    void (*on_lost)(void *arg, const char *why);
};

/* Never returns NULL. Handlers are borrowed. */
struct hms_amqp_connection *
hms_amqp_connection_open(uv_loop_t *loop, struct hms_log *log,
                         const struct hms_amqp_connection_options *options,
                         const struct hms_amqp_connection_handlers *handlers, void *arg);

/*
 * Declares a queue of its own, binds it to the exchange with each of the keys and consumes it under
 * `tag`. hms_amqp_connection_ignore() ends that, and the queue with it.
 */
void hms_amqp_connection_consume(struct hms_amqp_connection *connection, const char *tag,
                                 const char *const *keys, size_t count);
void hms_amqp_connection_ignore(struct hms_amqp_connection *connection, const char *tag);

/* Sends a method on the channel HMS_AMQP_HOLD. */
void hms_amqp_connection_hold_send(struct hms_amqp_connection *connection,
                                   amqp_method_number_t method, void *fields);

/* Whether the broker takes no messages, from nobody: it is short of memory or disk. It says so only
 * to those who have tried. */
int hms_amqp_connection_is_blocked(const struct hms_amqp_connection *connection);

/* Whether a message can be published, or the one that has begun be continued. */
int hms_amqp_connection_has_room(const struct hms_amqp_connection *connection);

/*
 * Publishes a message while there is room. Returns whether it is out; else it must be called again
 * with the same one, before any other. Counts in its sent_bytes and wire_bytes. Requests come back
 * (on_content, is_returned) if nobody's queue is bound with their key.
 */
int hms_amqp_connection_publish(struct hms_amqp_connection *connection,
                                struct hms_amqp_parcel *parcel);

/*
 * Ends it, politely if that takes no longer than a second. closed(arg) runs from the loop, then
 * nothing is left of it.
 */
void hms_amqp_connection_close(struct hms_amqp_connection *connection, void (*closed)(void *arg),
                               void *arg);

#endif
