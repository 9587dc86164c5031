/* Request targets: what is taken apart how, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/http_uri.h"

static void splits_and_decodes(void **state)
{
    static const struct {
        const char *target;
        const char *authority;
        const char *path;
        const char *query; /* "name=value;" for each parameter, in order */
    } cases[] = {
        {"/", NULL, "/", ""},
        {"/containers", NULL, "/containers", ""},
        {"/a%20b/%C3%A9", NULL, "/a b/\xc3\xa9", ""},
        {"/a+b", NULL, "/a+b", ""},
        {"/a%2fb", NULL, "/a/b", ""},
        {"/%25%32%35", NULL, "/%25", ""},
        {"/?", NULL, "/", ""},
        {"/?a", NULL, "/", "a=;"},
        {"/?a=", NULL, "/", "a=;"},
        {"/?=b", NULL, "/", "=b;"},
        {"/?a=b", NULL, "/", "a=b;"},
        {"/?a=b=c", NULL, "/", "a=b=c;"},
        {"/x?a=1&b=2&a=3", NULL, "/x", "a=1;b=2;a=3;"},
        {"/?&&a=1&&", NULL, "/", "a=1;"},
        {"/?a+b=c+d%2B", NULL, "/", "a b=c d+;"},
        {"/?a%26b=%3D", NULL, "/", "a&b==;"},
        {"/?a?b", NULL, "/", "a?b=;"},
        {"//x//y", NULL, "//x//y", ""},
        {"/../x", NULL, "/../x", ""},
        {"*", NULL, "*", ""},
        {"http://h", "h", "/", ""},
        {"http://h/", "h", "/", ""},
        {"HTTP://h:80/x?a=1", "h:80", "/x", "a=1;"},
        {"http://h?a=1", "h", "/", "a=1;"},
        {"http://[::1]:8080/%41", "[::1]:8080", "/A", ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hms_http_uri uri;
        const char *reason = "none";
        char target[128];
        char query[128] = "";

        snprintf(target, sizeof(target), "%s", cases[i].target);
        if (hms_http_uri_parse(&uri, target, &reason) != HMS_OK)
            fail_msg("%s: %s", cases[i].target, reason);
        assert_string_equal(uri.path, cases[i].path);
        if (cases[i].authority == NULL)
            assert_null(uri.authority);
        else
            assert_string_equal(uri.authority, cases[i].authority);
        for (int j = 0; j < uri.query_count; j++) {
            strcat(query, uri.query[j].name);
            strcat(query, "=");
            strcat(query, uri.query[j].value);
            strcat(query, ";");
        }
        assert_string_equal(query, cases[i].query);
    }
}

static void refuses_what_is_malformed(void **state)
{
    static const char *const targets[] = {
        "",           "x",          "containers",    "h:80",      "/%",         "/%4",
        "/%zz",       "/%4z",       "/%00",          "/?a=%00",   "/?a=%",      "/?%g1=1",
        "/a#b",       "/a b",       "/\x01",         "/\x7f",     "/\xc3\xa9",  "https://h/",
        "ftp://h/",   "http://",    "http:///x",     "http://?a", "http://u@h", "http://h:x/",
        "http://[/x", "http://[]/", "http://[::1/x", "http:/h/x", "**",         "*?a=1",
    };

    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct hms_http_uri uri;
        const char *reason = NULL;
        char target[128];

        snprintf(target, sizeof(target), "%s", targets[i]);
        if (hms_http_uri_parse(&uri, target, &reason) != HMS_EINVAL)
            fail_msg("%s was taken", targets[i]);
        assert_non_null(reason);
    }
}

static void bounds_the_parameters(void **state)
{
    struct hms_http_uri uri;
    const char *reason;
    char target[512];
    int too_many;

    for (too_many = 0; too_many < 2; too_many++) {
        strcpy(target, "/?");
        for (int i = 0; i < HMS_HTTP_QUERY_MAX + too_many; i++)
            strcat(target, "a=1&");
        assert_int_equal(hms_http_uri_parse(&uri, target, &reason), too_many ? HMS_EINVAL : HMS_OK);
    }
}

static void finds_the_first_of_a_name(void **state)
{
    struct hms_http_uri uri;
    const char *reason;
    char target[] = "/?b=0&a=1&a=2&A=3&c";

    assert_int_equal(hms_http_uri_parse(&uri, target, &reason), HMS_OK);
    assert_string_equal(hms_http_uri_query(&uri, "a"), "1");
    assert_string_equal(hms_http_uri_query(&uri, "A"), "3");
    assert_string_equal(hms_http_uri_query(&uri, "c"), "");
    assert_null(hms_http_uri_query(&uri, "d"));
    assert_null(hms_http_uri_query(&uri, ""));
}

static void knows_a_valid_authority(void **state)
{
    static const char *const valid[] = {"h",
                                        "h:80",
                                        "127.0.0.1:8080",
                                        "[::1]",
                                        "[::1]:1",
                                        "a.b-c_d~e",
                                        "h:",
                                        "%41",
                                        "localhost",
                                        "a,b;c=d+e!",
                                        "[::ffff:1.2.3.4]:80"};
    static const char *const invalid[] = {"",       ":80", "h:x", "h:80x", "a b",  "a/b",  "u@h",
                                          "[::1",   "[]",  "[g]", "h:1:2", "a\tb", "\x7f", "h\xc3",
                                          "[::1]x", "a?b", "a#b", "h:-1",  "<h>"};

    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
        if (!hms_http_authority_is_valid(valid[i]))
            fail_msg("%s was refused", valid[i]);
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
        if (hms_http_authority_is_valid(invalid[i]))
            fail_msg("%s was taken", invalid[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_and_decodes),      cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(bounds_the_parameters),   cmocka_unit_test(finds_the_first_of_a_name),
        cmocka_unit_test(knows_a_valid_authority),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
