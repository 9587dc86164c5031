#include "core/amqp_hold.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/amqp_connection.h"
#include "core/log.h"

#define AGAIN_MS 1000

static void set_state(struct hms_amqp_hold *hold, enum hms_amqp_hold_state next)
{
    static const char *const names[] = {"idle", "asking", "held", "refused", "leaving"};

    hms_log(hold->log, HMS_LOG_DEBUG, "amqp", "hold: %s, now %s", names[hold->state], names[next]);
    hold->state = next;
}

static void tell(struct hms_amqp_hold *hold, amqp_method_number_t method, void *fields)
{
    hms_amqp_connection_hold_send(hold->connection, method, fields);
}

/*
 * All at once: if one is refused, the broker closes the channel and ignores the rest. The consumer
 * is told when the queue goes, and the queue goes with it when the channel is closed.
 */
static void ask(struct hms_amqp_hold *hold)
{
    amqp_bytes_t queue = amqp_cstring_bytes(hold->queue);
    amqp_channel_open_t open = {.out_of_band = amqp_empty_bytes};
    amqp_queue_declare_t declare = {.queue = queue, .exclusive = 1, .auto_delete = 1};
    amqp_basic_consume_t consume = {.queue = queue, .consumer_tag = queue, .no_ack = 1};

    set_state(hold, HMS_AMQP_HOLD_ASKING);
    tell(hold, AMQP_CHANNEL_OPEN_METHOD, &open);
    tell(hold, AMQP_QUEUE_DECLARE_METHOD, &declare);
    tell(hold, AMQP_BASIC_CONSUME_METHOD, &consume);
}

static void leave(struct hms_amqp_hold *hold)
{
    amqp_channel_close_t fields = {.reply_code = AMQP_REPLY_SUCCESS,
                                   .reply_text = amqp_cstring_bytes("given up")};

    set_state(hold, HMS_AMQP_HOLD_LEAVING);
    tell(hold, AMQP_CHANNEL_CLOSE_METHOD, &fields);
}

static void on_timer(uv_timer_t *timer)
{
    ask(hms_container_of(timer, struct hms_amqp_hold, timer));
}

/* The channel is closed. */
static void on_closed(struct hms_amqp_hold *hold)
{
    if (hold->queue == NULL) {
        set_state(hold, HMS_AMQP_HOLD_IDLE);
        return;
    }
    set_state(hold, HMS_AMQP_HOLD_REFUSED);
    uv_timer_start(&hold->timer, on_timer, AGAIN_MS, 0);
}

/* That somebody else has the name is usual; any other reason is told once, for it may last. */
static void log_close(struct hms_amqp_hold *hold, const amqp_channel_close_t *close)
{
    char *why = hms_asprintf("%d %.*s", close->reply_code, (int)close->reply_text.len,
                             (const char *)close->reply_text.bytes);
    int is_news = close->reply_code != AMQP_RESOURCE_LOCKED &&
                  (hold->told == NULL || strcmp(hold->told, why) != 0);

    hms_log(hold->log, is_news ? HMS_LOG_WARN : HMS_LOG_DEBUG, "amqp",
            "the broker does not let us hold %s: %s", hold->queue ? hold->queue : "a name", why);
    free(hold->told);
    hold->told = why;
}

static void on_close(struct hms_amqp_hold *hold, const amqp_channel_close_t *close)
{
    amqp_channel_close_ok_t fields = {0};
    int was_held = hold->state == HMS_AMQP_HOLD_HELD;

    if (hold->state == HMS_AMQP_HOLD_IDLE || hold->state == HMS_AMQP_HOLD_REFUSED)
        return;
    tell(hold, AMQP_CHANNEL_CLOSE_OK_METHOD, &fields);
    log_close(hold, close);
    on_closed(hold);
    if (was_held)
        hold->fn(hold->arg, 0);
}

static void forget_told(struct hms_amqp_hold *hold)
{
    free(hold->told);
    hold->told = NULL;
}

void hms_amqp_hold_told(struct hms_amqp_hold *hold, amqp_method_number_t method, const void *fields)
{
    switch (method) {
    case AMQP_BASIC_CONSUME_OK_METHOD:
        if (hold->state != HMS_AMQP_HOLD_ASKING)
            return;
        set_state(hold, HMS_AMQP_HOLD_HELD);
        forget_told(hold);
        hold->fn(hold->arg, 1);
        return;
    case AMQP_BASIC_CANCEL_METHOD:
        if (hold->state != HMS_AMQP_HOLD_HELD)
            return;
        leave(hold);
        hold->fn(hold->arg, 0);
        return;
    case AMQP_CHANNEL_CLOSE_METHOD:
        on_close(hold, fields);
        return;
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        if (hold->state == HMS_AMQP_HOLD_LEAVING)
            on_closed(hold);
        return;
    }
}

void hms_amqp_hold_connected(struct hms_amqp_hold *hold, struct hms_amqp_connection *connection)
{
    assert(hold->state == HMS_AMQP_HOLD_IDLE);
    hold->connection = connection;
    if (hold->queue != NULL)
        ask(hold);
}

void hms_amqp_hold_lost(struct hms_amqp_hold *hold)
{
    int was_held = hold->state == HMS_AMQP_HOLD_HELD;

    hold->connection = NULL;
    uv_timer_stop(&hold->timer);
    if (hold->state != HMS_AMQP_HOLD_IDLE)
        set_state(hold, HMS_AMQP_HOLD_IDLE);
    if (was_held)
        hold->fn(hold->arg, 0);
}

void hms_amqp_hold_want(struct hms_amqp_hold *hold, const char *name,
                        void (*fn)(void *arg, int is_held), void *arg)
{
    assert(hold->queue == NULL);
    hold->queue = hms_asprintf("hms.hold.%s", name);
    hold->fn = fn;
    hold->arg = arg;
    if (hold->connection != NULL && hold->state == HMS_AMQP_HOLD_IDLE)
        ask(hold);
}

void hms_amqp_hold_give_up(struct hms_amqp_hold *hold)
{
    free(hold->queue);
    hold->queue = NULL;
    uv_timer_stop(&hold->timer);
    if (hold->state == HMS_AMQP_HOLD_REFUSED)
        set_state(hold, HMS_AMQP_HOLD_IDLE);
    else if (hold->state == HMS_AMQP_HOLD_ASKING || hold->state == HMS_AMQP_HOLD_HELD)
        leave(hold);
}

void hms_amqp_hold_init(struct hms_amqp_hold *hold, uv_loop_t *loop, struct hms_log *log)
{
    memset(hold, 0, sizeof(*hold));
    hold->log = log;
    uv_timer_init(loop, &hold->timer);
}

void hms_amqp_hold_close(struct hms_amqp_hold *hold, uv_close_cb closed)
{
    free(hold->queue);
    hold->queue = NULL;
    forget_told(hold);
    uv_close((uv_handle_t *)&hold->timer, closed);
}
