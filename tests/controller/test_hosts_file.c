/* The file of --hosts-file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/hosts_file.h"
#include "core/error.h"
#include "core/json.h"

static int read_text(const char *text, mode_t mode, json_t **hosts, int *is_exposed, char *error,
                     size_t error_size)
{
    char path[] = "/tmp/hms-test-hosts-XXXXXX";
    int fd = mkstemp(path);
    int result;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    fchmod(fd, mode);
    close(fd);
    *error = '\0';
    result = hms_hosts_file_read(path, hosts, is_exposed, error, error_size);
    unlink(path);
    return result;
}

static void both_kinds_of_lines(void **state)
{
    json_t *hosts, *host;
    int is_exposed;
    char error[512];

    (void)state;
    assert_int_equal(read_text("# hosts\n\n"
                               "  10.0.0.1\tpass word \n"
                               "{\"address\":\"10.0.0.2\",\"docker\":\"none\"}\r\n"
                               "10.0.0.3 last",
                               0600, &hosts, &is_exposed, error, sizeof(error)),
                     HMS_OK);
    assert_false(is_exposed);
    assert_int_equal(json_array_size(hosts), 3);
    host = json_array_get(hosts, 0);
    assert_string_equal(hms_json_string(host, "address"), "10.0.0.1");
    assert_string_equal(hms_json_string(host, "password"), "pass word ");
    host = json_array_get(hosts, 1);
    assert_string_equal(hms_json_string(host, "docker"), "none");
    assert_true(hms_json_bool(host, "async", 0));
    assert_string_equal(hms_json_string(json_array_get(hosts, 2), "password"), "last");
    json_decref(hosts);
}

static void an_open_file_is_noticed(void **state)
{
    json_t *hosts;
    int is_exposed;
    char error[512];

    (void)state;
    assert_int_equal(read_text("", 0640, &hosts, &is_exposed, error, sizeof(error)), HMS_OK);
    assert_true(is_exposed);
    json_decref(hosts);
}

static void bad_lines_are_named(void **state)
{
    static const struct {
        const char *text;
        const char *word;
    } table[] = {
        {"10.0.0.1\n", "line 1: a line is ADDRESS PASSWORD"},
        {"# x\n{\"docker\":\"none\"}", "line 2: address is missing"},
        {"{\"address\":7}", "line 1: address is missing"},
        {"\n\n{", "line 3: invalid JSON"},
    };
    json_t *hosts;
    int is_exposed;
    char error[512];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        print_message("%s\n", table[i].text);
        assert_int_equal(read_text(table[i].text, 0600, &hosts, &is_exposed, error, sizeof(error)),
                         HMS_EINVAL);
        assert_non_null(strstr(error, table[i].word));
    }
    assert_int_equal(hms_hosts_file_read("/nonexistent", &hosts, &is_exposed, error, sizeof(error)),
                     HMS_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds_of_lines),
        cmocka_unit_test(an_open_file_is_noticed),
        cmocka_unit_test(bad_lines_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
