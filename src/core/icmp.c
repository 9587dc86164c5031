/*
 * The engine of a round: carries what is due from icmp_pace to the sockets and the replies to
 * icmp_flight. One struct owns the sockets, their handles and the round under way.
 *
 * Replies come while requests are still being sent (a container's namespace answers inside our own
 * send call), so each small batch is followed by reading: the receive buffer never fills, however
 * many targets there are.
 */
#include "core/icmp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/icmp_flight.h"
#include "core/icmp_pace.h"
#include "core/icmp_packet.h"
#include "core/icmp_socket.h"
#include "core/log.h"

#define NS_PER_MS INT64_C(1000000)

/* Larger ones cost the same per packet and delay the reading (RTT p99 under load: 100 times). */
#define SEND_BATCH    8
#define RECEIVE_BATCH 32
/* Receive batches in one go: what a flood can hold the loop for. */
#define RECEIVE_BATCHES_MAX 32
/* The longest that sending holds the loop before others have their turn. */
#define HOLD_NS (2 * NS_PER_MS)
/* Pauses of 1 ms that one tick may take because the kernel had no room. */
#define BACKOFFS_PER_TICK 8
#define BACKOFF_NS        NS_PER_MS
/* Lateness below this is everyday life, however short the timeout. */
#define STARVED_MIN_NS (10 * NS_PER_MS)

/* An IPv4 header with options, or the longest reply that can be one of ours. */
#define REPLY_BYTES (60 + HMS_ICMP_PACKET_BYTES)
/* Reads after the last timeout: more than a full receive buffer takes. */
#define LAST_READS_MAX 16

#define WARNING_PERIOD_MS 60000

enum { IPV4, IPV6, FAMILIES };

#define STATE_MAP(X)                                                                               \
    X(IDLE, "idle")                                                                                \
    X(SENDING, "sending")                                                                          \
    X(WAITING, "waiting")                                                                          \
    X(CLOSING, "closing")

enum state {
#define X(name, text) STATE_##name,
    STATE_MAP(X)
#undef X
};

struct round {
    uint32_t number; /* carried by its requests */
    struct hms_icmp_pace pace;
    struct hms_icmp_flight *flight;
    int64_t timeout_ns;
    int64_t last_sent_ns;
    int64_t starved_ns; /* lateness of a wake-up from which on losses may be our own fault */
    int doubtful;
    int backoffs_left;
    int last_reads_left; /* after the last timeout, see judge() */
    hms_icmp_round_fn fn;
    void *arg;
};

struct send_buffers {
    struct mmsghdr messages[SEND_BATCH];
    struct iovec vectors[SEND_BATCH];
    uint8_t packets[SEND_BATCH][HMS_ICMP_PACKET_BYTES];
};

struct receive_buffers {
    struct mmsghdr messages[RECEIVE_BATCH];
    struct iovec vectors[RECEIVE_BATCH];
    union hms_icmp_address sources[RECEIVE_BATCH];
    uint8_t packets[RECEIVE_BATCH][REPLY_BYTES];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } controls[RECEIVE_BATCH];
};

struct hms_icmp {
    struct hms_log *log;
    enum state state;
    enum hms_icmp_backend backend;
    struct hms_icmp_socket sockets[FAMILIES];
    uint32_t drops[FAMILIES]; /* of the socket, as last read */
    uv_poll_t polls[FAMILIES];
    uv_timer_t timer;
    int64_t wake_ns; /* when the timer was to run */
    uint64_t cookie;
    struct round round;
    struct hms_icmp_counters counters;
    struct hms_log_limit warnings;
    struct send_buffers out;
    struct receive_buffers in;

    int handles_open;
    void (*closed)(void *arg);
    void *closed_arg;
};

static const char *state_name(enum state state)
{
    static const char *const names[] = {
#define X(name, text) text,
        STATE_MAP(X)
#undef X
    };

    return names[state];
}

static void set_state(struct hms_icmp *icmp, enum state state)
{
    static const unsigned allowed[] = {
        [STATE_IDLE] = 1u << STATE_SENDING | 1u << STATE_CLOSING,
        [STATE_SENDING] = 1u << STATE_WAITING | 1u << STATE_IDLE,
        [STATE_WAITING] = 1u << STATE_IDLE,
        [STATE_CLOSING] = 0,
    };

    if ((allowed[icmp->state] & 1u << state) == 0)
        abort();
    hms_log(icmp->log, HMS_LOG_DEBUG, "icmp", "round %u: %s -> %s", icmp->round.number,
            state_name(icmp->state), state_name(state));
    icmp->state = state;
}

/* Losses of this round may be our own fault from here on. */
static void doubt(struct hms_icmp *icmp, const char *reason)
{
    if (!icmp->round.doubtful && hms_log_limit_pass(&icmp->warnings, hms_clock_mono_ms()))
        hms_log(icmp->log, HMS_LOG_WARN, "icmp", "losses of this round count as unknown: %s",
                reason);
    icmp->round.doubtful = 1;
}

static void note_lateness(struct hms_icmp *icmp, int64_t late_ns)
{
    if (late_ns > icmp->round.starved_ns)
        doubt(icmp, "the process got no processor time for too long");
}

/* Counts what the receive buffers could not take. Returns whether that was anything new. */
static int read_drops(struct hms_icmp *icmp)
{
    int any = 0;
    int family;

    for (family = 0; family < FAMILIES; family++) {
        uint32_t drops = hms_icmp_socket_drops(&icmp->sockets[family]);

        any |= drops != icmp->drops[family];
        icmp->counters.kernel_drops += drops - icmp->drops[family];
        icmp->drops[family] = drops;
    }
    return any;
}

static void check_drops(struct hms_icmp *icmp)
{
    if (read_drops(icmp))
        doubt(icmp, "the receive buffer overflowed");
}

/* ---- receiving ---- */

static void init_receive_buffers(struct receive_buffers *in)
{
    size_t i;

    for (i = 0; i < RECEIVE_BATCH; i++) {
        struct msghdr *header = &in->messages[i].msg_hdr;

        in->vectors[i] = (struct iovec){in->packets[i], REPLY_BYTES};
        header->msg_iov = &in->vectors[i];
        header->msg_iovlen = 1;
        header->msg_name = &in->sources[i];
        header->msg_namelen = sizeof(in->sources[i]);
        header->msg_control = &in->controls[i];
        header->msg_controllen = sizeof(in->controls[i]);
    }
}

/* The kernel writes these two lengths. */
static void reset_receive_buffers(struct receive_buffers *in, size_t used)
{
    size_t i;

    for (i = 0; i < used; i++) {
        in->messages[i].msg_hdr.msg_namelen = sizeof(in->sources[i]);
        in->messages[i].msg_hdr.msg_controllen = sizeof(in->controls[i]);
    }
}

/* When the kernel received it, on the monotonic clock; now_ns if there is no sane stamp (the wall
 * clock may have been set in between). */
static int64_t received_ns(struct msghdr *header, int64_t wall_to_mono_ns, int64_t now_ns)
{
    const struct cmsghdr *control = CMSG_FIRSTHDR(header);
    struct timespec stamp;
    int64_t stamp_ns;

    if (control == NULL || control->cmsg_level != SOL_SOCKET ||
        control->cmsg_type != SCM_TIMESTAMPNS)
        return now_ns;
    memcpy(&stamp, CMSG_DATA(control), sizeof(stamp));
    stamp_ns = (int64_t)stamp.tv_sec * 1000 * NS_PER_MS + stamp.tv_nsec + wall_to_mono_ns;
    return stamp_ns < now_ns ? stamp_ns : now_ns;
}

static void take_reply(struct hms_icmp *icmp, const struct hms_icmp_socket *sock, size_t i,
                       int64_t at_ns)
{
    const struct mmsghdr *message = &icmp->in.messages[i];
    enum hms_icmp_verdict verdict = HMS_ICMP_FOREIGN;
    struct hms_icmp_echo echo;

    if ((message->msg_hdr.msg_flags & MSG_TRUNC) == 0 &&
        hms_icmp_packet_decode(icmp->in.packets[i], message->msg_len, sock->framing, sock->id,
                               icmp->cookie, &echo) == 0)
        verdict = echo.round == icmp->round.number
                      ? hms_icmp_flight_answer(icmp->round.flight, echo.target, echo.sequence,
                                               &icmp->in.sources[i], at_ns)
                      : HMS_ICMP_LATE;
    switch (verdict) {
    case HMS_ICMP_IN_TIME:
        icmp->counters.received++;
        break;
    case HMS_ICMP_LATE:
        icmp->counters.late++;
        break;
    case HMS_ICMP_DUPLICATE:
        icmp->counters.duplicates++;
        break;
    case HMS_ICMP_FOREIGN:
        icmp->counters.foreign++;
        break;
    }
}

static int receive_batch(struct hms_icmp *icmp, const struct hms_icmp_socket *sock)
{
    int received = recvmmsg(sock->fd, icmp->in.messages, RECEIVE_BATCH, MSG_DONTWAIT, NULL);
    int64_t now_ns = hms_clock_mono_ns();
    int64_t wall_to_mono_ns = now_ns - hms_clock_wall_ns();
    int i;

    for (i = 0; i < received; i++)
        take_reply(icmp, sock, (size_t)i,
                   received_ns(&icmp->in.messages[i].msg_hdr, wall_to_mono_ns, now_ns));
    if (received > 0)
        reset_receive_buffers(&icmp->in, (size_t)received);
    return received;
}

/* Reads what a socket holds. Returns whether it is empty now. */
static int drain_socket(struct hms_icmp *icmp, const struct hms_icmp_socket *sock)
{
    int i;

    for (i = 0; i < RECEIVE_BATCHES_MAX; i++) {
        int received = receive_batch(icmp, sock);

        if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 1;
        if (received < 0 && errno != EINTR)
            doubt(icmp, strerror(errno)); /* the call has also cleared the error */
        if (received >= 0 && received < RECEIVE_BATCH)
            return 1;
    }
    return 0;
}

/* Reads what the sockets hold. Returns whether they are empty now. */
static int drain(struct hms_icmp *icmp)
{
    int empty = 1;
    int family;

    for (family = 0; family < FAMILIES; family++)
        if (uv_is_active((uv_handle_t *)&icmp->polls[family]))
            empty &= drain_socket(icmp, &icmp->sockets[family]);
    return empty;
}

/* ---- sending ---- */

static void init_send_buffers(struct send_buffers *out)
{
    size_t i;

    for (i = 0; i < SEND_BATCH; i++) {
        out->vectors[i] = (struct iovec){out->packets[i], HMS_ICMP_PACKET_BYTES};
        out->messages[i].msg_hdr.msg_iov = &out->vectors[i];
        out->messages[i].msg_hdr.msg_iovlen = 1;
    }
}

static int family_of(const struct hms_icmp *icmp, size_t target)
{
    const union hms_icmp_address *address = hms_icmp_flight_target(icmp->round.flight, target);

    return address->any.sa_family == AF_INET6 ? IPV6 : IPV4;
}

static void prepare(struct hms_icmp *icmp, size_t slot, size_t target, int sequence, int family)
{
    const union hms_icmp_address *address = hms_icmp_flight_target(icmp->round.flight, target);
    struct msghdr *header = &icmp->out.messages[slot].msg_hdr;
    struct hms_icmp_echo echo = {
        .id = icmp->sockets[family].id,
        .sequence = (uint16_t)sequence,
        .cookie = icmp->cookie,
        .round = icmp->round.number,
        .target = (uint32_t)target,
    };

    header->msg_name = (void *)&address->any;
    header->msg_namelen = family == IPV6 ? sizeof(address->v6) : sizeof(address->v4);
    hms_icmp_packet_encode(icmp->out.packets[slot], family == IPV6, &echo);
}

/* Prepares the span's first requests, up to room and as long as the family is the same. */
static unsigned prepare_batch(struct hms_icmp *icmp, const struct hms_icmp_span *span, size_t room,
                              int family)
{
    size_t limit = span->count < room ? span->count : room;
    size_t i;

    for (i = 0; i < limit && i < SEND_BATCH; i++) {
        if (family_of(icmp, span->first + i) != family)
            break;
        prepare(icmp, i, span->first + i, span->sequence, family);
    }
    return (unsigned)i;
}

static void mark_sent(struct hms_icmp *icmp, const struct hms_icmp_span *span, int sent,
                      int64_t begin_ns, int64_t end_ns)
{
    int i;

    /* One call sent them all; each left about when its share of the call began. */
    for (i = 0; i < sent; i++)
        hms_icmp_flight_sent(icmp->round.flight, span->first + (size_t)i, span->sequence,
                             begin_ns + (end_ns - begin_ns) * i / sent);
    icmp->counters.sent += (uint64_t)sent;
    icmp->round.last_sent_ns = end_ns;
    note_lateness(icmp, end_ns - begin_ns);
}

/* Deals with a request that did not leave. Returns 0 if it is to be tried again after a pause. */
static int mark_unsent(struct hms_icmp *icmp, const struct hms_icmp_span *span, int error)
{
    struct round *round = &icmp->round;
    int no_room = error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM ||
                  error == EINTR;

    if (no_room && round->backoffs_left > 0) {
        round->backoffs_left--;
        icmp->counters.retries++;
        return 0;
    }
    if (error == EPERM)
        hms_icmp_flight_filtered(round->flight, span->first, span->sequence);
    else
        hms_icmp_flight_refused(round->flight, span->first, span->sequence, error);
    return 1;
}

/* Sends the span's first batch. Returns how many requests are dealt with; 0: pause first. */
static size_t send_batch(struct hms_icmp *icmp, const struct hms_icmp_span *span, size_t room)
{
    int family = family_of(icmp, span->first);
    const struct hms_icmp_socket *sock = &icmp->sockets[family];
    int64_t begin_ns;
    unsigned prepared;
    int sent;

    if (sock->fd < 0)
        return (size_t)mark_unsent(icmp, span, EAFNOSUPPORT);
    prepared = prepare_batch(icmp, span, room, family);
    begin_ns = hms_clock_mono_ns();
    sent = sendmmsg(sock->fd, icmp->out.messages, prepared, MSG_DONTWAIT);
    if (sent < 0)
        return (size_t)mark_unsent(icmp, span, errno);
    mark_sent(icmp, span, sent, begin_ns, hms_clock_mono_ns());
    drain_socket(icmp, sock);
    return (size_t)sent;
}

/* Sends what is due. Returns when to go on, or 0 if everything has been sent. */
static int64_t send_due(struct hms_icmp *icmp)
{
    struct round *round = &icmp->round;
    int64_t now_ns = hms_clock_mono_ns();
    int64_t hold_until_ns = now_ns + HOLD_NS;

    while (!hms_icmp_pace_done(&round->pace)) {
        struct hms_icmp_span span = hms_icmp_pace_due(&round->pace, now_ns);
        size_t room = hms_icmp_flight_room(round->flight, now_ns);
        size_t done;

        if (span.count == 0)
            return hms_icmp_pace_due_ns(&round->pace);
        if (room == 0)
            return now_ns + BACKOFF_NS; /* or when a reply comes */
        if (now_ns >= hold_until_ns)
            return now_ns;
        done = send_batch(icmp, &span, room);
        if (done == 0)
            return now_ns + BACKOFF_NS;
        if (hms_icmp_pace_advance(&round->pace, done)) {
            round->backoffs_left = BACKOFFS_PER_TICK;
            check_drops(icmp);
        }
        now_ns = hms_clock_mono_ns();
    }
    return 0;
}

/* ---- the round ---- */

static void on_timer(uv_timer_t *timer);
static void on_readable(uv_poll_t *poll, int status, int events);

static void wake_at(struct hms_icmp *icmp, int64_t at_ns)
{
    int64_t now_ns = hms_clock_mono_ns();
    int64_t delay_ns = at_ns > now_ns ? at_ns - now_ns : 0;

    icmp->wake_ns = now_ns + delay_ns;
    uv_update_time(icmp->timer.loop); /* the delay counts from now, not from the last poll */
    uv_timer_start(&icmp->timer, on_timer, (uint64_t)((delay_ns + NS_PER_MS / 2) / NS_PER_MS), 0);
}

/* Makes the round under way none. Returns what it knows; free with hms_icmp_flight_free(). */
static struct hms_icmp_flight *release_round(struct hms_icmp *icmp)
{
    struct hms_icmp_flight *flight = icmp->round.flight;
    int family;

    uv_timer_stop(&icmp->timer);
    for (family = 0; family < FAMILIES; family++)
        if (icmp->sockets[family].fd >= 0)
            uv_poll_stop(&icmp->polls[family]);
    icmp->counters.shifted_ms += (uint64_t)(icmp->round.pace.shifted_ns / NS_PER_MS);
    icmp->round.flight = NULL;
    set_state(icmp, STATE_IDLE);
    return flight;
}

/* The one end of a round that was not cancelled; its fn may start the next or close. */
static void finish(struct hms_icmp *icmp)
{
    hms_icmp_round_fn fn = icmp->round.fn;
    void *arg = icmp->round.arg;
    size_t count = icmp->round.pace.targets;
    const struct hms_icmp_result *results;
    struct hms_icmp_flight *flight;

    check_drops(icmp);
    icmp->counters.rounds++;
    results = hms_icmp_flight_results(icmp->round.flight, icmp->round.doubtful);
    flight = release_round(icmp);
    fn(arg, HMS_OK, results, count);
    hms_icmp_flight_free(flight);
}

/* Everything is sent: ends the round if all have answered or the last timeout has passed. */
static void judge(struct hms_icmp *icmp)
{
    struct round *round = &icmp->round;
    int64_t deadline_ns = round->last_sent_ns + round->timeout_ns;
    int late = hms_clock_mono_ns() > deadline_ns;

    /* Late or not is a matter of the kernel's stamps, so read all it has before judging. Should a
     * flood keep that from ending, what came in time has been read after so many reads. */
    if (late && hms_icmp_flight_unanswered(round->flight) > 0 && !drain(icmp) &&
        round->last_reads_left-- > 0) {
        wake_at(icmp, deadline_ns);
        return;
    }
    if (late || hms_icmp_flight_unanswered(round->flight) == 0)
        finish(icmp);
    else
        wake_at(icmp, deadline_ns + NS_PER_MS);
}

/* Carries the round on; it may be over afterwards, and the prober closed. */
static void step(struct hms_icmp *icmp)
{
    note_lateness(icmp, hms_clock_mono_ns() - icmp->wake_ns);
    if (icmp->state == STATE_SENDING) {
        int64_t next_ns = send_due(icmp);

        if (next_ns != 0) {
            wake_at(icmp, next_ns);
            return;
        }
        set_state(icmp, STATE_WAITING);
    }
    judge(icmp);
}

static void on_timer(uv_timer_t *timer)
{
    step(timer->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct hms_icmp *icmp = poll->data;

    if (status < 0) {
        doubt(icmp, uv_strerror(status));
        uv_poll_start(poll, UV_READABLE, on_readable); /* libuv has stopped it */
    }
    drain(icmp);
    step(icmp);
}

static int in_range(int value, int max)
{
    return value >= 1 && value <= max;
}

static int valid_round(const struct hms_icmp_schedule *schedule,
                       const union hms_icmp_address *targets, size_t count)
{
    size_t i;

    if (!in_range(schedule->count, 1000) || !in_range(schedule->interval_ms, 10000) ||
        !in_range(schedule->timeout_ms, 10000) || count > HMS_ICMP_TARGETS_MAX)
        return 0;
    for (i = 0; i < count; i++)
        if (targets[i].any.sa_family != AF_INET && targets[i].any.sa_family != AF_INET6)
            return 0;
    return 1;
}

/* Listens where replies can come from, and forgets what came between two rounds. */
static void open_ears(struct hms_icmp *icmp)
{
    int family;

    for (family = 0; family < FAMILIES; family++) {
        if (icmp->sockets[family].fd < 0)
            continue;
        uv_poll_start(&icmp->polls[family], UV_READABLE, on_readable);
        drain_socket(icmp, &icmp->sockets[family]);
    }
    read_drops(icmp);
    icmp->round.doubtful = 0; /* that was before this round */
}

int hms_icmp_round(struct hms_icmp *icmp, const struct hms_icmp_schedule *schedule,
                   const union hms_icmp_address *targets, size_t count, hms_icmp_round_fn fn,
                   void *arg)
{
    struct round *round = &icmp->round;
    int64_t now_ns = hms_clock_mono_ns();

    if (icmp->state != STATE_IDLE)
        return HMS_EBUSY;
    if (!valid_round(schedule, targets, count))
        return HMS_EINVAL;
    *round = (struct round){.number = round->number + 1, .fn = fn, .arg = arg};
    round->flight = hms_icmp_flight_new(schedule, targets, count);
    round->timeout_ns = schedule->timeout_ms * NS_PER_MS;
    round->starved_ns = round->timeout_ns / 2;
    if (round->starved_ns < STARVED_MIN_NS)
        round->starved_ns = STARVED_MIN_NS;
    round->backoffs_left = BACKOFFS_PER_TICK;
    round->last_reads_left = LAST_READS_MAX;
    hms_icmp_pace_start(&round->pace, schedule, count, now_ns);
    open_ears(icmp);
    set_state(icmp, STATE_SENDING);
    wake_at(icmp, now_ns);
    return HMS_OK;
}

/* ---- open and close ---- */

static void on_closed(uv_handle_t *handle)
{
    struct hms_icmp *icmp = handle->data;
    void (*closed)(void *arg) = icmp->closed;
    void *arg = icmp->closed_arg;
    int family;

    if (--icmp->handles_open > 0)
        return;
    for (family = 0; family < FAMILIES; family++)
        hms_icmp_socket_close(&icmp->sockets[family]);
    free(icmp);
    closed(arg);
}

static void init_handles(struct hms_icmp *icmp, uv_loop_t *loop)
{
    int family;

    uv_timer_init(loop, &icmp->timer);
    icmp->timer.data = icmp;
    icmp->handles_open = 1;
    for (family = 0; family < FAMILIES; family++) {
        if (icmp->sockets[family].fd < 0)
            continue;
        /* Fails only for what is no pollable descriptor, or out of memory. */
        if (uv_poll_init(loop, &icmp->polls[family], icmp->sockets[family].fd) != 0)
            abort();
        icmp->polls[family].data = icmp;
        icmp->handles_open++;
    }
}

int hms_icmp_open(struct hms_icmp **result, uv_loop_t *loop, struct hms_log *log,
                  const struct hms_icmp_options *options, char *error, size_t error_size)
{
    struct hms_icmp *icmp = hms_calloc(1, sizeof(*icmp));
    int status = HMS_EIO;

    icmp->log = log;
    icmp->warnings = (struct hms_log_limit){.period_ms = WARNING_PERIOD_MS, .burst = 1};
    if (getrandom(&icmp->cookie, sizeof(icmp->cookie), 0) != (ssize_t)sizeof(icmp->cookie))
        snprintf(error, error_size, "no random numbers: %s", strerror(errno));
    else
        status = hms_icmp_socket_open(&icmp->sockets[IPV4], &icmp->sockets[IPV6], options,
                                      icmp->cookie, &icmp->backend, error, error_size);
    if (status != HMS_OK) {
        free(icmp);
        return status;
    }
    init_send_buffers(&icmp->out);
    init_receive_buffers(&icmp->in);
    init_handles(icmp, loop);
    *result = icmp;
    return HMS_OK;
}

const char *hms_icmp_backend_name(const struct hms_icmp *icmp)
{
    return icmp->backend == HMS_ICMP_RAW ? "raw" : "dgram";
}

struct hms_icmp_counters hms_icmp_counters(const struct hms_icmp *icmp)
{
    return icmp->counters;
}

static void cancel_round(struct hms_icmp *icmp)
{
    hms_icmp_flight_free(release_round(icmp));
    set_state(icmp, STATE_CLOSING);
    icmp->round.fn(icmp->round.arg, HMS_ECANCELED, NULL, 0);
}

void hms_icmp_close(struct hms_icmp *icmp, void (*closed)(void *arg), void *arg)
{
    int family;

    icmp->closed = closed;
    icmp->closed_arg = arg;
    if (icmp->state == STATE_IDLE)
        set_state(icmp, STATE_CLOSING);
    else
        cancel_round(icmp);
    for (family = 0; family < FAMILIES; family++)
        if (icmp->sockets[family].fd >= 0)
            uv_close((uv_handle_t *)&icmp->polls[family], on_closed);
    uv_close((uv_handle_t *)&icmp->timer, on_closed);
}
