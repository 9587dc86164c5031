/*
 * Wiring of the controller: the parts, the bus's door to the dispatcher, the second's tick. Owns
 * all of them.
 */
#include "controller/controller.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "controller/access.h"
#include "controller/dispatcher.h"
#include "controller/gather.h"
#include "controller/platform.h"
#include "controller/registry.h"
#include "controller/rest.h"
#include "controller/view.h"
#include "core/alloc.h"
#include "core/bus.h"
#include "core/error.h"
#include "core/log.h"
#include "core/loop.h"

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
    struct hms_dispatcher *dispatcher;
    struct hms_platform *platform;
    struct hms_rest *rest;
    uv_timer_t sampler;
    int open_parts; /* gather, rest and sampler, while closing */
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

static void on_message(void *arg, const json_t *message, struct hms_bus_call *call)
{
    struct hms_controller *controller = arg;

    if (call == NULL)
        hms_gather_notified(controller->gather, message);
    else
        hms_dispatcher_run(controller->dispatcher, message, on_result, call);
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
    free(controller);
}

static struct hms_controller *controller_new(struct hms_loop *loop, struct hms_log *log,
                                             struct hms_bus *bus,
                                             const struct hms_controller_options *options)
{
    struct hms_controller *controller = hms_calloc(1, sizeof(*controller));
    struct hms_gather_options gather = {
        .sync = options->sync,
        .aggregation_ms = options->aggregation_ms,
        .reply_timeout_ms = options->reply_timeout_ms,
        .expiry_ms = options->expiry_ms,
    };
    struct hms_platform_sources platform;

    controller->loop = hms_loop_uv(loop);
    controller->log = log;
    controller->bus = bus;
    snprintf(controller->address, sizeof(controller->address), "%s", options->address);
    controller->registry = hms_registry_new();
    controller->gather = hms_gather_new(controller->loop, log, bus, controller->registry, &gather,
                                        on_change, controller);
    controller->dispatcher = hms_dispatcher_new(bus, controller->registry, controller->gather,
                                                options->reply_timeout_ms);
    platform = (struct hms_platform_sources){
        .registry = controller->registry, .gather = controller->gather, .bus = bus};
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

/* The two things that can fail; nothing is left open if one does. */
static int open_doors(struct hms_controller *controller,
                      const struct hms_controller_options *options,
                      const struct hms_access_tokens *tokens, char *error, size_t error_size)
{
    struct hms_rest_parts parts = {
        .dispatcher = controller->dispatcher,
        .gather = controller->gather,
        .platform = controller->platform,
        .registry = controller->registry,
    };
    int result = hms_bus_serve(controller->bus, HMS_BUS_CONTROLLER, controller->address, on_message,
                               controller);

    if (result != HMS_OK) {
        snprintf(error, error_size, "--address %s: %s", controller->address, hms_strerror(result));
        return result;
    }
    result = hms_rest_open(&controller->rest, controller->loop, controller->log, options->listen,
                           tokens, &parts, error, error_size);
    if (result != HMS_OK) {
        name_option("--listen", error, error_size);
        hms_bus_unserve(controller->bus, HMS_BUS_CONTROLLER, controller->address);
    }
    return result;
}

/* A file that is not given is no token. */
static int read_token(const char *option, const char *path, char **token, char *error,
                      size_t error_size)
{
    int result = path != NULL ? hms_access_read_token(path, token, error, error_size) : HMS_OK;

    if (result != HMS_OK)
        name_option(option, error, error_size);
    return result;
}

static int open_with_tokens(struct hms_controller **opened, struct hms_loop *loop,
                            struct hms_log *log, struct hms_bus *bus,
                            const struct hms_controller_options *options,
                            const struct hms_access_tokens *tokens, char *error, size_t error_size)
{
    struct hms_controller *controller = controller_new(loop, log, bus, options);
    int result = open_doors(controller, options, tokens, error, error_size);

    if (result != HMS_OK) {
        hms_gather_free(controller->gather);
        controller_free(controller);
        return result;
    }
    hms_gather_start(controller->gather);
    uv_timer_init(controller->loop, &controller->sampler);
    controller->sampler.data = controller;
    uv_timer_start(&controller->sampler, on_sample, SAMPLE_PERIOD_MS, SAMPLE_PERIOD_MS);
    *opened = controller;
    return HMS_OK;
}

int hms_controller_open(struct hms_controller **opened, struct hms_loop *loop, struct hms_log *log,
                        struct hms_bus *bus, const struct hms_controller_options *options,
                        char *error, size_t error_size)
{
    char *user = NULL, *admin = NULL;
    int result = check_options(options, error, error_size);

    if (result == HMS_OK)
        result = read_token("--token-file", options->token_file, &user, error, error_size);
    if (result == HMS_OK)
        result =
            read_token("--admin-token-file", options->admin_token_file, &admin, error, error_size);
    if (result == HMS_OK)
        result = open_with_tokens(opened, loop, log, bus, options,
                                  &(struct hms_access_tokens){user, admin}, error, error_size);
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

static void on_sampler_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

void hms_controller_close(struct hms_controller *controller, void (*closed)(void *arg), void *arg)
{
    controller->open_parts = 3;
    controller->closed_fn = closed;
    controller->closed_arg = arg;
    hms_bus_unserve(controller->bus, HMS_BUS_CONTROLLER, controller->address);
    uv_close((uv_handle_t *)&controller->sampler, on_sampler_closed);
    /* In this order every request under way gets its answer before the doors close. */
    hms_gather_close(controller->gather, on_part_closed, controller);
    hms_dispatcher_stop(controller->dispatcher);
    hms_rest_close(controller->rest, on_part_closed, controller);
}
