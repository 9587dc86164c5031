/*
 * Wiring of the controller: the parts, the bus's door to the dispatcher, the second's tick. Owns
 * all of them.
 */
#include "controller/controller.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "controller/access.h"
#include "controller/deployer.h"
#include "controller/dispatcher.h"
#include "controller/gather.h"
#include "controller/hosts_file.h"
#include "controller/platform.h"
#include "controller/registry.h"
#include "controller/rest.h"
#include "controller/roster.h"
#include "controller/standby.h"
#include "controller/view.h"
#include "core/alloc.h"
#include "core/bus.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/loop.h"

#define MODULE               "controller"
#define SAMPLE_PERIOD_MS     1000
#define PERIOD_MAX_MS        3600000
#define REPLY_TIMEOUT_MAX_MS 600000
#define EXPIRY_MAX_MS        INT64_C(604800000)

struct hms_controller {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_bus *bus;
    char address[INET_ADDRSTRLEN];
    struct hms_registry *registry;
    struct hms_gather *gather;
    struct hms_standby *standby;
    struct hms_roster *roster;
    struct hms_deployer *deployer;
    int trusts_broker; /* whoever has its account may add and remove hosts */
    struct hms_log_limit roster_limit;
    json_t *wanted_hosts; /* of --hosts-file, until this controller is active; or NULL */
    struct hms_dispatcher *dispatcher;
    struct hms_platform *platform;
    struct hms_rest *rest;
    uv_timer_t sampler;
    int open_parts; /* standby, gather, rest, roster and sampler, while closing */
    void (*closed_fn)(void *arg);
    void *closed_arg;
};

static int64_t now_ms(const struct hms_controller *controller)
{
    return (int64_t)uv_now(controller->loop);
}

static void on_change(void *arg)
{
    struct hms_controller *controller = arg;

    hms_platform_observe(controller->platform, now_ms(controller));
}

static void on_sample(uv_timer_t *timer)
{
    struct hms_controller *controller = timer->data;
    struct hms_bus_traffic traffic = hms_bus_traffic(controller->bus);
    struct hms_platform_totals totals = {
        .bus_messages = traffic.messages,
        .bus_bytes = traffic.bytes,
        .rest_bytes = hms_rest_bytes_out(controller->rest),
    };

    hms_platform_sample(controller->platform, now_ms(controller), &totals);
}

/* ---- the bus's door ---- */

static void on_result(void *arg, const struct hms_dispatcher_result *result)
{
    hms_bus_reply(arg, result->view ? hms_view_json(result->view) : json_incref(result->body));
}

/* Every host with a manager has the broker's account, and whoever adds hosts is root on them. */
static int is_refused(const struct hms_controller *controller, const json_t *message)
{
    const char *command = hms_json_string(message, "command");

    return !controller->trusts_broker &&
           (strcmp(command, "add_host") == 0 || strcmp(command, "remove_host") == 0);
}

static void on_message(void *arg, const json_t *message, struct hms_bus_call *call)
{
    struct hms_controller *controller = arg;

    if (call != NULL && is_refused(controller, message)) {
        hms_bus_reply(call, hms_bus_error("INVALID_REQUEST",
                                          "hosts are added and removed over REST only, unless the "
                                          "controller has --trust-broker"));
    } else if (call != NULL) {
        hms_dispatcher_run(controller->dispatcher, message, on_result, call);
    } else if (!hms_standby_heard(controller->standby, message)) {
        hms_gather_notified(controller->gather, message);
        hms_standby_relay(controller->standby, message);
    }
}

/* ---- being the active one, or not ---- */

static void on_host_added(void *arg, enum hms_verdict verdict, json_t *body)
{
    struct hms_controller *controller = arg;

    if (verdict != HMS_VERDICT_ACCEPTED && verdict != HMS_VERDICT_OK &&
        verdict != HMS_VERDICT_CREATED)
        hms_log(controller->log, HMS_LOG_ERROR, MODULE, "--hosts-file: %s",
                hms_json_string(body, "description"));
}

/* A host that cannot be taken over is logged and shown, and no reason not to go on. */
static void add_wanted_hosts(struct hms_controller *controller)
{
    json_t *hosts = controller->wanted_hosts, *host;
    size_t i;

    controller->wanted_hosts = NULL;
    json_array_foreach(hosts, i, host)
        hms_deployer_add(controller->deployer, host, on_host_added, controller);
    json_decref(hosts);
}

static void on_turn(void *arg, int is_active)
{
    struct hms_controller *controller = arg;

    hms_deployer_set_active(controller->deployer, is_active);
    if (is_active) {
        hms_roster_found(controller->roster);
        add_wanted_hosts(controller);
    }
}

static void on_roster(void *arg, const char *origin, const json_t *hosts)
{
    struct hms_controller *controller = arg;

    if (hms_roster_share(controller->roster, origin))
        hms_deployer_follow(controller->deployer, hosts);
    else if (hms_log_limit_pass(&controller->roster_limit, now_ms(controller)))
        hms_log(controller->log, HMS_LOG_WARN, MODULE,
                "the active controller's hosts do not come from ours, which are kept: it began "
                "without knowing them");
}

/* ---- life ---- */

static int check_range(const char *option, int64_t value, int64_t max, char *error,
                       size_t error_size)
{
    if (value >= 1 && value <= max)
        return HMS_OK;
    snprintf(error, error_size, "%s is %" PRId64 ": it must be from 1 to %" PRId64, option, value,
             max);
    return HMS_EINVAL;
}

static int check_options(const struct hms_controller_options *options, char *error,
                         size_t error_size)
{
    struct in_addr ignored;
    int result;

    if (options->address == NULL || inet_pton(AF_INET, options->address, &ignored) != 1) {
        snprintf(error, error_size, "--address must be an IPv4 address");
        return HMS_EINVAL;
    }
    if (options->token_file == NULL && hms_access_needs_token(options->listen)) {
        snprintf(error, error_size,
                 "--listen %s can be reached from elsewhere: that needs a --token-file",
                 options->listen);
        return HMS_EPERM;
    }
    result =
        check_range("--aggregation-ms", options->aggregation_ms, PERIOD_MAX_MS, error, error_size);
    if (result == HMS_OK)
        result = check_range("--reply-timeout-ms", options->reply_timeout_ms, REPLY_TIMEOUT_MAX_MS,
                             error, error_size);
    if (result == HMS_OK)
        result = check_range("--expiry-ms", options->expiry_ms, EXPIRY_MAX_MS, error, error_size);
    return result;
}

static void controller_free(struct hms_controller *controller)
{
    hms_dispatcher_free(controller->dispatcher);
    hms_platform_free(controller->platform);
    hms_registry_free(controller->registry);
    json_decref(controller->wanted_hosts);
    free(controller);
}

static struct hms_controller *controller_new(struct hms_loop *loop, struct hms_log *log,
                                             struct hms_bus *bus, struct hms_roster *roster,
                                             const struct hms_controller_options *options)
{
    struct hms_controller *controller = hms_calloc(1, sizeof(*controller));
    struct hms_gather_options gather = {
        .accept = options->accept,
        .sync = options->sync,
        .aggregation_ms = options->aggregation_ms,
        .reply_timeout_ms = options->reply_timeout_ms,
        .expiry_ms = options->expiry_ms,
    };
    static const struct hms_standby_handlers handlers = {
        .serve = on_message, .on_turn = on_turn, .on_roster = on_roster};
    struct hms_standby_parts standby = {.log = log, .bus = bus, .address = options->address};
    struct hms_platform_sources platform;

    controller->loop = hms_loop_uv(loop);
    controller->log = log;
    controller->bus = bus;
    snprintf(controller->address, sizeof(controller->address), "%s", options->address);
    controller->roster_limit = (struct hms_log_limit){.period_ms = 60000, .burst = 1};
    controller->trusts_broker = options->trusts_broker;
    controller->registry = hms_registry_new();
    controller->gather = hms_gather_new(controller->loop, log, bus, controller->registry, &gather,
                                        on_change, controller);
    controller->roster = roster;
    controller->deployer = hms_deployer_new(controller->loop, log, bus, controller->registry,
                                            controller->gather, roster, &options->deployer);
    controller->dispatcher = hms_dispatcher_new(bus, controller->registry, controller->gather,
                                                controller->deployer, options->reply_timeout_ms);
    standby.loop = controller->loop;
    standby.gather = controller->gather;
    standby.roster = roster;
    controller->standby = hms_standby_new(&standby, &handlers, controller);
    platform = (struct hms_platform_sources){.registry = controller->registry,
                                             .gather = controller->gather,
                                             .standby = controller->standby,
                                             .bus = bus,
                                             .loop = loop};
    controller->platform = hms_platform_new(&platform, now_ms(controller));
    return controller;
}

/* Puts the option before the text of whoever refused its value. */
static void name_option(const char *option, char *error, size_t error_size)
{
    char *text = hms_asprintf("%s: %s", option, error);

    snprintf(error, error_size, "%s", text);
    free(text);
}

static int open_rest(struct hms_controller *controller,
                     const struct hms_controller_options *options,
                     const struct hms_access_tokens *tokens, char *error, size_t error_size)
{
    struct hms_rest_parts parts = {
        .dispatcher = controller->dispatcher,
        .gather = controller->gather,
        .platform = controller->platform,
        .registry = controller->registry,
        .standby = controller->standby,
    };
    int result = hms_rest_open(&controller->rest, controller->loop, controller->log,
                               options->listen, tokens, &parts, error, error_size);

    if (result != HMS_OK)
        name_option("--listen", error, error_size);
    return result;
}

/* Where other machines reach the REST interface; free it. NULL: they do not. */
static char *public_url(const struct hms_controller *controller)
{
    static const char anywhere[] = "0.0.0.0:";
    const char *where = hms_rest_where(controller->rest);

    if (!hms_access_needs_token(where))
        return NULL;
    if (strncmp(where, anywhere, sizeof(anywhere) - 1) == 0)
        return hms_asprintf("http://%s:%s", controller->address, where + sizeof(anywhere) - 1);
    return hms_asprintf("http://%s", where);
}

/* A file that is not given is no token. */
static int read_token(const char *option, const char *path, struct hms_log *log, char **token,
                      char *error, size_t error_size)
{
    int is_exposed = 0;
    int result = HMS_OK;

    if (path != NULL)
        result = hms_access_read_token(path, token, &is_exposed, error, error_size);
    if (result != HMS_OK)
        name_option(option, error, error_size);
    else if (is_exposed)
        hms_log(log, HMS_LOG_WARN, MODULE, "%s %s may be read by everybody: chmod o-r", option,
                path);
    return result;
}

/* No file, no hosts. */
static int read_hosts(const char *path, struct hms_log *log, json_t **hosts, char *error,
                      size_t error_size)
{
    int is_exposed = 0;
    int result = HMS_OK;

    if (path != NULL)
        result = hms_hosts_file_read(path, hosts, &is_exposed, error, error_size);
    if (result != HMS_OK)
        name_option("--hosts-file", error, error_size);
    else if (is_exposed)
        hms_log(log, HMS_LOG_WARN, MODULE,
                "--hosts-file %s may be read by others than its owner: chmod 600", path);
    return result;
}

/* Takes over hosts. */
static void start(struct hms_controller *controller, json_t *hosts)
{
    char *url = public_url(controller);

    hms_gather_start(controller->gather);
    hms_standby_start(controller->standby, url);
    free(url);
    hms_deployer_start(controller->deployer);
    uv_timer_init(controller->loop, &controller->sampler);
    controller->sampler.data = controller;
    uv_timer_start(&controller->sampler, on_sample, SAMPLE_PERIOD_MS, SAMPLE_PERIOD_MS);
    controller->wanted_hosts = hosts;
}

static void on_unused_closed(void *arg)
{
}

static int open_with_tokens(struct hms_controller **opened, struct hms_loop *loop,
                            struct hms_log *log, struct hms_bus *bus,
                            const struct hms_controller_options *options,
                            const struct hms_access_tokens *tokens, char *error, size_t error_size)
{
    struct hms_controller *controller;
    struct hms_roster *roster;
    int result =
        hms_roster_open(&roster, hms_loop_uv(loop), log, options->state_dir, error, error_size);

    if (result != HMS_OK) {
        name_option("--state-dir", error, error_size);
        return result;
    }
    controller = controller_new(loop, log, bus, roster, options);
    result = open_rest(controller, options, tokens, error, error_size);
    if (result != HMS_OK) {
        hms_deployer_free(controller->deployer);
        hms_roster_close(roster, on_unused_closed, NULL);
        hms_standby_free(controller->standby);
        hms_gather_free(controller->gather);
        controller_free(controller);
        return result;
    }
    *opened = controller;
    return HMS_OK;
}

int hms_controller_open(struct hms_controller **opened, struct hms_loop *loop, struct hms_log *log,
                        struct hms_bus *bus, const struct hms_controller_options *options,
                        char *error, size_t error_size)
{
    char *user = NULL, *admin = NULL;
    json_t *hosts = NULL;
    int result = check_options(options, error, error_size);

    if (result == HMS_OK)
        result = read_token("--token-file", options->token_file, log, &user, error, error_size);
    if (result == HMS_OK)
        result = read_token("--admin-token-file", options->admin_token_file, log, &admin, error,
                            error_size);
    if (result == HMS_OK)
        result = read_hosts(options->hosts_file, log, &hosts, error, error_size);
    if (result == HMS_OK)
        result = open_with_tokens(opened, loop, log, bus, options,
                                  &(struct hms_access_tokens){user, admin}, error, error_size);
    if (result == HMS_OK)
        start(*opened, hosts);
    else
        json_decref(hosts);
    free(user);
    free(admin);
    return result;
}

const char *hms_controller_where(const struct hms_controller *controller)
{
    return hms_rest_where(controller->rest);
}

static void on_part_closed(void *arg)
{
    struct hms_controller *controller = arg;
    void (*closed_fn)(void *) = controller->closed_fn;
    void *closed_arg = controller->closed_arg;

    if (--controller->open_parts > 0)
        return;
    controller_free(controller);
    closed_fn(closed_arg);
}

static void on_deployer_closed(void *arg)
{
    struct hms_controller *controller = arg;

    hms_roster_close(controller->roster, on_part_closed, controller);
}

static void on_sampler_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

void hms_controller_close(struct hms_controller *controller, void (*closed)(void *arg), void *arg)
{
    controller->open_parts = 5;
    controller->closed_fn = closed;
    controller->closed_arg = arg;
    hms_standby_close(controller->standby, on_part_closed, controller);
    uv_close((uv_handle_t *)&controller->sampler, on_sampler_closed);
    /* In this order every request under way gets its answer before the doors close. */
    hms_gather_close(controller->gather, on_part_closed, controller);
    hms_dispatcher_stop(controller->dispatcher);
    hms_deployer_close(controller->deployer, on_deployer_closed, controller);
    hms_rest_close(controller->rest, on_part_closed, controller);
}
