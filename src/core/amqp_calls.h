/*
 * Requests under way: found by correlation id, ended by an answer, a deadline or their owner.
 */
#ifndef HMS_CORE_AMQP_CALLS_H
#define HMS_CORE_AMQP_CALLS_H

#include <sys/queue.h>
#include <uthash.h>
#include <uv.h>

#include "core/bus.h"

struct hms_amqp_parcel;

#define HMS_AMQP_CALL_ID_SIZE 11

struct hms_amqp_call {
    char id[HMS_AMQP_CALL_ID_SIZE]; /* 10 characters A-Z0-9 that nobody can guess */
    char *address;                  /* that is asked */
    struct hms_amqp_parcel *parcel; /* while the request waits to be sent, else NULL; borrowed */
    uint64_t number;
    int64_t deadline_ms;
    hms_bus_reply_fn reply_fn;
    void *arg;
    TAILQ_ENTRY(hms_amqp_call) link;
    UT_hash_handle hh;
};

TAILQ_HEAD(hms_amqp_call_list, hms_amqp_call);

struct hms_amqp_calls {
    struct hms_amqp_call *by_id;
    struct hms_amqp_call_list by_deadline;
    uint64_t last_number;
    uv_timer_t timer;                                      /* runs for the earliest deadline */
    void (*on_end)(void *arg, struct hms_amqp_call *call); /* before a call is freed */
    void *arg;
};

/* on_end(arg, call) lets the owner forget what it knows of a call; it must not make calls. */
void hms_amqp_calls_init(struct hms_amqp_calls *calls, uv_loop_t *loop,
                         void (*on_end)(void *arg, struct hms_amqp_call *call), void *arg);

/* Ends all calls with HMS_ECANCELED, then closes the timer; closed() is for its handle. */
void hms_amqp_calls_close(struct hms_amqp_calls *calls, uv_close_cb closed);

size_t hms_amqp_calls_count(const struct hms_amqp_calls *calls);

/* An id that no call has. */
void hms_amqp_calls_make_id(struct hms_amqp_calls *calls, char id[HMS_AMQP_CALL_ID_SIZE]);

struct hms_amqp_call *hms_amqp_calls_add(struct hms_amqp_calls *calls, const char *id,
                                         const char *address, int64_t timeout_ms,
                                         hms_bus_reply_fn reply_fn, void *arg);

/* NULL if nobody waits for that answer (any more). */
struct hms_amqp_call *hms_amqp_calls_find(struct hms_amqp_calls *calls, const char *id);

/* Ends a call: it is freed, then its callback runs. */
void hms_amqp_calls_finish(struct hms_amqp_calls *calls, struct hms_amqp_call *call, int error,
                           const json_t *reply);

/* Ends those with this arg with HMS_ECANCELED; those made meanwhile by callbacks are left alone. */
void hms_amqp_calls_cancel(struct hms_amqp_calls *calls, void *arg);

#endif
