/* FNV-1a against the vectors of its authors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/hash.h"

static void test_vectors(void **state)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } table[] = {
        {"", UINT64_C(0xcbf29ce484222325)},
        {"a", UINT64_C(0xaf63dc4c8601ec8c)},
        {"foobar", UINT64_C(0x85944171f73967e8)},
    };
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_true(hms_hash(HMS_HASH_SEED, table[i].text, strlen(table[i].text)) == table[i].hash);
}

static void test_chain(void **state)
{
    assert_true(hms_hash(hms_hash(HMS_HASH_SEED, "foo", 3), "bar", 3) ==
                hms_hash(HMS_HASH_SEED, "foobar", 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_chain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
