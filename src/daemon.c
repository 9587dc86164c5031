/*
 * Wires the roles of a command to their bus and to whoever supervises the process; owns them, the
 * loop and the log.
 */
#include "daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/controller.h"
#include "core/bus.h"
#include "core/bus_amqp.h"
#include "core/bus_local.h"
#include "core/config.h"
#include "core/error.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/notify_socket.h"
#include "manager/manager.h"
#include "options.h"

#define ERROR_SIZE 512

/* What a command consists of. A single role is joined to the others by the broker. */
struct kind {
    const struct hms_config_spec *spec;
    int has_manager;
    int has_controller;
};

struct daemon {
    const struct kind *kind;
    struct hms_log *log;
    struct hms_loop *loop;
    struct hms_notify_socket *service;
    struct hms_bus *bus;
    struct hms_bus_watch watch;
    struct hms_manager *manager;
    struct hms_controller *controller;
};

/* ---- closing, users before what they use: controller, manager, bus ---- */

static void on_bus_closed(void *arg)
{
    struct daemon *daemon = arg;

    daemon->bus = NULL;
    hms_notify_socket_close(daemon->service);
}

static void on_manager_closed(void *arg)
{
    struct daemon *daemon = arg;

    daemon->manager = NULL;
    if (daemon->bus == NULL) {
        on_bus_closed(daemon);
        return;
    }
    hms_bus_unwatch(&daemon->watch);
    hms_bus_close(daemon->bus, on_bus_closed, daemon);
}

static void on_controller_closed(void *arg)
{
    struct daemon *daemon = arg;

    daemon->controller = NULL;
    if (daemon->manager != NULL)
        hms_manager_close(daemon->manager, on_manager_closed, daemon);
    else
        on_manager_closed(daemon);
}

static void on_stop(void *arg)
{
    struct daemon *daemon = arg;

    hms_notify_socket_send(daemon->service, "STOPPING=1");
    if (daemon->controller != NULL)
        hms_controller_close(daemon->controller, on_controller_closed, daemon);
    else
        on_controller_closed(daemon);
}

/* ---- opening ---- */

static void on_contact(void *arg, enum hms_bus_contact contact)
{
    static const char *const texts[] = {
        [HMS_BUS_DOWN] = "STATUS=waiting for the broker",
        [HMS_BUS_CONGESTED] = "STATUS=the broker takes nothing at the moment",
        [HMS_BUS_READY] = "STATUS=in contact",
    };
    struct daemon *daemon = arg;

    hms_notify_socket_send(daemon->service, texts[contact]);
}

static int open_bus(struct daemon *daemon, const struct hms_options *options, char *error,
                    size_t error_size)
{
    uv_loop_t *loop = hms_loop_uv(daemon->loop);
    struct hms_bus_amqp_options broker = options->broker;
    int result = HMS_OK;

    broker.role = daemon->kind->has_manager ? HMS_BUS_MANAGER : HMS_BUS_CONTROLLER;
    if (daemon->kind->has_manager && daemon->kind->has_controller)
        daemon->bus = hms_bus_local_new(loop);
    else
        result = hms_bus_amqp_open(&daemon->bus, loop, daemon->log, &broker, error, error_size);
    if (result != HMS_OK)
        return result;
    daemon->watch = (struct hms_bus_watch){.fn = on_contact, .arg = daemon};
    hms_bus_watch(daemon->bus, &daemon->watch);
    return HMS_OK;
}

static int open_parts(struct daemon *daemon, const struct hms_options *options)
{
    char error[ERROR_SIZE] = "";
    int result = open_bus(daemon, options, error, sizeof(error));

    if (result == HMS_OK && daemon->kind->has_manager)
        result = hms_manager_open(&daemon->manager, daemon->loop, daemon->log, daemon->bus,
                                  &options->manager, error, sizeof(error));
    if (result == HMS_OK && daemon->kind->has_controller)
        result = hms_controller_open(&daemon->controller, daemon->loop, daemon->log, daemon->bus,
                                     &options->controller, error, sizeof(error));
    if (result != HMS_OK)
        hms_log(daemon->log, HMS_LOG_ERROR, daemon->kind->spec->command, "cannot start: %s", error);
    return result;
}

static void say_where(const struct daemon *daemon)
{
    const char *where = hms_controller_where(daemon->controller);

    if (strncmp(where, "unix:", 5) == 0)
        printf("REST: curl --unix-socket %s http://localhost/healthmonitor/containers\n",
               where + 5);
    else
        printf("REST: http://%s/healthmonitor/containers\n", where);
    fflush(stdout);
}

/* Serving begins without the broker: that is waited for in the background. */
static void say_ready(struct daemon *daemon)
{
    if (daemon->controller != NULL)
        say_where(daemon);
    hms_notify_socket_send(daemon->service, "READY=1");
    on_contact(daemon, hms_bus_contact(daemon->bus));
}

/* Returns the exit status. */
static int run(const struct kind *kind, const struct hms_options *options)
{
    struct daemon daemon = {.kind = kind};
    int status = EXIT_FAILURE;

    daemon.log = hms_log_new(STDERR_FILENO, options->log_format, options->log_level);
    daemon.loop = hms_loop_new(daemon.log);
    daemon.service = hms_notify_socket_open(hms_loop_uv(daemon.loop), daemon.log);
    if (open_parts(&daemon, options) == HMS_OK) {
        say_ready(&daemon);
        hms_loop_run(daemon.loop, on_stop, &daemon);
        status = EXIT_SUCCESS;
    } else {
        on_stop(&daemon);
        uv_run(hms_loop_uv(daemon.loop), UV_RUN_DEFAULT);
    }
    if (hms_loop_free(daemon.loop) != 0)
        status = EXIT_FAILURE;
    hms_log_free(daemon.log);
    return status;
}

static int load_and_run(const struct kind *kind, int argc, char **argv)
{
    struct hms_options options = {0};
    struct hms_config *config;
    int status;

    if (!hms_config_load(&config, kind->spec, argc, argv, &options, stdout, stderr, &status))
        return status;
    status = run(kind, &options);
    hms_config_free(config);
    return status;
}

int hms_daemon_standalone(int argc, char **argv)
{
    static const struct kind kind = {&hms_standalone_spec, .has_manager = 1, .has_controller = 1};

    return load_and_run(&kind, argc, argv);
}

int hms_daemon_manager(int argc, char **argv)
{
    static const struct kind kind = {&hms_manager_spec, .has_manager = 1};

    return load_and_run(&kind, argc, argv);
}

int hms_daemon_controller(int argc, char **argv)
{
    static const struct kind kind = {&hms_controller_spec, .has_controller = 1};

    return load_and_run(&kind, argc, argv);
}
