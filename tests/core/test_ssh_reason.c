/* What OpenSSH 9.2 writes, and what we make of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/error.h"
#include "core/ssh_reason.h"

#define LINES_MAX 4

static void test_meanings(void **state)
{
    static const struct {
        const char *lines[LINES_MAX];
        int error;
        const char *text; /* its beginning */
    } cases[] = {
        {{NULL}, 0, ""},
        {{"something new"}, HMS_EREMOTE, "ssh: something new"},
        {{"something new", "something newer"}, HMS_EREMOTE, "ssh: something newer"},
        {{"No ED25519 host key is known for 10.0.0.1 and you have requested strict checking.",
          "Host key verification failed."},
         HMS_EPERM,
         "the host's key is not known"},
        {{"Host key for 10.0.0.1 has changed and you have requested strict checking.",
          "Host key verification failed."},
         HMS_EPERM,
         "the host's key is not the one that is known"},
        {{"Load key \"/x\": error in libcrypto", "root@vm1: Permission denied (publickey)."},
         HMS_EPERM,
         "the private key cannot be used"},
        {{"Authorised users only", "root@vm1: Permission denied (publickey,password)."},
         HMS_EPERM,
         "the host refused the login (ssh: root@vm1: Permission denied"},
        {{"ssh: connect to host 10.0.0.1 port 22: Connection refused"},
         HMS_ECONNECT,
         "no ssh server listens there"},
        {{"ssh: connect to host 10.0.0.1 port 22: Connection timed out"},
         HMS_ETIMEDOUT,
         "the host does not answer"},
        {{"Timeout, server vm1 not responding."}, HMS_ETIMEDOUT, "the host no longer answers"},
        {{"kex_exchange_identification: Connection closed by remote host",
          "Connection closed by 10.0.0.1 port 22"},
         HMS_ECONNECT,
         "the host closed the connection at once"},
    };
    size_t i, line;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hms_ssh_reason reason = {0};
        char text[HMS_SSH_REASON_SIZE];

        for (line = 0; line < LINES_MAX && cases[i].lines[line] != NULL; line++)
            hms_ssh_reason_note(&reason, cases[i].lines[line]);
        hms_ssh_reason_text(&reason, text);
        if (reason.error != cases[i].error ||
            strncmp(text, cases[i].text, strlen(cases[i].text)) != 0)
            fail_msg("%s: error %d, %s", cases[i].text, reason.error, text);
    }
}

static void test_long_line(void **state)
{
    struct hms_ssh_reason reason = {0};
    char line[2000], text[HMS_SSH_REASON_SIZE];

    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    hms_ssh_reason_note(&reason, line);
    hms_ssh_reason_text(&reason, text);
    assert_true(strlen(text) < sizeof(reason.line) + 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meanings),
        cmocka_unit_test(test_long_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
