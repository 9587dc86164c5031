#include "core/amqp_calls.h"

#include <assert.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/error.h"

static void on_timer(uv_timer_t *timer);

static void arm_timer(struct hms_amqp_calls *calls)
{
    struct hms_amqp_call *first = TAILQ_FIRST(&calls->by_deadline);
    int64_t left_ms;

    if (first == NULL) {
        uv_timer_stop(&calls->timer);
        return;
    }
    left_ms = first->deadline_ms - (int64_t)uv_now(calls->timer.loop);
    uv_timer_start(&calls->timer, on_timer, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct hms_amqp_calls *calls = hms_container_of(timer, struct hms_amqp_calls, timer);
    int64_t now_ms = (int64_t)uv_now(timer->loop);
    struct hms_amqp_call *call;

    while ((call = TAILQ_FIRST(&calls->by_deadline)) != NULL && call->deadline_ms <= now_ms)
        hms_amqp_calls_finish(calls, call, HMS_ETIMEDOUT, NULL);
    arm_timer(calls);
}

void hms_amqp_calls_init(struct hms_amqp_calls *calls, uv_loop_t *loop,
                         void (*on_end)(void *arg, struct hms_amqp_call *call), void *arg)
{
    memset(calls, 0, sizeof(*calls));
    TAILQ_INIT(&calls->by_deadline);
    calls->on_end = on_end;
    calls->arg = arg;
    uv_timer_init(loop, &calls->timer);
}

size_t hms_amqp_calls_count(const struct hms_amqp_calls *calls)
{
    return HASH_COUNT(calls->by_id);
}

struct hms_amqp_call *hms_amqp_calls_find(struct hms_amqp_calls *calls, const char *id)
{
    struct hms_amqp_call *call;

    HASH_FIND_STR(calls->by_id, id, call);
    return call;
}

void hms_amqp_calls_make_id(struct hms_amqp_calls *calls, char id[HMS_AMQP_CALL_ID_SIZE])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    uint64_t chance;
    int i;

    do {
        if (uv_random(NULL, NULL, &chance, sizeof(chance), 0, NULL) != 0)
            abort();
        for (i = 0; i < HMS_AMQP_CALL_ID_SIZE - 1; i++, chance /= sizeof(letters) - 1)
            id[i] = letters[chance % (sizeof(letters) - 1)];
        id[i] = '\0';
    } while (hms_amqp_calls_find(calls, id) != NULL);
}

/* Waiting times are mostly equal, so the place is found from the end. */
static void insert(struct hms_amqp_calls *calls, struct hms_amqp_call *call)
{
    struct hms_amqp_call *before = TAILQ_LAST(&calls->by_deadline, hms_amqp_call_list);

    while (before != NULL && before->deadline_ms > call->deadline_ms)
        before = TAILQ_PREV(before, hms_amqp_call_list, link);
    if (before != NULL) {
        TAILQ_INSERT_AFTER(&calls->by_deadline, before, call, link);
    } else {
        TAILQ_INSERT_HEAD(&calls->by_deadline, call, link);
        arm_timer(calls);
    }
}

struct hms_amqp_call *hms_amqp_calls_add(struct hms_amqp_calls *calls, const char *id,
                                         const char *address, int64_t timeout_ms,
                                         hms_bus_reply_fn reply_fn, void *arg)
{
    struct hms_amqp_call *call = hms_calloc(1, sizeof(*call));

    memcpy(call->id, id, sizeof(call->id));
    call->address = hms_strdup(address);
    call->number = ++calls->last_number;
    call->deadline_ms = (int64_t)uv_now(calls->timer.loop) + timeout_ms;
    call->reply_fn = reply_fn;
    call->arg = arg;
    HASH_ADD_STR(calls->by_id, id, call);
    insert(calls, call);
    return call;
}

void hms_amqp_calls_finish(struct hms_amqp_calls *calls, struct hms_amqp_call *call, int error,
                           const json_t *reply)
{
    hms_bus_reply_fn reply_fn = call->reply_fn;
    void *arg = call->arg;

    calls->on_end(calls->arg, call);
    HASH_DEL(calls->by_id, call);
    TAILQ_REMOVE(&calls->by_deadline, call, link);
    assert(TAILQ_FIRST(&calls->by_deadline) != call); /* static analysis does not see that */
    free(call->address);
    free(call);
    arm_timer(calls);
    reply_fn(arg, error, reply);
}

static void cancel(struct hms_amqp_calls *calls, int of_all, void *arg)
{
    uint64_t last = calls->last_number;
    struct hms_amqp_call *call;

    do {
        TAILQ_FOREACH(call, &calls->by_deadline, link)
        if (call->number <= last && (of_all || call->arg == arg))
            break;
        if (call != NULL)
            hms_amqp_calls_finish(calls, call, HMS_ECANCELED, NULL);
    } while (call != NULL);
}

void hms_amqp_calls_cancel(struct hms_amqp_calls *calls, void *arg)
{
    cancel(calls, 0, arg);
}

void hms_amqp_calls_close(struct hms_amqp_calls *calls, uv_close_cb closed)
{
    cancel(calls, 1, NULL);
    uv_close((uv_handle_t *)&calls->timer, closed);
}
