/* Wires manager, controller and local bus together; owns them, the loop and the log. */
#include "daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/controller.h"
#include "core/alloc.h"
#include "core/bus.h"
#include "core/bus_local.h"
#include "core/config.h"
#include "core/error.h"
#include "core/log.h"
#include "core/loop.h"
#include "manager/manager.h"
#include "options.h"

#define ERROR_SIZE 512

struct standalone {
    struct hms_log *log;
    struct hms_loop *loop;
    struct hms_bus *bus;
    struct hms_manager *manager;
    struct hms_controller *controller;
};

/* Closing, users before what they use: controller, manager, bus. */

static void on_bus_closed(void *arg)
{
    struct standalone *standalone = arg;

    standalone->bus = NULL;
}

static void on_manager_closed(void *arg)
{
    struct standalone *standalone = arg;

    standalone->manager = NULL;
    hms_bus_close(standalone->bus, on_bus_closed, standalone);
}

static void on_controller_closed(void *arg)
{
    struct standalone *standalone = arg;

    standalone->controller = NULL;
    if (standalone->manager != NULL)
        hms_manager_close(standalone->manager, on_manager_closed, standalone);
    else
        on_manager_closed(standalone);
}

static void on_stop(void *arg)
{
    struct standalone *standalone = arg;

    if (standalone->controller != NULL)
        hms_controller_close(standalone->controller, on_controller_closed, standalone);
    else
        on_controller_closed(standalone);
}

static int open_roles(struct standalone *standalone, const struct hms_options *options)
{
    char error[ERROR_SIZE] = "";
    int result;

    result = hms_manager_open(&standalone->manager, standalone->loop, standalone->log,
                              standalone->bus, &options->manager, error, sizeof(error));
    if (result == HMS_OK)
        result = hms_controller_open(&standalone->controller, standalone->loop, standalone->log,
                                     standalone->bus, &options->controller, error, sizeof(error));
    if (result != HMS_OK)
        hms_log(standalone->log, HMS_LOG_ERROR, "standalone", "cannot start: %s", error);
    return result;
}

static void say_where(const struct standalone *standalone)
{
    const char *where = hms_controller_where(standalone->controller);

    if (strncmp(where, "unix:", 5) == 0)
        printf("REST: curl --unix-socket %s http://localhost/healthmonitor/containers\n",
               where + 5);
    else
        printf("REST: http://%s/healthmonitor/containers\n", where);
    fflush(stdout);
}

/* Returns the exit status. */
static int run(const struct hms_options *options)
{
    struct standalone standalone = {0};
    int status = EXIT_FAILURE;

    standalone.log = hms_log_new(STDERR_FILENO, options->log_format, options->log_level);
    standalone.loop = hms_loop_new(standalone.log);
    standalone.bus = hms_bus_local_new(hms_loop_uv(standalone.loop));
    if (open_roles(&standalone, options) == HMS_OK) {
        say_where(&standalone);
        hms_loop_run(standalone.loop, on_stop, &standalone);
        status = EXIT_SUCCESS;
    } else {
        on_stop(&standalone);
        uv_run(hms_loop_uv(standalone.loop), UV_RUN_DEFAULT);
    }
    if (hms_loop_free(standalone.loop) != 0)
        status = EXIT_FAILURE;
    hms_log_free(standalone.log);
    return status;
}

int hms_standalone_main(int argc, char **argv)
{
    struct hms_options options = {0};
    struct hms_config *config;
    int status;

    if (!hms_config_load(&config, &hms_standalone_spec, argc, argv, &options, stdout, stderr,
                         &status))
        return status;
    status = run(&options);
    hms_config_free(config);
    return status;
}
