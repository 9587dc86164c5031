/* An engine at tcp:// that wants certificates, and clients with right and wrong ones. */
#include "engine.h"

#include "core/http_tls.h"

#define URL "tcp://127.0.0.1" /* port 2376 unless told otherwise */

static int set_up(void **state)
{
    open_the_engine(state);
    if (the_engine == NULL)
        return 0;
    enter_engine_network(the_engine);
    engine_do(the_engine, "tls server");
    return 0;
}

struct outcome {
    int done;
    int error;
    char message[512];
};

static void on_done(void *arg, const struct hms_docker_answer *answer)
{
    struct outcome *outcome = arg;

    outcome->done++;
    outcome->error = answer->error;
    snprintf(outcome->message, sizeof(outcome->message), "%s", answer->message);
}

static int read_tls(struct hms_http_tls *tls, const char *ca, const char *cert, const char *key,
                    char *error, size_t error_size)
{
    return hms_http_tls_read(tls, engine_path(the_engine, ca),
                             cert != NULL ? engine_path(the_engine, cert) : NULL,
                             key != NULL ? engine_path(the_engine, key) : NULL, error, error_size);
}

/* Asks the engine at url for its version. */
static struct outcome ask(const char *url, const struct hms_http_tls *tls)
{
    struct fixture *fixture = fixture_new(the_engine);
    struct outcome outcome = {0};
    char error[256];

    if (hms_docker_open_tls(&fixture->docker, &fixture->loop, fixture->log, url, tls, error,
                            sizeof(error)) != 0)
        fail_msg("%s", error);
    hms_docker_negotiate(fixture->docker, on_done, &outcome);
    run_until(fixture, &outcome.done, 1, url);
    fixture_free(fixture);
    return outcome;
}

static void require(const char *url, const char *ca, const char *cert, const char *key, int error,
                    const char *part)
{
    struct hms_http_tls tls;
    struct outcome outcome;
    char text[256];

    if (read_tls(&tls, ca, cert, key, text, sizeof(text)) != 0)
        fail_msg("%s", text);
    outcome = ask(url, &tls);
    hms_http_tls_clear(&tls);
    if (outcome.error != error || strstr(outcome.message, part) == NULL)
        fail_msg("%s, %s, %s: error %d: %s", url, ca, cert, outcome.error, outcome.message);
}

static void test_right_ones(void **state)
{
    if (the_engine == NULL)
        skip();
    require(URL, "ca.pem", "cert.pem", "key.pem", 0, "");
    require(URL ":2376", "ca.pem", "cert.pem", "key.pem", 0, "");
}

static void test_wrong_ones(void **state)
{
    if (the_engine == NULL)
        skip();
    require(URL, "other-ca.pem", "cert.pem", "key.pem", HMS_EPERM, "certificate");
    require(URL, "ca.pem", NULL, NULL, HMS_EPERM, "our certificate");
    require(URL, "ca.pem", "stale-cert.pem", "key.pem", HMS_EPERM, "our certificate");
    require(URL, "ca.pem", "other-cert.pem", "other-key.pem", HMS_EPERM, "our certificate");
    /* Of the right authority, but for another host. */
    require("tcp://127.0.0.2", "ca.pem", "cert.pem", "key.pem", HMS_EPERM, "127.0.0.2");
}

/* Each side speaks what the other does not. */
static void test_tls_and_plain(void **state)
{
    const struct hms_http_tls none = {0};
    struct outcome outcome;

    if (the_engine == NULL)
        skip();
    outcome = ask(URL ":2376", &none);
    assert_true(outcome.error != 0);
    assert_non_null(strstr(outcome.message, "HTTPS"));
    engine_do(the_engine, "tls stale-server");
    require(URL, "ca.pem", "cert.pem", "key.pem", HMS_EPERM, "expired");
}

static void test_texts(void **state)
{
    static const struct {
        const char *ca, *cert, *key;
        const char *error; /* part of it */
    } cases[] = {
        {"none.pem", "cert.pem", "key.pem", "tls.ca: cannot read"},
        {"key.pem", "cert.pem", "key.pem", "tls.ca: no PEM certificate"},
        {"network", "cert.pem", "key.pem", "tls.ca: no PEM certificate"},
        {".", "cert.pem", "key.pem", "not a regular file"},
        {"ca.pem", "key.pem", "key.pem", "tls.cert: no PEM certificate"},
        {"ca.pem", "cert.pem", "cert.pem", "tls.key: no PEM private key"},
        {"ca.pem", "cert.pem", "locked-key.pem", "tls.key: no PEM private key"},
        {"ca.pem", "cert.pem", "other-key.pem", "tls.key: not the key of tls.cert"},
        {"ca.pem", "cert.pem", NULL, "tls.cert and tls.key go together"},
        {"ca.pem", NULL, "key.pem", "tls.cert and tls.key go together"},
    };
    struct hms_http_tls tls, again;
    char error[256];
    size_t i;

    if (the_engine == NULL)
        skip();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (read_tls(&tls, cases[i].ca, cases[i].cert, cases[i].key, error, sizeof(error)) !=
            HMS_EINVAL)
            fail_msg("case %zu was taken", i);
        if (strstr(error, cases[i].error) == NULL)
            fail_msg("case %zu: %s", i, error);
        assert_null(tls.ca);
    }
    assert_int_equal(hms_http_tls_read(&tls, NULL, NULL, NULL, error, sizeof(error)), HMS_EINVAL);
    assert_int_equal(read_tls(&tls, "ca.pem", "cert.pem", "key.pem", error, sizeof(error)), 0);
    assert_int_equal(hms_http_tls_read(&again, tls.ca, tls.cert, tls.key, error, sizeof(error)), 0);
    assert_string_equal(again.key, tls.key);
    hms_http_tls_clear(&tls);
    hms_http_tls_clear(&again);
}

static void test_addresses(void **state)
{
    static const char *const urls[] = {"unix:///var/run/docker.sock", "ssh://root@host"};
    struct fixture *fixture;
    struct hms_http_tls tls;
    char error[256];
    size_t i;

    if (the_engine == NULL)
        skip();
    fixture = fixture_new(the_engine);
    assert_int_equal(read_tls(&tls, "ca.pem", NULL, NULL, error, sizeof(error)), 0);
    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        assert_int_equal(hms_docker_open_tls(&fixture->docker, &fixture->loop, fixture->log,
                                             urls[i], &tls, error, sizeof(error)),
                         HMS_EINVAL);
    hms_http_tls_clear(&tls);
    fixture_connect(fixture, "docker.sock");
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right_ones),    cmocka_unit_test(test_wrong_ones),
        cmocka_unit_test(test_tls_and_plain), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_addresses),
    };

    signal(SIGPIPE, SIG_IGN);
    hms_alloc_install();
    return cmocka_run_group_tests(tests, set_up, close_the_engine);
}
