/* Times as text, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/error.h"

#define S INT64_C(1000000000)

static void formats(void **state)
{
    static const struct {
        int64_t wall_ns;
        const char *text, *text_us;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000000Z"},
        {999, "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000000Z"},
        {999999, "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000999Z"},
        {1000000, "1970-01-01T00:00:00.001Z", "1970-01-01T00:00:00.001000Z"},
        {-1, "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999999Z"},
        {-S, "1969-12-31T23:59:59.000Z", "1969-12-31T23:59:59.000000Z"},
        {951782400 * S, "2000-02-29T00:00:00.000Z", "2000-02-29T00:00:00.000000Z"},
        {1769903999 * S + 123456789, "2026-01-31T23:59:59.123Z", "2026-01-31T23:59:59.123456Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854Z", "2262-04-11T23:47:16.854775Z"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[HMS_CLOCK_TEXT_SIZE], text_us[HMS_CLOCK_TEXT_US_SIZE];

        assert_string_equal(hms_clock_format(cases[i].wall_ns, text), cases[i].text);
        assert_string_equal(hms_clock_format_us(cases[i].wall_ns, text_us), cases[i].text_us);
    }
}

static void parses(void **state)
{
    static const struct {
        const char *text;
        int64_t wall_ns;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:01.5Z", S + S / 2},
        {"2026-01-31T23:59:59.123456789Z", 1769903999 * S + 123456789},
        {"2026-01-31T23:59:59.100000000Z", 1769903999 * S + 100000000},
        {"2026-02-01T01:29:59+01:30", 1769903999 * S},
        {"2026-01-31T18:59:59-05:00", 1769903999 * S},
        {"2026-01-31T23:59:59+00:00", 1769903999 * S},
        {"2026-01-31T23:59:59-00:00", 1769903999 * S},
        {"2000-02-29T00:00:00Z", 951782400 * S},
        {"2016-12-31T23:59:60Z", 1483228800 * S},
        {"2261-12-31T23:59:59.999999999Z", INT64_C(9214646399999999999)},
        {"0001-01-01T00:00:00Z", 0}, /* Docker's zero time */
        {"1969-12-31T23:59:59Z", 0},
        {"1970-01-01T00:00:00+01:00", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t wall_ns = -1;

        if (hms_clock_parse(cases[i].text, &wall_ns) != HMS_OK || wall_ns != cases[i].wall_ns)
            fail_msg("%s: %lld", cases[i].text, (long long)wall_ns);
    }
}

static void refuses(void **state)
{
    static const char *const texts[] = {
        "",
        "now",
        "2026",
        "2026-01-31",
        "2026-01-31T23:59:59",
        "2026-01-31 23:59:59Z",
        "2026-1-31T23:59:59Z",
        "2026-01-31T23:59Z",
        " 2026-01-31T23:59:59Z",
        "2026-01-31T23:59:59Z ",
        "2026-01-31T23:59:59ZZ",
        "+026-01-31T23:59:59Z",
        "12026-01-31T23:59:59Z",
        "2026-00-31T23:59:59Z",
        "2026-13-31T23:59:59Z",
        "2026-01-00T23:59:59Z",
        "2026-01-32T23:59:59Z",
        "2026-04-31T23:59:59Z",
        "2026-02-29T23:59:59Z",
        "2100-02-29T23:59:59Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:60:00Z",
        "2026-01-31T23:59:61Z",
        "2026-01-31T23:59:59.Z",
        "2026-01-31T23:59:59.1234567890Z",
        "2026-01-31T23:59:59,5Z",
        "2026-01-31T23:59:59+0100",
        "2026-01-31T23:59:59+1:00",
        "2026-01-31T23:59:59+01",
        "2026-01-31T23:59:59+24:00",
        "2026-01-31T23:59:59+01:60",
        "2026-01-31T23:59:59+-1:00",
        "2026-01-31T23:59:59+01:00Z",
        "2262-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "\xff",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int64_t wall_ns = 42;

        if (hms_clock_parse(texts[i], &wall_ns) != HMS_EINVAL || wall_ns != 42)
            fail_msg("%s was taken", texts[i]);
    }
}

static void reads_what_it_wrote(void **state)
{
    for (int64_t wall_ns = 0; wall_ns < 9000000000 * S; wall_ns += 12345678 * S + 7000000) {
        char text[HMS_CLOCK_TEXT_SIZE];
        int64_t again_ns;

        assert_int_equal(hms_clock_parse(hms_clock_format(wall_ns, text), &again_ns), HMS_OK);
        assert_int_equal(again_ns, wall_ns);
    }
}

static void does_not_go_back(void **state)
{
    int64_t before_ns = hms_clock_mono_ns();
    int64_t before_ms = hms_clock_mono_ms();

    for (int i = 0; i < 1000; i++) {
        int64_t now_ns = hms_clock_mono_ns();

        assert_true(now_ns >= before_ns);
        before_ns = now_ns;
    }
    assert_true(hms_clock_mono_ms() >= before_ms);
    assert_true(hms_clock_wall_ns() > 1700000000 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats),          cmocka_unit_test(parses),
        cmocka_unit_test(refuses),          cmocka_unit_test(reads_what_it_wrote),
        cmocka_unit_test(does_not_go_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
