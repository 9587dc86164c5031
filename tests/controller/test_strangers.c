/* The list of those that were refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "controller/strangers.h"
#include "core/json.h"

static void they_are_counted(void **state)
{
    struct hms_strangers strangers = {0};
    json_t *list;

    (void)state;
    assert_true(hms_strangers_note(&strangers, "10.0.0.1", 1));
    assert_false(hms_strangers_note(&strangers, "10.0.0.1", 2));
    assert_true(hms_strangers_note(&strangers, "10.0.0.2", 3));
    hms_strangers_forget(&strangers, "10.0.0.9");
    list = hms_strangers_json(&strangers);
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(hms_json_int(json_array_get(list, 0), "messages", 0), 2);
    json_decref(list);
    hms_strangers_forget(&strangers, "10.0.0.1");
    assert_int_equal(strangers.count, 1);
    assert_string_equal(strangers.list[0].address, "10.0.0.2");
}

static void the_longest_silent_makes_room(void **state)
{
    struct hms_strangers strangers = {0};
    char address[32];
    int i;

    (void)state;
    for (i = 0; i < HMS_STRANGERS_MAX; i++) {
        snprintf(address, sizeof(address), "10.0.0.%d", i);
        assert_true(hms_strangers_note(&strangers, address, i));
    }
    hms_strangers_note(&strangers, "10.0.0.0", 1000); /* now 10.0.0.1 is the longest silent */
    assert_true(hms_strangers_note(&strangers, "10.1.0.0", 1001));
    assert_int_equal(strangers.count, HMS_STRANGERS_MAX);
    assert_false(hms_strangers_note(&strangers, "10.0.0.0", 1002));
    assert_true(hms_strangers_note(&strangers, "10.0.0.1", 1003));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_counted),
        cmocka_unit_test(the_longest_silent_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
