/*
 * What is known of the contact with one manager, and what to ask of it next. Pure: no clock, no
 * I/O. All times are monotonic milliseconds.
 *
 * The life cycle is protocol.md's: a sign of life makes a host `update_present`, an answered
 * give_content `updated`, silence `offline`. A manager that tells the version of its log (docs/
 * wire.md) is asked only when we lack something: while its updates follow one another the host
 * stays `updated`.
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
    HMS_CONTACT_STALE, /* the last give_content failed, signs of life are overdue, or we are deaf */
    HMS_CONTACT_OFFLINE,
};

/* Heartbeat periods outside of this range are brought into it. */
#define HMS_SYNC_PERIOD_MIN_MS 100
#define HMS_SYNC_PERIOD_MAX_MS 3600000

/* Heartbeats that a manager which tells its period may miss before it is offline. */
#define HMS_SYNC_HEARTBEATS 3

/* Hears nothing: for hms_sync_check(). */
#define HMS_SYNC_DEAF INT64_MAX

/* How far a manager's log has come. epoch (> 0) is its life; 0: it tells none (version 1). */
struct hms_sync_point {
    int64_t epoch;
    int64_t version;
};

/* All zero: a manager not heard of yet. */
struct hms_sync {
    enum hms_manager_status status;
    struct hms_sync_point content; /* where what we have of the host stands */
    int asking;                    /* a give_content is under way */
    int again;                     /* it will not do: something changed since it was asked */
    struct hms_sync_point wanted;  /* it will do only if it comes this far; epoch 0: no matter */
    int failed;                    /* the last one failed */
    int64_t heard_epoch;           /* the life last heard of, ... */
    int64_t left_epoch;            /* ... the one before it ... */
    uint64_t returns;              /* ... and how often that was heard again: they take turns */
    int64_t alive_ms;              /* last sign of life */
    int64_t period_ms;             /* the manager's heartbeat; 0 if it does not tell */
};

/* What a notification means for what we have of the host. */
enum hms_sync_step {
    HMS_SYNC_FLAGGED,  /* it tells no version: to be asked */
    HMS_SYNC_KNOWN,    /* we have that version, or a later one */
    HMS_SYNC_FOLLOWS,  /* its entries are to be applied; the content then stands at its version */
    HMS_SYNC_GAP,      /* something in between is missing: to be asked */
    HMS_SYNC_NEW_LIFE, /* not of the life that the content is of: to be asked */
};

/*
 * A `live` or `update` arrived, told at `point`, with what changed since version `base` of that
 * life (a `live`: since the point itself). period_ms is 0 if the message does not tell it.
 */
enum hms_sync_step hms_sync_heard(struct hms_sync *sync, int64_t now_ms, int64_t period_ms,
                                  struct hms_sync_point point, int64_t base);

/* What we have of the host may be old, whatever its version: a command of ours changed something,
 * or we could not hear for a while. */
void hms_sync_changed(struct hms_sync *sync);

/* Whether what we have of the host is known to be old. */
int hms_sync_is_pending(const struct hms_sync *sync);

/* Whether give_content is to be sent at the next aggregation: pending, and none is under way. */
int hms_sync_is_due(const struct hms_sync *sync);

/* Whether the give_content under way may bring less than what was heard since it was sent. */
int hms_sync_may_fall_short(const struct hms_sync *sync);

/* A give_content was sent. */
void hms_sync_asked(struct hms_sync *sync);

/* It brought nothing: the host stays pending. */
void hms_sync_failed(struct hms_sync *sync);

/*
 * It brought content that stands at `point`. Returns whether that is to be taken: updates that
 * overtook it may have brought us further.
 */
int hms_sync_answered(struct hms_sync *sync, int64_t now_ms, struct hms_sync_point point);

/*
 * The contact now. hearing_ms is since when messages can reach us, or HMS_SYNC_DEAF. A host silent
 * for HMS_SYNC_HEARTBEATS periods in which it could be heard, or for expiry_ms if it does not tell
 * its period, becomes offline; for two thirds of that, or not heard yet, it is stale.
 */
enum hms_contact hms_sync_check(struct hms_sync *sync, int64_t now_ms, int64_t hearing_ms,
                                int64_t expiry_ms);

/* When hms_sync_check() would next tell something else if nothing is heard; INT64_MAX: never. */
int64_t hms_sync_deadline(const struct hms_sync *sync, int64_t now_ms, int64_t hearing_ms,
                          int64_t expiry_ms);

/* "offline", "update_present", "updated". */
const char *hms_sync_status_name(enum hms_manager_status status);

#endif
