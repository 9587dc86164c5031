/* Labels, whom to supervise, and at which address a container is probed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "manager/supervision.h"

static void test_labels(void **state)
{
    static const struct {
        const char *json;
        enum hms_restart_label restart;
        int is_ignored, has_any;
        double threshold_pct;
        int stop_timeout_s;
        const char *problem; /* a part of it, or "" */
    } table[] = {
        {"{}", HMS_RESTART_DEFAULT, 0, 0, -1, -1, ""},
        {"{\"hms.ignore\":\"true\"}", HMS_RESTART_DEFAULT, 1, 0, -1, -1, ""},
        {"{\"hms.ignore\":\"False\"}", HMS_RESTART_DEFAULT, 0, 0, -1, -1, ""},
        {"{\"hms.ignore\":\"yes\"}", HMS_RESTART_DEFAULT, 0, 0, -1, -1, "true or false"},
        {"{\"hms.restart\":\"always\"}", HMS_RESTART_ALWAYS, 0, 1, -1, -1, ""},
        {"{\"hms.restart\":\"on-failure\"}", HMS_RESTART_ON_FAILURE, 0, 1, -1, -1, ""},
        {"{\"hms.restart\":\"no\"}", HMS_RESTART_NO, 0, 1, -1, -1, ""},
        {"{\"hms.restart\":\"never\"}", HMS_RESTART_DEFAULT, 0, 1, -1, -1, "hms.restart=never"},
        {"{\"hms.threshold\":\"12.5\"}", HMS_RESTART_DEFAULT, 0, 1, 12.5, -1, ""},
        {"{\"hms.threshold\":\"101\"}", HMS_RESTART_DEFAULT, 0, 1, -1, -1, "from 0 to 100"},
        {"{\"hms.threshold\":\"nan\"}", HMS_RESTART_DEFAULT, 0, 1, -1, -1, "from 0 to 100"},
        {"{\"hms.threshold\":\"\"}", HMS_RESTART_DEFAULT, 0, 1, -1, -1, "from 0 to 100"},
        {"{\"hms.stop-timeout\":\"30\"}", HMS_RESTART_DEFAULT, 0, 1, -1, 30, ""},
        {"{\"hms.stop-timeout\":\"-1\"}", HMS_RESTART_DEFAULT, 0, 1, -1, -1, "from 0 to 3600"},
    };
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        json_t *labels = json_loads(table[i].json, 0, NULL);
        struct hms_labels result;

        print_message("%s\n", table[i].json);
        hms_labels_read(labels, &result);
        assert_int_equal(result.restart, table[i].restart);
        assert_int_equal(result.is_ignored, table[i].is_ignored);
        assert_int_equal(result.has_any, table[i].has_any);
        assert_true(result.threshold_pct == table[i].threshold_pct);
        assert_int_equal(result.stop_timeout_s, table[i].stop_timeout_s);
        assert_non_null(strstr(result.problem, table[i].problem));
        assert_int_equal(result.problem[0] == '\0', table[i].problem[0] == '\0');
        json_decref(labels);
    }
}

static void test_whom(void **state)
{
    static const struct {
        const char *name;
        const char *labels;
        const char *image;
        int auto_remove, interactive, ignored, seen;
        enum hms_supervise mode;
        enum hms_reason reason;
    } table[] = {
        {"seen", "{}", "web", 0, 0, 0, 1, HMS_SUPERVISE_SEEN, HMS_REASON_CLEAR},
        {"old and stopped", "{}", "web", 0, 0, 0, 0, HMS_SUPERVISE_SEEN, HMS_REASON_NOT_SEEN},
        {"old and stopped, all", "{}", "web", 0, 0, 0, 0, HMS_SUPERVISE_ALL, HMS_REASON_CLEAR},
        {"no label", "{}", "web", 0, 0, 0, 1, HMS_SUPERVISE_LABELLED, HMS_REASON_NOT_LABELLED},
        {"label", "{\"hms.restart\":\"always\"}", "web", 0, 0, 0, 0, HMS_SUPERVISE_LABELLED,
         HMS_REASON_CLEAR},
        {"ignored", "{}", "web", 0, 0, 1, 1, HMS_SUPERVISE_ALL, HMS_REASON_IGNORED},
        {"ignored by label", "{\"hms.ignore\":\"1\"}", "web", 0, 0, 0, 1, HMS_SUPERVISE_ALL,
         HMS_REASON_IGNORED_BY_LABEL},
        {"our own", "{\"hms.system\":\"manager\"}", "web", 0, 0, 1, 1, HMS_SUPERVISE_ALL,
         HMS_REASON_SYSTEM},
        {"--rm", "{}", "web", 1, 0, 0, 1, HMS_SUPERVISE_ALL, HMS_REASON_AUTO_REMOVE},
        {"run -it", "{}", "web", 0, 1, 0, 1, HMS_SUPERVISE_ALL, HMS_REASON_INTERACTIVE},
        {"build step", "{}", "sha256:ab", 0, 0, 0, 1, HMS_SUPERVISE_ALL, HMS_REASON_BUILD_STEP},
        {"by image id, with a label", "{\"hms.restart\":\"always\"}", "sha256:ab", 0, 0, 0, 1,
         HMS_SUPERVISE_ALL, HMS_REASON_CLEAR},
        {"swarm", "{\"com.docker.swarm.task.id\":\"x\"}", "web", 0, 0, 0, 1, HMS_SUPERVISE_ALL,
         HMS_REASON_ORCHESTRATED},
        {"kubernetes", "{\"io.kubernetes.container.name\":\"x\"}", "web", 0, 0, 0, 1,
         HMS_SUPERVISE_ALL, HMS_REASON_ORCHESTRATED},
        {"nomad", "{\"com.hashicorp.nomad.alloc_id\":\"x\"}", "web", 0, 0, 0, 1, HMS_SUPERVISE_ALL,
         HMS_REASON_ORCHESTRATED},
    };
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct hms_docker_container container = {
            .image = (char *)table[i].image,
            .auto_remove = table[i].auto_remove,
            .interactive = table[i].interactive,
            .labels = json_loads(table[i].labels, 0, NULL),
        };
        struct hms_labels labels;

        print_message("%s\n", table[i].name);
        hms_labels_read(container.labels, &labels);
        assert_string_equal(hms_reason_word(hms_supervision_of(&container, &labels, table[i].mode,
                                                               table[i].ignored, table[i].seen)),
                            hms_reason_word(table[i].reason));
        json_decref(container.labels);
    }
}

static struct hms_docker_endpoint on(const char *network, const char *ipv4, const char *ipv6)
{
    struct hms_docker_endpoint endpoint = {
        .network = (char *)network, .ipv4 = (char *)ipv4, .ipv6 = (char *)ipv6};

    strcpy(endpoint.network_id, network);
    return endpoint;
}

static void test_address(void **state)
{
    static const struct hms_docker_network networks[] = {
        {.id = "bridge", .name = "bridge", .driver = "bridge"},
        {.id = "apps", .name = "apps", .driver = "bridge"},
        {.id = "back", .name = "back", .driver = "bridge"},
        {.id = "lan", .name = "lan", .driver = "macvlan"},
        {.id = "host", .name = "host", .driver = "host"},
    };
    const struct {
        const char *mode;
        struct hms_docker_endpoint endpoints[3];
        size_t count;
        const char *address; /* NULL: by state only */
        const char *why;
    } table[] = {
        {"default", {on("bridge", "172.17.0.2", NULL)}, 1, "172.17.0.2", NULL},
        {"apps", {on("back", "10.2.0.2", NULL), on("apps", "10.1.0.2", NULL)}, 2, "10.1.0.2", NULL},
        {"apps",
         {on("apps", "10.1.0.2", NULL), on("bridge", "172.17.0.2", NULL)},
         2,
         "172.17.0.2",
         NULL},
        {"lan", {on("lan", "10.9.0.2", NULL), on("back", "10.2.0.2", NULL)}, 2, "10.2.0.2", NULL},
        {"apps", {on("apps", NULL, "fd00::2")}, 1, "fd00::2", NULL},
        {"apps", {on("apps", "10.1.0.2", "fd00::2")}, 1, "10.1.0.2", NULL},
        {"lan", {on("lan", "10.9.0.2", NULL)}, 1, NULL, "cannot reach"},
        {"host", {on("host", NULL, NULL)}, 1, NULL, "host's network"},
        {"none", {on("none", NULL, NULL)}, 0, NULL, "no network"},
        {"container:abc", {on("none", NULL, NULL)}, 0, NULL, "another container's"},
        {"apps", {on("apps", NULL, NULL)}, 1, NULL, "no address"},
    };
    size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct hms_docker_container container = {
            .network_mode = (char *)table[i].mode,
            .endpoints = (struct hms_docker_endpoint *)table[i].endpoints,
            .endpoint_count = table[i].count,
        };
        const char *address = NULL, *why = NULL;
        int is_found = hms_supervision_address(
            &container, networks, sizeof(networks) / sizeof(networks[0]), &address, &why);

        assert_int_equal(is_found, table[i].address != NULL);
        if (is_found)
            assert_string_equal(address, table[i].address);
        else
            assert_non_null(strstr(why, table[i].why));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_whom),
        cmocka_unit_test(test_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
