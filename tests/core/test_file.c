/* Small files, read whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/buffer.h"
#include "core/error.h"
#include "core/file.h"

static void files_are_read_up_to_a_limit(void **state)
{
    char path[] = "/tmp/hms-test-file-XXXXXX";
    struct hms_buffer buffer;
    char error[256] = "";
    int fd = mkstemp(path);

    assert_int_equal(write(fd, "text", 4), 4);
    close(fd);
    hms_buffer_init(&buffer, 4);
    assert_int_equal(hms_file_read(path, &buffer, error, sizeof(error)), HMS_OK);
    assert_string_equal(buffer.data, "text");
    hms_buffer_wipe(&buffer);
    hms_buffer_init(&buffer, 3);
    assert_int_equal(hms_file_read(path, &buffer, error, sizeof(error)), HMS_ELIMIT);
    assert_non_null(strstr(error, path));
    hms_buffer_free(&buffer);
    unlink(path);
}

/* A pipe that nobody writes to would be waited for without end. */
static void other_than_files_are_refused(void **state)
{
    char folder[] = "/tmp/hms-test-file-XXXXXX";
    char path[64];
    struct hms_buffer buffer;
    char error[256];

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/pipe", folder);
    hms_buffer_init(&buffer, 100);
    assert_int_equal(hms_file_read(path, &buffer, error, sizeof(error)), HMS_EIO);
    assert_non_null(strstr(error, "No such file"));
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(hms_file_read(path, &buffer, error, sizeof(error)), HMS_EIO);
    assert_int_equal(hms_file_read(folder, &buffer, error, sizeof(error)), HMS_EIO);
    assert_non_null(strstr(error, "not a regular file"));
    unlink(path);
    rmdir(folder);
    hms_buffer_free(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_up_to_a_limit),
        cmocka_unit_test(other_than_files_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
