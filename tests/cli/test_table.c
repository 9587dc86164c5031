/* Rows in columns, for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/table.h"

static void columns_are_as_wide_as_they_must_be(void **state)
{
    static const char *const titles[] = {"A", "LONG TITLE", "LAST", NULL};
    struct hms_table *table = hms_table_new(titles);
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    hms_table_add(table, "wider");
    hms_table_add(table, NULL);
    hms_table_add(table, "\x1b[31mred\n");
    hms_table_print(table, out);
    fclose(out);
    assert_string_equal(text, "A      LONG TITLE  LAST\n"
                              "wider  -            [31mred \n");
    free(text);
    hms_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_they_must_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
