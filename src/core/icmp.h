/*
 * ICMP echo prober: rounds of echo requests to many targets at once, on one socket per address
 * family, without ever blocking the loop or mistaking its own trouble for loss.
 */
#ifndef HMS_CORE_ICMP_H
#define HMS_CORE_ICMP_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct hms_log;
struct hms_icmp;

enum hms_icmp_backend { HMS_ICMP_AUTO, HMS_ICMP_RAW, HMS_ICMP_DGRAM };

struct hms_icmp_options {
    const char *netns; /* path of the network namespace to open the sockets in, or NULL */
    enum hms_icmp_backend backend; /* AUTO: raw with a BPF filter, else unprivileged dgram */
};

/* Targets of one round. */
#define HMS_ICMP_TARGETS_MAX 16384

struct hms_icmp_schedule {
    int count;       /* echo requests per target, 1 to 1000 */
    int interval_ms; /* between two to the same target, 1 to 10000 */
    int timeout_ms;  /* how long each waits for its reply, 1 to 10000 */
};

union hms_icmp_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/*
 * What counts as what:
 * - No reply in time is loss, whatever the silence is made of. That includes a target that does not
 *   answer ARP or neighbour discovery: the kernel accepts the requests and drops them seconds
 *   later, without an error here. A running container without an interface is 100 % loss. While the
 *   requests of such targets fill half the send buffer, they are sent no more (ENOBUFS, and sent is
 *   less than asked for); five that left decide, fewer are incomplete.
 * - EPERM, a rule in this host's own packet filter (or its full connection table) dropped the
 *   request on its way out: sent and lost, with EPERM in error, for that rule keeps everybody on
 *   this host from the container.
 * - Any other refusal is the host's trouble and no evidence about the target, so the result is
 *   incomplete and error says why: ENETUNREACH, EHOSTUNREACH, EACCES or EINVAL (no route, or one
 *   that rejects), ENOBUFS or EAGAIN (no room, also when the neighbour table is full) after some
 *   retries, EAFNOSUPPORT (no IPv6 socket).
 * - Losses while replies overflowed the receive buffer, while a wake-up of the loop was late by
 *   half the timeout, or while the socket failed may be our own doing: incomplete. A target that
 *   answered every request is complete even then.
 */
struct hms_icmp_result {
    uint32_t sent;                               /* requests handed to the kernel */
    uint32_t received;                           /* replies in time; duplicates do not count */
    uint32_t rtt_min_us, rtt_avg_us, rtt_max_us; /* of those; 0 if there were none */
    int complete; /* sent and received tell the loss; otherwise it is unknown */
    int error;    /* 0, or the last errno that kept requests from leaving */
};

/* The end of a round; results[i] belongs to targets[i]; borrowed for the call. */
typedef void (*hms_icmp_round_fn)(void *arg, int error, const struct hms_icmp_result *results,
                                  size_t count);

/*
 * Opens the sockets: IPv4 always, IPv6 if the system has it. Returns 0, or HMS_EPERM / HMS_EIO with
 * a text in error that says what to grant.
 */
int hms_icmp_open(struct hms_icmp **icmp, uv_loop_t *loop, struct hms_log *log,
                  const struct hms_icmp_options *options, char *error, size_t error_size);

/* "raw" or "dgram"; static. */
const char *hms_icmp_backend_name(const struct hms_icmp *icmp);

/*
 * Starts a round; one at a time, but fn may start the next. targets are copied; IPv4 and IPv6 may
 * be mixed. Returns 0; HMS_EBUSY if a round is under way; HMS_EINVAL if the schedule or the number
 * of targets is out of range, or an address is neither. fn runs once, never before the return; with
 * HMS_ECANCELED and no results if the prober is closed first.
 *
 * Takes (count - 1) * interval_ms and up to 8 ms, plus timeout_ms unless all answer; above 1000
 * targets a multiple of the first, as they are taken in waves.
 */
int hms_icmp_round(struct hms_icmp *icmp, const struct hms_icmp_schedule *schedule,
                   const union hms_icmp_address *targets, size_t count, hms_icmp_round_fn fn,
                   void *arg);

/*
 * The target of the round under way (an index into its targets) is gone: nothing more is sent to it
 * and its result is not complete, with ECANCELED as the error. Requests to an address that nobody
 * has any more would make the kernel queue those to the next owner for up to a second, until it
 * asks for the neighbour again. Does nothing when no round is under way.
 */
void hms_icmp_give_up(struct hms_icmp *icmp, size_t target);

struct hms_icmp_counters {
    uint64_t rounds;
    uint64_t sent;
    uint64_t received;
    uint64_t late;         /* replies after their timeout */
    uint64_t duplicates;   /* replies to an echo that was answered already */
    uint64_t foreign;      /* packets that are not answers to ours */
    uint64_t retries;      /* sends repeated because the kernel had no room */
    uint64_t kernel_drops; /* packets that the socket's receive buffer could not take */
    uint64_t shifted_ms;   /* time by which late ticks were put off */
};
struct hms_icmp_counters hms_icmp_counters(const struct hms_icmp *icmp);

/* Ends a round under way (its fn runs before the return), closes the sockets and frees all;
 * closed(arg) runs from the loop. */
void hms_icmp_close(struct hms_icmp *icmp, void (*closed)(void *arg), void *arg);

#endif
