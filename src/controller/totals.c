/* What of an entry counts, and how. */
#include "controller/totals.h"

#include <string.h>

#include "core/json.h"

/* Docker's words, and protocol.md's; what else a peer may say is counted together. */
static const char *const state_names[HMS_TOTALS_STATES] = {
    "created", "running",  "paused",  "restarting", "removing", "exited",
    "dead",    "disabled", "restart", "offline",    "other",
};

static size_t index_of(const char *word)
{
    size_t i;

    for (i = 0; i < HMS_TOTALS_STATES - 1; i++)
        if (word != NULL && strcmp(state_names[i], word) == 0)
            return i;
    return HMS_TOTALS_STATES - 1;
}

/* A peer tells neither `supervised` nor `up`: then Docker's word for the state decides. */
void hms_totals_count(struct hms_totals *totals, const json_t *entry, int sign)
{
    const char *state = hms_json_string(entry, "container_state");
    int is_disabled = state != NULL && strcmp(state, "disabled") == 0;
    int is_running = state != NULL && strcmp(state, "running") == 0;

    totals->containers += sign;
    totals->by_state[index_of(state)] += sign;
    if (!hms_json_bool(entry, "supervised", !is_disabled))
        return;
    totals->supervised += sign;
    if (hms_json_bool(entry, "up", is_running))
        totals->up += sign;
}

void hms_totals_add(struct hms_totals *totals, const struct hms_totals *part, int sign)
{
    size_t i;

    totals->containers += sign * part->containers;
    totals->supervised += sign * part->supervised;
    totals->up += sign * part->up;
    for (i = 0; i < HMS_TOTALS_STATES; i++)
        totals->by_state[i] += sign * part->by_state[i];
}

const char *hms_totals_state_name(size_t index)
{
    return state_names[index];
}
