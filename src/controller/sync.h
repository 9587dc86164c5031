/*
 * What is known of the contact with one manager, and what to ask of it next. Pure: no clock, no
 * I/O. All times are monotonic milliseconds.
 *
 * The life cycle is protocol.md's: a sign of life makes a host `update_present`, an answered
 * give_content `updated`, silence `offline`.
 */
#ifndef HMS_CONTROLLER_SYNC_H
#define HMS_CONTROLLER_SYNC_H

#include <stdint.h>

enum hms_manager_status {
    HMS_STATUS_OFFLINE,
    HMS_STATUS_UPDATE_PRESENT,
    HMS_STATUS_UPDATED,
};

enum hms_contact {
    HMS_CONTACT_ONLINE,
    HMS_CONTACT_STALE, /* the last give_content failed, or signs of life are overdue */
    HMS_CONTACT_OFFLINE,
};

/* Heartbeat periods outside of this range are brought into it. */
#define HMS_SYNC_PERIOD_MIN_MS 100
#define HMS_SYNC_PERIOD_MAX_MS 3600000

/* Heartbeats that a manager which tells its period may miss before it is offline. */
#define HMS_SYNC_HEARTBEATS 3

/* All zero: a manager not heard of yet. */
struct hms_sync {
    enum hms_manager_status status;
    int asking;        /* a give_content is under way */
    int again;         /* something changed since it was asked */
    int failed;        /* the last one failed */
    int64_t alive_ms;  /* last sign of life */
    int64_t period_ms; /* the manager's heartbeat; 0 if it does not tell */
};

/* A `live` or `update` arrived; period_ms is 0 if the message does not tell it. */
void hms_sync_heard(struct hms_sync *sync, int64_t now_ms, int64_t period_ms);

/* A command of ours changed something at the host, so what we have of it is old. */
void hms_sync_changed(struct hms_sync *sync);

/* Whether what we have of the host is known to be old. */
int hms_sync_is_pending(const struct hms_sync *sync);

/* Whether give_content is to be sent at the next aggregation: pending, and none is under way. */
int hms_sync_is_due(const struct hms_sync *sync);

/* A give_content was sent. */
void hms_sync_asked(struct hms_sync *sync);

/* It ended: ok tells whether the content came. A failed one leaves the host pending. */
void hms_sync_answered(struct hms_sync *sync, int64_t now_ms, int ok);

/*
 * The contact now. A host silent for HMS_SYNC_HEARTBEATS periods, or for expiry_ms if it does not
 * tell its period, becomes offline; for two thirds of that it is stale.
 */
enum hms_contact hms_sync_check(struct hms_sync *sync, int64_t now_ms, int64_t expiry_ms);

/* "offline", "update_present", "updated". */
const char *hms_sync_status_name(enum hms_manager_status status);

#endif
