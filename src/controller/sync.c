/* The life cycle of one host as a function of what was heard and asked. */
#include "controller/sync.h"

#include <assert.h>

void hms_sync_heard(struct hms_sync *sync, int64_t now_ms, int64_t period_ms)
{
    sync->alive_ms = now_ms;
    sync->status = HMS_STATUS_UPDATE_PRESENT;
    sync->again = sync->asking;
    if (period_ms <= 0)
        return;
    if (period_ms < HMS_SYNC_PERIOD_MIN_MS)
        period_ms = HMS_SYNC_PERIOD_MIN_MS;
    if (period_ms > HMS_SYNC_PERIOD_MAX_MS)
        period_ms = HMS_SYNC_PERIOD_MAX_MS;
    sync->period_ms = period_ms;
}

void hms_sync_changed(struct hms_sync *sync)
{
    if (sync->status == HMS_STATUS_OFFLINE)
        return;
    sync->status = HMS_STATUS_UPDATE_PRESENT;
    sync->again = sync->asking;
}

int hms_sync_is_pending(const struct hms_sync *sync)
{
    return sync->status == HMS_STATUS_UPDATE_PRESENT;
}

int hms_sync_is_due(const struct hms_sync *sync)
{
    return hms_sync_is_pending(sync) && !sync->asking;
}

void hms_sync_asked(struct hms_sync *sync)
{
    assert(!sync->asking);
    sync->asking = 1;
    sync->again = 0;
}

void hms_sync_answered(struct hms_sync *sync, int64_t now_ms, int ok)
{
    assert(sync->asking);
    sync->asking = 0;
    sync->failed = !ok;
    if (!ok)
        return;
    /* An answer is a sign of life too: it brings back a host that expired meanwhile. */
    sync->alive_ms = now_ms;
    sync->status = sync->again ? HMS_STATUS_UPDATE_PRESENT : HMS_STATUS_UPDATED;
}

enum hms_contact hms_sync_check(struct hms_sync *sync, int64_t now_ms, int64_t expiry_ms)
{
    int64_t limit_ms = sync->period_ms > 0 ? HMS_SYNC_HEARTBEATS * sync->period_ms : expiry_ms;
    int64_t silent_ms = now_ms - sync->alive_ms;

    if (silent_ms > limit_ms)
        sync->status = HMS_STATUS_OFFLINE;
    if (sync->status == HMS_STATUS_OFFLINE)
        return HMS_CONTACT_OFFLINE;
    return sync->failed || silent_ms > limit_ms / 3 * 2 ? HMS_CONTACT_STALE : HMS_CONTACT_ONLINE;
}

const char *hms_sync_status_name(enum hms_manager_status status)
{
    static const char *const names[] = {
        [HMS_STATUS_OFFLINE] = "offline",
        [HMS_STATUS_UPDATE_PRESENT] = "update_present",
        [HMS_STATUS_UPDATED] = "updated",
    };

    return names[status];
}
