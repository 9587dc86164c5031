/*
 * What became of every request of a round: in flight, answered, too late, never sent. Pure: the
 * engine carries sends and replies in, and takes results out.
 */
#ifndef HMS_CORE_ICMP_FLIGHT_H
#define HMS_CORE_ICMP_FLIGHT_H

#include <stddef.h>
#include <stdint.h>

#include "core/icmp.h"

struct hms_icmp_flight;

enum hms_icmp_verdict {
    HMS_ICMP_IN_TIME,
    HMS_ICMP_LATE,      /* after its timeout: does not count as received */
    HMS_ICMP_DUPLICATE, /* answered before */
    HMS_ICMP_FOREIGN    /* never asked for, or from another address than the target's */
};

/* targets are copied. Never returns NULL; free with hms_icmp_flight_free() (NULL is allowed). */
struct hms_icmp_flight *hms_icmp_flight_new(const struct hms_icmp_schedule *schedule,
                                            const union hms_icmp_address *targets, size_t count);
void hms_icmp_flight_free(struct hms_icmp_flight *flight);

/* The address of a target; borrowed. */
const union hms_icmp_address *hms_icmp_flight_target(const struct hms_icmp_flight *flight,
                                                     size_t target);

/*
 * How many requests may leave at now_ns (monotonic): what is left of a window of 64 that are young
 * and unanswered. Requests that have been out for 2 ms, and those to a target that left the one
 * before unanswered, do not take part, so that dead targets cannot stall the others.
 */
size_t hms_icmp_flight_room(struct hms_icmp_flight *flight, int64_t now_ns);

/*
 * What happened to a request; each target's are told in the order of their sequence. One that was
 * sent left at sent_ns.
 */
void hms_icmp_flight_sent(struct hms_icmp_flight *flight, size_t target, int sequence,
                          int64_t sent_ns);

/* A request was dropped by this host's packet filter: sent and lost, with EPERM as the error. */
void hms_icmp_flight_filtered(struct hms_icmp_flight *flight, size_t target, int sequence);

/* A request could not leave; error is the errno. */
void hms_icmp_flight_refused(struct hms_icmp_flight *flight, size_t target, int sequence,
                             int error);

/* Whether a target has been sent requests and has answered none of them. */
int hms_icmp_flight_silent(const struct hms_icmp_flight *flight, size_t target);

/*
 * A request to a silent target was left out for want of room, with ENOBUFS as the error. If it
 * stays silent, those that it did get decide, provided they are five or more.
 */
void hms_icmp_flight_withheld(struct hms_icmp_flight *flight, size_t target, int sequence);

/* Nothing more is to be sent to a target; its result will not be complete. */
void hms_icmp_flight_give_up(struct hms_icmp_flight *flight, size_t target);
int hms_icmp_flight_is_given_up(const struct hms_icmp_flight *flight, size_t target);

/* A reply arrived at received_ns, from source. target and sequence are as read: any value. */
enum hms_icmp_verdict hms_icmp_flight_answer(struct hms_icmp_flight *flight, uint32_t target,
                                             uint16_t sequence,
                                             const union hms_icmp_address *source,
                                             int64_t received_ns);

/* Requests that left and have no reply in time. */
size_t hms_icmp_flight_unanswered(const struct hms_icmp_flight *flight);

/*
 * The round's results, an array of the targets' number; borrowed until the flight is freed. With
 * doubtful set, losses may be the prober's own fault: a result with any of them is not complete.
 */
const struct hms_icmp_result *hms_icmp_flight_results(struct hms_icmp_flight *flight, int doubtful);

#endif
