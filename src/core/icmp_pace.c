/* Ticks, slots and waves of a round. */
#include "core/icmp_pace.h"

#include <assert.h>

#define NS_PER_MS INT64_C(1000000)

/* About 0.9 ms of sending and reading: what fits into a slot. */
#define SLOT_TARGETS 128
#define SLOT_NS      NS_PER_MS
/* About 7 ms out of an interval of 10: leaves the loop, and the kernel, room for others. */
#define WAVE_TARGETS 1000

/* Timers of the loop go by whole milliseconds: half of one counts as punctual. */
#define EARLY_NS (NS_PER_MS / 2)
/* Lateness that timers and neighbours on the loop explain; beyond it, the schedule is shifted. */
#define LATE_NS (2 * NS_PER_MS)

static size_t divide_up(size_t dividend, size_t divisor)
{
    return (dividend + divisor - 1) / divisor;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t wave_end(const struct hms_icmp_pace *pace)
{
    return min_size(pace->wave_start + pace->wave_targets, pace->targets);
}

static void begin_slot(struct hms_icmp_pace *pace, int64_t due_ns)
{
    pace->slot_end = min_size(pace->next + pace->slot_targets, wave_end(pace));
    pace->slot_due_ns = due_ns;
    pace->slot_begun = 0;
}

static void begin_tick(struct hms_icmp_pace *pace, int64_t due_ns)
{
    pace->next = pace->wave_start;
    pace->tick_due_ns = due_ns;
    begin_slot(pace, due_ns);
}

void hms_icmp_pace_start(struct hms_icmp_pace *pace, const struct hms_icmp_schedule *schedule,
                         size_t targets, int64_t now_ns)
{
    size_t waves = divide_up(targets, WAVE_TARGETS);
    /* The last quarter of an interval stays free: room to end late without a shift. */
    size_t slots_max = (size_t)schedule->interval_ms * 3 / 4;
    size_t slots;

    *pace = (struct hms_icmp_pace){.targets = targets, .count = schedule->count};
    pace->interval_ns = schedule->interval_ms * NS_PER_MS;
    if (targets == 0)
        return;
    pace->wave_targets = divide_up(targets, waves);
    slots = min_size(divide_up(pace->wave_targets, SLOT_TARGETS), slots_max);
    pace->slot_targets = divide_up(pace->wave_targets, slots > 0 ? slots : 1);
    begin_tick(pace, now_ns);
}

int hms_icmp_pace_done(const struct hms_icmp_pace *pace)
{
    return pace->wave_start >= pace->targets;
}

int64_t hms_icmp_pace_due_ns(const struct hms_icmp_pace *pace)
{
    assert(!hms_icmp_pace_done(pace));
    return pace->slot_due_ns;
}

struct hms_icmp_span hms_icmp_pace_due(struct hms_icmp_pace *pace, int64_t now_ns)
{
    struct hms_icmp_span span = {.first = pace->next, .sequence = pace->sequence};
    int64_t late_ns = now_ns - pace->slot_due_ns;

    if (hms_icmp_pace_done(pace) || late_ns < -EARLY_NS)
        return span;
    if (!pace->slot_begun && late_ns > LATE_NS) {
        pace->tick_due_ns += late_ns;
        pace->slot_due_ns += late_ns;
        pace->shifted_ns += late_ns;
    }
    pace->slot_begun = 1;
    span.count = pace->slot_end - pace->next;
    return span;
}

static void next_tick(struct hms_icmp_pace *pace)
{
    pace->sequence++;
    if (pace->sequence == pace->count) {
        pace->sequence = 0;
        pace->wave_start += pace->wave_targets;
        if (hms_icmp_pace_done(pace))
            return;
    }
    begin_tick(pace, pace->tick_due_ns + pace->interval_ns);
}

int hms_icmp_pace_advance(struct hms_icmp_pace *pace, size_t count)
{
    assert(count > 0 && count <= pace->slot_end - pace->next);
    pace->next += count;
    if (pace->next < pace->slot_end)
        return 0;
    if (pace->next < wave_end(pace)) {
        begin_slot(pace, pace->slot_due_ns + SLOT_NS);
        return 0;
    }
    next_tick(pace);
    return 1;
}
