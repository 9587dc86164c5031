/* What is counted as received, late, lost or unknown; and how far the window opens. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/icmp_flight.h"

#define MS INT64_C(1000000)
#define US INT64_C(1000)

#define TARGETS 200
#define WINDOW  64

static const struct hms_icmp_schedule schedule = {20, 10, 100};

struct fixture {
    union hms_icmp_address targets[TARGETS];
    struct hms_icmp_flight *flight;
};

static union hms_icmp_address address(const char *text)
{
    union hms_icmp_address result = {0};

    if (inet_pton(AF_INET, text, &result.v4.sin_addr) == 1) {
        result.v4.sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &result.v6.sin6_addr), 1);
        result.v6.sin6_family = AF_INET6;
    }
    return result;
}

static struct fixture fixture;

static int set_up(void **state)
{
    size_t i;

    for (i = 0; i < TARGETS; i++) {
        fixture.targets[i] = address("10.0.0.0");
        fixture.targets[i].v4.sin_addr.s_addr |= htonl((uint32_t)i);
    }
    fixture.targets[1] = address("fd00::1");
    fixture.flight = hms_icmp_flight_new(&schedule, fixture.targets, TARGETS);
    return 0;
}

static int tear_down(void **state)
{
    hms_icmp_flight_free(fixture.flight);
    return 0;
}

static enum hms_icmp_verdict answer(uint32_t target, uint16_t sequence, int64_t at_ns)
{
    return hms_icmp_flight_answer(fixture.flight, target, sequence,
                                  &fixture.targets[target % TARGETS], at_ns);
}

static void test_answered(void **state)
{
    const struct hms_icmp_result *results;
    int i;

    for (i = 0; i < 20; i++) {
        hms_icmp_flight_sent(fixture.flight, 7, i, i * 10 * MS);
        assert_int_equal(hms_icmp_flight_unanswered(fixture.flight), 1);
        assert_int_equal(answer(7, (uint16_t)i, i * 10 * MS + (i + 1) * 100 * US),
                         HMS_ICMP_IN_TIME);
        assert_int_equal(hms_icmp_flight_unanswered(fixture.flight), 0);
    }
    results = hms_icmp_flight_results(fixture.flight, 0);
    assert_int_equal(results[7].sent, 20);
    assert_int_equal(results[7].received, 20);
    assert_int_equal(results[7].rtt_min_us, 100);
    assert_int_equal(results[7].rtt_avg_us, 1050);
    assert_int_equal(results[7].rtt_max_us, 2000);
    assert_true(results[7].complete);
    assert_int_equal(results[7].error, 0);
    assert_false(results[8].complete); /* nothing was sent there */
    /* A doubtful round cannot doubt what has arrived. */
    assert_true(hms_icmp_flight_results(fixture.flight, 1)[7].complete);
}

static void test_lost(void **state)
{
    const struct hms_icmp_result *results;
    int i;

    for (i = 0; i < 20; i++)
        hms_icmp_flight_sent(fixture.flight, 7, i, i * 10 * MS);
    assert_int_equal(answer(7, 3, 31 * MS), HMS_ICMP_LATE); /* its place went to the 15th */
    assert_int_equal(answer(7, 19, 290 * MS), HMS_ICMP_IN_TIME);
    assert_int_equal(answer(7, 19, 290 * MS), HMS_ICMP_DUPLICATE);
    assert_int_equal(answer(7, 18, 280 * MS + 1), HMS_ICMP_LATE);
    assert_int_equal(answer(7, 18, 280 * MS + 1), HMS_ICMP_DUPLICATE);
    results = hms_icmp_flight_results(fixture.flight, 0);
    assert_int_equal(results[7].sent, 20);
    assert_int_equal(results[7].received, 1);
    assert_int_equal(results[7].rtt_max_us, 100000);
    assert_true(results[7].complete);
    assert_false(hms_icmp_flight_results(fixture.flight, 1)[7].complete);
}

static void test_foreign(void **state)
{
    union hms_icmp_address other = address("10.0.0.8");
    union hms_icmp_address other6 = address("fd00::2");

    hms_icmp_flight_sent(fixture.flight, 7, 0, 0);
    hms_icmp_flight_sent(fixture.flight, 1, 0, 0);
    assert_int_equal(answer(TARGETS, 0, 1), HMS_ICMP_FOREIGN);
    assert_int_equal(answer(UINT32_MAX, 0, 1), HMS_ICMP_FOREIGN);
    assert_int_equal(answer(7, 1, 1), HMS_ICMP_FOREIGN);
    assert_int_equal(answer(7, UINT16_MAX, 1), HMS_ICMP_FOREIGN);
    assert_int_equal(answer(8, 0, 1), HMS_ICMP_FOREIGN);
    assert_int_equal(hms_icmp_flight_answer(fixture.flight, 7, 0, &other, 1), HMS_ICMP_FOREIGN);
    assert_int_equal(hms_icmp_flight_answer(fixture.flight, 1, 0, &other, 1), HMS_ICMP_FOREIGN);
    assert_int_equal(hms_icmp_flight_answer(fixture.flight, 1, 0, &other6, 1), HMS_ICMP_FOREIGN);
    assert_int_equal(hms_icmp_flight_unanswered(fixture.flight), 2);
    assert_int_equal(answer(7, 0, 1), HMS_ICMP_IN_TIME);
    assert_int_equal(answer(1, 0, 1), HMS_ICMP_IN_TIME);
}

static void test_unsent(void **state)
{
    const struct hms_icmp_result *results;
    int i;

    for (i = 0; i < 20; i++) {
        hms_icmp_flight_filtered(fixture.flight, 7, i);
        if (i == 5)
            hms_icmp_flight_refused(fixture.flight, 8, i, ENOBUFS);
        else
            hms_icmp_flight_sent(fixture.flight, 8, i, i * 10 * MS);
        hms_icmp_flight_refused(fixture.flight, 9, i, ENETUNREACH);
    }
    assert_int_equal(hms_icmp_flight_unanswered(fixture.flight), 19);
    assert_int_equal(answer(7, 19, 1), HMS_ICMP_FOREIGN);
    results = hms_icmp_flight_results(fixture.flight, 0);
    assert_true(results[7].complete); /* a rule of this host drops them: loss */
    assert_int_equal(results[7].sent, 20);
    assert_int_equal(results[7].received, 0);
    assert_int_equal(results[7].error, EPERM);
    assert_false(results[8].complete);
    assert_int_equal(results[8].sent, 19);
    assert_int_equal(results[8].error, ENOBUFS);
    assert_false(results[9].complete);
    assert_int_equal(results[9].sent, 0);
    assert_int_equal(results[9].error, ENETUNREACH);
}

/* A silent target's loss is told by the requests it did get, if they are enough. */
static void test_withheld(void **state)
{
    static const struct {
        int sent;
        int complete;
    } cases[] = {{0, 0}, {1, 0}, {4, 0}, {5, 1}, {19, 1}};
    size_t target;
    int i;

    for (target = 0; target < sizeof(cases) / sizeof(cases[0]); target++) {
        for (i = 0; i < 20; i++) {
            assert_int_equal(hms_icmp_flight_silent(fixture.flight, target),
                             i > 0 && cases[target].sent > 0);
            if (i < cases[target].sent)
                hms_icmp_flight_sent(fixture.flight, target, i, 0);
            else
                hms_icmp_flight_withheld(fixture.flight, target, i);
        }
    }
    for (target = 0; target < sizeof(cases) / sizeof(cases[0]); target++) {
        const struct hms_icmp_result *result = &hms_icmp_flight_results(fixture.flight, 0)[target];

        assert_int_equal(result->sent, cases[target].sent);
        assert_int_equal(result->complete, cases[target].complete);
        assert_int_equal(result->error, ENOBUFS);
    }
    assert_false(hms_icmp_flight_results(fixture.flight, 1)[3].complete);
    assert_int_equal(answer(4, 18, 1), HMS_ICMP_IN_TIME); /* one that speaks has to get all */
    assert_false(hms_icmp_flight_silent(fixture.flight, 4));
    assert_false(hms_icmp_flight_results(fixture.flight, 0)[4].complete);
}

static void test_window(void **state)
{
    size_t i;

    for (i = 0; i < WINDOW; i++) {
        assert_int_equal(hms_icmp_flight_room(fixture.flight, 0), WINDOW - i);
        hms_icmp_flight_sent(fixture.flight, i, 0, 0);
    }
    assert_int_equal(hms_icmp_flight_room(fixture.flight, 2 * MS - 1), 0);
    assert_int_equal(answer(30, 0, 1), HMS_ICMP_IN_TIME); /* not the oldest */
    assert_int_equal(hms_icmp_flight_room(fixture.flight, 2 * MS - 1), 1);
    assert_int_equal(hms_icmp_flight_room(fixture.flight, 2 * MS), WINDOW); /* old: not counted */
    assert_int_equal(answer(31, 0, 2 * MS), HMS_ICMP_IN_TIME);
    assert_int_equal(hms_icmp_flight_room(fixture.flight, 2 * MS), WINDOW);
}

/* Targets that do not answer take part with their first request only. */
static void test_window_and_dead_targets(void **state)
{
    int sequence;
    size_t i;

    for (i = 0; i < WINDOW; i++)
        hms_icmp_flight_sent(fixture.flight, i, 0, 0);
    for (sequence = 1; sequence < 20; sequence++) {
        int64_t now_ns = sequence * 10 * MS;

        for (i = 0; i < WINDOW; i++) {
            assert_int_equal(hms_icmp_flight_room(fixture.flight, now_ns), WINDOW);
            hms_icmp_flight_sent(fixture.flight, i, sequence, now_ns);
        }
    }
    assert_int_equal(answer(0, 19, 191 * MS), HMS_ICMP_IN_TIME);
    assert_int_equal(hms_icmp_flight_room(fixture.flight, 191 * MS), WINDOW);
}

/* The record of recent requests is bounded too: when it is full, sending waits. */
static void test_window_bound(void **state)
{
    size_t sent = 0;
    int sequence;
    size_t i;

    hms_icmp_flight_sent(fixture.flight, 0, 0, 0); /* stays young, and so at the head */
    for (sequence = 0; sequence < 20; sequence++) {
        for (i = 2; i < TARGETS; i++) {
            if (hms_icmp_flight_room(fixture.flight, MS) == 0)
                break;
            hms_icmp_flight_sent(fixture.flight, i, sequence, MS);
            assert_int_equal(answer((uint32_t)i, (uint16_t)sequence, MS), HMS_ICMP_IN_TIME);
            sent++;
        }
    }
    assert_in_range(sent, 500, 1024);
    assert_int_equal(hms_icmp_flight_room(fixture.flight, 2 * MS), WINDOW);
}

/* A target that went away in the middle says nothing, whatever came back before. */
static void test_given_up(void **state)
{
    const struct hms_icmp_result *result;

    hms_icmp_flight_sent(fixture.flight, 0, 0, 1 * MS);
    assert_false(hms_icmp_flight_is_given_up(fixture.flight, 0));
    hms_icmp_flight_give_up(fixture.flight, 0);
    assert_true(hms_icmp_flight_is_given_up(fixture.flight, 0));
    assert_false(hms_icmp_flight_is_given_up(fixture.flight, 1));
    result = hms_icmp_flight_results(fixture.flight, 0);
    assert_false(result[0].complete);
    assert_int_equal(result[0].error, ECANCELED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unsent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_withheld, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_window_and_dead_targets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_window_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_given_up, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
