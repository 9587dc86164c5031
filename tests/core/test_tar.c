/* Archives in memory, read back by the system's tar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/tar.h"

#define LIMIT_BYTES (64 * 1024)

/* What a shell command says of the archive, which it gets as $1. */
static void ask(const struct hms_buffer *archive, const char *command, char *answer, size_t size)
{
    char path[] = "/tmp/hms-tar-XXXXXX";
    int fd = mkstemp(path);
    char *line = hms_asprintf("set %s; %s", path, command);
    FILE *pipe;

    assert_int_equal(write(fd, archive->data, archive->size_bytes), archive->size_bytes);
    close(fd);
    pipe = popen(line, "r");
    answer[fread(answer, 1, size - 1, pipe)] = '\0';
    assert_int_equal(pclose(pipe), 0);
    unlink(path);
    free(line);
}

static void test_files(void **state)
{
    static const char secret[] = "pass\0word\n";
    const struct hms_tar_file files[] = {
        {"hms/", NULL, 0, 0700},
        {"hms/secret", secret, sizeof(secret) - 1, 0600},
        {"hms/empty", NULL, 0, 0644},
    };
    struct hms_buffer archive;
    char answer[1024];

    hms_buffer_init(&archive, LIMIT_BYTES);
    assert_int_equal(hms_tar_append(&archive, files, 3), HMS_OK);
    ask(&archive, "tar tvf $1 --numeric-owner | awk '{print $1, $2, $3, $6}'", answer,
        sizeof(answer));
    assert_string_equal(answer, "drwx------ 0/0 0 hms/\n"
                                "-rw------- 0/0 10 hms/secret\n"
                                "-rw-r--r-- 0/0 0 hms/empty\n");
    ask(&archive, "tar xOf $1 hms/secret", answer, sizeof(answer));
    assert_memory_equal(answer, secret, sizeof(secret) - 1);
    hms_buffer_free(&archive);
}

static void test_bad_files(void **state)
{
    static char component[300];
    const struct hms_tar_file cases[] = {
        {"", "x", 1, 0600},          {"/etc/x", "x", 1, 0600},  {"../x", "x", 1, 0600},
        {"a/../../x", "x", 1, 0600}, {"a/..", "x", 1, 0600},    {"a/", "x", 1, 0700},
        {"a", "x", 1, 010600},       {component, "x", 1, 0600},
    };
    struct hms_buffer archive;
    size_t i;

    memset(component, 'n', 200);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hms_buffer_init(&archive, LIMIT_BYTES);
        if (hms_tar_append(&archive, &cases[i], 1) != HMS_EINVAL)
            fail_msg("'%s' was taken", cases[i].name);
        hms_buffer_free(&archive);
    }
}

static void test_limit(void **state)
{
    static char big[LIMIT_BYTES];
    const struct hms_tar_file file = {"big", big, sizeof(big), 0600};
    struct hms_buffer archive;

    hms_buffer_init(&archive, LIMIT_BYTES);
    assert_int_equal(hms_tar_append(&archive, &file, 1), HMS_ELIMIT);
    hms_buffer_free(&archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_limit),
    };

    hms_alloc_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
