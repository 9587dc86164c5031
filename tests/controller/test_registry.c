/* Hosts, containers and their names; what a manager's answer may look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/notice.h"
#include "controller/registry.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/json.h"

#define ADDRESS "10.0.0.2"

static const char answer[] =
    "{'command':'ok','address':'10.0.0.2','content':{"
    " 'aaaa11112222':{'id':'aaaa111122223333','name':'web','container_state':'running'},"
    " 'aaaa99992222':{'id':'aaaa999922223333','name':'db','container_state':'exited'},"
    " 'bbbb11112222':{'id':'bbbb111122223333','name':'aaaa1111','container_state':'running',"
    "                 'up':false},"
    " 'cccc111122':{'container_state':'disabled','details':'ignored'}}}";

static const struct hms_notice live = {.kind = HMS_NOTICE_LIVE, .address = ADDRESS};

static json_t *parse(const char *text)
{
    char *copy = strdup(text);
    char error[HMS_JSON_ERROR_SIZE] = "";
    json_t *value;
    char *at;

    for (at = copy; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    value = hms_json_parse(copy, strlen(copy), error);
    assert_string_equal(error, "");
    free(copy);
    return value;
}

static int take(struct hms_registry *registry, struct hms_host *host, const char *text)
{
    char error[HMS_JSON_ERROR_SIZE] = "";
    json_t *message = parse(text);
    int result;

    hms_registry_heard(registry, host, &live, 0, 1);
    hms_registry_asked(host);
    result = hms_registry_answered(registry, host, message, 10, 2, error);
    assert_true((result == HMS_OK) == (*error == '\0'));
    json_decref(message);
    return result;
}

static int setup(void **state)
{
    *state = hms_registry_new();
    return 0;
}

static int teardown(void **state)
{
    hms_registry_free(*state);
    return 0;
}

static struct hms_host *enter(struct hms_registry *registry, const char *address)
{
    struct hms_host *host = NULL;

    assert_int_equal(hms_registry_enter(registry, address, &host), HMS_OK);
    return host;
}

static void hosts_are_found_and_ordered(void **state)
{
    static const char *const addresses[] = {"10.0.0.10", "9.255.0.1", "10.0.0.2", "192.168.0.1"};
    static const char *const ordered[] = {"9.255.0.1", "10.0.0.2", "10.0.0.10", "192.168.0.1"};
    static const char *const wrong[] = {"", "host", "10.0.0", "10.0.0.256", "::1", "10.0.0.1 "};
    struct hms_host *host;
    size_t i;

    for (i = 0; i < 4; i++) {
        host = enter(*state, addresses[i]);
        assert_ptr_equal(hms_registry_find(*state, addresses[i]), host);
        assert_ptr_equal(enter(*state, addresses[i]), host);
    }
    assert_int_equal(hms_registry_count(*state), 4);
    for (i = 0; i < 4; i++)
        assert_string_equal(hms_registry_at(*state, i)->address, ordered[i]);
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_null(hms_registry_find(*state, wrong[i]));
        assert_int_equal(hms_registry_enter(*state, wrong[i], &host), HMS_EINVAL);
    }
}

static void hosts_are_bounded(void **state)
{
    struct hms_host *host;
    char address[32];
    int i;

    for (i = 0; i < HMS_REGISTRY_HOSTS_MAX; i++) {
        snprintf(address, sizeof(address), "10.1.%d.%d", i / 256, i % 256);
        enter(*state, address);
    }
    assert_int_equal(hms_registry_enter(*state, "10.2.0.0", &host), HMS_ELIMIT);
    assert_int_equal(hms_registry_enter(*state, "10.1.0.7", &host), HMS_OK);
}

static void check(struct hms_registry *registry, struct hms_host *host, int64_t now_ms)
{
    struct hms_registry_times times = {
        .now_ms = now_ms, .wall_ns = now_ms * 1000000, .expiry_ms = 300000};

    hms_registry_check(registry, host, &times);
}

static void a_host_that_left_counts_for_nothing(void **state)
{
    struct hms_registry *registry = *state;
    struct hms_host *host, *again;

    hms_registry_enter(registry, ADDRESS, &host);
    assert_int_equal(take(registry, host, answer), HMS_OK);
    check(registry, host, 10);
    assert_int_equal(hms_registry_totals(registry)->hosts_present, 1);
    hms_registry_hold(host);
    hms_registry_remove(registry, host);
    assert_null(hms_registry_find(registry, ADDRESS));
    assert_int_equal(hms_registry_count(registry), 0);
    assert_int_equal(hms_registry_totals(registry)->hosts_present, 0);
    assert_int_equal(hms_registry_totals(registry)->containers.supervised, 0);
    /* Who held it may go on with it; it is another one that comes under that address. */
    hms_registry_changed(registry, host);
    assert_int_equal(hms_registry_totals(registry)->hosts_present, 0);
    hms_registry_enter(registry, ADDRESS, &again);
    assert_ptr_not_equal(again, host);
    hms_registry_release(host);
}

static void containers_are_resolved(void **state)
{
    static const struct {
        const char *wanted;
        int result;
        const char *key;
    } cases[] = {
        {"aaaa11112222", HMS_OK, "aaaa11112222"},     /* short id */
        {"aaaa111122223333", HMS_OK, "aaaa11112222"}, /* full id */
        {"web", HMS_OK, "aaaa11112222"},              /* name */
        {"aaaa1111", HMS_OK, "bbbb11112222"},         /* a name beats the prefix of an id */
        {"aaaa11", HMS_OK, "aaaa11112222"},           /* prefix */
        {"bbbb", HMS_OK, "bbbb11112222"},             /* the shortest one */
        {"bbb", HMS_ENOENT, NULL},                    /* too short */
        {"aaaa", HMS_EBUSY, NULL},                    /* two begin with it */
        {"cccc1111", HMS_OK, "cccc111122"},           /* prefix of a peer's key */
        {"cccc1111222233", HMS_OK, "cccc111122"},     /* the full id of a peer's key */
        {"aaaa1111222244", HMS_ENOENT, NULL},         /* longer than the id fits */
        {"eeee", HMS_ENOENT, NULL},
        {"we", HMS_ENOENT, NULL},
        {"", HMS_ENOENT, NULL},
        {"../x", HMS_ENOENT, NULL},
    };
    struct hms_host *host = enter(*state, ADDRESS);
    const char *key;
    json_t *entry;
    size_t i;

    assert_int_equal(take(*state, host, answer), HMS_OK);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s\n", cases[i].wanted);
        assert_int_equal(hms_host_resolve(host, cases[i].wanted, &key, &entry), cases[i].result);
        if (cases[i].result == HMS_OK) {
            assert_string_equal(key, cases[i].key);
            assert_ptr_equal(entry, json_object_get(host->content, key));
        }
    }
}

static void wrong_answers_leave_the_host_as_it_was(void **state)
{
    static const char *const wrong[] = {
        "{'command':'error','type':'x','description':'no'}",
        "{'command':'error'}",
        "{'content':{}}",
        "{'command':'ok'}",
        "{'command':'ok','content':[]}",
        "{'command':'ok','content':{'aaaa':5}}",
        "{'command':'ok','content':{'':{}}}",
        "{'command':'ok','address':'10.0.0.3','content':{}}",
    };
    struct hms_host *host = enter(*state, ADDRESS);
    size_t i;

    assert_int_equal(take(*state, host, answer), HMS_OK);
    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(take(*state, host, wrong[i]), HMS_EPROTO);
        assert_int_equal(json_object_size(host->content), 4);
        assert_int_equal(host->sync.status, HMS_STATUS_UPDATE_PRESENT);
        assert_int_equal(host->asks_failed, i + 1);
    }
}

static void too_many_containers_are_refused(void **state)
{
    struct hms_host *host = enter(*state, ADDRESS);
    json_t *message = json_pack("{s:s, s:{}}", "command", "ok", "content");
    char error[HMS_JSON_ERROR_SIZE], key[16];
    int i;

    for (i = 0; i <= HMS_NOTICE_CONTAINERS_MAX; i++) {
        snprintf(key, sizeof(key), "%012d", i);
        json_object_set_new(json_object_get(message, "content"), key, json_object());
    }
    hms_registry_heard(*state, host, &live, 0, 1);
    hms_registry_asked(host);
    assert_int_equal(hms_registry_answered(*state, host, message, 0, 0, error), HMS_EPROTO);
    assert_int_equal(json_object_size(host->content), 0);
    json_decref(message);
}

/* However often it is told, a container goes once. */
static void a_container_goes_once(void **state)
{
    struct hms_host *host = enter(*state, ADDRESS);
    json_t *removed = parse("['aaaa11112222','aaaa11112222','aaaa11112222','unknown']");
    json_t *changed = parse("{'dddd':{},'eeee':{}}");

    assert_int_equal(take(*state, host, answer), HMS_OK);
    assert_int_equal(hms_host_count_after(host, removed, changed), 4 - 1 + 2);
    hms_host_change(host, removed, changed);
    assert_int_equal(json_object_size(host->content), 4 - 1 + 2);
    json_decref(removed);
    json_decref(changed);
}

static void who_is_up(void **state)
{
    const struct hms_totals *totals = &hms_registry_totals(*state)->containers;
    struct hms_host *host = enter(*state, ADDRESS);

    assert_int_equal(take(*state, host, answer), HMS_OK);
    check(*state, host, 11);
    assert_int_equal(totals->containers, 4);
    assert_int_equal(totals->supervised, 3); /* not the ignored one */
    assert_int_equal(totals->up, 1); /* not the exited one, nor the one that says so itself */
    check(*state, host, 400000);
    assert_int_equal(totals->supervised, 3);
    assert_int_equal(totals->up, 0);
}

static void states_of_a_host(void **state)
{
    struct hms_host *host = enter(*state, ADDRESS);
    uint64_t version;

    assert_int_equal(host->state, HMS_HOST_OFFLINE);
    take(*state, host, "{'command':'ok','content':{},'host':{'state':'degraded'}}");
    check(*state, host, 11);
    assert_int_equal(host->state, HMS_HOST_DEGRADED);
    take(*state, host, "{'command':'ok','content':{},'host':{'state':'online'}}");
    check(*state, host, 12);
    assert_int_equal(host->state, HMS_HOST_ONLINE);
    version = hms_registry_version(*state);
    check(*state, host, 13);
    assert_int_equal(hms_registry_version(*state), version);
    assert_int_equal(host->state_since_ns, 12000000);
    check(*state, host, 250000);
    assert_int_equal(host->state, HMS_HOST_STALE);
    assert_int_equal(host->state_since_ns, INT64_C(250000000000));
    assert_true(hms_registry_version(*state) > version);
    assert_string_equal(hms_host_state_name(host->state), "stale");
}

static void expect_text(struct hms_host *host, const char *expected)
{
    struct hms_buffer buffer;

    hms_buffer_init(&buffer, 1 << 20);
    assert_int_equal(hms_host_append_text(host, &buffer), HMS_OK);
    assert_string_equal(buffer.data, expected);
    hms_buffer_free(&buffer);
}

static void text_follows_the_content(void **state)
{
    struct hms_host *host = enter(*state, ADDRESS);

    expect_text(host, "{}");
    take(*state, host, "{'command':'ok','content':{'aaaa':{'name':'web'},'bbbb':{}}}");
    expect_text(host, "{\"aaaa\":{\"name\":\"web\"},\"bbbb\":{}}");
    take(*state, host, "{'command':'ok','content':{'bbbb':{'name':'db'}}}");
    expect_text(host, "{\"bbbb\":{\"name\":\"db\"}}");
}

/* The totals after each of many changes are those of a count from the beginning. */
static void totals_follow_every_change(void **state)
{
    static const char *const states[] = {"running", "exited", "disabled", "levitating"};
    const struct hms_totals *totals = &hms_registry_totals(*state)->containers;
    struct hms_host *host = enter(*state, ADDRESS);
    struct hms_notice notice = {.kind = HMS_NOTICE_UPDATE, .point = {7, 0}};
    unsigned random = 1;
    int i;

    enter(*state, "10.0.0.3");
    assert_int_equal(take(*state, host,
                          "{'command':'ok','epoch':7,'version':0,'content':{"
                          "'k1':{'container_state':'running'},'k2':{}}}"),
                     HMS_OK);
    check(*state, host, 10);
    for (i = 1; i <= 1000; i++) {
        struct hms_totals counted = {0};
        json_t *changed = json_object(), *removed = json_array(), *entry;
        const char *key;
        char name[8];

        random = random * 1103515245u + 12345u;
        snprintf(name, sizeof(name), "k%u", (random >> 16) % 8);
        json_object_set_new(changed, name,
                            json_pack("{s:s}", "container_state", states[(random >> 20) % 4]));
        snprintf(name, sizeof(name), "k%u", (random >> 24) % 8);
        json_array_append_new(removed, json_string(name));
        notice.changed = changed;
        notice.removed = removed;
        notice.base = notice.point.version++;
        assert_true(hms_host_count_after(host, removed, changed) >= 1);
        assert_int_equal(hms_registry_heard(*state, host, &notice, 11, 1), HMS_SYNC_FOLLOWS);
        json_object_foreach(host->content, key, entry)
        {
            hms_totals_count(&counted, entry, 1);
        }
        assert_memory_equal(totals, &counted, sizeof(counted));
        json_decref(changed);
        json_decref(removed);
    }
}

static void update(struct hms_registry *registry, struct hms_host *host, int64_t version,
                   const char *changed, const char *measures)
{
    struct hms_notice notice = {.kind = measures ? HMS_NOTICE_LIVE : HMS_NOTICE_UPDATE,
                                .point = {7, version},
                                .base = measures ? version : version - 1};
    json_t *object = parse(measures ? measures : changed);

    if (measures != NULL)
        notice.measures = object;
    else
        notice.changed = object;
    hms_registry_heard(registry, host, &notice, 11, 1);
    json_decref(object);
}

/* Who was given a content, or entries, keeps them as they were. */
static void what_was_given_out_stays(void **state)
{
    struct hms_host *host = enter(*state, ADDRESS);
    json_t *given, *entry;

    assert_int_equal(take(*state, host,
                          "{'command':'ok','epoch':7,'version':1,'content':{"
                          "'aaaa':{'name':'web','loss_pct':0},'bbbb':{'name':'db'}}}"),
                     HMS_OK);
    given = json_incref(host->content);
    entry = json_incref(json_object_get(given, "aaaa"));
    update(*state, host, 2, "{'bbbb':{'name':'new'}}", NULL);
    update(*state, host, 2, NULL, "{'aaaa':[5,0.1,0.2,0.3],'bbbb':[1,1,1,1],'cccc':[1,1,1,1]}");
    expect_text(host, "{\"aaaa\":{\"name\":\"web\",\"loss_pct\":5,\"packet_loss\":\"5.0%\","
                      "\"rtt_ms\":{\"min\":0.1,\"avg\":0.2,\"max\":0.3}},"
                      "\"bbbb\":{\"name\":\"new\"}}");
    assert_int_equal(json_integer_value(json_object_get(entry, "loss_pct")), 0);
    assert_ptr_equal(json_object_get(given, "aaaa"), entry);
    assert_string_equal(hms_json_string(json_object_get(given, "bbbb"), "name"), "db");
    json_decref(entry);
    json_decref(given);
}

static void measures_of_another_life_are_left(void **state)
{
    struct hms_host *host = enter(*state, ADDRESS);
    static const char content[] = "{\"aaaa\":{\"loss_pct\":0}}";

    assert_int_equal(take(*state, host,
                          "{'command':'ok','epoch':8,'version':1,'content':{"
                          "'aaaa':{'loss_pct':0}}}"),
                     HMS_OK);
    update(*state, host, 1, NULL, "{'aaaa':[5,0.1,0.2,0.3]}");
    expect_text(host, content);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hosts_are_found_and_ordered),
        TEST(hosts_are_bounded),
        TEST(a_host_that_left_counts_for_nothing),
        TEST(containers_are_resolved),
        TEST(wrong_answers_leave_the_host_as_it_was),
        TEST(too_many_containers_are_refused),
        TEST(a_container_goes_once),
        TEST(who_is_up),
        TEST(states_of_a_host),
        TEST(text_follows_the_content),
        TEST(totals_follow_every_change),
        TEST(what_was_given_out_stays),
        TEST(measures_of_another_life_are_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
