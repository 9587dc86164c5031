/* Bookkeeping of a round's requests. */
#include "core/icmp_flight.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)

/* Replies to more at once could overflow queues between us and the targets (measured: ~100). */
#define WINDOW_REQUESTS 64
/* A target on this host answers in far less: what is older is lost, or waits for nothing here. */
#define YOUNG_NS (2 * NS_PER_MS)
/* Requests younger than that, the answered ones included; a power of two. */
#define YOUNG_MAX 1024

/* So many without an answer are no accident: they stand for those that were withheld. */
#define DECISIVE_REQUESTS 5

enum request_state {
    REQUEST_NONE,  /* not sent */
    REQUEST_YOUNG, /* unanswered, in the window */
    REQUEST_OLD,   /* unanswered, outside the window */
    REQUEST_ANSWERED
};

/* One word: there are targets times (timeout / interval) of them. */
struct request {
    uint64_t sent_ns : 62;
    uint64_t state : 2;
};

struct target {
    union hms_icmp_address address;
    int next_sequence;
    int answered_sequence; /* the highest that was answered; -1 at first */
    uint32_t sent;
    uint32_t received;
    uint32_t withheld;
    int is_given_up;
    int error;
    int64_t rtt_min_ns, rtt_max_ns, rtt_sum_ns;
};

struct hms_icmp_flight {
    int count;
    int64_t timeout_ns;
    size_t targets_count;
    struct target *targets;
    struct hms_icmp_result *results;
    size_t unanswered;

    /* requests[target * depth + sequence % depth]: those whose timeout may still be running. */
    size_t depth;
    struct request *requests;

    /* The window: recent requests in the order they left, and how many of them are young. */
    struct request *recent[YOUNG_MAX];
    size_t recent_head, recent_tail;
    size_t young;
};

struct hms_icmp_flight *hms_icmp_flight_new(const struct hms_icmp_schedule *schedule,
                                            const union hms_icmp_address *targets, size_t count)
{
    struct hms_icmp_flight *flight = hms_calloc(1, sizeof(*flight));
    int pending_max = schedule->timeout_ms / schedule->interval_ms + 2;
    size_t i;

    flight->count = schedule->count;
    flight->timeout_ns = schedule->timeout_ms * NS_PER_MS;
    flight->depth = (size_t)(schedule->count < pending_max ? schedule->count : pending_max);
    flight->requests = hms_calloc(count * flight->depth, sizeof(*flight->requests));
    flight->results = hms_calloc(count, sizeof(*flight->results));
    flight->targets = hms_calloc(count, sizeof(*flight->targets));
    flight->targets_count = count;
    for (i = 0; i < count; i++) {
        flight->targets[i].address = targets[i];
        flight->targets[i].answered_sequence = -1;
    }
    return flight;
}

void hms_icmp_flight_free(struct hms_icmp_flight *flight)
{
    if (flight == NULL)
        return;
    free(flight->requests);
    free(flight->results);
    free(flight->targets);
    free(flight);
}

const union hms_icmp_address *hms_icmp_flight_target(const struct hms_icmp_flight *flight,
                                                     size_t target)
{
    return &flight->targets[target].address;
}

static struct request *request_of(const struct hms_icmp_flight *flight, size_t target, int sequence)
{
    return &flight->requests[target * flight->depth + (size_t)sequence % flight->depth];
}

static void leave_window(struct hms_icmp_flight *flight, struct request *request)
{
    if (request->state == REQUEST_YOUNG)
        flight->young--;
}

size_t hms_icmp_flight_room(struct hms_icmp_flight *flight, int64_t now_ns)
{
    while (flight->recent_head != flight->recent_tail) {
        struct request *request = flight->recent[flight->recent_head % YOUNG_MAX];

        if (request->state == REQUEST_YOUNG) {
            if (now_ns - (int64_t)request->sent_ns < YOUNG_NS)
                break;
            leave_window(flight, request);
            request->state = REQUEST_OLD;
        }
        flight->recent_head++;
    }
    if (flight->recent_tail - flight->recent_head > YOUNG_MAX - WINDOW_REQUESTS)
        return 0;
    return WINDOW_REQUESTS - flight->young;
}

/* The place of a target's next request, cleared of the one that held it. */
static struct request *take_place(struct hms_icmp_flight *flight, size_t target, int sequence)
{
    struct request *request = request_of(flight, target, sequence);

    assert(target < flight->targets_count);
    assert(sequence >= flight->targets[target].next_sequence && sequence < flight->count);
    flight->targets[target].next_sequence = sequence + 1;
    leave_window(flight, request);
    request->state = REQUEST_NONE;
    return request;
}

void hms_icmp_flight_sent(struct hms_icmp_flight *flight, size_t target, int sequence,
                          int64_t sent_ns)
{
    struct target *to = &flight->targets[target];
    struct request *request = take_place(flight, target, sequence);

    request->sent_ns = (uint64_t)sent_ns & (UINT64_MAX >> 2);
    request->state = REQUEST_OLD;
    if (to->answered_sequence == sequence - 1) {
        assert(flight->young < WINDOW_REQUESTS);
        request->state = REQUEST_YOUNG;
        flight->recent[flight->recent_tail++ % YOUNG_MAX] = request;
        flight->young++;
    }
    to->sent++;
    flight->unanswered++;
}

void hms_icmp_flight_filtered(struct hms_icmp_flight *flight, size_t target, int sequence)
{
    take_place(flight, target, sequence);
    flight->targets[target].sent++;
    flight->targets[target].error = EPERM;
}

void hms_icmp_flight_refused(struct hms_icmp_flight *flight, size_t target, int sequence, int error)
{
    take_place(flight, target, sequence);
    flight->targets[target].error = error;
}

int hms_icmp_flight_silent(const struct hms_icmp_flight *flight, size_t target)
{
    return flight->targets[target].sent > 0 && flight->targets[target].received == 0;
}

void hms_icmp_flight_give_up(struct hms_icmp_flight *flight, size_t target)
{
    flight->targets[target].is_given_up = 1;
    flight->targets[target].error = ECANCELED;
}

int hms_icmp_flight_is_given_up(const struct hms_icmp_flight *flight, size_t target)
{
    return flight->targets[target].is_given_up;
}

void hms_icmp_flight_withheld(struct hms_icmp_flight *flight, size_t target, int sequence)
{
    take_place(flight, target, sequence);
    flight->targets[target].withheld++;
    flight->targets[target].error = ENOBUFS;
}

static int same_address(const union hms_icmp_address *a, const union hms_icmp_address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return 0;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
}

static void add_rtt(struct target *from, int64_t rtt_ns)
{
    /* A send time is interpolated, so a quick reply may seem to come before it. */
    if (rtt_ns < NS_PER_US)
        rtt_ns = NS_PER_US;
    if (from->received == 0 || rtt_ns < from->rtt_min_ns)
        from->rtt_min_ns = rtt_ns;
    if (rtt_ns > from->rtt_max_ns)
        from->rtt_max_ns = rtt_ns;
    from->rtt_sum_ns += rtt_ns;
    from->received++;
}

enum hms_icmp_verdict hms_icmp_flight_answer(struct hms_icmp_flight *flight, uint32_t target,
                                             uint16_t sequence,
                                             const union hms_icmp_address *source,
                                             int64_t received_ns)
{
    struct target *from;
    struct request *request;
    int64_t rtt_ns;

    if (target >= flight->targets_count)
        return HMS_ICMP_FOREIGN;
    from = &flight->targets[target];
    if (sequence >= from->next_sequence || !same_address(source, &from->address))
        return HMS_ICMP_FOREIGN;
    if ((size_t)(from->next_sequence - sequence) > flight->depth)
        return HMS_ICMP_LATE; /* its place has gone to a later one */
    request = request_of(flight, target, sequence);
    if (request->state == REQUEST_NONE)
        return HMS_ICMP_FOREIGN;
    if (request->state == REQUEST_ANSWERED)
        return HMS_ICMP_DUPLICATE;
    leave_window(flight, request);
    request->state = REQUEST_ANSWERED;
    rtt_ns = received_ns - (int64_t)request->sent_ns;
    if (rtt_ns > flight->timeout_ns)
        return HMS_ICMP_LATE;
    if (sequence > from->answered_sequence)
        from->answered_sequence = sequence;
    add_rtt(from, rtt_ns);
    flight->unanswered--;
    return HMS_ICMP_IN_TIME;
}

size_t hms_icmp_flight_unanswered(const struct hms_icmp_flight *flight)
{
    return flight->unanswered;
}

static uint32_t to_us(int64_t ns)
{
    return (uint32_t)((ns + NS_PER_US / 2) / NS_PER_US);
}

/* Whether what a target was sent and has answered tells its loss. */
static int is_complete(const struct target *target, uint32_t count, int doubtful)
{
    if (target->is_given_up)
        return 0;
    if (target->received == count)
        return 1;
    if (doubtful || target->sent + target->withheld != count)
        return 0;
    return target->withheld == 0 || (target->received == 0 && target->sent >= DECISIVE_REQUESTS);
}

static struct hms_icmp_result result_of(const struct target *target, uint32_t count, int doubtful)
{
    struct hms_icmp_result result = {
        .sent = target->sent,
        .received = target->received,
        .complete = is_complete(target, count, doubtful),
        .error = target->error,
    };

    if (target->received == 0)
        return result;
    result.rtt_min_us = to_us(target->rtt_min_ns);
    result.rtt_avg_us = to_us(target->rtt_sum_ns / target->received);
    result.rtt_max_us = to_us(target->rtt_max_ns);
    return result;
}

const struct hms_icmp_result *hms_icmp_flight_results(struct hms_icmp_flight *flight, int doubtful)
{
    size_t i;

    for (i = 0; i < flight->targets_count; i++)
        flight->results[i] = result_of(&flight->targets[i], (uint32_t)flight->count, doubtful);
    return flight->results;
}
