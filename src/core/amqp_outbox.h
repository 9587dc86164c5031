/*
 * Messages that wait to be sent, in their order and within bounds. A waiting notification is
 * replaced by a newer one of the same topic to the same receivers.
 */
#ifndef HMS_CORE_AMQP_OUTBOX_H
#define HMS_CORE_AMQP_OUTBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

enum hms_amqp_parcel_kind { HMS_AMQP_NOTIFICATION, HMS_AMQP_REQUEST, HMS_AMQP_REPLY };

/* A message on its way; freed with hms_amqp_parcel_free(). */
struct hms_amqp_parcel {
    enum hms_amqp_parcel_kind kind;
    char *routing_key;
    char *correlation_id; /* NULL: a notification */
    char *address;        /* of the receiver, for the traffic; or NULL */
    char *body;
    size_t size_bytes;
    int64_t expires_ms; /* of a reply; monotonic */

    /* Kept by whoever sends it. */
    int has_begun;
    size_t sent_bytes; /* of the body */
    size_t wire_bytes;

    /* Kept by the outbox. */
    TAILQ_ENTRY(hms_amqp_parcel) link;
    char *topic; /* and receivers of a notification that may be replaced */
    UT_hash_handle hh;
};

TAILQ_HEAD(hms_amqp_parcels, hms_amqp_parcel);

struct hms_amqp_outbox {
    struct hms_amqp_parcels parcels;
    struct hms_amqp_parcel *topics;
    size_t count, size_bytes;
    size_t max_count, max_bytes;
};

void hms_amqp_outbox_init(struct hms_amqp_outbox *outbox, size_t max_count, size_t max_bytes);

/* Empties it. */
void hms_amqp_outbox_clear(struct hms_amqp_outbox *outbox);

/*
 * Takes over a parcel, and its place in the order is the last one, or that of the notification it
 * replaces. `topic` is what a notification is about, else NULL. Returns 0, or HMS_ELIMIT (the
 * parcel is the caller's).
 */
int hms_amqp_outbox_push(struct hms_amqp_outbox *outbox, struct hms_amqp_parcel *parcel,
                         const char *topic);

/* The first one, still in the box, or NULL. Once it has begun, nothing replaces it. */
struct hms_amqp_parcel *hms_amqp_outbox_first(struct hms_amqp_outbox *outbox);
void hms_amqp_outbox_begin(struct hms_amqp_outbox *outbox, struct hms_amqp_parcel *parcel);

/* Takes it out; it is the caller's. */
void hms_amqp_outbox_remove(struct hms_amqp_outbox *outbox, struct hms_amqp_parcel *parcel);

/* Drops replies for which it is too late now; returns how many. */
size_t hms_amqp_outbox_expire(struct hms_amqp_outbox *outbox, int64_t now_ms);

void hms_amqp_parcel_free(struct hms_amqp_parcel *parcel);

#endif
