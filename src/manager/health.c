/* Health from rounds of probes. See health.h. */
#include "manager/health.h"

#include <limits.h>
#include <string.h>

void hms_health_reset(struct hms_health *health)
{
    memset(health, 0, sizeof(*health));
}

static void keep_sample(struct hms_health *health, double loss_pct)
{
    memmove(health->samples_pct + 1, health->samples_pct,
            (HMS_HEALTH_SAMPLES - 1) * sizeof(health->samples_pct[0]));
    health->samples_pct[0] = (float)loss_pct;
    if (health->sample_count < HMS_HEALTH_SAMPLES)
        health->sample_count++;
}

int hms_health_round(struct hms_health *health, uint64_t round, double loss_pct,
                     double threshold_pct, int fall, int rise)
{
    int was_bad = health->is_bad;

    keep_sample(health, loss_pct);
    if (loss_pct > threshold_pct) {
        if (health->bad_rounds++ == 0)
            health->first_bad_round = round;
        health->good_rounds = 0;
        if (health->bad_rounds == INT_MAX)
            health->bad_rounds--;
        if (health->bad_rounds >= fall)
            health->is_bad = 1;
    } else {
        health->bad_rounds = 0;
        health->first_bad_round = 0;
        if (health->good_rounds < INT_MAX)
            health->good_rounds++;
        if (health->good_rounds >= rise)
            health->is_bad = 0;
    }
    return health->is_bad != was_bad;
}

int hms_health_is_newly_bad(const struct hms_health *health, uint64_t round)
{
    return health->first_bad_round != 0 && health->first_bad_round + 1 >= round;
}

void hms_storm_count(struct hms_storm_tally *tally, const struct hms_health *health, uint64_t round,
                     int is_judged)
{
    if (!is_judged) {
        tally->unknown_bad += health->bad_rounds > 0;
        return;
    }
    tally->judged++;
    tally->newly_bad += (size_t)hms_health_is_newly_bad(health, round);
    tally->bad += health->bad_rounds > 0;
}

/* A disturbed round judges few or none: that those are well does not end a storm. */
static int is_calm(const struct hms_storm_tally *tally, double limit_pct)
{
    size_t all = tally->judged + tally->unknown_bad;
    size_t bad = tally->bad + tally->unknown_bad;

    return (double)bad * 200 <= limit_pct * (double)all;
}

int hms_storm_round(struct hms_storm *storm, const struct hms_storm_tally *tally, size_t min_judged,
                    double limit_pct)
{
    int was_active = storm->is_active;

    if (tally->judged >= min_judged &&
        (double)tally->newly_bad * 100 > limit_pct * (double)tally->judged)
        storm->is_active = 1;
    else if (is_calm(tally, limit_pct))
        storm->is_active = 0;
    return storm->is_active != was_active;
}
