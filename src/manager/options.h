/*
 * What a manager can be told. The option table (src/options.c) has names, bounds, defaults and
 * help.
 */
#ifndef HMS_MANAGER_OPTIONS_H
#define HMS_MANAGER_OPTIONS_H

#include <stdint.h>

#include "core/sync_mode.h"

/* Most restarts that a window can be limited to. */
#define HMS_GUARD_LIMIT_MAX 32

enum hms_supervise {
    HMS_SUPERVISE_SEEN,     /* containers seen running since the start, kept across restarts */
    HMS_SUPERVISE_ALL,      /* every container, the report's behaviour */
    HMS_SUPERVISE_LABELLED, /* those with a label hms.restart, hms.threshold or hms.stop-timeout */
};

enum hms_on_stop {
    HMS_ON_STOP_START,   /* a container stopped from outside is started again */
    HMS_ON_STOP_RESPECT, /* it is left down and shown */
};

/* Strings are borrowed while hms_manager_open() runs. */
struct hms_manager_options {
    const char *docker_url;
    const char *state_dir;
    const char *address;     /* IPv4 text: this host's identity everywhere */
    const char *probe_netns; /* path of a network namespace to probe from, or NULL */

    enum hms_supervise supervise;
    enum hms_on_stop on_stop;
    int observe; /* decide and report, but touch nothing */

    double threshold_pct; /* more loss than this is bad; used until one is set over the bus */
    int probe_count;
    int probe_interval_ms;
    int probe_timeout_ms;
    int64_t round_pause_ms; /* between the end of a round and the next */
    int fall;               /* bad rounds in a row until a container counts as bad */
    int rise;               /* good rounds in a row until it counts as good again */

    int64_t stop_grace_ms;   /* from a stop from outside to our start; 0: at once */
    int64_t start_grace_ms;  /* after a start, loss is not acted on */
    int64_t restarted_ms;    /* longest wait for the start that the engine has confirmed */
    int concurrent_restarts; /* at once on this host */
    int64_t backoff_min_ms;  /* wait before the second start of one that fails by itself */
    int64_t backoff_max_ms;  /* it doubles up to this */
    int64_t stable_ms;       /* up for this long: backoff begins anew */
    int restart_limit;       /* starts after own failures within the window, then quarantine */
    int64_t restart_window_ms;
    int loss_restart_limit; /* restarts for loss of one container within that window */
    int storm_min_probed;   /* storm guard: at least so many probed ... */
    double storm_pct;       /* ... and more than this share newly bad within two rounds */

    enum hms_sync_mode sync;
    int64_t aggregation_ms; /* pushing: least time between two updates */
    double loss_step_pct;   /* loss that moved by less is no news; 0 to 100 */
    int64_t heartbeat_ms;
    int64_t reconcile_ms; /* between two comparisons with the container list */
};

#endif
