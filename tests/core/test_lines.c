/* Lines out of pieces of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/lines.h"

#define LIMIT 16

struct seen {
    char text[256]; /* the lines, each followed by '|' */
    int enough_at;  /* have no more after so many; 0: never */
    int count;
};

static int on_line(void *arg, const char *line, size_t size)
{
    struct seen *seen = arg;

    assert_int_equal(strlen(line), size);
    strcat(seen->text, line);
    strcat(seen->text, "|");
    return ++seen->count == seen->enough_at;
}

static void test_pieces(void **state)
{
    static const char text[] = "one\r\n\n  \ntwo\nthree 3\r\r\nrest";
    size_t piece, at;

    for (piece = 1; piece <= sizeof(text); piece++) {
        struct seen seen = {0};
        struct hms_lines lines;

        hms_lines_init(&lines, LIMIT);
        for (at = 0; at < sizeof(text) - 1; at += piece) {
            size_t size = sizeof(text) - 1 - at < piece ? sizeof(text) - 1 - at : piece;

            assert_int_equal(hms_lines_feed(&lines, text + at, size, on_line, &seen), HMS_OK);
        }
        assert_string_equal(seen.text, "one|two|three 3\r|");
        assert_int_equal(hms_lines_feed(&lines, "\n", 1, on_line, &seen), HMS_OK);
        assert_string_equal(seen.text, "one|two|three 3\r|rest|");
        hms_lines_free(&lines);
    }
}

static void test_too_long(void **state)
{
    struct seen seen = {0};
    struct hms_lines lines;

    hms_lines_init(&lines, LIMIT);
    assert_int_equal(hms_lines_feed(&lines, "a\n0123456789abcdef", 18, on_line, &seen), HMS_OK);
    assert_int_equal(hms_lines_feed(&lines, "x", 1, on_line, &seen), HMS_ELIMIT);
    assert_int_equal(hms_lines_feed(&lines, "b\n", 2, on_line, &seen), HMS_OK);
    assert_string_equal(seen.text, "a|b|");
    hms_lines_free(&lines);
}

static void test_enough(void **state)
{
    struct seen seen = {.enough_at = 2};
    struct hms_lines lines;

    hms_lines_init(&lines, LIMIT);
    assert_int_equal(hms_lines_feed(&lines, "1\n2\n3\n", 6, on_line, &seen), HMS_OK);
    assert_string_equal(seen.text, "1|2|");
    hms_lines_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
