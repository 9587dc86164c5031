/* The rules of keeper.h. */
#include "controller/keeper.h"

static int64_t wait_ms(const struct hms_keeper *keeper, int64_t grace_ms)
{
    int64_t backoff_ms = HMS_KEEPER_BACKOFF_MIN_MS;
    int i;

    if (keeper->attempts == 0)
        return grace_ms;
    for (i = 1; i < keeper->attempts && backoff_ms < HMS_KEEPER_BACKOFF_MAX_MS; i++)
        backoff_ms *= 2;
    return backoff_ms < HMS_KEEPER_BACKOFF_MAX_MS ? backoff_ms : HMS_KEEPER_BACKOFF_MAX_MS;
}

int hms_keeper_is_due(struct hms_keeper *keeper, int64_t now_ms, int is_well, int64_t grace_ms)
{
    if (is_well) {
        if (!keeper->is_well)
            keeper->well_since_ms = now_ms;
        keeper->is_well = 1;
        keeper->due_ms = 0;
        if (now_ms - keeper->well_since_ms >= HMS_KEEPER_STABLE_MS)
            keeper->attempts = 0;
        return 0;
    }
    keeper->is_well = 0;
    if (keeper->due_ms == 0)
        keeper->due_ms = now_ms + wait_ms(keeper, grace_ms);
    return now_ms >= keeper->due_ms;
}

void hms_keeper_pause(struct hms_keeper *keeper)
{
    keeper->is_well = 0;
    keeper->due_ms = 0;
}

void hms_keeper_attempt(struct hms_keeper *keeper)
{
    keeper->attempts++;
    keeper->due_ms = 0;
}
