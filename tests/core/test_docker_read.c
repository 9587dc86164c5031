/*
 * Reading what Docker says: bodies recorded from Engine 20.10 in docker_bodies/, and shapes that no
 * engine should send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/docker.h"
#include "core/error.h"

#define BRIDGE_ID "5125f5e2fdb1f0936899d7f89b90f42d8f9f23f771a412ef7347b1d4f9db4c2a"

/* The file's path: they lie beside this source. */
static char *body_path(const char *name)
{
    const char *slash = strrchr(__FILE__, '/');

    return hms_asprintf("%.*s/docker_bodies/%s", (int)(slash - __FILE__), __FILE__, name);
}

static json_t *load(const char *name)
{
    char *path = body_path(name);
    json_t *body = json_load_file(path, 0, NULL);

    if (body == NULL)
        fail_msg("cannot read %s", path);
    free(path);
    return body;
}

static void read_recorded(const char *name, struct hms_docker_container *container)
{
    json_t *body = load(name);

    assert_int_equal(hms_docker_read_container(body, container), 0);
    json_decref(body); /* what was read stands on its own */
}

static const struct hms_docker_endpoint *endpoint(const struct hms_docker_container *container,
                                                  const char *network)
{
    size_t i;

    for (i = 0; i < container->endpoint_count; i++)
        if (strcmp(container->endpoints[i].network, network) == 0)
            return &container->endpoints[i];
    fail_msg("not on network %s", network);
    return NULL;
}

static void test_inspect_two_networks(void **state)
{
    struct hms_docker_container container;

    read_recorded("inspect_two_networks.json", &container);
    assert_string_equal(container.id,
                        "747026fe1040a7258e1d2c27fe08501cac08aa3dfd88dec99f9cb63490c458d3");
    assert_string_equal(container.name, "two");
    assert_string_equal(container.image, "t");
    assert_string_equal(container.network_mode, "six");
    assert_string_equal(container.restart_policy, "no");
    assert_int_equal(container.state, HMS_DOCKER_RUNNING);
    assert_int_equal(container.pid, 847);
    assert_int_equal(container.created_ns, INT64_C(1795226749204694956));
    assert_int_equal(container.started_ns, INT64_C(1795226749603788901));
    assert_int_equal(container.finished_ns, 0);
    assert_string_equal(json_string_value(json_object_get(container.labels, "odd")),
                        "\xc3\xa9\"\\");
    assert_int_equal(container.endpoint_count, 2);
    assert_string_equal(endpoint(&container, "bridge")->network_id, BRIDGE_ID);
    assert_string_equal(endpoint(&container, "bridge")->ipv4, "172.17.0.2");
    assert_null(endpoint(&container, "bridge")->ipv6);
    assert_string_equal(endpoint(&container, "six")->ipv4, "172.19.0.2");
    assert_string_equal(endpoint(&container, "six")->ipv6, "fd00:1::2");
    hms_docker_container_clear(&container);
}

static void test_inspect_states(void **state)
{
    static const struct {
        const char *file;
        enum hms_docker_state state;
        const char *mode;
        const char *policy;
        int retries, auto_remove, exit_code;
        size_t endpoints;
    } cases[] = {
        {"inspect_exited.json", HMS_DOCKER_EXITED, "default", "no", 0, 0, 7, 1},
        {"inspect_created.json", HMS_DOCKER_CREATED, "default", "no", 0, 0, 0, 1},
        {"inspect_paused.json", HMS_DOCKER_PAUSED, "default", "on-failure", 3, 0, 0, 1},
        {"inspect_auto_remove.json", HMS_DOCKER_RUNNING, "default", "no", 0, 1, 0, 1},
        {"inspect_shared_network.json", HMS_DOCKER_RUNNING,
         "container:747026fe1040a7258e1d2c27fe08501cac08aa3dfd88dec99f9cb63490c458d3", "no", 0, 0,
         0, 0},
    };
    struct hms_docker_container container;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        read_recorded(cases[i].file, &container);
        assert_int_equal(container.state, cases[i].state);
        assert_string_equal(container.network_mode, cases[i].mode);
        assert_string_equal(container.restart_policy, cases[i].policy);
        assert_int_equal(container.restart_max_retries, cases[i].retries);
        assert_int_equal(container.auto_remove, cases[i].auto_remove);
        assert_int_equal(container.exit_code, cases[i].exit_code);
        assert_int_equal(container.endpoint_count, cases[i].endpoints);
        hms_docker_container_clear(&container);
    }
}

static void test_address_of_a_stopped_container(void **state)
{
    struct hms_docker_container container;

    read_recorded("inspect_exited.json", &container);
    assert_null(endpoint(&container, "bridge")->ipv4);
    assert_null(endpoint(&container, "bridge")->ipv6);
    assert_int_equal(container.finished_ns, INT64_C(1795225188443660948));
    hms_docker_container_clear(&container);
    read_recorded("inspect_created.json", &container);
    assert_string_equal(endpoint(&container, "bridge")->network_id, "");
    hms_docker_container_clear(&container);
}

static void test_list(void **state)
{
    json_t *body = load("list.json");
    struct hms_docker_row *rows;
    size_t count, i;
    int running = 0;

    assert_int_equal(hms_docker_read_list(body, &rows, &count), 0);
    json_decref(body);
    assert_int_equal(count, 8);
    for (i = 0; i < count; i++) {
        running += rows[i].state == HMS_DOCKER_RUNNING;
        assert_int_equal(strlen(rows[i].id), 64);
    }
    assert_int_equal(running, 4);
    free(rows);
}

static void test_networks(void **state)
{
    static const char *const drivers[][2] = {
        {"bridge", "bridge"}, {"six", "bridge"}, {"host", "host"}, {"none", "null"}};
    json_t *body = load("networks.json");
    struct hms_docker_network *networks;
    size_t count, i, j, found = 0;

    assert_int_equal(hms_docker_read_networks(body, &networks, &count), 0);
    json_decref(body);
    assert_int_equal(count, 4);
    for (i = 0; i < count; i++)
        for (j = 0; j < 4; j++)
            found += strcmp(networks[i].name, drivers[j][0]) == 0 &&
                     strcmp(networks[i].driver, drivers[j][1]) == 0;
    assert_int_equal(found, 4);
    hms_docker_networks_free(networks, count);
}

/* --- events --------------------------------------------------------------------------------- */

/* Reads the recorded events; counts them by action. */
static int count_events(int counts[HMS_DOCKER_ON_NETWORK + 1],
                        void (*check)(const struct hms_docker_event *event))
{
    char *path = body_path("events.jsonl");
    FILE *file = fopen(path, "r");
    struct hms_docker_event event;
    char line[4096];
    int unneeded = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        json_t *body = json_loads(line, 0, NULL);
        int error = hms_docker_read_event(body, &event);

        assert_true(error == HMS_OK || error == HMS_ENOENT);
        if (error == HMS_OK) {
            counts[event.action]++;
            check(&event);
        } else {
            unneeded++;
        }
        json_decref(body);
    }
    fclose(file);
    free(path);
    return unneeded;
}

static void check_event(const struct hms_docker_event *event)
{
    assert_true(json_is_object(event->attributes));
    assert_in_range(event->time_ns, INT64_C(1795225187000000000), INT64_C(1795225191000000000));
    assert_true(event->id[0] != '\0' || event->action == HMS_DOCKER_ON_NETWORK);
    if (event->action == HMS_DOCKER_ON_DIE) {
        assert_true(event->exit_code == 0 || event->exit_code == 7 || event->exit_code == 137 ||
                    event->exit_code == 143);
        assert_true(strcmp(event->name, "f1") != 0 || event->exit_code == 7);
        assert_true(strcmp(event->name, "oom") != 0 || event->exit_code == 137);
    } else {
        assert_int_equal(event->exit_code, -1);
    }
    if (event->action == HMS_DOCKER_ON_KILL)
        assert_true(event->signal == 9 || event->signal == 15);
    else
        assert_int_equal(event->signal, 0);
    if (event->action == HMS_DOCKER_ON_RENAME)
        assert_string_equal(event->name, "a11");
    if (event->action != HMS_DOCKER_ON_NETWORK)
        assert_string_equal(event->image, "t");
}

static void test_events(void **state)
{
    static const int expected[HMS_DOCKER_ON_NETWORK + 1] = {
        [HMS_DOCKER_ON_CREATE] = 5,   [HMS_DOCKER_ON_START] = 7,  [HMS_DOCKER_ON_RESTART] = 1,
        [HMS_DOCKER_ON_KILL] = 3,     [HMS_DOCKER_ON_DIE] = 6,    [HMS_DOCKER_ON_STOP] = 2,
        [HMS_DOCKER_ON_OOM] = 1,      [HMS_DOCKER_ON_PAUSE] = 2,  [HMS_DOCKER_ON_UNPAUSE] = 2,
        [HMS_DOCKER_ON_RENAME] = 1,   [HMS_DOCKER_ON_UPDATE] = 1, [HMS_DOCKER_ON_DESTROY] = 2,
        [HMS_DOCKER_ON_NETWORK] = 18,
    };
    int counts[HMS_DOCKER_ON_NETWORK + 1] = {0};

    assert_int_equal(count_events(counts, check_event), 10); /* image, exec, attach, commit */
    assert_memory_equal(counts, expected, sizeof(counts));
}

#define ID "d9124173154569457ad95eaed12934136ece88ceed06540e0b67c91e521319fa"

static void test_event_shapes(void **state)
{
    static const struct {
        const char *text;
        int error;
    } cases[] = {
        /* as API 1.52 and later has it */
        {"{'Type':'container','Action':'die','Actor':{'ID':'" ID "','Attributes':{'exitCode':'3'}},"
         "'time':1,'timeNano':1000000001}",
         HMS_OK},
        /* without nanoseconds, with the fields from before Actor.ID */
        {"{'Type':'container','status':'start','id':'" ID "','from':'i','Actor':{'Attributes':{}},"
         "'time':1}",
         HMS_OK},
        {"{'Type':'network','Action':'create','Actor':{'ID':'x','Attributes':{'name':'n'}},"
         "'time':1}",
         HMS_OK},
        {"{'Type':'image','Action':'pull','Actor':{'ID':'i','Attributes':{}},'time':1}",
         HMS_ENOENT},
        {"{'Type':'container','Action':'exec_create: sh','Actor':{'ID':'" ID
         "','Attributes':{}},'time':1}",
         HMS_ENOENT},
        {"{'Type':'container','Action':'health_status: healthy','Actor':{'ID':'" ID
         "','Attributes':{}},'time':1}",
         HMS_ENOENT},
        {"{'Type':'network','Action':'start','Actor':{'ID':'x','Attributes':{}},'time':1}",
         HMS_ENOENT},
        {"{}", HMS_EPROTO},
        {"[]", HMS_EPROTO},
        {"3", HMS_EPROTO},
        {"{'Type':'container'}", HMS_EPROTO},
        {"{'Type':7,'Action':'die'}", HMS_EPROTO},
        {"{'Type':'container','Action':'die','time':1}", HMS_EPROTO},
        {"{'Type':'container','Action':'die','Actor':{'ID':'" ID "','Attributes':[]},'time':1}",
         HMS_EPROTO},
        {"{'Type':'container','Action':'die','Actor':{'ID':'','Attributes':{}},'time':1}",
         HMS_EPROTO},
        {"{'Type':'container','Action':'die','Actor':{'ID':'../x','Attributes':{}},'time':1}",
         HMS_EPROTO},
        {"{'Type':'container','Action':'die','Actor':{'ID':'" ID ID "','Attributes':{}},'time':1}",
         HMS_EPROTO},
        {"{'Type':'container','Action':'die','Actor':{'ID':'" ID "','Attributes':{}}}", HMS_EPROTO},
        {"{'Type':'container','Action':'die','Actor':{'ID':'" ID "','Attributes':{}},'time':-4}",
         HMS_EPROTO},
        {"{'Type':'container','Action':'die','Actor':{'ID':'" ID
         "','Attributes':{}},'time':9223372036854775807}",
         HMS_EPROTO},
        {"{'Type':'network','Action':'connect','Actor':{'ID':'x','Attributes':"
         "{'container':'no id'}},'time':1}",
         HMS_EPROTO},
    };
    struct hms_docker_event event;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = hms_strdup(cases[i].text), *quote;
        json_t *body;

        while ((quote = strchr(text, '\'')) != NULL)
            *quote = '"';
        body = json_loads(text, JSON_DECODE_ANY, NULL);
        assert_non_null(body);
        if (hms_docker_read_event(body, &event) != cases[i].error)
            fail_msg("%s: not %d", text, cases[i].error);
        json_decref(body);
        free(text);
    }
}

static int exit_code_of(const char *text)
{
    struct hms_docker_event event;
    json_t *body = json_pack("{s:s, s:s, s:i, s:{s:s, s:{s:s}}}", "Type", "container", "Action",
                             "die", "time", 1, "Actor", "ID", ID, "Attributes", "exitCode", text);

    assert_int_equal(hms_docker_read_event(body, &event), 0);
    json_decref(body);
    return event.exit_code;
}

static void test_exit_codes(void **state)
{
    assert_int_equal(exit_code_of("0"), 0);
    assert_int_equal(exit_code_of("137"), 137);
    assert_int_equal(exit_code_of(""), -1);
    assert_int_equal(exit_code_of("1x"), -1);
    assert_int_equal(exit_code_of("99999999999999999999"), INT32_MAX);
}

/* --- broken shapes -------------------------------------------------------------------------- */

static void test_container_shapes(void **state)
{
    static const struct {
        const char *format; /* of json_pack, around a complete body */
        const char *key, *inner, *value;
        int error;
    } cases[] = {
        {NULL, NULL, NULL, NULL, HMS_OK},
        {"s", "Id", NULL, "zz", HMS_EPROTO},
        {"s", "Id", NULL, "", HMS_EPROTO},
        {"s", "State", NULL, "running", HMS_EPROTO},
        {"s", "State", "Status", "asleep", HMS_OK},
        {"s", "Config", "Labels", "x", HMS_EPROTO},
        {"s", "NetworkSettings", "Networks", "x", HMS_EPROTO},
        {"s", "HostConfig", NULL, "x", HMS_OK},
        {"s", "Config", NULL, "x", HMS_OK},
        {"s", "Created", NULL, "yesterday", HMS_OK},
    };
    struct hms_docker_container container;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *body = load("inspect_two_networks.json");
        json_t *at = cases[i].inner != NULL ? json_object_get(body, cases[i].key) : body;

        if (cases[i].key != NULL)
            json_object_set_new(at, cases[i].inner != NULL ? cases[i].inner : cases[i].key,
                                json_pack(cases[i].format, cases[i].value));
        if (hms_docker_read_container(body, &container) != cases[i].error)
            fail_msg("case %zu: not %d", i, cases[i].error);
        if (cases[i].error == HMS_OK)
            hms_docker_container_clear(&container);
        json_decref(body);
    }
}

static void test_labels_and_endpoints_shapes(void **state)
{
    struct hms_docker_container container;
    json_t *body = load("inspect_two_networks.json");
    json_t *labels = json_object_get(json_object_get(body, "Config"), "Labels");
    json_t *networks = json_object_get(json_object_get(body, "NetworkSettings"), "Networks");

    json_object_set_new(networks, "joining", json_null());
    assert_int_equal(hms_docker_read_container(body, &container), 0);
    assert_int_equal(container.endpoint_count, 2);
    hms_docker_container_clear(&container);
    json_object_set_new(json_object_get(body, "Config"), "Labels", json_null());
    assert_int_equal(hms_docker_read_container(body, &container), 0);
    assert_true(json_is_object(container.labels));
    hms_docker_container_clear(&container);
    labels = json_pack("{s:i}", "number", 3);
    json_object_set_new(json_object_get(body, "Config"), "Labels", labels);
    assert_int_equal(hms_docker_read_container(body, &container), HMS_EPROTO);
    json_object_del(json_object_get(body, "Config"), "Labels");
    json_object_set_new(networks, "odd", json_integer(3));
    assert_int_equal(hms_docker_read_container(body, &container), HMS_EPROTO);
    json_decref(body);
    assert_int_equal(hms_docker_read_container(NULL, &container), HMS_EPROTO);
}

static void test_list_shapes(void **state)
{
    static const struct {
        const char *text;
        int list, networks;
    } cases[] = {
        {"[]", HMS_OK, HMS_OK},
        {"{}", HMS_EPROTO, HMS_EPROTO},
        {"[3]", HMS_EPROTO, HMS_EPROTO},
        {"[{}]", HMS_EPROTO, HMS_EPROTO},
        {"[{\"Id\":\"ab\",\"State\":\"exited\"}]", HMS_OK, HMS_EPROTO},
        {"[{\"Id\":\"ab\",\"State\":\"word of a newer engine\"}]", HMS_OK, HMS_EPROTO},
        {"[{\"Id\":\"ab\",\"State\":7}]", HMS_EPROTO, HMS_EPROTO},
        {"[{\"Id\":\"ab\",\"State\":\"exited\"},{\"State\":\"exited\"}]", HMS_EPROTO, HMS_EPROTO},
        {"[{\"Id\":\"ab\",\"Name\":\"n\",\"Driver\":\"bridge\"}]", HMS_EPROTO, HMS_OK},
        {"[{\"Id\":\"k2j4x\",\"Name\":\"swarm\"}]", HMS_EPROTO, HMS_OK},
        {"[{\"Id\":\"ab\",\"Name\":\"n\"},{\"Id\":\"ab\"}]", HMS_EPROTO, HMS_EPROTO},
    };
    struct hms_docker_row *rows;
    struct hms_docker_network *networks;
    size_t i, count;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *body = json_loads(cases[i].text, 0, NULL);

        assert_int_equal(hms_docker_read_list(body, &rows, &count), cases[i].list);
        if (cases[i].list == HMS_OK)
            free(rows);
        assert_int_equal(hms_docker_read_networks(body, &networks, &count), cases[i].networks);
        if (cases[i].networks == HMS_OK)
            hms_docker_networks_free(networks, count);
        json_decref(body);
    }
}

static void test_version(void **state)
{
    static const struct {
        const char *newest, *oldest;
        int error;
        const char *chosen;
    } cases[] = {
        {"1.41", "1.12", HMS_OK, "1.41"},    /* 20.10 */
        {"1.40", "1.12", HMS_OK, "1.40"},    /* 19.03 */
        {"1.51", "1.24", HMS_OK, "1.44"},    /* 28 */
        {"1.52", "1.44", HMS_OK, "1.44"},    /* 29 */
        {"1.24", NULL, HMS_OK, "1.24"},      /* 1.12 */
        {"1.24", "", HMS_OK, "1.24"},        /* Podman leaves it empty in some versions */
        {"1.22", NULL, HMS_EREMOTE, NULL},   /* 1.10 */
        {"1.99", "1.45", HMS_EREMOTE, NULL}, /* some day */
        {"2.0", "2.0", HMS_EPROTO, NULL},    {"1.41x", "1.12", HMS_EPROTO, NULL},
        {"", "1.12", HMS_EPROTO, NULL},      {NULL, "1.12", HMS_EPROTO, NULL},
        {"1.-3", "1.12", HMS_EPROTO, NULL},
    };
    char api[HMS_DOCKER_API_SIZE], error[256];
    json_t *body = load("version.json");
    size_t i;

    assert_int_equal(hms_docker_read_version(body, api, error, sizeof(error)), 0);
    assert_string_equal(api, "1.41");
    json_decref(body);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        body = json_pack("{s:s*, s:s*}", "ApiVersion", cases[i].newest, "MinAPIVersion",
                         cases[i].oldest);
        error[0] = '\0';
        if (hms_docker_read_version(body, api, error, sizeof(error)) != cases[i].error)
            fail_msg("case %zu: not %d (%s)", i, cases[i].error, error);
        if (cases[i].error == HMS_OK)
            assert_string_equal(api, cases[i].chosen);
        else
            assert_true(error[0] != '\0');
        json_decref(body);
    }
}

static void test_state_names(void **state)
{
    int i;

    for (i = HMS_DOCKER_CREATED; i <= HMS_DOCKER_DEAD; i++)
        assert_int_equal(hms_docker_state_parse(hms_docker_state_name(i)), i);
    assert_int_equal(hms_docker_state_parse(""), -1);
    assert_int_equal(hms_docker_state_parse("Running"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inspect_two_networks),
        cmocka_unit_test(test_inspect_states),
        cmocka_unit_test(test_address_of_a_stopped_container),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_event_shapes),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_container_shapes),
        cmocka_unit_test(test_labels_and_endpoints_shapes),
        cmocka_unit_test(test_list_shapes),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_state_names),
    };

    hms_alloc_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
