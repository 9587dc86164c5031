/*
 * Probes a range of IPv4 addresses in rounds and prints one line of JSON per round. bench/probe
 * runs it in a namespace, beside fping; as a program of its own it is measured the same way.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/icmp.h"
#include "core/log.h"

struct bench {
    struct hms_icmp *icmp;
    struct hms_icmp_schedule schedule;
    union hms_icmp_address *targets;
    size_t targets_count;
    int rounds_left;
    int64_t begin_ns;
};

static void start_round(struct bench *bench);

static int compare_u32(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return (left > right) - (left < right);
}

static uint32_t median_rtt_us(const struct hms_icmp_result *results, size_t count)
{
    uint32_t *rtts_us = hms_calloc(count, sizeof(*rtts_us));
    uint32_t median_us;
    size_t i;

    for (i = 0; i < count; i++)
        rtts_us[i] = results[i].rtt_avg_us;
    qsort(rtts_us, count, sizeof(*rtts_us), compare_u32);
    median_us = rtts_us[count / 2];
    free(rtts_us);
    return median_us;
}

static void print_round(const struct bench *bench, const struct hms_icmp_result *results,
                        size_t count)
{
    struct hms_icmp_counters counters = hms_icmp_counters(bench->icmp);
    json_int_t sent = 0, received = 0, incomplete = 0;
    json_t *line;
    size_t i;

    for (i = 0; i < count; i++) {
        sent += results[i].sent;
        received += results[i].received;
        incomplete += !results[i].complete;
    }
    line =
        json_pack("{s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "wall_ms",
                  (double)(hms_clock_mono_ns() - bench->begin_ns) / 1e6, "sent", sent, "lost",
                  sent - received, "incomplete", incomplete, "rtt_median_us",
                  (json_int_t)median_rtt_us(results, count), "shifted_ms",
                  (json_int_t)counters.shifted_ms, "retries", (json_int_t)counters.retries, "late",
                  (json_int_t)counters.late, "backend", hms_icmp_backend_name(bench->icmp));
    json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(line);
}

static void on_closed(void *arg)
{
}

static void on_round(void *arg, int error, const struct hms_icmp_result *results, size_t count)
{
    struct bench *bench = arg;

    if (error == HMS_OK)
        print_round(bench, results, count);
    if (error == HMS_OK && --bench->rounds_left > 0)
        start_round(bench);
    else
        hms_icmp_close(bench->icmp, on_closed, NULL);
}

static void start_round(struct bench *bench)
{
    int status;

    bench->begin_ns = hms_clock_mono_ns();
    status = hms_icmp_round(bench->icmp, &bench->schedule, bench->targets, bench->targets_count,
                            on_round, bench);
    if (status == HMS_OK)
        return;
    fprintf(stderr, "cannot start a round: %s\n", hms_strerror(status));
    exit(1);
}

static void fill_targets(struct bench *bench, const char *first)
{
    struct in_addr base;
    size_t i;

    if (inet_pton(AF_INET, first, &base) != 1) {
        fprintf(stderr, "not an IPv4 address: %s\n", first);
        exit(2);
    }
    bench->targets = hms_calloc(bench->targets_count, sizeof(*bench->targets));
    for (i = 0; i < bench->targets_count; i++) {
        bench->targets[i].v4.sin_family = AF_INET;
        bench->targets[i].v4.sin_addr.s_addr = htonl(ntohl(base.s_addr) + (uint32_t)i);
    }
}

static void usage(void)
{
    fputs("usage: bench_probe --first IPV4 --targets N [--rounds N] [--count N]\n"
          "                   [--interval-ms N] [--timeout-ms N] [--dgram]\n",
          stderr);
    exit(2);
}

static const char *read_options(struct bench *bench, struct hms_icmp_options *options, int argc,
                                char **argv)
{
    static const struct option names[] = {
        {"first", required_argument, NULL, 'f'},
        {"targets", required_argument, NULL, 'n'},
        {"rounds", required_argument, NULL, 'r'},
        {"count", required_argument, NULL, 'c'},
        {"interval-ms", required_argument, NULL, 'i'},
        {"timeout-ms", required_argument, NULL, 't'},
        {"dgram", no_argument, NULL, 'd'},
        {0},
    };
    const char *first = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'f':
            first = optarg;
            break;
        case 'n':
            bench->targets_count = strtoul(optarg, NULL, 10);
            break;
        case 'r':
            bench->rounds_left = (int)strtol(optarg, NULL, 10);
            break;
        case 'c':
            bench->schedule.count = (int)strtol(optarg, NULL, 10);
            break;
        case 'i':
            bench->schedule.interval_ms = (int)strtol(optarg, NULL, 10);
            break;
        case 't':
            bench->schedule.timeout_ms = (int)strtol(optarg, NULL, 10);
            break;
        case 'd':
            options->backend = HMS_ICMP_DGRAM;
            break;
        default:
            usage();
        }
    }
    if (first == NULL || bench->targets_count == 0)
        usage();
    return first;
}

int main(int argc, char **argv)
{
    struct bench bench = {.schedule = {20, 10, 100}, .rounds_left = 1};
    struct hms_icmp_options options = {.backend = HMS_ICMP_RAW};
    const char *first = read_options(&bench, &options, argc, argv);
    struct hms_log *log = hms_log_new(STDERR_FILENO, HMS_LOG_TEXT, HMS_LOG_WARN);
    char error[512];
    uv_loop_t loop;
    int open_handles;

    fill_targets(&bench, first);
    uv_loop_init(&loop);
    if (hms_icmp_open(&bench.icmp, &loop, log, &options, error, sizeof(error)) != HMS_OK) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    start_round(&bench);
    uv_run(&loop, UV_RUN_DEFAULT);
    open_handles = uv_loop_close(&loop);
    free(bench.targets);
    hms_log_free(log);
    return open_handles == 0 ? 0 : 1;
}
