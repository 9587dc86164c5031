/*
 * What bus_amqp.c (life, contact, serving) and bus_amqp_messages.c (messages both ways) share.
 */
#ifndef HMS_CORE_BUS_AMQP_PRIVATE_H
#define HMS_CORE_BUS_AMQP_PRIVATE_H

#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "core/amqp_calls.h"
#include "core/amqp_connection.h"
#include "core/amqp_hold.h"
#include "core/bus_impl.h"
#include "core/log.h"

/* The consumer of the reply queue. */
#define HMS_BUS_AMQP_REPLY_TAG "reply"

/* What is served for one address of a role. */
struct inbox {
    TAILQ_ENTRY(inbox) link;
    enum hms_bus_role role;
    char *address;
    char *tag;
    hms_bus_serve_fn fn;
    void *arg;
};

TAILQ_HEAD(inbox_list, inbox);

struct bus_amqp {
    struct hms_bus public;
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_amqp_url url;
    struct hms_tls_context *tls_context; /* or NULL */
    char *password;
    char *password_file;
    int heartbeat_s;
    enum hms_bus_role role;
    char *address;
    char *reply_key;

    struct hms_amqp_connection *connection; /* or NULL */
    int is_open;                            /* what is served can be told to the broker */
    int is_settled;                         /* the broker has confirmed all */
    int is_lost;                            /* it is being closed */
    int failures;                           /* to get or keep contact, in a row */
    int64_t settled_ms;
    char *told; /* why there is no contact, as the log has it; NULL: not told */
    uv_timer_t retry;
    uv_idle_t pump; /* active while something is to be done in the next turn */

    struct hms_amqp_outbox outbox;
    struct hms_amqp_calls calls;
    struct inbox_list inboxes;
    unsigned last_tag;
    struct hms_amqp_hold hold;
    size_t visits;
    struct hms_log_limit complaints;

    int open_parts; /* handles and connections */
    int closing;
    int closed; /* the parts are; visits keep the struct */
    void (*closed_fn)(void *arg);
    void *closed_arg;
};

/* Those of struct hms_bus_ops. */
int hms_bus_amqp_request(struct hms_bus *bus, enum hms_bus_role role, const char *address,
                         json_t *message, int64_t timeout_ms, hms_bus_reply_fn reply_fn, void *arg);
int hms_bus_amqp_notify(struct hms_bus *bus, enum hms_bus_role role, const char *address,
                        json_t *message);
void hms_bus_amqp_cancel(struct hms_bus *bus, void *arg);
void hms_bus_amqp_reply(struct hms_bus_call *call, json_t *reply);

/* "role", or "role.address"; to be freed. */
char *hms_bus_amqp_key(enum hms_bus_role role, const char *address);

/* An end of a call, for struct hms_amqp_calls. */
void hms_bus_amqp_call_ended(void *bus, struct hms_amqp_call *call);

/* A message has come in. */
void hms_bus_amqp_take(struct bus_amqp *bus, const struct hms_amqp_content *content);

/* Sends what there is room for. Runs no callback. */
void hms_bus_amqp_drain(struct bus_amqp *bus);

/* Drops replies that have waited too long. */
void hms_bus_amqp_expire(struct bus_amqp *bus);

/* What the broker has a part of only is sent again, if it is still wanted. */
void hms_bus_amqp_rewind(struct bus_amqp *bus);

/* For bus_amqp_messages.c: has the contact looked at in the next turn of the loop, ... */
void hms_bus_amqp_need_pump(struct bus_amqp *bus);

/* ... and frees a bus that is closed once the last visit has ended. */
void hms_bus_amqp_maybe_free(struct bus_amqp *bus);

#endif
