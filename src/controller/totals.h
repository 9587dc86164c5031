/*
 * Counts of containers, kept up to date entry by entry. Pure.
 */
#ifndef HMS_CONTROLLER_TOTALS_H
#define HMS_CONTROLLER_TOTALS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Values of container_state that are told apart, the last of them `other`. */
#define HMS_TOTALS_STATES 11

struct hms_totals {
    int64_t containers;
    int64_t supervised;
    int64_t up; /* of those under supervision */
    int64_t by_state[HMS_TOTALS_STATES];
};

/* Counts an entry of the content, or with sign -1 takes it out again. */
void hms_totals_count(struct hms_totals *totals, const json_t *entry, int sign);

/* Adds all of `part`, or with sign -1 takes it out again. */
void hms_totals_add(struct hms_totals *totals, const struct hms_totals *part, int sign);

/* The container_state that by_state[index] counts. */
const char *hms_totals_state_name(size_t index);

#endif
