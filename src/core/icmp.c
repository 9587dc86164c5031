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

#include "core/alloc.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/icmp_batch.h"
#include "core/icmp_flight.h"
#include "core/icmp_pace.h"
#include "core/icmp_socket.h"
#include "core/log.h"

#define NS_PER_MS INT64_C(1000000)

/* Receive batches in one go: what a flood can hold the loop for. */
#define RECEIVE_BATCHES_MAX 32
/* The longest that sending holds the loop before others have their turn. */
#define HOLD_NS (2 * NS_PER_MS)
/* Pauses of 1 ms that one tick may take because the kernel had no room. */
#define BACKOFFS_PER_TICK 8
#define BACKOFF_NS        NS_PER_MS
/* Of the send buffer: where targets that do not answer have to stand back for those that do. */
#define PRESSED_PCT 50
/* Lateness below this is everyday life, however short the timeout. */
#define STARVED_MIN_NS (10 * NS_PER_MS)

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

struct hms_icmp {
    struct hms_log *log;
    enum state state;
    enum hms_icmp_backend backend;
    struct hms_icmp_socket sockets[FAMILIES];
    uint32_t drops[FAMILIES]; /* of the socket, as last read */
    int pressed[FAMILIES];    /* its send buffer is half full of requests that cannot leave */
    uv_poll_t polls[FAMILIES];
    uv_timer_t timer;
    int64_t wake_ns; /* when the timer was to run */
    uint64_t cookie;
    struct round round;
    struct hms_icmp_counters counters;
    struct hms_log_limit warnings;
    struct hms_icmp_outbox *outbox;
    struct hms_icmp_inbox *inbox;

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

/* Looks at the sockets' buffers: counts what did not fit in. Returns whether that was anything. */
static int look_at_buffers(struct hms_icmp *icmp)
{
    int any = 0;
    int family;

    for (family = 0; family < FAMILIES; family++) {
        struct hms_icmp_buffers buffers = hms_icmp_socket_buffers(&icmp->sockets[family]);

        any |= buffers.drops != icmp->drops[family];
        icmp->counters.kernel_drops += buffers.drops - icmp->drops[family];
        icmp->drops[family] = buffers.drops;
        icmp->pressed[family] = buffers.send_pct >= PRESSED_PCT;
    }
    return any;
}

static void check_buffers(struct hms_icmp *icmp)
{
    if (look_at_buffers(icmp))
        doubt(icmp, "the receive buffer overflowed");
}

/* ---- receiving ---- */

static void take_packet(struct hms_icmp *icmp, const struct hms_icmp_socket *sock, size_t i)
{
    enum hms_icmp_verdict verdict = HMS_ICMP_FOREIGN;
    struct hms_icmp_arrival arrival;

    if (hms_icmp_inbox_get(icmp->inbox, sock, i, icmp->cookie, &arrival) == HMS_OK)
        verdict = arrival.echo.round == icmp->round.number
                      ? hms_icmp_flight_answer(icmp->round.flight, arrival.echo.target,
                                               arrival.echo.sequence, arrival.source, arrival.at_ns)
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

/* Reads what a socket holds. Returns whether it is empty now. */
static int drain_socket(struct hms_icmp *icmp, const struct hms_icmp_socket *sock)
{
    int batch;

    for (batch = 0; batch < RECEIVE_BATCHES_MAX; batch++) {
        int received = hms_icmp_inbox_read(icmp->inbox, sock);
        int i;

        if (received == -EAGAIN)
            return 1;
        if (received < 0)
            doubt(icmp, strerror(-received)); /* the call has also cleared the error */
        for (i = 0; i < received; i++)
            take_packet(icmp, sock, (size_t)i);
        if (received >= 0 && received < HMS_ICMP_INBOX_MAX)
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

static int family_of(const struct hms_icmp *icmp, size_t target)
{
    const union hms_icmp_address *address = hms_icmp_flight_target(icmp->round.flight, target);

    return address->any.sa_family == AF_INET6 ? IPV6 : IPV4;
}

/* Whether a target has to stand back: it does not answer, and its like fill the send buffer. */
static int held_back(const struct hms_icmp *icmp, size_t target, int family)
{
    return icmp->pressed[family] && hms_icmp_flight_silent(icmp->round.flight, target);
}

static void prepare(struct hms_icmp *icmp, size_t place, size_t target, int sequence, int family)
{
    struct hms_icmp_echo echo = {
        .id = icmp->sockets[family].id,
        .sequence = (uint16_t)sequence,
        .cookie = icmp->cookie,
        .round = icmp->round.number,
        .target = (uint32_t)target,
    };

    hms_icmp_outbox_put(icmp->outbox, place, hms_icmp_flight_target(icmp->round.flight, target),
                        &echo);
}

/* Prepares the span's first requests, up to room and as long as the next is of the same kind. */
static unsigned prepare_batch(struct hms_icmp *icmp, const struct hms_icmp_span *span, size_t room,
                              int family)
{
    size_t limit = span->count < room ? span->count : room;
    size_t i;

    for (i = 0; i < limit && i < HMS_ICMP_OUTBOX_MAX; i++) {
        size_t target = span->first + i;

        if (family_of(icmp, target) != family || held_back(icmp, target, family) ||
            hms_icmp_flight_is_given_up(icmp->round.flight, target))
            break;
        prepare(icmp, i, target, span->sequence, family);
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
    int no_room = error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EINTR;

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
    int64_t begin_ns, end_ns;
    unsigned prepared;
    int sent;

    if (sock->fd < 0)
        return (size_t)mark_unsent(icmp, span, EAFNOSUPPORT);
    if (hms_icmp_flight_is_given_up(icmp->round.flight, span->first)) {
        hms_icmp_flight_refused(icmp->round.flight, span->first, span->sequence, ECANCELED);
        return 1;
    }
    if (held_back(icmp, span->first, family)) {
        hms_icmp_flight_withheld(icmp->round.flight, span->first, span->sequence);
        return 1;
    }
    prepared = prepare_batch(icmp, span, room, family);
    sent = hms_icmp_outbox_send(icmp->outbox, sock, prepared, &begin_ns, &end_ns);
    if (sent < 0)
        return (size_t)mark_unsent(icmp, span, -sent);
    mark_sent(icmp, span, sent, begin_ns, end_ns);
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
            check_buffers(icmp);
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

    check_buffers(icmp);
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
    look_at_buffers(icmp);
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

void hms_icmp_give_up(struct hms_icmp *icmp, size_t target)
{
    if (icmp->state == STATE_SENDING)
        hms_icmp_flight_give_up(icmp->round.flight, target);
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
    free(icmp->outbox);
    free(icmp->inbox);
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
    icmp->outbox = hms_icmp_outbox_new();
    icmp->inbox = hms_icmp_inbox_new();
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
