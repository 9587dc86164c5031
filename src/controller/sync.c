/* The life cycle of one host as a function of what was heard and asked. */
#include "controller/sync.h"

#include <assert.h>

/* ---- hearing ---- */

static void note_period(struct hms_sync *sync, int64_t period_ms)
{
    if (period_ms <= 0)
        return;
    if (period_ms < HMS_SYNC_PERIOD_MIN_MS)
        period_ms = HMS_SYNC_PERIOD_MIN_MS;
    if (period_ms > HMS_SYNC_PERIOD_MAX_MS)
        period_ms = HMS_SYNC_PERIOD_MAX_MS;
    sync->period_ms = period_ms;
}

static enum hms_sync_step compare(const struct hms_sync *sync, struct hms_sync_point point,
                                  int64_t base)
{
    if (point.epoch == 0)
        return HMS_SYNC_FLAGGED;
    if (point.epoch != sync->content.epoch)
        return HMS_SYNC_NEW_LIFE;
    if (point.version <= sync->content.version)
        return HMS_SYNC_KNOWN;
    return base <= sync->content.version ? HMS_SYNC_FOLLOWS : HMS_SYNC_GAP;
}

/* An answer to what was asked before may or may not have come as far. */
static void want(struct hms_sync *sync, struct hms_sync_point point)
{
    if (!sync->asking)
        return;
    if (point.epoch == 0 || (sync->wanted.epoch != 0 && sync->wanted.epoch != point.epoch))
        sync->again = 1;
    else if (sync->wanted.epoch == 0 || point.version > sync->wanted.version)
        sync->wanted = point;
}

static void note_epoch(struct hms_sync *sync, int64_t epoch)
{
    if (epoch == 0 || epoch == sync->heard_epoch)
        return;
    sync->returns += epoch == sync->left_epoch;
    sync->left_epoch = sync->heard_epoch;
    sync->heard_epoch = epoch;
}

enum hms_sync_step hms_sync_heard(struct hms_sync *sync, int64_t now_ms, int64_t period_ms,
                                  struct hms_sync_point point, int64_t base)
{
    enum hms_sync_step step = compare(sync, point, base);

    sync->alive_ms = now_ms;
    note_period(sync, period_ms);
    note_epoch(sync, point.epoch);
    if (sync->status == HMS_STATUS_OFFLINE)
        sync->status = HMS_STATUS_UPDATE_PRESENT;
    switch (step) {
    case HMS_SYNC_KNOWN:
        break;
    case HMS_SYNC_FOLLOWS:
        sync->content.version = point.version;
        break;
    case HMS_SYNC_FLAGGED:
    case HMS_SYNC_GAP:
    case HMS_SYNC_NEW_LIFE:
        sync->status = HMS_STATUS_UPDATE_PRESENT;
        want(sync, point);
        break;
    }
    return step;
}

void hms_sync_changed(struct hms_sync *sync)
{
    if (sync->status == HMS_STATUS_OFFLINE)
        return;
    sync->status = HMS_STATUS_UPDATE_PRESENT;
    sync->again = sync->asking;
}

/* ---- asking ---- */

int hms_sync_is_pending(const struct hms_sync *sync)
{
    return sync->status == HMS_STATUS_UPDATE_PRESENT;
}

int hms_sync_is_due(const struct hms_sync *sync)
{
    return hms_sync_is_pending(sync) && !sync->asking;
}

int hms_sync_may_fall_short(const struct hms_sync *sync)
{
    return sync->again || sync->wanted.epoch != 0;
}

void hms_sync_asked(struct hms_sync *sync)
{
    assert(!sync->asking);
    sync->asking = 1;
    sync->again = 0;
    sync->wanted = (struct hms_sync_point){0};
}

void hms_sync_failed(struct hms_sync *sync)
{
    assert(sync->asking);
    sync->asking = 0;
    sync->failed = 1;
}

static int falls_short(const struct hms_sync *sync)
{
    if (sync->again)
        return 1;
    return sync->wanted.epoch != 0 && (sync->wanted.epoch != sync->content.epoch ||
                                       sync->wanted.version > sync->content.version);
}

int hms_sync_answered(struct hms_sync *sync, int64_t now_ms, struct hms_sync_point point)
{
    int is_older = point.epoch != 0 && point.epoch == sync->content.epoch &&
                   point.version < sync->content.version;

    assert(sync->asking);
    sync->asking = 0;
    sync->failed = 0;
    sync->alive_ms = now_ms; /* a sign of life: it brings back a host that expired meanwhile */
    if (!is_older)
        sync->content = point;
    sync->status = falls_short(sync) ? HMS_STATUS_UPDATE_PRESENT : HMS_STATUS_UPDATED;
    return !is_older;
}

/* ---- liveness ---- */

static int64_t limit_of(const struct hms_sync *sync, int64_t expiry_ms)
{
    return sync->period_ms > 0 ? HMS_SYNC_HEARTBEATS * sync->period_ms : expiry_ms;
}

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

enum hms_contact hms_sync_check(struct hms_sync *sync, int64_t now_ms, int64_t hearing_ms,
                                int64_t expiry_ms)
{
    int is_deaf = hearing_ms == HMS_SYNC_DEAF;
    int64_t limit_ms = limit_of(sync, expiry_ms);
    int64_t silent_ms = is_deaf ? 0 : now_ms - max(sync->alive_ms, hearing_ms);

    if (silent_ms > limit_ms)
        sync->status = HMS_STATUS_OFFLINE;
    if (sync->status == HMS_STATUS_OFFLINE)
        return HMS_CONTACT_OFFLINE;
    if (sync->failed || sync->alive_ms < hearing_ms || silent_ms > limit_ms / 3 * 2)
        return HMS_CONTACT_STALE;
    return HMS_CONTACT_ONLINE;
}

int64_t hms_sync_deadline(const struct hms_sync *sync, int64_t now_ms, int64_t hearing_ms,
                          int64_t expiry_ms)
{
    int64_t limit_ms = limit_of(sync, expiry_ms);
    int64_t stale_ms, offline_ms;

    if (sync->status == HMS_STATUS_OFFLINE || hearing_ms == HMS_SYNC_DEAF)
        return INT64_MAX;
    offline_ms = max(sync->alive_ms, hearing_ms) + limit_ms + 1;
    stale_ms = max(sync->alive_ms, hearing_ms) + limit_ms / 3 * 2 + 1;
    return stale_ms > now_ms ? stale_ms : offline_ms;
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
