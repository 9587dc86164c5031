/* The options of the commands: names and defaults that others rely on, bounds, derived ones. */
#include "options.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "main_address.h"

struct run {
    struct hms_options options;
    struct hms_config *config;
    int status; /* -1: it would go on */
    char *out;
    char *err;
};

#define ARGS_MAX 8

static struct run load_command(const struct hms_config_spec *spec, const char *const *args)
{
    char *argv[ARGS_MAX + 2] = {(char *)spec->command};
    struct run run = {.status = -1};
    size_t out_size, err_size;
    FILE *out = open_memstream(&run.out, &out_size);
    FILE *err = open_memstream(&run.err, &err_size);
    int argc = 1;

    for (; *args != NULL; args++)
        argv[argc++] = (char *)*args;
    if (hms_config_load(&run.config, spec, argc, argv, &run.options, out, err, &run.status))
        run.status = -1;
    fclose(out);
    fclose(err);
    return run;
}

static struct run load(const char *first, const char *second)
{
    return load_command(&hms_standalone_spec, (const char *const[]){first, second, NULL});
}

#define LOAD(spec, ...) load_command(&(spec), (const char *const[]){__VA_ARGS__, NULL})

static void end(struct run *run)
{
    hms_config_free(run->config);
    free(run->out);
    free(run->err);
}

static int clear_environment(void **state)
{
    static const char *const names[] = {"DOCKER_HOST", "STATE_DIRECTORY", "XDG_STATE_HOME",
                                        "HMS_BROKER_PASSWORD"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    return setenv("HOME", "/home/someone", 1);
}

static void test_defaults(void **state)
{
    struct run run = load(NULL, NULL);
    const struct hms_manager_options *manager = &run.options.manager;
    const struct hms_controller_options *controller = &run.options.controller;

    assert_int_equal(run.status, -1);
    assert_string_equal(manager->docker_url, "unix:///var/run/docker.sock");
    assert_null(manager->probe_netns);
    assert_int_equal(manager->supervise, HMS_SUPERVISE_SEEN);
    assert_int_equal(manager->on_stop, HMS_ON_STOP_START);
    assert_int_equal(manager->observe, 0);
    assert_true(manager->threshold_pct == 60);
    assert_int_equal(manager->probe_count, 20);
    assert_int_equal(manager->probe_interval_ms, 10);
    assert_int_equal(manager->probe_timeout_ms, 100);
    assert_int_equal(manager->round_pause_ms, 200);
    assert_int_equal(manager->fall, 1);
    assert_int_equal(manager->rise, 1);
    assert_int_equal(manager->stop_grace_ms, 250);
    assert_int_equal(manager->start_grace_ms, 1000);
    assert_int_equal(manager->restarted_ms, 20000);
    assert_int_equal(manager->concurrent_restarts, 8);
    assert_int_equal(manager->backoff_min_ms, 1000);
    assert_int_equal(manager->backoff_max_ms, 300000);
    assert_int_equal(manager->stable_ms, 60000);
    assert_int_equal(manager->restart_limit, 10);
    assert_int_equal(manager->restart_window_ms, 600000);
    assert_int_equal(manager->loss_restart_limit, 10);
    assert_int_equal(manager->storm_min_probed, 5);
    assert_true(manager->storm_pct == 60);
    assert_int_equal(manager->heartbeat_ms, 1000);
    assert_int_equal(manager->reconcile_ms, 10000);
    assert_string_equal(controller->listen, "127.0.0.1:8080");
    assert_null(controller->token_file);
    assert_ptr_equal(controller->address, manager->address);
    assert_int_equal(controller->aggregation_ms, 100);
    assert_int_equal(controller->reply_timeout_ms, 5000);
    assert_int_equal(controller->expiry_ms, 300000);
    assert_int_equal(run.options.log_format, HMS_LOG_TEXT);
    assert_int_equal(run.options.log_level, HMS_LOG_INFO);
    end(&run);
}

/* The words stand in the order of the enums. */
static void test_words(void **state)
{
    struct run run = load("--supervise=labelled", "--on-stop=respect");

    assert_int_equal(run.options.manager.supervise, HMS_SUPERVISE_LABELLED);
    assert_int_equal(run.options.manager.on_stop, HMS_ON_STOP_RESPECT);
    end(&run);
    run = load("--log-level=error", "--log-format=json");
    assert_int_equal(run.options.log_level, HMS_LOG_ERROR);
    assert_int_equal(run.options.log_format, HMS_LOG_JSON);
    end(&run);
}

static void assert_refused(const struct hms_config_spec *spec, const char *first,
                           const char *second, const char *error)
{
    struct run run = LOAD(*spec, first, second);
    char *whole =
        hms_asprintf("hms %s: %s\nTry 'hms %s --help'.\n", spec->command, error, spec->command);

    assert_string_equal(run.err, whole);
    assert_int_equal(run.status, 2);
    free(whole);
    end(&run);
}

static void test_refused(void **state)
{
    static const struct {
        const char *first;
        const char *second;
        const char *error;
    } cases[] = {
        {"--threshold=101", NULL, "--threshold '101': must be a number from 0 to 100 %"},
        {"--probe-count=0", NULL, "--probe-count '0': must be a whole number from 1 to 1000"},
        {"--docker=/run/x", NULL,
         "--docker '/run/x': must be unix:///PATH, tcp://HOST:PORT or http://HOST:PORT"},
        {"--docker=tcp://", NULL,
         "--docker 'tcp://': must be unix:///PATH, tcp://HOST:PORT or http://HOST:PORT"},
        {"--address=host", NULL, "--address 'host': must be an IPv4 address"},
        {"--address=10.0.0.256", NULL, "--address '10.0.0.256': must be an IPv4 address"},
        {"--listen=8080", NULL,
         "--listen '8080': must be HOST:PORT (port 0 picks one) or unix:PATH"},
        {"--listen=:8080", NULL,
         "--listen ':8080': must be HOST:PORT (port 0 picks one) or unix:PATH"},
        {"--listen=localhost:65536", NULL,
         "--listen 'localhost:65536': must be HOST:PORT (port 0 picks one) or unix:PATH"},
        {"--listen=unix:", NULL,
         "--listen 'unix:': must be HOST:PORT (port 0 picks one) or unix:PATH"},
        {"--backoff-max-ms=500", NULL,
         "--backoff-max-ms 500: must be at least --backoff-min-ms, 1000"},
        {"--treshold", "5", "unknown option '--treshold'; did you mean '--threshold'?"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(&hms_standalone_spec, cases[i].first, cases[i].second, cases[i].error);
}

static void test_accepted_places(void **state)
{
    static const char *const places[] = {"--listen=[::1]:0", "--listen=localhost:65535",
                                         "--listen=unix:/run/hms.sock", "--docker=tcp://[::1]:2375",
                                         "--docker=http://10.0.0.1:2375"};
    size_t i;

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct run run = load(places[i], NULL);

        assert_string_equal(run.err, "");
        end(&run);
    }
}

static void test_docker_host(void **state)
{
    struct run run;

    setenv("DOCKER_HOST", "tcp://10.0.0.1:2375", 1);
    run = load(NULL, NULL);
    assert_string_equal(run.options.manager.docker_url, "tcp://10.0.0.1:2375");
    end(&run);
    setenv("DOCKER_HOST", "ssh://me@there", 1);
    run = load(NULL, NULL);
    assert_non_null(strstr(run.err, "the default of --docker 'ssh://me@there': must be "));
    assert_int_equal(run.status, 2);
    end(&run);
}

static void assert_state_dir(const char *directory)
{
    struct run run = load(NULL, NULL);

    assert_string_equal(run.options.manager.state_dir, directory);
    end(&run);
}

static void test_state_dir(void **state)
{
    struct run run;

    if (geteuid() == 0) {
        assert_state_dir("/var/lib/hms");
        assert_int_equal(seteuid(65534), 0);
    }
    assert_state_dir("/home/someone/.local/state/hms");
    setenv("XDG_STATE_HOME", "not/absolute", 1);
    assert_state_dir("/home/someone/.local/state/hms");
    setenv("XDG_STATE_HOME", "/xdg", 1);
    assert_state_dir("/xdg/hms");
    setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1);
    assert_state_dir("/var/lib/one");
    unsetenv("STATE_DIRECTORY");
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    run = load(NULL, NULL);
    assert_non_null(strstr(run.err, "--state-dir must be given: there is no default here ("));
    end(&run);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

static void test_main_address(void **state)
{
    char *text = hms_main_address();
    struct in_addr address;

    assert_int_equal(inet_pton(AF_INET, text, &address), 1);
    assert_int_not_equal(address.s_addr, 0);
    free(text);
}

#define BROKER "--broker=amqp://me@there:5673/here"

static void test_broker(void **state)
{
    struct run run = LOAD(hms_manager_spec, BROKER, "--address=10.0.0.1");

    assert_string_equal(run.err, "");
    assert_string_equal(run.options.broker.url, "amqp://me@there:5673/here");
    assert_string_equal(run.options.broker.address, "10.0.0.1");
    assert_int_equal(run.options.broker.heartbeat_s, 5);
    assert_null(run.options.broker.password);
    assert_null(run.options.broker.password_file);
    end(&run);
    setenv("HMS_BROKER_PASSWORD", "4711", 1);
    run = LOAD(hms_controller_spec, "--broker=amqps://there", "--broker-password-file=/run/p",
               "--broker-ca=/ca", "--broker-cert=/cert", "--broker-key=/key",
               "--broker-heartbeat-s=3600");
    assert_string_equal(run.err, "");
    assert_string_equal(run.options.broker.password, "4711");
    assert_string_equal(run.options.broker.password_file, "/run/p");
    assert_string_equal(run.options.broker.ca_file, "/ca");
    assert_string_equal(run.options.broker.cert_file, "/cert");
    assert_string_equal(run.options.broker.key_file, "/key");
    assert_int_equal(run.options.broker.heartbeat_s, 3600);
    end(&run);
    run = LOAD(hms_controller_spec, BROKER, "--check-config");
    assert_non_null(strstr(run.out, "\n; broker-password = (hidden) ; environment "));
    assert_null(strstr(run.out, "4711"));
    end(&run);
}

static void test_broker_refused(void **state)
{
    static const char tls[] = "--broker-ca, --broker-cert and --broker-key need an amqps:// broker";
    static const char *const broker = BROKER;
    struct run run;

    assert_refused(&hms_manager_spec, NULL, NULL, "--broker must be given");
    assert_refused(&hms_controller_spec, NULL, NULL, "--broker must be given");
    assert_refused(&hms_standalone_spec, broker, NULL, "unknown option '--broker'");
    assert_refused(&hms_manager_spec, broker, "--broker-ca=/ca", tls);
    assert_refused(&hms_manager_spec, broker, "--broker-key=/key", tls);
    assert_refused(&hms_manager_spec, "--broker=amqps://there", "--broker-cert=/cert",
                   "--broker-cert and --broker-key need each other");
    assert_refused(&hms_manager_spec, broker, "--broker-heartbeat-s=0",
                   "--broker-heartbeat-s '0': must be a whole number from 1 to 3600 s");
    assert_refused(&hms_manager_spec, broker, "--broker-password=x",
                   "unknown option '--broker-password'; did you mean '--broker-password-file'?");
    run = LOAD(hms_manager_spec, "--broker=http://there");
    assert_non_null(strstr(run.err, "--broker 'http://there': must be "));
    assert_int_equal(run.status, 2);
    end(&run);
}

/* What concerns containers is the manager's, what concerns users the controller's. */
static void test_whose_options(void **state)
{
    static const char *const broker = BROKER;

    assert_refused(&hms_manager_spec, broker, "--listen=unix:/x", "unknown option '--listen'");
    assert_refused(&hms_controller_spec, broker, "--supervise=all", "unknown option '--supervise'");
}

/* Every default passes its own bounds and every row is described; so --check-config succeeds. */
static void test_help_and_check(void **state)
{
    static const struct hms_config_spec *const specs[] = {&hms_standalone_spec, &hms_manager_spec,
                                                          &hms_controller_spec};
    struct run run;
    const char *line;
    size_t i;

    for (i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        run = LOAD(*specs[i], "--help");
        for (line = run.out; *line != '\0'; line += strcspn(line, "\n") + 1)
            assert_true(strcspn(line, "\n") < 80);
        assert_non_null(strstr(run.out, "\n  --address IPV4 "));
        end(&run);
    }
    run = load("--help", NULL);
    assert_non_null(strstr(run.out, "\n  --stop-grace-ms MS "));
    assert_non_null(strstr(run.out, "(0 to 3600000 ms; default: 250)"));
    end(&run);
    run = load("--check-config", "--stop-grace-ms=0");
    assert_int_equal(run.status, 0);
    assert_non_null(strstr(run.out, "\nstop-grace-ms = 0 ; flag --stop-grace-ms\n"));
    assert_non_null(strstr(run.out, "\n; token-file is not set\n"));
    end(&run);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, clear_environment)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),        TEST(test_words),          TEST(test_refused),
        TEST(test_accepted_places), TEST(test_docker_host),    TEST(test_state_dir),
        TEST(test_main_address),    TEST(test_broker),         TEST(test_broker_refused),
        TEST(test_whose_options),   TEST(test_help_and_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
