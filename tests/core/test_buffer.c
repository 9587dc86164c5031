/* The bounded buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/buffer.h"
#include "core/error.h"

static void begins_empty(void **state)
{
    struct hms_buffer buffer;

    hms_buffer_init(&buffer, 10);
    assert_null(buffer.data);
    assert_int_equal(buffer.size_bytes, 0);
    hms_buffer_clear(&buffer);
    hms_buffer_consume(&buffer, 0);
    hms_buffer_consume(&buffer, 5);
    assert_int_equal(hms_buffer_append(&buffer, NULL, 0), HMS_OK);
    assert_int_equal(buffer.size_bytes, 0);
    hms_buffer_free(&buffer);
}

static void appends_up_to_its_limit(void **state)
{
    static const struct {
        size_t limit, first, second;
        int code; /* of the second */
    } cases[] = {
        {0, 0, 1, HMS_ELIMIT},
        {10, 4, 6, HMS_OK},
        {10, 4, 7, HMS_ELIMIT},
        {10, 10, 0, HMS_OK},
        {10, 10, 1, HMS_ELIMIT},
        {10, 5, SIZE_MAX, HMS_ELIMIT},
        {SIZE_MAX / 2, 1000, 1000, HMS_OK},
        {256, 255, 1, HMS_OK},
        {1000, 256, 300, HMS_OK},
    };
    static const char zeros[1000];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hms_buffer buffer;
        size_t size = cases[i].first;

        hms_buffer_init(&buffer, cases[i].limit);
        assert_int_equal(hms_buffer_append(&buffer, zeros, size), HMS_OK);
        assert_int_equal(hms_buffer_append(&buffer, zeros, cases[i].second), cases[i].code);
        if (cases[i].code == HMS_OK)
            size += cases[i].second;
        assert_int_equal(buffer.size_bytes, size);
        assert_true(buffer.capacity_bytes > size || size == 0);
        hms_buffer_free(&buffer);
        assert_null(buffer.data);
    }
}

static void is_a_queue_of_bytes_that_ends_with_0(void **state)
{
    struct hms_buffer buffer;

    hms_buffer_init(&buffer, 100);
    hms_buffer_append(&buffer, "hello", 5);
    assert_string_equal(buffer.data, "hello");
    hms_buffer_consume(&buffer, 2);
    assert_string_equal(buffer.data, "llo");
    hms_buffer_append(&buffer, " you", 4);
    assert_string_equal(buffer.data, "llo you");
    hms_buffer_consume(&buffer, 0);
    assert_string_equal(buffer.data, "llo you");
    hms_buffer_consume(&buffer, 7);
    assert_int_equal(buffer.size_bytes, 0);
    assert_string_equal(buffer.data, "");
    hms_buffer_append(&buffer, "a\0b", 3);
    assert_memory_equal(buffer.data, "a\0b", 4);
    hms_buffer_consume(&buffer, SIZE_MAX);
    assert_int_equal(buffer.size_bytes, 0);
    hms_buffer_append(&buffer, "x", 1);
    hms_buffer_clear(&buffer);
    assert_string_equal(buffer.data, "");
    hms_buffer_free(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_empty),
        cmocka_unit_test(appends_up_to_its_limit),
        cmocka_unit_test(is_a_queue_of_bytes_that_ends_with_0),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
