/* Which notifications are taken, and what the error names of those that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "controller/notice.h"
#include "core/error.h"

#define ADDRESS "'address':'10.0.0.2'"
#define POINT   "'epoch':7,'base':2,'version':3"

static json_t *parse(const char *text)
{
    char copy[512], *at;
    json_t *value;

    strcpy(copy, text);
    for (at = copy; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    value = json_loads(copy, 0, NULL);
    assert_non_null(value);
    return value;
}

static void good_ones_are_read(void **state)
{
    static const char *const texts[] = {
        "{'command':'live'," ADDRESS "}",
        "{'command':'update'," ADDRESS ",'more':'of another time'}",
        "{'command':'live'," ADDRESS ",'sender':'manager.callback.10.0.0.2'}",
        "{'command':'live'," ADDRESS ",'period_ms':1000,'epoch':7,'version':0}",
        "{'command':'live'," ADDRESS ",'epoch':7,'version':3,'host':{},'measures':{}}",
        "{'command':'live'," ADDRESS ",'epoch':7,'version':3,'measures':{'a':[0,0.1,1,2]}}",
        "{'command':'update'," ADDRESS "," POINT "}",
        "{'command':'update'," ADDRESS ",'epoch':7,'base':3,'version':3}",
        "{'command':'update'," ADDRESS "," POINT ",'changed':{'a':{}},'removed':['b'],'host':{}}",
    };
    char error[HMS_JSON_ERROR_SIZE];
    struct hms_notice notice;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *message = parse(texts[i]);

        print_message("%s\n", texts[i]);
        assert_int_equal(hms_notice_read(&notice, message, error), HMS_OK);
        assert_string_equal(notice.address, "10.0.0.2");
        json_decref(message);
    }
    /* The last one has everything that an update may have. */
    assert_int_equal(notice.kind, HMS_NOTICE_UPDATE);
    assert_int_equal(notice.point.epoch, 7);
    assert_int_equal(notice.point.version, 3);
    assert_int_equal(notice.base, 2);
}

static void bad_ones_are_named(void **state)
{
    static const struct {
        int result;
        const char *word; /* in the error */
        const char *text;
    } cases[] = {
        {HMS_ENOENT, "dance", "{'command':'dance'," ADDRESS "}"},
        {HMS_ENOENT, "command", "{'command':7," ADDRESS "}"},
        {HMS_ENOENT, "command", "[]"},
        {HMS_EPROTO, "address", "{'command':'live'}"},
        {HMS_EPROTO, "address", "{'command':'live','address':5}"},
        {HMS_EPROTO, "address", "{'command':'live','address':'nowhere'}"},
        {HMS_EPROTO, "address",
         "{'command':'live'," ADDRESS ",'sender':'manager.callback.10.0.0.3'}"},
        {HMS_EPROTO, "period_ms", "{'command':'live'," ADDRESS ",'period_ms':0}"},
        {HMS_EPROTO, "period_ms", "{'command':'live'," ADDRESS ",'period_ms':'1'}"},
        {HMS_EPROTO, "version", "{'command':'live'," ADDRESS ",'epoch':7}"},
        {HMS_EPROTO, "epoch", "{'command':'live'," ADDRESS ",'version':7}"},
        {HMS_EPROTO, "epoch", "{'command':'live'," ADDRESS ",'epoch':0,'version':7}"},
        {HMS_EPROTO, "epoch", "{'command':'live'," ADDRESS ",'epoch':1.5,'version':7}"},
        {HMS_EPROTO, "version", "{'command':'live'," ADDRESS ",'epoch':7,'version':-1}"},
        {HMS_EPROTO, "host", "{'command':'live'," ADDRESS ",'host':[]}"},
        {HMS_EPROTO, "measures", "{'command':'live'," ADDRESS ",'measures':[]}"},
        {HMS_EPROTO, "measures", "{'command':'live'," ADDRESS ",'measures':{'a':{}}}"},
        {HMS_EPROTO, "measures", "{'command':'live'," ADDRESS ",'measures':{'':[0,1,1,1]}}"},
        {HMS_EPROTO, "measures", "{'command':'live'," ADDRESS ",'measures':{'a':[0,1,1]}}"},
        {HMS_EPROTO, "measures", "{'command':'live'," ADDRESS ",'measures':{'a':[101,1,1,1]}}"},
        {HMS_EPROTO, "measures", "{'command':'live'," ADDRESS ",'measures':{'a':[0,-1,1,1]}}"},
        {HMS_EPROTO, "measures", "{'command':'live'," ADDRESS ",'measures':{'a':[0,'1',1,1]}}"},
        {HMS_EPROTO, "base", "{'command':'update'," ADDRESS ",'epoch':7,'version':3}"},
        {HMS_EPROTO, "base", "{'command':'update'," ADDRESS ",'epoch':7,'version':3,'base':4}"},
        {HMS_EPROTO, "base", "{'command':'update'," ADDRESS ",'epoch':7,'version':3,'base':-1}"},
        {HMS_EPROTO, "changed", "{'command':'update'," ADDRESS "," POINT ",'changed':[]}"},
        {HMS_EPROTO, "changed", "{'command':'update'," ADDRESS "," POINT ",'changed':{'':{}}}"},
        {HMS_EPROTO, "changed", "{'command':'update'," ADDRESS "," POINT ",'changed':{'a':[]}}"},
        {HMS_EPROTO, "container_state of a",
         "{'command':'update'," ADDRESS "," POINT ",'changed':{'a':{'container_state':1}}}"},
        {HMS_EPROTO, "details of a must be a text",
         "{'command':'update'," ADDRESS "," POINT ",'changed':{'a':{'details':[]}}}"},
        {HMS_EPROTO, "up of a must be true or false",
         "{'command':'update'," ADDRESS "," POINT ",'changed':{'a':{'up':'yes'}}}"},
        {HMS_EPROTO, "changed",
         "{'command':'update'," ADDRESS "," POINT ",'changed':{'0123456789012345678901234567890123"
         "4567890123456789012345678901234':{}}}"},
        {HMS_EPROTO, "removed", "{'command':'update'," ADDRESS "," POINT ",'removed':{}}"},
        {HMS_EPROTO, "removed", "{'command':'update'," ADDRESS "," POINT ",'removed':[5]}"},
        {HMS_EPROTO, "removed", "{'command':'update'," ADDRESS "," POINT ",'removed':['']}"},
        {HMS_EPROTO, "host", "{'command':'update'," ADDRESS "," POINT ",'host':'up'}"},
    };
    char error[HMS_JSON_ERROR_SIZE];
    struct hms_notice notice;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *message = parse(cases[i].text);

        print_message("%s\n", cases[i].text);
        assert_int_equal(hms_notice_read(&notice, message, error), cases[i].result);
        print_message("  %s\n", error);
        assert_non_null(strstr(error, cases[i].word));
        json_decref(message);
    }
}

static void too_many_are_refused(void **state)
{
    json_t *message = parse("{'command':'update'," ADDRESS "," POINT ",'removed':[]}");
    json_t *removed = json_object_get(message, "removed");
    char error[HMS_JSON_ERROR_SIZE];
    struct hms_notice notice;
    int i;

    (void)state;
    for (i = 0; i <= HMS_NOTICE_CONTAINERS_MAX; i++)
        json_array_append_new(removed, json_string("a"));
    assert_int_equal(hms_notice_read(&notice, message, error), HMS_EPROTO);
    assert_non_null(strstr(error, "65536 are the limit"));
    json_array_remove(removed, 0);
    assert_int_equal(hms_notice_read(&notice, message, error), HMS_OK);
    json_decref(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_are_read),
        cmocka_unit_test(bad_ones_are_named),
        cmocka_unit_test(too_many_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
