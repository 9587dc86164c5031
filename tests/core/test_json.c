/* Strict parsing and typed access. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/json.h"

static void parses_one_value(void **state)
{
    static const char *const good[] = {
        "{}", "[]", " 1 ", "\"x\"", "null", "{\"a\":{\"a\":1}}", "\"\xc3\xa9\""};
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "{} {}",
                                      "{}x",
                                      "{\"a\":1,\"a\":2}",
                                      "{a:1}",
                                      "[1,]",
                                      "'x'",
                                      "nul",
                                      "01",
                                      "1e999",
                                      "99999999999999999999",
                                      "\"\xff\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\\u0000\"",
                                      "\"a\nb\"",
                                      "NaN"};
    char error[HMS_JSON_ERROR_SIZE];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        json_t *value = hms_json_parse(good[i], strlen(good[i]), error);

        if (value == NULL)
            fail_msg("%s: %s", good[i], error);
        json_decref(value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error[0] = '\0';
        if (hms_json_parse(bad[i], strlen(bad[i]), error) != NULL)
            fail_msg("%s was taken", bad[i]);
        assert_non_null(strstr(error, "invalid JSON at line "));
    }
    assert_null(hms_json_parse("{}\0x", 4, error)); /* the size counts, not the 0 */
}

static void bounds_nesting(void **state)
{
    enum { DEPTH = 100000 };
    char *text = hms_malloc(DEPTH);
    char error[HMS_JSON_ERROR_SIZE];

    memset(text, '[', DEPTH);
    assert_null(hms_json_parse(text, DEPTH, error));
    free(text);
}

static void makes_text_of_any_bytes(void **state)
{
    static const struct {
        const char *bytes;
        const char *text;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8b", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x8b"},
        {"\xff", "\xef\xbf\xbd"},
        {"a\x80z", "a\xef\xbf\xbdz"},
        {"\xc3", "\xef\xbf\xbd"},
        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc3x\xc3\xa9", "\xef\xbf\xbdx\xc3\xa9"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *value = hms_json_text(cases[i].bytes);

        assert_non_null(value);
        assert_string_equal(json_string_value(value), cases[i].text);
        json_decref(value);
    }
}

/* All that can follow each first byte: our idea of UTF-8 is never wider than jansson's. */
static void agrees_with_jansson_on_utf8(void **state)
{
    for (unsigned bytes = 0; bytes < 0x1000000; bytes += 0x51) {
        const char text[] = {(char)(0x80 | bytes >> 16), (char)(bytes >> 8), (char)bytes,
                             (char)0x80, '\0'};
        json_t *value = hms_json_text(text);

        assert_non_null(value);
        json_decref(value);
    }
}

static void reads_typed_fields(void **state)
{
    json_t *object = json_loads("{\"s\":\"x\",\"i\":7,\"t\":true,\"f\":false,\"n\":null,\"r\":1.5,"
                                "\"o\":{\"p\":{\"q\":\"deep\"}}}",
                                0, NULL);

    assert_string_equal(hms_json_string(object, "s"), "x");
    assert_null(hms_json_string(object, "i"));
    assert_null(hms_json_string(object, "missing"));
    assert_null(hms_json_string(NULL, "s"));
    assert_int_equal(hms_json_int(object, "i", -1), 7);
    assert_int_equal(hms_json_int(object, "r", -1), -1);
    assert_int_equal(hms_json_int(object, "s", -1), -1);
    assert_int_equal(hms_json_int(object, "missing", -1), -1);
    assert_int_equal(hms_json_bool(object, "t", 0), 1);
    assert_int_equal(hms_json_bool(object, "f", 1), 0);
    assert_int_equal(hms_json_bool(object, "n", 2), 2);
    assert_int_equal(hms_json_bool(object, "i", 2), 2);
    assert_string_equal(json_string_value(hms_json_path(object, "o", "p", "q", NULL)), "deep");
    assert_null(hms_json_path(object, "o", "x", "q", NULL));
    assert_null(hms_json_path(object, "s", "p", NULL));
    assert_null(hms_json_path(NULL, "o", NULL));
    assert_ptr_equal(hms_json_path(object, NULL), object);
    json_decref(object);
}

static void reads_numbers_in_a_range(void **state)
{
    static const struct {
        const char *text;
        int code;
        double value;
        const char *error; /* a part of it */
    } cases[] = {
        {"{\"n\":0}", HMS_OK, 0, NULL},
        {"{\"n\":100}", HMS_OK, 100, NULL},
        {"{\"n\":99.5}", HMS_OK, 99.5, NULL},
        {"{\"n\":1e1}", HMS_OK, 10, NULL},
        {"{}", HMS_ENOENT, 0, "n is missing (a number from 0 to 100)"},
        {"{\"n\":-0.1}", HMS_EINVAL, 0, "n is -0.1: it must be from 0 to 100"},
        {"{\"n\":100.1}", HMS_EINVAL, 0, "n is 100.1: it must be from 0 to 100"},
        {"{\"n\":3600001}", HMS_EINVAL, 0, "n is 3600001: it must be from 0 to 100"},
        {"{\"n\":1e300}", HMS_EINVAL, 0, "n is 1e+300"},
        {"{\"n\":\"50\"}", HMS_EINVAL, 0, "n must be a number from 0 to 100"},
        {"{\"n\":null}", HMS_EINVAL, 0, "n must be a number"},
        {"{\"n\":true}", HMS_EINVAL, 0, "n must be a number"},
        {"{\"n\":[50]}", HMS_EINVAL, 0, "n must be a number"},
        {"[50]", HMS_ENOENT, 0, "n is missing"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *object = json_loads(cases[i].text, 0, NULL);
        char error[HMS_JSON_ERROR_SIZE] = "";
        double value = -7;

        assert_int_equal(hms_json_number(object, "n", 0, 100, &value, error), cases[i].code);
        assert_true(value == (cases[i].code == HMS_OK ? cases[i].value : -7));
        if (cases[i].error != NULL && strstr(error, cases[i].error) == NULL)
            fail_msg("%s: %s", cases[i].text, error);
        json_decref(object);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_one_value),        cmocka_unit_test(bounds_nesting),
        cmocka_unit_test(makes_text_of_any_bytes), cmocka_unit_test(agrees_with_jansson_on_utf8),
        cmocka_unit_test(reads_typed_fields),      cmocka_unit_test(reads_numbers_in_a_range),
    };

    hms_alloc_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
