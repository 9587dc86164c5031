/* The pace of a round, driven by a clock of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/icmp_pace.h"

#define MS INT64_C(1000000)

struct run {
    int64_t end_ns;       /* when the last request was taken */
    int64_t least_gap_ns; /* between two requests to the same target */
    size_t most_per_ms;
    size_t taken;
};

/* Takes everything as it falls due. The clock stands still, then jumps by stall_ns, at stall_at. */
static struct run play(size_t targets, struct hms_icmp_schedule schedule, int64_t stall_at_ns,
                       int64_t stall_ns)
{
    int64_t *last_ns = hms_calloc(targets, sizeof(*last_ns));
    struct run run = {.least_gap_ns = INT64_MAX};
    struct hms_icmp_pace pace;
    int64_t now_ns = 0;

    hms_icmp_pace_start(&pace, &schedule, targets, now_ns);
    while (!hms_icmp_pace_done(&pace)) {
        struct hms_icmp_span span;
        size_t this_ms = 0;

        while ((span = hms_icmp_pace_due(&pace, now_ns)).count > 0) {
            size_t target = span.first;

            if (span.sequence > 0 && now_ns - last_ns[target] < run.least_gap_ns)
                run.least_gap_ns = now_ns - last_ns[target];
            last_ns[target] = now_ns;
            run.end_ns = now_ns;
            run.taken++;
            this_ms++;
            hms_icmp_pace_advance(&pace, 1);
        }
        if (this_ms > run.most_per_ms)
            run.most_per_ms = this_ms;
        now_ns += MS;
        if (stall_ns > 0 && now_ns >= stall_at_ns) {
            now_ns += stall_ns;
            stall_ns = 0;
        }
    }
    free(last_ns);
    return run;
}

static void test_on_time(void **state)
{
    static const struct {
        size_t targets;
        struct hms_icmp_schedule schedule;
        int64_t end_ms; /* the last request */
        size_t most_per_ms;
    } cases[] = {
        {1, {1, 10, 100}, 0, 1},
        {1, {20, 10, 100}, 190, 1},
        {128, {20, 10, 100}, 190, 128},
        {129, {20, 10, 100}, 191, 65},           /* two slots */
        {1000, {20, 10, 100}, 190 + 7 - 1, 143}, /* as many slots as an interval has room for */
        {1001, {20, 10, 100}, 390 + 4 - 1, 126}, /* two waves of 501 */
        {2000, {20, 10, 100}, 390 + 7 - 1, 143},
        {1000, {5, 1, 10}, 4, 1000}, /* an interval without room for slots */
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct run run = play(cases[i].targets, cases[i].schedule, 0, 0);

        assert_int_equal(run.end_ns / MS, cases[i].end_ms);
        assert_int_equal(run.most_per_ms, cases[i].most_per_ms);
        assert_int_equal(run.taken, cases[i].targets * (size_t)cases[i].schedule.count);
        if (cases[i].schedule.count > 1)
            assert_int_equal(run.least_gap_ns, cases[i].schedule.interval_ms * MS);
    }
}

static void test_nobody(void **state)
{
    struct hms_icmp_schedule schedule = {20, 10, 100};
    struct hms_icmp_pace pace;

    hms_icmp_pace_start(&pace, &schedule, 0, 0);
    assert_true(hms_icmp_pace_done(&pace));
    assert_int_equal(hms_icmp_pace_due(&pace, 1000 * MS).count, 0);
}

/* However long the loop stands still, targets are not sent to in a burst afterwards. */
static void test_late_is_shifted(void **state)
{
    static const int64_t stalls_ms[] = {1, 2, 3, 5, 9, 10, 11, 50, 1000};
    static const size_t targets[] = {1, 500, 1000, 2000};
    struct hms_icmp_schedule schedule = {20, 10, 100};
    size_t i, j;

    for (i = 0; i < sizeof(stalls_ms) / sizeof(stalls_ms[0]); i++) {
        for (j = 0; j < sizeof(targets) / sizeof(targets[0]); j++) {
            struct run calm = play(targets[j], schedule, 0, 0);
            struct run run = play(targets[j], schedule, 73 * MS, stalls_ms[i] * MS);

            assert_true(run.least_gap_ns >= 8 * MS);
            assert_true(run.end_ns <= calm.end_ns + stalls_ms[i] * MS);
            assert_int_equal(run.taken, calm.taken);
        }
    }
}

static void test_shift_is_told(void **state)
{
    struct hms_icmp_schedule schedule = {3, 10, 100};
    struct hms_icmp_pace pace;

    hms_icmp_pace_start(&pace, &schedule, 1, 0);
    assert_int_equal(hms_icmp_pace_due(&pace, 2 * MS).count, 1); /* within what timers do */
    assert_int_equal(pace.shifted_ns, 0);
    assert_true(hms_icmp_pace_advance(&pace, 1));
    assert_int_equal(hms_icmp_pace_due_ns(&pace), 10 * MS);
    assert_int_equal(hms_icmp_pace_due(&pace, 9 * MS).count, 0);
    assert_int_equal(hms_icmp_pace_due(&pace, 17 * MS).count, 1);
    assert_int_equal(pace.shifted_ns, 7 * MS);
    hms_icmp_pace_advance(&pace, 1);
    assert_int_equal(hms_icmp_pace_due_ns(&pace), 27 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_time),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_late_is_shifted),
        cmocka_unit_test(test_shift_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
