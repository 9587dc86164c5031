/* How a host is reached: what a request may say, what is kept, what is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/reach.h"
#include "core/error.h"

#define ADDRESS "10.0.0.1"
#define PEM     "-----BEGIN OPENSSH PRIVATE KEY-----\\nAA==\\n-----END OPENSSH PRIVATE KEY-----\\n"

static int read_text(struct hms_reach *reach, const char *text, char *error, size_t error_size)
{
    json_t *request = json_loads(text, 0, NULL);
    int result;

    assert_non_null(request);
    *error = '\0';
    result = hms_reach_read(reach, request, ADDRESS, error, error_size);
    json_decref(request);
    return result;
}

static void good_requests(void **state)
{
    static const struct {
        const char *request;
        const char *docker; /* as shown */
        const char *credentials;
        const char *socket;
    } table[] = {
        {"{\"docker\":\"none\"}", "none", "none", NULL},
        {"{\"docker\":\"unix:///run/d.sock\"}", "unix:///run/d.sock", "none", "/run/d.sock"},
        {"{\"docker\":\"tcp://10.0.0.1:2375\"}", "tcp://10.0.0.1:2375", "none",
         "/var/run/docker.sock"},
        {"{\"docker\":\"tcp://10.0.0.1:2375\",\"socket\":\"/a/b\"}", "tcp://10.0.0.1:2375", "none",
         "/a/b"},
        {"{\"password\":\"p\"}", "ssh://root@10.0.0.1", "in memory", "/var/run/docker.sock"},
        {"{\"docker\":\"ssh://me@h:2222/run/d.sock\",\"key\":\"" PEM
         "\",\"host_key\":\"ssh-rsa A\"}",
         "ssh://me@h:2222/run/d.sock", "kept", "/run/d.sock"},
        {"{\"docker\":\"ssh://me@h\",\"key\":\"/root/key\",\"password\":\"phrase\"}", "ssh://me@h",
         "in memory", "/var/run/docker.sock"},
    };
    struct hms_reach reach;
    char error[512];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        print_message("%s\n", table[i].request);
        assert_int_equal(read_text(&reach, table[i].request, error, sizeof(error)), HMS_OK);
        assert_string_equal(hms_reach_docker(&reach), table[i].docker);
        assert_string_equal(hms_reach_credentials(&reach), table[i].credentials);
        if (table[i].socket != NULL)
            assert_string_equal(reach.socket, table[i].socket);
        hms_reach_clear(&reach);
    }
}

static void bad_requests_are_told_what_is_wrong(void **state)
{
    static const struct {
        const char *request;
        int error;
        const char *word; /* in the text */
    } table[] = {
        {"{}", HMS_ENOENT, "docker is missing"},
        {"{\"docker\":1}", HMS_EINVAL, "docker must be a text"},
        {"{\"docker\":\"\"}", HMS_EINVAL, "docker must be a text"},
        {"{\"docker\":\"ftp://x\"}", HMS_EINVAL, "docker"},
        {"{\"docker\":\"ssh://me:secret@h\"}", HMS_EINVAL, "docker"},
        {"{\"docker\":\"tcp://h:1\\n\"}", HMS_EINVAL, "control characters"},
        {"{\"docker\":\"tcp://h:1\",\"tls\":[]}", HMS_EINVAL, "tls must be an object"},
        {"{\"docker\":\"tcp://h:1\",\"tls\":{\"ca\":\"/nonexistent\"}}", HMS_EINVAL, "tls.ca"},
        {"{\"docker\":\"tcp://h:1\",\"tls\":{\"cert\":\"/x\"}}", HMS_EINVAL, "tls."},
        {"{\"docker\":\"tcp://h:1\",\"password\":\"p\"}", HMS_EINVAL,
         "password means nothing for tcp://"},
        {"{\"docker\":\"unix:///x\",\"host_key\":\"k\"}", HMS_EINVAL,
         "host_key means nothing for unix://"},
        {"{\"docker\":\"ssh://h\",\"tls\":{\"ca\":\"/x\"}}", HMS_EINVAL,
         "tls.ca means nothing for ssh://"},
        {"{\"docker\":\"none\",\"key\":\"/x\"}", HMS_EINVAL, "key means nothing with"},
        {"{\"docker\":\"ssh://h\",\"host_key\":\"-----BEGIN \\n\"}", HMS_EINVAL,
         "host_key must not"},
        {"{\"docker\":\"tcp://h:1\",\"socket\":\"relative\"}", HMS_EINVAL, "socket must be"},
        {"{\"docker\":\"tcp://h:1\",\"socket\":\"/folder/\"}", HMS_EINVAL, "socket must be"},
    };
    struct hms_reach reach;
    char error[512];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        print_message("%s\n", table[i].request);
        assert_int_equal(read_text(&reach, table[i].request, error, sizeof(error)), table[i].error);
        assert_non_null(strstr(error, table[i].word));
        assert_null(reach.docker);
    }
}

static void the_disk_gets_everything_but_the_password(void **state)
{
    struct hms_reach reach, recalled;
    char error[512];
    json_t *document;
    char *text;

    (void)state;
    read_text(&reach,
              "{\"docker\":\"ssh://me@h\",\"host_key\":\"ssh-rsa A\",\"key\":\"/root/key\","
              "\"password\":\"top secret\"}",
              error, sizeof(error));
    document = hms_reach_document(&reach);
    text = json_dumps(document, 0);
    assert_null(strstr(text, "top secret"));
    free(text);
    assert_int_equal(hms_reach_recall(&recalled, document, ADDRESS, error, sizeof(error)), HMS_OK);
    assert_string_equal(recalled.key, "/root/key");
    assert_string_equal(recalled.host_key, "ssh-rsa A");
    assert_null(recalled.password);
    assert_string_equal(hms_reach_credentials(&recalled), "needed");
    json_decref(document);
    hms_reach_clear(&reach);
    hms_reach_clear(&recalled);
}

static void others_get_no_secrets(void **state)
{
    struct hms_reach reach, learnt;
    char error[512];
    json_t *document;
    char *text;

    (void)state;
    read_text(&reach, "{\"docker\":\"ssh://me@h\",\"host_key\":\"ssh-rsa A\",\"key\":\"" PEM "\"}",
              error, sizeof(error));
    document = hms_reach_public(&reach);
    text = json_dumps(document, 0);
    assert_null(strstr(text, "PRIVATE"));
    free(text);
    assert_int_equal(hms_reach_recall(&learnt, document, ADDRESS, error, sizeof(error)), HMS_OK);
    assert_string_equal(learnt.host_key, "ssh-rsa A");
    assert_null(learnt.key);
    assert_string_equal(hms_reach_credentials(&learnt), "needed");
    assert_true(hms_reach_equal_public(&reach, &learnt));
    assert_false(hms_reach_equal(&reach, &learnt));
    json_decref(document);
    hms_reach_clear(&reach);
    hms_reach_clear(&learnt);
}

/* What is needed for the certificate may be away when the controller starts. */
static void a_missing_file_does_not_cost_the_host(void **state)
{
    json_t *document =
        json_loads("{\"docker\":\"tcp://h:1\",\"tls\":{\"ca\":\"/nonexistent\"}}", 0, NULL);
    struct hms_reach recalled;
    char error[512];

    (void)state;
    assert_int_equal(hms_reach_recall(&recalled, document, ADDRESS, error, sizeof(error)), HMS_OK);
    assert_string_equal(recalled.tls_ca, "/nonexistent");
    json_decref(document);
    hms_reach_clear(&recalled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests),
        cmocka_unit_test(bad_requests_are_told_what_is_wrong),
        cmocka_unit_test(the_disk_gets_everything_but_the_password),
        cmocka_unit_test(others_get_no_secrets),
        cmocka_unit_test(a_missing_file_does_not_cost_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
