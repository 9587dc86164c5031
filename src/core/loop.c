/*
 * The loop, its signals and its lag. Owns the signal handles and the gauge's only.
 *
 * The gauge sees every turn: at its end it takes the time since the end of the one before, less
 * what libuv says was spent waiting.
 */
#include "core/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/peak.h"

#define NS_PER_MS 1000000

struct hms_loop {
    uv_loop_t uv;
    struct hms_log *log;
    uv_signal_t on_int;
    uv_signal_t on_term;
    uv_prepare_t turn_end;
    int64_t turned_ns;
    uint64_t idle_ns; /* until then, since the start */
    struct hms_peak lag_ms;
    void (*on_stop)(void *arg);
    void *arg;
    int stopping;
};

struct hms_loop *hms_loop_new(struct hms_log *log)
{
    struct hms_loop *loop = hms_calloc(1, sizeof(*loop));

    loop->log = log;
    if (uv_loop_init(&loop->uv) != 0 || uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME) != 0)
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
    uv_close((uv_handle_t *)&loop->turn_end, NULL);
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

static void on_turn_end(uv_prepare_t *turn_end)
{
    struct hms_loop *loop = turn_end->data;
    int64_t now_ns = hms_clock_mono_ns();
    uint64_t idle_ns = uv_metrics_idle_time(&loop->uv);
    int64_t busy_ns = now_ns - loop->turned_ns - (int64_t)(idle_ns - loop->idle_ns);

    hms_peak_note(&loop->lag_ms, now_ns / NS_PER_MS, (double)busy_ns / NS_PER_MS);
    loop->turned_ns = now_ns;
    loop->idle_ns = idle_ns;
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
    uv_prepare_init(&loop->uv, &loop->turn_end);
    loop->turn_end.data = loop;
    loop->turned_ns = hms_clock_mono_ns();
    uv_prepare_start(&loop->turn_end, on_turn_end);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&loop->on_int, NULL);
    uv_close((uv_handle_t *)&loop->on_term, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

double hms_loop_lag_max_ms(const struct hms_loop *loop)
{
    return hms_peak_get(&loop->lag_ms, hms_clock_mono_ms());
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
