/*
 * What a manager remembers across its restarts: threshold, ignored list, which containers it has
 * seen running, how those that are down ended, quarantines, and how far it has read the engine's
 * events.
 */
#ifndef HMS_MANAGER_MEMORY_H
#define HMS_MANAGER_MEMORY_H

#include <jansson.h>
#include <stdint.h>

struct hms_inventory;

struct hms_memory {
    double threshold_pct;
    int64_t last_event_ns; /* wall time; 0: none */
};

/* The document to keep; a new reference. */
json_t *hms_memory_document(struct hms_inventory *inventory, const struct hms_memory *memory);

/*
 * Puts a document back into an empty inventory and *memory (whose values stay where the document
 * has none). Returns the number of fields that were not understood and left out.
 */
int hms_memory_recall(const json_t *document, struct hms_inventory *inventory,
                      struct hms_memory *memory);

#endif
