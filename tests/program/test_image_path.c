/* Where the program looks for its container image. */
#include "image_path.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "core/alloc.h"

/* The folder that this test lies in, or with levels 1 the one above. */
static char *own_folder(int levels)
{
    char path[PATH_MAX];
    size_t size = sizeof(path);

    assert_int_equal(uv_exepath(path, &size), 0);
    for (; levels >= 0; levels--)
        *strrchr(path, '/') = '\0';
    return hms_strdup(path);
}

static void assert_path(const char *folder, const char *rest)
{
    char *expected = hms_asprintf("%s/%s", folder, rest);
    char *path = hms_image_path();

    assert_string_equal(path, expected);
    free(path);
    free(expected);
}

static void test_beside_program(void **state)
{
    char *folder = own_folder(0);
    char *image = hms_asprintf("%s/hms-image.tar", folder);
    FILE *file = fopen(image, "w");

    assert_non_null(file);
    fclose(file);
    assert_path(folder, "hms-image.tar");
    assert_int_equal(unlink(image), 0);
    free(image);
    free(folder);
}

static void test_installed(void **state)
{
    char *prefix = own_folder(1);

    assert_path(prefix, "share/hms/hms-image.tar");
    free(prefix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside_program),
        cmocka_unit_test(test_installed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
