/* The program as its users call it: what it prints where, and its exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "core/alloc.h"

/* Runs `hms ARGUMENTS` (HMS_PROGRAM comes from CMake) with one stream kept: "2>&1 >/dev/null" or
 * "2>/dev/null". Returns the exit status. */
static int run(const char *arguments, const char *kept, char *output, size_t size)
{
    char *command = hms_asprintf("'%s' %s %s", HMS_PROGRAM, arguments, kept);
    FILE *pipe = popen(command, "r");
    int status;

    assert_non_null(pipe);
    output[fread(output, 1, size - 1, pipe)] = '\0';
    while (fgetc(pipe) != EOF)
        continue;
    status = pclose(pipe);
    free(command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_calls(void **state)
{
    static const char out[] = "2>/dev/null";
    static const char err[] = "2>&1 >/dev/null";
    static const struct {
        const char *arguments;
        const char *kept;
        int status;
        const char *begins;
    } cases[] = {
        {"--help", out, 0, "Usage: hms COMMAND [OPTION]...\n"},
        {"-h", out, 0, "Usage: hms COMMAND"},
        {"help", out, 0, "Usage: hms COMMAND"},
        {"--help", err, 0, ""},
        {"--version", out, 0, "hms " HMS_VERSION "\n"},
        {"", err, 2, "Usage: hms COMMAND"},
        {"standalne", err, 2,
         "hms: unknown command 'standalne'; did you mean 'standalone'?\nTry 'hms --help'.\n"},
        {"--hepl", err, 2, "hms: unknown option '--hepl'; did you mean '--help'?\n"},
        {"zzz", err, 2, "hms: unknown command 'zzz'\n"},
        {"standalone --help", out, 0, "Usage: hms standalone [OPTION]...\n"},
        {"standalone --check-config", out, 0, "[standalone]\ndocker = "},
        {"standalone --check-config --fall 0", err, 1, "hms standalone: --fall '0': must be "},
        {"standalone --fall 0", err, 2, "hms standalone: --fall '0': must be "},
        {"manager", err, 2, "hms manager: --broker must be given\n"},
        {"controller --help", out, 0, "Usage: hms controller [OPTION]...\n"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char output[512];
        int status = run(cases[i].arguments, cases[i].kept, output, sizeof(output));

        if (status != cases[i].status ||
            strncmp(output, cases[i].begins, strlen(cases[i].begins)) != 0 ||
            (cases[i].begins[0] == '\0' && output[0] != '\0'))
            fail_msg("hms %s: status %d, %s", cases[i].arguments, status, output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calls)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
