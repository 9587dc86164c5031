/* The lag gauge: a callback that takes long is seen, waiting is not, and reading changes nothing.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "core/log.h"
#include "core/loop.h"

#define IDLE_MS 1000
#define BUSY_MS 150

struct world {
    struct hms_loop *loop;
    uv_timer_t timer;
    double lag_before_ms;
    double lag_ms[2];
};

static void on_stop(void *arg)
{
    struct world *world = arg;

    uv_close((uv_handle_t *)&world->timer, NULL);
}

static void on_next_turn(uv_timer_t *timer)
{
    struct world *world = timer->data;

    world->lag_ms[0] = hms_loop_lag_max_ms(world->loop);
    world->lag_ms[1] = hms_loop_lag_max_ms(world->loop);
    raise(SIGTERM);
}

static void on_waited(uv_timer_t *timer)
{
    struct world *world = timer->data;

    world->lag_before_ms = hms_loop_lag_max_ms(world->loop);
    uv_sleep(BUSY_MS);
    uv_timer_start(timer, on_next_turn, 1, 0);
}

static void a_turn_that_takes_long_is_seen(void **state)
{
    struct hms_log *log = hms_log_new(STDERR_FILENO, HMS_LOG_TEXT, HMS_LOG_ERROR);
    struct world world = {.loop = hms_loop_new(log)};

    uv_timer_init(hms_loop_uv(world.loop), &world.timer);
    world.timer.data = &world;
    uv_timer_start(&world.timer, on_waited, IDLE_MS, 0);
    hms_loop_run(world.loop, on_stop, &world);
    assert_true(world.lag_before_ms < IDLE_MS / 2);
    assert_true(world.lag_ms[0] >= BUSY_MS);
    assert_true(world.lag_ms[1] == world.lag_ms[0]);
    assert_int_equal(hms_loop_free(world.loop), 0);
    hms_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_that_takes_long_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
