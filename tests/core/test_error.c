/* Error codes: each with a number and a text of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"

static void explains_every_code(void **state)
{
    static const int codes[] = {
#define X(name, text) HMS_##name,
        HMS_ERROR_MAP(X)
#undef X
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        assert_true(codes[i] < 0);
        assert_true(strlen(hms_strerror(codes[i])) > 0);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(codes[i], codes[j]);
            assert_string_not_equal(hms_strerror(codes[i]), hms_strerror(codes[j]));
        }
    }
}

static void has_a_word_for_the_rest(void **state)
{
    assert_string_equal(hms_strerror(HMS_OK), "success");
    assert_string_equal(hms_strerror(-1000), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(explains_every_code),
        cmocka_unit_test(has_a_word_for_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
