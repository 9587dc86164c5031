/* Waiting on a loop for what a test expects. */
#ifndef HMS_TESTS_WAIT_H
#define HMS_TESTS_WAIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <uv.h>

#include "core/clock.h"

#define WAIT_DEADLINE_MS 20000

/* Runs the loop until the condition holds; something has to happen on it meanwhile. */
#define WAIT(loop, condition)                                                                      \
    do {                                                                                           \
        int64_t until_ms = hms_clock_mono_ms() + WAIT_DEADLINE_MS;                                 \
        while (!(condition)) {                                                                     \
            assert_true(hms_clock_mono_ms() < until_ms);                                           \
            uv_run(loop, UV_RUN_ONCE);                                                             \
        }                                                                                          \
    } while (0)

#endif
