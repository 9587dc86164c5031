/*
 * Holding a name: owning the exclusive queue named after it. The broker refuses it to all others,
 * who ask again each second, and lets go of the name when its holder's connection ends.
 */
#ifndef HMS_CORE_AMQP_HOLD_H
#define HMS_CORE_AMQP_HOLD_H

#include <amqp.h>
#include <amqp_framing.h>
#include <uv.h>

struct hms_amqp_connection;
struct hms_log;

enum hms_amqp_hold_state {
    HMS_AMQP_HOLD_IDLE, /* not wanted, or there is no connection */
    HMS_AMQP_HOLD_ASKING,
    HMS_AMQP_HOLD_HELD,
    HMS_AMQP_HOLD_REFUSED, /* asks again when the timer runs out */
    HMS_AMQP_HOLD_LEAVING, /* closes the channel */
};

struct hms_amqp_hold {
    enum hms_amqp_hold_state state;
    struct hms_log *log;
    char *queue; /* NULL: nothing is wanted */
    char *told;  /* why it was last refused; NULL: not since it was held */
    void (*fn)(void *arg, int is_held);
    void *arg;
    struct hms_amqp_connection *connection; /* NULL: there is none; borrowed */
    uv_timer_t timer;
};

void hms_amqp_hold_init(struct hms_amqp_hold *hold, uv_loop_t *loop, struct hms_log *log);

/* Forgets all without a word to the broker; closed() is for the timer's handle. */
void hms_amqp_hold_close(struct hms_amqp_hold *hold, uv_close_cb closed);

/* As hms_bus_hold() and hms_bus_unhold(). */
void hms_amqp_hold_want(struct hms_amqp_hold *hold, const char *name,
                        void (*fn)(void *arg, int is_held), void *arg);
void hms_amqp_hold_give_up(struct hms_amqp_hold *hold);

/* A connection has opened; it was lost; it has received a method on its channel HMS_AMQP_HOLD. */
void hms_amqp_hold_connected(struct hms_amqp_hold *hold, struct hms_amqp_connection *connection);
void hms_amqp_hold_lost(struct hms_amqp_hold *hold);
void hms_amqp_hold_told(struct hms_amqp_hold *hold, amqp_method_number_t method,
                        const void *fields);

#endif
