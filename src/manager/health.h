/*
 * Whether a container's network path is good or bad, from its rounds of probes, with hysteresis
 * (fall and rise, as HAProxy and keepalived call them); and whether the whole host is. Pure.
 */
#ifndef HMS_MANAGER_HEALTH_H
#define HMS_MANAGER_HEALTH_H

#include <stddef.h>
#include <stdint.h>

#define HMS_HEALTH_SAMPLES 8

struct hms_health {
    int is_bad;
    int bad_rounds;           /* in a row */
    int good_rounds;          /* in a row */
    uint64_t first_bad_round; /* number of the first of the bad rounds in a row; 0: none */
    float samples_pct[HMS_HEALTH_SAMPLES]; /* loss of the last rounds, newest first */
    size_t sample_count;
};

/* Forgets everything: a new life of the container. */
void hms_health_reset(struct hms_health *health);

/*
 * Takes the loss (0 to 100) of a complete round; round numbers begin at 1 and rise. More loss than
 * threshold_pct is bad; fall (>= 1) bad rounds in a row make it bad, rise (>= 1) good ones good.
 * Returns 1 if is_bad changed.
 */
int hms_health_round(struct hms_health *health, uint64_t round, double loss_pct,
                     double threshold_pct, int fall, int rise);

/* Whether it turned bad in `round` or the one before. */
int hms_health_is_newly_bad(const struct hms_health *health, uint64_t round);

/* Storm guard: when most containers turn bad at once, the host, its bridge or the prober is to
 * blame, and restarting containers would only do harm. */
struct hms_storm {
    int is_active;
};

/* The containers of one round. */
struct hms_storm_tally {
    size_t judged;
    size_t newly_bad;   /* of those judged */
    size_t bad;         /* of those judged */
    size_t unknown_bad; /* bad when last judged, and not judged this time */
};

/* Counts a container in; is_judged: its result in `round` told something, and is in its health. */
void hms_storm_count(struct hms_storm_tally *tally, const struct hms_health *health, uint64_t round,
                     int is_judged);

/*
 * Takes a round's tally. A storm begins when of at least min_judged more than limit_pct are newly
 * bad, and ends when no more than half of limit_pct are bad, and so few that were bad are unknown
 * that it would hold with them. Returns 1 if is_active changed.
 */
int hms_storm_round(struct hms_storm *storm, const struct hms_storm_tally *tally, size_t min_judged,
                    double limit_pct);

#endif
