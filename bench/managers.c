/*
 * Many managers at once: each with a connection of its own to the broker, with containers that
 * exist only here, but with the report that real managers have. bench/controller runs it.
 *
 * Standard input tells what to do, a line each: `rate N` changes N containers a second from now on,
 * `report` prints how far it is, `states` what every container is like; each answer is a line of
 * JSON. The end of the input ends it. With --log-level debug the report's lines on standard error
 * have the time of every change.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "core/alloc.h"
#include "core/bus.h"
#include "core/bus_amqp.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "manager/inventory.h"
#include "manager/report.h"

#define FIRST_ADDRESS 0x0a640001 /* 10.100.0.1 */
#define TICK_MS       5
#define JITTER_MS     1000
#define LINE_SIZE     64
#define KILLED        137

struct bench;

struct host {
    struct bench *bench;
    char address[INET_ADDRSTRLEN];
    struct hms_manager_options options;
    struct hms_bus *bus;
    struct hms_inventory *inventory;
    struct hms_container **containers;
    struct hms_report *report;
};

struct bench {
    uv_loop_t loop;
    struct hms_log *log;
    struct hms_bus_amqp_options broker;
    struct hms_docker_network network;
    struct hms_guard_limits limits;
    struct host *hosts;
    size_t host_count;
    size_t container_count; /* of each */
    int64_t aggregation_ms;
    enum hms_log_level log_level;

    uv_timer_t tick;
    uv_timer_t jitter;
    unsigned short random[3];
    int64_t rate; /* changes per second ... */
    int64_t begun_ms;
    int64_t made;    /* ... since then */
    int64_t changes; /* in all */
    int64_t asked;   /* contents given */

    uv_pipe_t input;
    char line[LINE_SIZE];
    size_t line_length;
};

static size_t choose(struct bench *bench, size_t count)
{
    return (size_t)nrand48(bench->random) % count;
}

/* ---- containers ---- */

static void measure(struct bench *bench, struct hms_container *container)
{
    double rtt_ms = 0.02 + (double)choose(bench, 1000) / 2000;

    container->measure = (struct hms_measure){
        .is_known = 1,
        .rtt_min_ms = rtt_ms / 2,
        .rtt_avg_ms = rtt_ms,
        .rtt_max_ms = rtt_ms * 3,
    };
}

/* As `docker inspect` would tell it. */
static json_t *inspection(const struct bench *bench, const char *id, size_t number)
{
    char name[32], address[INET_ADDRSTRLEN];

    snprintf(name, sizeof(name), "/service-%zu", number);
    snprintf(address, sizeof(address), "172.17.%zu.%zu", number >> 8 & 255, number & 255);
    return json_pack("{s:s, s:s, s:s, s:{s:s}, s:{s:s, s:{}}, s:{s:s}, s:{s:{s:{s:s, s:s}}}}", "Id",
                     id, "Name", name, "Created", "2026-11-21T08:00:00.000000000Z", "State",
                     "Status", "running", "Config", "Image", "registry.example/team/service:1.0",
                     "Labels", "HostConfig", "NetworkMode", "default", "NetworkSettings",
                     "Networks", "bridge", "NetworkID", bench->network.id, "IPAddress", address);
}

static struct hms_container *add_container(struct host *host, size_t number)
{
    size_t host_number = (size_t)(host - host->bench->hosts);
    struct hms_docker_container info;
    struct hms_container *container;
    char id[HMS_DOCKER_ID_SIZE];
    json_t *body;

    /* What counts are the first 12 digits: they are the entry's key. */
    snprintf(id, sizeof(id), "%06x%06x%052x", (unsigned)host_number & 0xffffff,
             (unsigned)number & 0xffffff, 0);
    body = inspection(host->bench, id, number);
    if (hms_docker_read_container(body, &info) != HMS_OK)
        abort();
    json_decref(body);
    container = hms_inventory_add(host->inventory, id);
    hms_container_set_info(container, &info);
    container->state = HMS_DOCKER_RUNNING;
    container->since_ns = info.created_ns;
    container->supervision = HMS_REASON_CLEAR;
    container->standing = HMS_REASON_CLEAR;
    measure(host->bench, container);
    return container;
}

/* What an operator would call a change: it ends, or it has been started again. */
static void change(struct host *host, struct hms_container *container)
{
    container->since_ns = hms_clock_wall_ns();
    container->life++;
    if (container->state == HMS_DOCKER_RUNNING) {
        container->state = HMS_DOCKER_EXITED;
        hms_exit_on_die(&container->end, KILLED, container->since_ns);
    } else {
        container->state = HMS_DOCKER_RUNNING;
        hms_exit_on_start(&container->end);
        container->restarts++;
    }
    hms_report_touch(host->report, container);
    host->bench->changes++;
}

static void on_tick(uv_timer_t *timer)
{
    struct bench *bench = timer->data;
    int64_t due = bench->rate * ((int64_t)uv_now(&bench->loop) - bench->begun_ms) / 1000;

    for (; bench->made < due; bench->made++) {
        struct host *host = &bench->hosts[choose(bench, bench->host_count)];

        change(host, host->containers[choose(bench, bench->container_count)]);
    }
}

/* Round trips are never the same twice; that is no change, but `live` tells it now and then. */
static void on_jitter(uv_timer_t *timer)
{
    struct bench *bench = timer->data;
    size_t i, j;

    for (i = 0; i < bench->host_count; i++)
        for (j = 0; j < bench->container_count; j++)
            measure(bench, bench->hosts[i].containers[j]);
}

/* ---- managers ---- */

static const struct hms_docker_network *networks(void *arg, size_t *count)
{
    struct host *host = arg;

    *count = 1;
    return &host->bench->network;
}

static json_t *describe_host(void *arg)
{
    return json_pack("{s:s, s:s, s:b, s:f, s:b}", "state", "online", "reason", "", "ready", 1,
                     "threshold", 60.0, "observe", 0);
}

static void serve(void *arg, const json_t *message, struct hms_bus_call *call)
{
    struct host *host = arg;
    const char *command = hms_json_string(message, "command");

    if (call == NULL)
        return;
    if (command == NULL || strcmp(command, "give_content") != 0) {
        hms_bus_reply(call, hms_bus_error("INVALID_REQUEST", "this manager only gives content"));
        return;
    }
    host->bench->asked++;
    hms_bus_reply(call, hms_report_reply(host->report));
}

static void fill_host(struct host *host)
{
    struct bench *bench = host->bench;
    size_t i;

    host->inventory = hms_inventory_new(&bench->limits);
    host->containers = hms_calloc(bench->container_count, sizeof(struct hms_container *));
    for (i = 0; i < bench->container_count; i++)
        host->containers[i] = add_container(host, i);
}

static void open_host(struct host *host)
{
    const struct hms_report_sources sources = {networks, describe_host, host};
    struct bench *bench = host->bench;
    struct hms_bus_amqp_options broker = bench->broker;
    char error[512];

    broker.role = HMS_BUS_MANAGER;
    broker.address = host->address;
    if (hms_bus_amqp_open(&host->bus, &bench->loop, bench->log, &broker, error, sizeof(error)) !=
        HMS_OK) {
        fprintf(stderr, "bench_managers: %s\n", error);
        exit(1);
    }
    host->options = (struct hms_manager_options){
        .address = host->address,
        .sync = HMS_SYNC_PUSH,
        .aggregation_ms = bench->aggregation_ms,
        .loss_step_pct = 5,
        .heartbeat_ms = 1000,
    };
    host->report = hms_report_new(&bench->loop, bench->log, host->bus, host->inventory, &sources,
                                  &host->options);
    hms_bus_serve(host->bus, HMS_BUS_MANAGER, host->address, serve, host);
}

static void open_hosts(struct bench *bench)
{
    size_t i;

    snprintf(bench->network.id, sizeof(bench->network.id), "%064x", 1);
    bench->network.name = (char *)"bridge";
    bench->network.driver = (char *)"bridge";
    bench->hosts = hms_calloc(bench->host_count, sizeof(*bench->hosts));
    for (i = 0; i < bench->host_count; i++) {
        struct host *host = &bench->hosts[i];
        struct in_addr address = {htonl(FIRST_ADDRESS + (uint32_t)i)};

        host->bench = bench;
        inet_ntop(AF_INET, &address, host->address, sizeof(host->address));
        fill_host(host);
        open_host(host);
    }
}

static void on_bus_closed(void *arg)
{
    struct host *host = arg;

    hms_inventory_free(host->inventory);
    free(host->containers);
}

static void on_report_closed(void *arg)
{
    struct host *host = arg;

    hms_bus_close(host->bus, on_bus_closed, host);
}

/* ---- what it is told ---- */

static void answer(json_t *line)
{
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(line);
}

static void tell_progress(struct bench *bench)
{
    json_int_t ready = 0, messages = 0, bytes = 0;
    size_t i;

    for (i = 0; i < bench->host_count; i++) {
        struct hms_bus_traffic traffic = hms_bus_traffic(bench->hosts[i].bus);

        ready += hms_bus_contact(bench->hosts[i].bus) == HMS_BUS_READY;
        messages += (json_int_t)traffic.messages;
        bytes += (json_int_t)traffic.bytes;
    }
    answer(json_pack("{s:I, s:I, s:I, s:I, s:I}", "ready", ready, "changes",
                     (json_int_t)bench->changes, "asked", (json_int_t)bench->asked, "messages",
                     messages, "bytes", bytes));
}

static void tell_states(struct bench *bench)
{
    json_t *states = json_object();
    size_t i, j;

    for (i = 0; i < bench->host_count; i++) {
        const struct host *host = &bench->hosts[i];
        json_t *content = json_object();

        for (j = 0; j < bench->container_count; j++) {
            const struct hms_container *container = host->containers[j];
            char key[HMS_DOCKER_SHORT_ID_DIGITS + 1];

            snprintf(key, sizeof(key), "%.*s", HMS_DOCKER_SHORT_ID_DIGITS, container->id);
            json_object_set_new(content, key, json_string(hms_docker_state_name(container->state)));
        }
        json_object_set_new(states, host->address, content);
    }
    answer(states);
}

static void obey(struct bench *bench, const char *line)
{
    if (strcmp(line, "report") == 0) {
        tell_progress(bench);
    } else if (strcmp(line, "states") == 0) {
        tell_states(bench);
    } else if (strncmp(line, "rate ", 5) == 0) {
        bench->rate = strtoll(line + 5, NULL, 10);
        bench->begun_ms = (int64_t)uv_now(&bench->loop);
        bench->made = 0;
    } else {
        fprintf(stderr, "bench_managers: what is '%s'?\n", line);
    }
}

static void end(struct bench *bench)
{
    size_t i;

    uv_close((uv_handle_t *)&bench->input, NULL);
    uv_close((uv_handle_t *)&bench->tick, NULL);
    uv_close((uv_handle_t *)&bench->jitter, NULL);
    for (i = 0; i < bench->host_count; i++)
        hms_report_close(bench->hosts[i].report, on_report_closed, &bench->hosts[i]);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct bench *bench = handle->data;

    *buffer = uv_buf_init(bench->line + bench->line_length,
                          (unsigned)(sizeof(bench->line) - bench->line_length));
}

static void on_input(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct bench *bench = stream->data;
    char *newline;

    if (length < 0) { /* also when a line is too long: there is no room left then */
        end(bench);
        return;
    }
    bench->line_length += (size_t)length;
    while ((newline = memchr(bench->line, '\n', bench->line_length)) != NULL) {
        *newline = '\0';
        obey(bench, bench->line);
        bench->line_length -= (size_t)(newline + 1 - bench->line);
        memmove(bench->line, newline + 1, bench->line_length);
    }
}

static void start_timer(struct bench *bench, uv_timer_t *timer, uv_timer_cb fn, uint64_t period_ms)
{
    uv_timer_init(&bench->loop, timer);
    timer->data = bench;
    uv_timer_start(timer, fn, period_ms, period_ms);
}

static void listen_to_input(struct bench *bench)
{
    uv_pipe_init(&bench->loop, &bench->input, 0);
    bench->input.data = bench;
    if (uv_pipe_open(&bench->input, STDIN_FILENO) != 0 ||
        uv_read_start((uv_stream_t *)&bench->input, on_room, on_input) != 0) {
        fprintf(stderr, "bench_managers: standard input must be a pipe\n");
        exit(2);
    }
}

static void usage(void)
{
    fputs("usage: bench_managers --broker URL --password-file FILE [--managers N]\n"
          "                      [--containers N] [--aggregation-ms N] [--log-level debug]\n",
          stderr);
    exit(2);
}

static void read_options(struct bench *bench, int argc, char **argv)
{
    static const struct option names[] = {
        {"broker", required_argument, NULL, 'b'},
        {"password-file", required_argument, NULL, 'p'},
        {"managers", required_argument, NULL, 'm'},
        {"containers", required_argument, NULL, 'c'},
        {"aggregation-ms", required_argument, NULL, 'a'},
        {"log-level", required_argument, NULL, 'l'},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'b':
            bench->broker.url = optarg;
            break;
        case 'p':
            bench->broker.password_file = optarg;
            break;
        case 'm':
            bench->host_count = strtoul(optarg, NULL, 10);
            break;
        case 'c':
            bench->container_count = strtoul(optarg, NULL, 10);
            break;
        case 'a':
            bench->aggregation_ms = strtol(optarg, NULL, 10);
            break;
        case 'l':
            bench->log_level = strcmp(optarg, "debug") == 0 ? HMS_LOG_DEBUG : HMS_LOG_WARN;
            break;
        default:
            usage();
        }
    }
    if (bench->broker.url == NULL || bench->host_count == 0 || bench->container_count == 0)
        usage();
}

int main(int argc, char **argv)
{
    struct bench bench = {
        .broker = {.heartbeat_s = 60},
        .host_count = 200,
        .container_count = 100,
        .aggregation_ms = 100,
        .log_level = HMS_LOG_WARN,
    };
    int open_handles;

    hms_alloc_install();
    read_options(&bench, argc, argv);
    bench.log = hms_log_new(STDERR_FILENO, HMS_LOG_JSON, bench.log_level);
    uv_loop_init(&bench.loop);
    listen_to_input(&bench);
    open_hosts(&bench);
    start_timer(&bench, &bench.tick, on_tick, TICK_MS);
    start_timer(&bench, &bench.jitter, on_jitter, JITTER_MS);
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    open_handles = uv_loop_close(&bench.loop);
    free(bench.hosts);
    hms_log_free(bench.log);
    return open_handles == 0 ? 0 : 1;
}
