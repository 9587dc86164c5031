/* Reading an array of objects by rows, whole and cut at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/json_rows.h"

#define ROW_LIMIT_BYTES 64
#define ROWS_MAX        4

/* The rows as compact JSON, one on each line. */
struct seen {
    char text[512];
    size_t used;
};

static void on_row(void *arg, const json_t *row)
{
    struct seen *seen = arg;

    seen->used +=
        json_dumpb(row, seen->text + seen->used, sizeof(seen->text) - seen->used - 1, JSON_COMPACT);
    seen->text[seen->used++] = '\n';
    seen->text[seen->used] = '\0';
}

/* Feeds text in pieces of `step` bytes; gives the error of feeding, or that of its end. */
static int feed(const char *text, size_t step, struct seen *seen)
{
    struct hms_json_rows rows;
    size_t size = strlen(text), at;
    int error = HMS_OK;

    memset(seen, 0, sizeof(*seen));
    hms_json_rows_init(&rows, ROWS_MAX, ROW_LIMIT_BYTES);
    for (at = 0; at < size && error == HMS_OK; at += step)
        error =
            hms_json_rows_feed(&rows, text + at, step < size - at ? step : size - at, on_row, seen);
    if (error == HMS_OK)
        error = hms_json_rows_end(&rows);
    hms_json_rows_free(&rows);
    return error;
}

static void test_arrays(void **state)
{
    static const struct {
        const char *text;
        int error;
        const char *rows;
    } cases[] = {
        {"[]", HMS_OK, ""},
        {" [ ] \n", HMS_OK, ""},
        {"[{}]", HMS_OK, "{}\n"},
        {"[{\"a\":1},{\"b\":[{},[2]]}]\n", HMS_OK, "{\"a\":1}\n{\"b\":[{},[2]]}\n"},
        {"[ {\"a\":\"}]\\\"{\"} , {\"b\":\"\\\\\"} ]", HMS_OK,
         "{\"a\":\"}]\\\"{\"}\n{\"b\":\"\\\\\"}\n"},
        {"[{\"a\":\"\\u0000\"}]", HMS_OK, "{\"a\":\"\\u0000\"}\n"},
        {"[{},{},{},{}]", HMS_OK, "{}\n{}\n{}\n{}\n"},
        {"[{},{},{},{},{}]", HMS_ELIMIT, "{}\n{}\n{}\n{}\n"},
        {"[{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}]",
         HMS_ELIMIT, ""},
        {"", HMS_EPROTO, ""},
        {"[", HMS_EPROTO, ""},
        {"[{}", HMS_EPROTO, "{}\n"},
        {"[{}{}]", HMS_EPROTO, "{}\n"},
        {"[{},]", HMS_EPROTO, "{}\n"},
        {"[,{}]", HMS_EPROTO, ""},
        {"[{}] x", HMS_EPROTO, "{}\n"},
        {"[{}][", HMS_EPROTO, "{}\n"},
        {"[{]]", HMS_EPROTO, ""},
        {"[{\"a\"}]", HMS_EPROTO, ""},
        {"[3]", HMS_EPROTO, ""},
        {"[\"text\"]", HMS_EPROTO, ""},
        {"{}", HMS_EPROTO, ""},
        {"null", HMS_EPROTO, ""},
        {"\xff\xfe", HMS_EPROTO, ""},
    };
    struct seen seen;
    size_t i, step;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (step = 1; step <= strlen(cases[i].text) + 1; step++) {
            int error = feed(cases[i].text, step, &seen);

            if (error != cases[i].error || strcmp(seen.text, cases[i].rows) != 0)
                fail_msg("%s in pieces of %zu: error %d, rows %s", cases[i].text, step, error,
                         seen.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_arrays)};

    hms_alloc_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
