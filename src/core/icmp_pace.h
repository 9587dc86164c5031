/*
 * When whose request is due in a round. Pure: time comes in, spans of targets come out.
 *
 * A tick sends one request to every target of a wave. A large tick is spread over slots of 1 ms,
 * and very many targets are taken in waves one after the other, because neither the kernel nor the
 * loop can take them all at once. A slot that is late shifts everything after it: the requests to a
 * target are never closer together than asked for, and nothing is caught up in a burst.
 */
#ifndef HMS_CORE_ICMP_PACE_H
#define HMS_CORE_ICMP_PACE_H

#include <stddef.h>
#include <stdint.h>

#include "core/icmp.h"

struct hms_icmp_pace {
    size_t targets;
    int count;
    int64_t interval_ns;
    size_t wave_targets; /* of a full wave */
    size_t slot_targets; /* of a full slot */

    size_t wave_start;
    int sequence;        /* of the current tick, 0 to count - 1 */
    size_t next;         /* target whose request comes next */
    size_t slot_end;     /* first target after the current slot */
    int slot_begun;      /* lateness is judged at the first request of a slot only */
    int64_t tick_due_ns; /* shifted as slots were late */
    int64_t slot_due_ns;
    int64_t shifted_ns; /* sum of all shifts */
};

struct hms_icmp_span {
    size_t first; /* target */
    size_t count;
    int sequence;
};

/* The first tick is due at now_ns (monotonic, as all times here). */
void hms_icmp_pace_start(struct hms_icmp_pace *pace, const struct hms_icmp_schedule *schedule,
                         size_t targets, int64_t now_ns);

/* Whether every request has been taken. */
int hms_icmp_pace_done(const struct hms_icmp_pace *pace);

/* When the next request is due; not once it is done. */
int64_t hms_icmp_pace_due_ns(const struct hms_icmp_pace *pace);

/*
 * The requests due at now_ns: consecutive targets, all of one slot. Its count is 0 if none is due
 * yet, or all are done. They stay due until hms_icmp_pace_advance().
 */
struct hms_icmp_span hms_icmp_pace_due(struct hms_icmp_pace *pace, int64_t now_ns);

/*
 * Takes the first `count` (at least 1, at most the span's) of the span given last. Returns whether
 * that was the end of a tick.
 */
int hms_icmp_pace_advance(struct hms_icmp_pace *pace, size_t count);

#endif
