/* Addresses of engines: their parts, and what is wrong with those that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/docker_address.h"
#include "core/error.h"

static void assert_text(const char *got, const char *wanted)
{
    if (wanted == NULL)
        assert_null(got);
    else
        assert_string_equal(got, wanted);
}

static void test_parts(void **state)
{
    static const struct {
        const char *url;
        enum hms_docker_transport transport;
        const char *user;
        const char *host;
        int port;
        const char *path;
    } cases[] = {
        {"unix:///var/run/docker.sock", HMS_DOCKER_UNIX, NULL, NULL, 0, "/var/run/docker.sock"},
        {"tcp://10.0.0.1:2376", HMS_DOCKER_TCP, NULL, "10.0.0.1", 2376, NULL},
        {"tcp://engine", HMS_DOCKER_TCP, NULL, "engine", 0, NULL},
        {"tcp://engine:2375/", HMS_DOCKER_TCP, NULL, "engine", 2375, NULL},
        {"tcp://[fd00::1]:2375", HMS_DOCKER_TCP, NULL, "fd00::1", 2375, NULL},
        {"http://10.0.0.1", HMS_DOCKER_TCP, NULL, "10.0.0.1", 80, NULL},
        {"ssh://root@vm1", HMS_DOCKER_SSH, "root", "vm1", 0, HMS_DOCKER_SOCKET},
        {"ssh://vm1", HMS_DOCKER_SSH, NULL, "vm1", 0, HMS_DOCKER_SOCKET},
        {"ssh://a-b_c.d@vm1:2222/run/user/1000/docker.sock", HMS_DOCKER_SSH, "a-b_c.d", "vm1", 2222,
         "/run/user/1000/docker.sock"},
        {"ssh://root@[::1]:22/", HMS_DOCKER_SSH, "root", "::1", 22, HMS_DOCKER_SOCKET},
    };
    struct hms_docker_address address;
    char error[256];
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (hms_docker_address_parse(&address, cases[i].url, error, sizeof(error)) != HMS_OK)
            fail_msg("%s", error);
        assert_int_equal(address.transport, cases[i].transport);
        assert_int_equal(address.port, cases[i].port);
        assert_text(address.user, cases[i].user);
        assert_text(address.host, cases[i].host);
        assert_text(address.path, cases[i].path);
        hms_docker_address_clear(&address);
    }
}

static void test_refusals(void **state)
{
    static const struct {
        const char *url;
        const char *why;
    } cases[] = {
        {"", "not an engine's address"},
        {"/var/run/docker.sock", "not an engine's address"},
        {"npipe:////./x", "not an engine's address"},
        {"https://host:2376", "not an engine's address"},
        {"unix://", "absolute path"},
        {"unix:///", "absolute path"},
        {"unix://docker.sock", "absolute path"},
        {"unix:///0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/"
         "0123456789/0123456789/0123456789",
         "at most 107 bytes"},
        {"tcp://", "tcp://HOST[:PORT]"},
        {"tcp://host:99999", "tcp://HOST[:PORT]"},
        {"tcp://host:0", "port"},
        {"tcp://host:x", "tcp://HOST[:PORT]"},
        {"tcp://u@host:1", "no user"},
        {"tcp://host/path", "nothing can follow the port"},
        {"tcp://host?x=1", "nothing can follow"},
        {"ssh://", "ssh://[USER@]HOST"},
        {"ssh://root:secret@host", "password"},
        {"ssh://root@-host", "the host is neither"},
        {"ssh://root@-oProxyCommand=x", "ssh://[USER@]HOST"},
        {"ssh://-oProxyCommand=x@host", "user"},
        {"ssh://a%20b@host", "user"},
        {"ssh://root@host/a:b", "path"},
        {"ssh://root@host/%24%7BHOME%7D", "path"},
        {"ssh://root@host/a#b", "nothing can follow"},
    };
    struct hms_docker_address address;
    char error[256];
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (hms_docker_address_parse(&address, cases[i].url, error, sizeof(error)) != HMS_EINVAL)
            fail_msg("%s was taken", cases[i].url);
        if (strstr(error, cases[i].why) == NULL)
            fail_msg("%s: %s", cases[i].url, error);
        assert_null(strstr(error, "secret"));
        assert_null(address.host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
