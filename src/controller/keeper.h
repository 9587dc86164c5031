/*
 * When the controller acts on a host by itself: brings a manager that an operator asked for, brings
 * back one that fell silent, takes away what is left. Pure: no clock, no I/O. Times are monotonic
 * milliseconds.
 */
#ifndef HMS_CONTROLLER_KEEPER_H
#define HMS_CONTROLLER_KEEPER_H

#include <stdint.h>

/* The wait after the first attempt; doubles with each up to the longest. */
#define HMS_KEEPER_BACKOFF_MIN_MS 10000
#define HMS_KEEPER_BACKOFF_MAX_MS 300000

/* Well for so long, a host's backoff begins anew. */
#define HMS_KEEPER_STABLE_MS 60000

/* All zero at first. */
struct hms_keeper {
    int attempts; /* in a row */
    int is_well;
    int64_t well_since_ms;
    int64_t due_ms; /* of the next attempt; 0: none */
};

/*
 * Looks at the host: whether it is as it should be now. Returns whether an attempt is due: once
 * grace_ms have passed since it was first seen not to be well, then with backoff.
 */
int hms_keeper_is_due(struct hms_keeper *keeper, int64_t now_ms, int is_well, int64_t grace_ms);

/* Nothing can be told of it now: the grace or the backoff begins anew afterwards. */
void hms_keeper_pause(struct hms_keeper *keeper);

/* An attempt begins. The backoff before the next one counts from the first look after its end. */
void hms_keeper_attempt(struct hms_keeper *keeper);

#endif
