/*
 * How a container ended, told from Docker's events. Pure: no I/O, no clock.
 *
 * The engine logs `kill` for every signal sent through it, `oom`, then `die` with the exit code,
 * and `stop` after `docker stop`. A `die` that no `kill` explains is the container's own doing.
 */
#ifndef HMS_MANAGER_EXIT_CAUSE_H
#define HMS_MANAGER_EXIT_CAUSE_H

#include <stdint.h>

#define HMS_CAUSE_MAP(X)                                                                           \
    X(NONE, "none")           /* it has not ended */                                               \
    X(UNKNOWN, "unknown")     /* it ended and no event tells how */                                \
    X(STOPPED, "stopped")     /* asked to end through the engine, by someone else */               \
    X(KILLED, "killed")       /* SIGKILL through the engine, by someone else */                    \
    X(CRASHED, "crashed")     /* ended by itself with an exit code other than 0 */                 \
    X(OOM, "out-of-memory")   /* ended by the kernel for want of memory */                         \
    X(COMPLETED, "completed") /* ended by itself with exit code 0 */                               \
    X(OURS, "restarting")     /* stopped by our own restart */

enum hms_cause {
#define X(name, text) HMS_CAUSE_##name,
    HMS_CAUSE_MAP(X)
#undef X
};

/* The text of a cause, and back (an unknown text gives HMS_CAUSE_UNKNOWN). */
const char *hms_cause_name(enum hms_cause cause);
enum hms_cause hms_cause_parse(const char *name);

struct hms_exit {
    enum hms_cause cause;
    int exit_code;    /* -1 if unknown */
    int64_t ended_ns; /* wall time of the end, 0 if unknown */

    /* since the last start */
    int64_t kill_ns; /* wall time of the last signal sent by others; 0: none */
    int kill_signal;
    int64_t oom_ns;
    int own_stop; /* a stop of ours is under way */
};

/* It runs (again): all that was known of its end is past, a stop of ours too. */
void hms_exit_on_start(struct hms_exit *end);

/* Docker's events, with their wall times. hms_exit_on_die() returns the cause. */
void hms_exit_on_kill(struct hms_exit *end, int signal, int64_t time_ns);
void hms_exit_on_oom(struct hms_exit *end, int64_t time_ns);
enum hms_cause hms_exit_on_die(struct hms_exit *end, int exit_code, int64_t time_ns);
void hms_exit_on_stop(struct hms_exit *end);

/* A restart of ours begins or is over: signals meanwhile are ours. */
void hms_exit_own_stop(struct hms_exit *end, int under_way);

/*
 * Compares with what `inspect` says of a container that is down: an end that is not the one known
 * from events (later by more than a few seconds, or none known) becomes UNKNOWN.
 */
void hms_exit_reconcile(struct hms_exit *end, int exit_code, int64_t finished_ns, int oom_killed);

/* Whether somebody else has asked it to end and it has not yet ended. */
int hms_exit_is_pending(const struct hms_exit *end);

/* The signal that ended it according to its exit code (128 + n, as shells have it), or 0. */
int hms_exit_signal(const struct hms_exit *end);

#endif
