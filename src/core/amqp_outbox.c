#include "core/amqp_outbox.h"

#include <assert.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/error.h"

void hms_amqp_outbox_init(struct hms_amqp_outbox *outbox, size_t max_count, size_t max_bytes)
{
    memset(outbox, 0, sizeof(*outbox));
    TAILQ_INIT(&outbox->parcels);
    outbox->max_count = max_count;
    outbox->max_bytes = max_bytes;
}

static void drop(struct hms_amqp_outbox *outbox, struct hms_amqp_parcel *parcel)
{
    hms_amqp_outbox_remove(outbox, parcel);
    hms_amqp_parcel_free(parcel);
}

void hms_amqp_outbox_clear(struct hms_amqp_outbox *outbox)
{
    struct hms_amqp_parcel *parcel;

    while ((parcel = TAILQ_FIRST(&outbox->parcels)) != NULL)
        drop(outbox, parcel);
}

static void swap(char **one, char **other)
{
    char *kept = *one;

    *one = *other;
    *other = kept;
}

/* Gives the waiting one's place to the newer message. */
static void replace(struct hms_amqp_outbox *outbox, struct hms_amqp_parcel *waiting,
                    struct hms_amqp_parcel *newer)
{
    outbox->size_bytes -= waiting->size_bytes;
    outbox->size_bytes += newer->size_bytes;
    swap(&waiting->body, &newer->body);
    waiting->size_bytes = newer->size_bytes;
    hms_amqp_parcel_free(newer);
}

int hms_amqp_outbox_push(struct hms_amqp_outbox *outbox, struct hms_amqp_parcel *parcel,
                         const char *topic)
{
    struct hms_amqp_parcel *waiting = NULL;
    char *key = NULL;
    size_t freed_bytes;

    if (topic != NULL) {
        key = hms_asprintf("%s %s", parcel->routing_key, topic);
        HASH_FIND_STR(outbox->topics, key, waiting);
    }
    freed_bytes = waiting ? waiting->size_bytes : 0;
    if ((waiting == NULL && outbox->count >= outbox->max_count) ||
        parcel->size_bytes > outbox->max_bytes - (outbox->size_bytes - freed_bytes)) {
        free(key);
        return HMS_ELIMIT;
    }
    if (waiting != NULL) {
        free(key);
        replace(outbox, waiting, parcel);
        return HMS_OK;
    }
    parcel->topic = key;
    if (key != NULL)
        HASH_ADD_KEYPTR(hh, outbox->topics, key, strlen(key), parcel);
    TAILQ_INSERT_TAIL(&outbox->parcels, parcel, link);
    outbox->count++;
    outbox->size_bytes += parcel->size_bytes;
    return HMS_OK;
}

struct hms_amqp_parcel *hms_amqp_outbox_first(struct hms_amqp_outbox *outbox)
{
    return TAILQ_FIRST(&outbox->parcels);
}

static void forget_topic(struct hms_amqp_outbox *outbox, struct hms_amqp_parcel *parcel)
{
    if (parcel->topic == NULL)
        return;
    assert(outbox->topics != NULL); /* static analysis does not see that */
    HASH_DEL(outbox->topics, parcel);
    free(parcel->topic);
    parcel->topic = NULL;
}

void hms_amqp_outbox_begin(struct hms_amqp_outbox *outbox, struct hms_amqp_parcel *parcel)
{
    forget_topic(outbox, parcel);
    parcel->has_begun = 1;
}

void hms_amqp_outbox_remove(struct hms_amqp_outbox *outbox, struct hms_amqp_parcel *parcel)
{
    forget_topic(outbox, parcel);
    TAILQ_REMOVE(&outbox->parcels, parcel, link);
    assert(TAILQ_FIRST(&outbox->parcels) != parcel); /* static analysis does not see that */
    outbox->count--;
    outbox->size_bytes -= parcel->size_bytes;
}

size_t hms_amqp_outbox_expire(struct hms_amqp_outbox *outbox, int64_t now_ms)
{
    struct hms_amqp_parcel *parcel, *next;
    size_t dropped = 0;

    for (parcel = TAILQ_FIRST(&outbox->parcels); parcel != NULL; parcel = next) {
        next = TAILQ_NEXT(parcel, link);
        if (parcel->kind != HMS_AMQP_REPLY || parcel->has_begun || parcel->expires_ms > now_ms)
            continue;
        drop(outbox, parcel);
        dropped++;
    }
    return dropped;
}

void hms_amqp_parcel_free(struct hms_amqp_parcel *parcel)
{
    free(parcel->routing_key);
    free(parcel->correlation_id);
    free(parcel->address);
    free(parcel->body);
    free(parcel->topic);
    free(parcel);
}
