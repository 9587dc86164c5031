/* The loop, its signals and its lag. Owns the signal and lag handles only. */
#include "core/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/log.h"

#define LAG_PERIOD_MS 100

struct hms_loop {
    uv_loop_t uv;
    struct hms_log *log;
    uv_signal_t on_int;
    uv_signal_t on_term;
    uv_timer_t lag_timer;
    int64_t lag_due_ns;
    double lag_max_ms;
    void (*on_stop)(void *arg);
    void *arg;
    int stopping;
};

struct hms_loop *hms_loop_new(struct hms_log *log)
{
    struct hms_loop *loop = hms_calloc(1, sizeof(*loop));

    loop->log = log;
    if (uv_loop_init(&loop->uv) != 0)
        abort();
    return loop;
}

uv_loop_t *hms_loop_uv(struct hms_loop *loop)
{
    return &loop->uv;
}

static void begin_stop(struct hms_loop *loop)
{
    loop->stopping = 1;
    uv_close((uv_handle_t *)&loop->lag_timer, NULL);
    /* The signal handles stay, unreferenced, to catch an impatient second signal. */
    loop->on_stop(loop->arg);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct hms_loop *loop = handle->data;

    if (loop->stopping)
        _exit(128 + SIGINT);
    hms_log(loop->log, HMS_LOG_INFO, "loop", "stopping on %s",
            number == SIGINT ? "SIGINT" : "SIGTERM");
    begin_stop(loop);
}

static void on_lag_timer(uv_timer_t *timer)
{
    struct hms_loop *loop = timer->data;
    int64_t now_ns = hms_clock_mono_ns();
    double lag_ms = (double)(now_ns - loop->lag_due_ns) / 1e6;

    if (lag_ms > loop->lag_max_ms)
        loop->lag_max_ms = lag_ms;
    loop->lag_due_ns = now_ns + LAG_PERIOD_MS * INT64_C(1000000);
    uv_timer_start(timer, on_lag_timer, LAG_PERIOD_MS, 0);
}

static void watch_signal(struct hms_loop *loop, uv_signal_t *handle, int number)
{
    uv_signal_init(&loop->uv, handle);
    handle->data = loop;
    uv_signal_start(handle, on_signal, number);
    uv_unref((uv_handle_t *)handle);
}

void hms_loop_run(struct hms_loop *loop, void (*on_stop)(void *arg), void *arg)
{
    loop->on_stop = on_stop;
    loop->arg = arg;
    signal(SIGPIPE, SIG_IGN);
    watch_signal(loop, &loop->on_int, SIGINT);
    watch_signal(loop, &loop->on_term, SIGTERM);
    uv_timer_init(&loop->uv, &loop->lag_timer);
    loop->lag_timer.data = loop;
    loop->lag_due_ns = hms_clock_mono_ns() + LAG_PERIOD_MS * INT64_C(1000000);
    uv_timer_start(&loop->lag_timer, on_lag_timer, LAG_PERIOD_MS, 0);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&loop->on_int, NULL);
    uv_close((uv_handle_t *)&loop->on_term, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

double hms_loop_lag_max_ms(struct hms_loop *loop)
{
    double most_ms = loop->lag_max_ms;

    loop->lag_max_ms = 0;
    return most_ms;
}

static void count_handle(uv_handle_t *handle, void *count)
{
    if (!uv_is_closing(handle))
        ++*(int *)count;
}

int hms_loop_free(struct hms_loop *loop)
{
    int left = 0;

    uv_walk(&loop->uv, count_handle, &left);
    if (left == 0 && uv_loop_close(&loop->uv) != 0)
        left = 1;
    if (left > 0)
        hms_log(loop->log, HMS_LOG_ERROR, "loop", "%d handles left open at the end", left);
    free(loop);
    return left;
}
