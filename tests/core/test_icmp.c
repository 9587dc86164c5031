/*
 * The prober against real targets: this process moves into a network namespace of its own, a child
 * holds a second one, and a veth pair joins them. Both are anonymous and end with their process.
 * Needs root; skipped otherwise.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/icmp.h"
#include "core/log.h"

#define TARGETS_MAX 2048
#define NOBODY      65534

/* The long timeout keeps a busy machine from turning lossy results into unknown ones; a round in
 * which all answer does not wait for it. */
static const struct hms_icmp_schedule patient = {20, 10, 1000};

static pid_t far_pid; /* holds the namespace of the targets */

/* ---- the two namespaces ---- */

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *format, ...)
{
    char command[512];
    va_list args;
    int status;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    status = system(command);
    if (status != 0)
        fail_msg("%s: status %d", command, status);
}

static void in_far(const char *command)
{
    shell("nsenter --net=/proc/%d/ns/net %s", (int)far_pid, command);
}

static void hold_namespace(int ready)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWNET) != 0 || write(ready, "", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static void join_namespaces(void)
{
    shell("ip link set lo up");
    shell("ip link add v0 type veth peer name v1 netns %d", (int)far_pid);
    shell("ip addr add 10.8.0.1/24 dev v0");
    shell("ip -6 addr add fd00:8::1/64 dev v0 nodad");
    shell("ip link set v0 up");
    in_far("ip link set lo up");
    in_far("ip addr add 10.8.0.2/24 dev v1");
    in_far("ip -6 addr add fd00:8::2/64 dev v1 nodad");
    in_far("ip link set v1 up");
    /* Every address of these answers: one neighbour, for the neighbour table is the machine's. */
    shell("ip route add 10.9.0.0/16 via 10.8.0.2");
    shell("ip -6 route add fd00:9::/64 via fd00:8::2");
    in_far("ip route add local 10.9.0.0/16 dev lo");
    in_far("ip -6 route add local fd00:9::/64 dev lo");
    /* Of these, none does. */
    shell("ip route add 10.10.0.0/16 via 10.8.0.2");
    in_far("ip route add blackhole 10.10.0.0/16");
    /* Only the far side knows this one. */
    in_far("ip addr add 192.0.2.1/32 dev lo");
}

static int set_up_group(void **state)
{
    int ready[2];
    char byte;

    if (geteuid() != 0) {
        print_message("needs root for its network namespaces: skipped\n");
        return 0;
    }
    assert_int_equal(pipe(ready), 0);
    far_pid = fork();
    assert_true(far_pid >= 0);
    if (far_pid == 0)
        hold_namespace(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    join_namespaces();
    return 0;
}

static int tear_down_group(void **state)
{
    if (far_pid == 0)
        return 0;
    kill(far_pid, SIGKILL);
    waitpid(far_pid, NULL, 0);
    return 0;
}

static void set_ping_groups(const char *range)
{
    FILE *file = fopen("/proc/sys/net/ipv4/ping_group_range", "w");

    assert_non_null(file);
    assert_true(fputs(range, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* ---- one prober ---- */

struct prober {
    uv_loop_t loop;
    struct hms_log *log;
    struct hms_icmp *icmp;
    union hms_icmp_address targets[TARGETS_MAX];
    size_t count;
    struct hms_icmp_result results[TARGETS_MAX];
    struct hms_icmp_counters counters; /* at the end of the round */
    struct hms_icmp_schedule schedule;
    int rounds_wanted;
    int calls;
    int error;
    int closed;
};

static void on_closed(void *arg)
{
    struct prober *prober = arg;

    prober->closed++;
}

static int set_up(void **state)
{
    struct prober *prober = hms_calloc(1, sizeof(*prober));

    assert_int_equal(uv_loop_init(&prober->loop), 0);
    prober->schedule = patient;
    prober->log = hms_log_new(STDERR_FILENO, HMS_LOG_TEXT, HMS_LOG_ERROR);
    *state = prober;
    return 0;
}

static int tear_down(void **state)
{
    struct prober *prober = *state;
    int live_handles;

    if (prober->icmp != NULL && !prober->closed)
        hms_icmp_close(prober->icmp, on_closed, prober);
    uv_run(&prober->loop, UV_RUN_DEFAULT);
    live_handles = uv_loop_close(&prober->loop);
    hms_log_free(prober->log);
    free(prober);
    return live_handles;
}

static struct prober *need_root(void **state)
{
    if (far_pid == 0)
        skip();
    return *state;
}

static void open_prober(struct prober *prober, enum hms_icmp_backend backend, const char *netns)
{
    struct hms_icmp_options options = {.netns = netns, .backend = backend};
    char error[512] = "";

    if (hms_icmp_open(&prober->icmp, &prober->loop, prober->log, &options, error, sizeof(error)) !=
        HMS_OK)
        fail_msg("%s", error);
}

static void add_v4(struct prober *prober, const char *first, size_t count)
{
    struct in_addr base;
    size_t i;

    assert_int_equal(inet_pton(AF_INET, first, &base), 1);
    for (i = 0; i < count; i++) {
        struct sockaddr_in *v4 = &prober->targets[prober->count++].v4;

        v4->sin_family = AF_INET;
        v4->sin_addr.s_addr = htonl(ntohl(base.s_addr) + (uint32_t)i);
    }
}

static void add_v6(struct prober *prober, const char *first, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        struct sockaddr_in6 *v6 = &prober->targets[prober->count++].v6;

        v6->sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, first, &v6->sin6_addr), 1);
        v6->sin6_addr.s6_addr[14] = (uint8_t)(i >> 8);
        v6->sin6_addr.s6_addr[15] = (uint8_t)(i + 1);
    }
}

static void start_round(struct prober *prober);

static void on_round(void *arg, int error, const struct hms_icmp_result *results, size_t count)
{
    struct prober *prober = arg;

    prober->calls++;
    prober->error = error;
    if (error != HMS_OK) {
        assert_null(results);
        return;
    }
    assert_int_equal(count, prober->count);
    if (count > 0)
        memcpy(prober->results, results, count * sizeof(*results));
    prober->counters = hms_icmp_counters(prober->icmp);
    if (prober->calls < prober->rounds_wanted)
        start_round(prober);
}

static void start_round(struct prober *prober)
{
    assert_int_equal(hms_icmp_round(prober->icmp, &prober->schedule, prober->targets, prober->count,
                                    on_round, prober),
                     HMS_OK);
}

/* Whole rounds; the prober stays open. */
static void run_rounds(struct prober *prober, int rounds)
{
    prober->rounds_wanted = rounds;
    prober->calls = 0;
    start_round(prober);
    assert_int_equal(prober->calls, 0);
    while (prober->calls < rounds)
        uv_run(&prober->loop, UV_RUN_ONCE);
    assert_int_equal(prober->error, HMS_OK);
}

static void assert_answered(const struct prober *prober, size_t first, size_t count)
{
    size_t i;

    for (i = first; i < first + count; i++) {
        const struct hms_icmp_result *result = &prober->results[i];

        assert_int_equal(result->sent, patient.count);
        assert_int_equal(result->received, patient.count);
        assert_true(result->complete);
        assert_int_equal(result->error, 0);
        assert_true(result->rtt_min_us > 0);
        assert_true(result->rtt_min_us <= result->rtt_avg_us);
        assert_true(result->rtt_avg_us <= result->rtt_max_us);
    }
}

static void assert_lost(const struct prober *prober, size_t first, size_t count, int error)
{
    size_t i;

    for (i = first; i < first + count; i++) {
        const struct hms_icmp_result *result = &prober->results[i];

        assert_int_equal(result->sent, patient.count);
        assert_int_equal(result->received, 0);
        assert_true(result->complete);
        assert_int_equal(result->error, error);
        assert_int_equal(result->rtt_max_us, 0);
    }
}

/* ---- tests ---- */

static void test_clean(void **state)
{
    struct prober *prober = need_root(state);

    open_prober(prober, HMS_ICMP_RAW, NULL);
    assert_string_equal(hms_icmp_backend_name(prober->icmp), "raw");
    add_v4(prober, "10.9.0.1", 500);
    run_rounds(prober, 1);
    assert_answered(prober, 0, 500);
    assert_int_equal(prober->counters.rounds, 1);
    assert_int_equal(prober->counters.sent, 500 * 20);
    assert_int_equal(prober->counters.received, 500 * 20);
    assert_int_equal(prober->counters.duplicates, 0);
    assert_int_equal(prober->counters.foreign, 0);
    assert_int_equal(prober->counters.kernel_drops, 0);
}

static void test_waves(void **state)
{
    struct prober *prober = need_root(state);

    open_prober(prober, HMS_ICMP_RAW, NULL);
    add_v4(prober, "10.9.0.1", 2000);
    run_rounds(prober, 1);
    assert_answered(prober, 0, 2000);
}

static void test_nobody(void **state)
{
    struct prober *prober = need_root(state);

    open_prober(prober, HMS_ICMP_AUTO, NULL);
    run_rounds(prober, 1);
}

static void test_dead(void **state)
{
    struct prober *prober = need_root(state);

    open_prober(prober, HMS_ICMP_RAW, NULL);
    add_v4(prober, "10.9.0.1", 100);
    add_v4(prober, "10.10.0.1", 300);
    add_v4(prober, "10.8.0.50", 50); /* nobody answers ARP for them */
    add_v4(prober, "10.9.0.101", 100);
    run_rounds(prober, 1);
    assert_answered(prober, 0, 100);
    assert_lost(prober, 100, 350, 0);
    assert_answered(prober, 450, 100);
}

static void test_half_lost(void **state)
{
    struct prober *prober = need_root(state);
    unsigned received = 0;
    size_t i;

    in_far("nft 'add table ip lossy; "
           "add chain ip lossy in { type filter hook input priority 0; }; "
           "add rule ip lossy in ip daddr 10.9.1.0/24 numgen random mod 100 < 50 drop'");
    open_prober(prober, HMS_ICMP_RAW, NULL);
    add_v4(prober, "10.9.0.1", 100);
    add_v4(prober, "10.9.1.1", 100);
    run_rounds(prober, 1);
    in_far("nft delete table ip lossy");
    assert_answered(prober, 0, 100);
    for (i = 100; i < 200; i++) {
        assert_int_equal(prober->results[i].sent, 20);
        assert_true(prober->results[i].complete);
        received += prober->results[i].received;
    }
    /* 2000 throws: 1000 with a deviation of 22, and seven of those either way. */
    assert_in_range(received, 1000 - 157, 1000 + 157);
}

static void test_ipv6(void **state)
{
    struct prober *prober = need_root(state);

    open_prober(prober, HMS_ICMP_RAW, NULL);
    add_v6(prober, "fd00:9::", 200);
    add_v4(prober, "10.9.0.1", 200);
    add_v6(prober, "fd00:8::dead:0:0", 5); /* nobody answers neighbour discovery for them */
    add_v6(prober, "fd00:9::", 1);         /* a target may be there twice */
    run_rounds(prober, 1);
    assert_answered(prober, 0, 400);
    assert_lost(prober, 400, 5, 0);
    assert_answered(prober, 405, 1);
}

static void test_dgram(void **state)
{
    struct prober *prober = need_root(state);

    set_ping_groups("0 2147483647");
    open_prober(prober, HMS_ICMP_DGRAM, NULL);
    set_ping_groups("1 0");
    assert_string_equal(hms_icmp_backend_name(prober->icmp), "dgram");
    add_v4(prober, "10.9.0.1", 500);
    add_v6(prober, "fd00:9::", 100);
    add_v4(prober, "10.10.0.1", 10);
    run_rounds(prober, 2);
    assert_answered(prober, 0, 600);
    assert_lost(prober, 600, 10, 0);
}

/*
 * Requests to targets that do not answer ARP are charged to the socket for seconds, and what an
 * unprivileged one may hold is little. Still the dead ones do not silence the others.
 */
static void test_small_send_buffer(void **state)
{
    struct prober *prober = need_root(state);
    size_t i;

    set_ping_groups("0 2147483647");
    assert_int_equal(seteuid(NOBODY), 0);
    open_prober(prober, HMS_ICMP_DGRAM, NULL);
    assert_int_equal(seteuid(0), 0);
    set_ping_groups("1 0");
    prober->schedule.timeout_ms = 400; /* three rounds before the kernel gives up on the first */
    add_v4(prober, "10.8.0.100", 120);
    add_v4(prober, "10.9.0.1", 200);
    run_rounds(prober, 3);
    assert_answered(prober, 120, 200);
    assert_int_equal(prober->counters.received, 3 * 200 * 20);
    for (i = 0; i < 120; i++)
        assert_int_equal(prober->results[i].received, 0);
}

static void test_no_route(void **state)
{
    struct prober *prober = need_root(state);

    open_prober(prober, HMS_ICMP_RAW, NULL);
    add_v4(prober, "10.9.0.1", 1);
    add_v4(prober, "192.0.2.1", 1);
    run_rounds(prober, 1);
    assert_answered(prober, 0, 1);
    assert_int_equal(prober->results[1].error, ENETUNREACH);
    assert_int_equal(prober->results[1].sent, 0);
    assert_false(prober->results[1].complete);
}

static void test_filtered_locally(void **state)
{
    struct prober *prober = need_root(state);

    shell("nft 'add table ip shut; "
          "add chain ip shut out { type filter hook output priority 0; }; "
          "add rule ip shut out ip daddr 10.9.0.2 drop'");
    open_prober(prober, HMS_ICMP_RAW, NULL);
    add_v4(prober, "10.9.0.1", 3);
    run_rounds(prober, 1);
    shell("nft delete table ip shut");
    assert_answered(prober, 0, 1);
    assert_lost(prober, 1, 1, EPERM);
    assert_answered(prober, 2, 1);
}

static void test_other_netns(void **state)
{
    struct prober *prober = need_root(state);
    struct hms_icmp_options missing = {.netns = "/proc/self/ns/none"};
    char before[64] = "", after[64] = "", error[512] = "", path[64];

    assert_int_equal(
        hms_icmp_open(&prober->icmp, &prober->loop, prober->log, &missing, error, sizeof(error)),
        HMS_EIO);
    assert_non_null(strstr(error, missing.netns));
    assert_null(prober->icmp);

    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)far_pid);
    assert_true(readlink("/proc/self/ns/net", before, sizeof(before) - 1) > 0);
    open_prober(prober, HMS_ICMP_AUTO, path);
    assert_true(readlink("/proc/self/ns/net", after, sizeof(after) - 1) > 0);
    assert_string_equal(before, after);
    add_v4(prober, "192.0.2.1", 1);
    run_rounds(prober, 1);
    assert_answered(prober, 0, 1);
}

/* What an ordinary user gets; runs in a child. Returns 0 if that is right. */
static int open_as_nobody(struct prober *prober, int expected_error, const char *expected_text)
{
    struct hms_icmp_options options = {.backend = HMS_ICMP_AUTO};
    char error[512] = "";

    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return 1;
    if (hms_icmp_open(&prober->icmp, &prober->loop, prober->log, &options, error, sizeof(error)) !=
        expected_error)
        return 2;
    if (expected_error == HMS_OK)
        return strcmp(hms_icmp_backend_name(prober->icmp), expected_text) == 0 ? 0 : 3;
    return strstr(error, expected_text) != NULL ? 0 : 4;
}

static void check_as_nobody(struct prober *prober, int expected_error, const char *expected_text)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(open_as_nobody(prober, expected_error, expected_text));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_permission(void **state)
{
    struct prober *prober = need_root(state);

    set_ping_groups("1 0");
    check_as_nobody(prober, HMS_EPERM, "CAP_NET_RAW");
    check_as_nobody(prober, HMS_EPERM, "allow group 65534 in net.ipv4.ping_group_range");
    set_ping_groups("65534 65534");
    check_as_nobody(prober, HMS_OK, "dgram");
    set_ping_groups("1 0");
}

static void test_bad_arguments(void **state)
{
    static const struct hms_icmp_schedule schedules[] = {
        {0, 10, 100},     {1001, 10, 100}, {-1, 10, 100},   {20, 0, 100},
        {20, 10001, 100}, {20, 10, 0},     {20, 10, 10001},
    };
    struct prober *prober = need_root(state);
    union hms_icmp_address odd = {.any.sa_family = AF_UNIX};
    size_t i;

    open_prober(prober, HMS_ICMP_AUTO, NULL);
    add_v4(prober, "10.9.0.1", 1);
    for (i = 0; i < sizeof(schedules) / sizeof(schedules[0]); i++)
        assert_int_equal(
            hms_icmp_round(prober->icmp, &schedules[i], prober->targets, 1, on_round, prober),
            HMS_EINVAL);
    assert_int_equal(hms_icmp_round(prober->icmp, &patient, prober->targets,
                                    HMS_ICMP_TARGETS_MAX + 1, on_round, prober),
                     HMS_EINVAL);
    assert_int_equal(hms_icmp_round(prober->icmp, &patient, &odd, 1, on_round, prober), HMS_EINVAL);
    assert_int_equal(prober->calls, 0);
    run_rounds(prober, 1);
    assert_answered(prober, 0, 1);
}

static void test_back_to_back(void **state)
{
    struct prober *prober = need_root(state);

    open_prober(prober, HMS_ICMP_AUTO, NULL);
    add_v4(prober, "10.9.0.1", 50);
    run_rounds(prober, 3); /* each started by the end of the one before */
    assert_answered(prober, 0, 50);
    assert_int_equal(prober->counters.rounds, 3);
    assert_int_equal(prober->counters.received, 3 * 50 * 20);
    start_round(prober);
    assert_int_equal(hms_icmp_round(prober->icmp, &patient, prober->targets, 1, on_round, prober),
                     HMS_EBUSY);
}

static void test_cancelled(void **state)
{
    struct prober *prober = need_root(state);

    open_prober(prober, HMS_ICMP_AUTO, NULL);
    add_v4(prober, "10.10.0.1", 10);
    start_round(prober);
    while (hms_icmp_counters(prober->icmp).sent < 30)
        uv_run(&prober->loop, UV_RUN_ONCE);
    hms_icmp_close(prober->icmp, on_closed, prober);
    assert_int_equal(prober->calls, 1);
    assert_int_equal(prober->error, HMS_ECANCELED);
    assert_int_equal(prober->closed, 0);
    uv_run(&prober->loop, UV_RUN_DEFAULT);
    assert_int_equal(prober->closed, 1);
    assert_int_equal(prober->calls, 1);
}

static void close_at_end(void *arg, int error, const struct hms_icmp_result *results, size_t count)
{
    struct prober *prober = arg;

    prober->calls++;
    assert_int_equal(results[0].received, 1); /* still there: the prober frees them last */
    hms_icmp_close(prober->icmp, on_closed, prober);
    assert_int_equal(results[0].received, 1);
}

static void test_closed_at_end(void **state)
{
    static const struct hms_icmp_schedule one = {1, 10, 1000};
    struct prober *prober = need_root(state);

    open_prober(prober, HMS_ICMP_AUTO, NULL);
    add_v4(prober, "10.9.0.1", 1);
    assert_int_equal(hms_icmp_round(prober->icmp, &one, prober->targets, 1, close_at_end, prober),
                     HMS_OK);
    uv_run(&prober->loop, UV_RUN_DEFAULT);
    assert_int_equal(prober->calls, 1);
    assert_int_equal(prober->closed, 1);
}

static void hold_loop(uv_timer_t *timer)
{
    int64_t until_ms = hms_clock_mono_ms() + 600;

    while (hms_clock_mono_ms() < until_ms)
        continue;
    uv_close((uv_handle_t *)timer, NULL);
}

/* The loop stands still for longer than the timeout, in the midst of a round. */
static void test_starved(void **state)
{
    struct prober *prober = need_root(state);
    uv_timer_t timer;

    prober->schedule.timeout_ms = 100;
    open_prober(prober, HMS_ICMP_AUTO, NULL);
    add_v4(prober, "10.9.0.1", 200);
    add_v4(prober, "10.10.0.1", 10);
    uv_timer_init(&prober->loop, &timer);
    uv_timer_start(&timer, hold_loop, 50, 0);
    start_round(prober);
    while (prober->calls == 0)
        uv_run(&prober->loop, UV_RUN_ONCE);
    /* Replies are judged by the kernel's stamps; what is missing is not held against anybody. */
    assert_answered(prober, 0, 200);
    assert_int_equal(prober->results[205].received, 0);
    assert_false(prober->results[205].complete);
    assert_true(prober->counters.shifted_ms >= 500);
}

static unsigned long echo_replies_seen(void)
{
    FILE *file = fopen("/proc/thread-self/net/snmp", "r");
    unsigned long replies = 0;
    char line[1024];

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "IcmpMsg: %lu", &replies) == 1)
            break; /* its first column is InType0 */
    fclose(file);
    return replies;
}

static pid_t start_fping(void)
{
    int64_t deadline_ms = hms_clock_mono_ms() + 10000;
    unsigned long before = echo_replies_seen();
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execlp("fping", "fping", "-q", "-l", "-p10", "-i0", "-g", "10.9.0.1", "10.9.1.244", NULL);
        _exit(127);
    }
    while (echo_replies_seen() < before + 2000) {
        if (hms_clock_mono_ms() > deadline_ms || waitpid(pid, NULL, WNOHANG) != 0)
            fail_msg("fping does not ping");
        sched_yield();
    }
    return pid;
}

static void test_beside_foreign_pinger(void **state)
{
    struct prober *prober = need_root(state);
    pid_t fping = start_fping();

    open_prober(prober, HMS_ICMP_RAW, NULL);
    add_v4(prober, "10.9.0.1", 500);
    run_rounds(prober, 3);
    kill(fping, SIGKILL);
    waitpid(fping, NULL, 0);
    assert_answered(prober, 0, 500);
    assert_int_equal(prober->counters.received, 3 * 500 * 20);
    assert_int_equal(prober->counters.kernel_drops, 0);
}

#define WITH_PROBER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PROBER(test_clean),         WITH_PROBER(test_waves),
        WITH_PROBER(test_nobody),        WITH_PROBER(test_dead),
        WITH_PROBER(test_half_lost),     WITH_PROBER(test_ipv6),
        WITH_PROBER(test_dgram),         WITH_PROBER(test_small_send_buffer),
        WITH_PROBER(test_no_route),      WITH_PROBER(test_filtered_locally),
        WITH_PROBER(test_other_netns),   WITH_PROBER(test_permission),
        WITH_PROBER(test_bad_arguments), WITH_PROBER(test_back_to_back),
        WITH_PROBER(test_cancelled),     WITH_PROBER(test_closed_at_end),
        WITH_PROBER(test_starved),       WITH_PROBER(test_beside_foreign_pinger),
    };

    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
