/* Causes of container exits. See exit_cause.h. */
#include "manager/exit_cause.h"

#include <signal.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)
/* A signal that need not end a process (HUP, USR1, ...) explains an exit only shortly after. */
#define OTHER_SIGNAL_NS (10 * NS_PER_S)
#define OOM_NS          (10 * NS_PER_S)
/* `die` and State.FinishedAt are stamped at different moments of one end. */
#define SAME_END_NS (5 * NS_PER_S)

const char *hms_cause_name(enum hms_cause cause)
{
    switch (cause) {
#define X(name, text)                                                                              \
    case HMS_CAUSE_##name:                                                                         \
        return text;
        HMS_CAUSE_MAP(X)
#undef X
    }
    return "unknown";
}

enum hms_cause hms_cause_parse(const char *name)
{
#define X(word, text)                                                                              \
    if (strcmp(name, text) == 0)                                                                   \
        return HMS_CAUSE_##word;
    HMS_CAUSE_MAP(X)
#undef X
    return HMS_CAUSE_UNKNOWN;
}

void hms_exit_on_start(struct hms_exit *end)
{
    memset(end, 0, sizeof(*end));
    end->exit_code = -1;
}

void hms_exit_on_kill(struct hms_exit *end, int signal, int64_t time_ns)
{
    if (end->own_stop || end->cause != HMS_CAUSE_NONE)
        return;
    end->kill_ns = time_ns;
    /* `docker stop` sends KILL after TERM: it remains a stop. */
    if (end->kill_signal == 0 || signal != SIGKILL)
        end->kill_signal = signal;
}

void hms_exit_on_oom(struct hms_exit *end, int64_t time_ns)
{
    end->oom_ns = time_ns;
}

static int is_explained_by_kill(const struct hms_exit *end, int64_t time_ns)
{
    if (end->kill_ns == 0)
        return 0;
    if (end->kill_signal == SIGKILL || end->kill_signal == SIGTERM)
        return 1;
    return time_ns - end->kill_ns <= OTHER_SIGNAL_NS;
}

enum hms_cause hms_exit_on_die(struct hms_exit *end, int exit_code, int64_t time_ns)
{
    end->exit_code = exit_code;
    end->ended_ns = time_ns;
    if (end->own_stop)
        end->cause = HMS_CAUSE_OURS;
    else if (is_explained_by_kill(end, time_ns))
        end->cause = end->kill_signal == SIGKILL ? HMS_CAUSE_KILLED : HMS_CAUSE_STOPPED;
    else if (exit_code == 0)
        end->cause = HMS_CAUSE_COMPLETED;
    else if (end->oom_ns != 0 && time_ns - end->oom_ns <= OOM_NS)
        end->cause = HMS_CAUSE_OOM;
    else
        end->cause = HMS_CAUSE_CRASHED;
    return end->cause;
}

void hms_exit_on_stop(struct hms_exit *end)
{
    if (end->cause == HMS_CAUSE_UNKNOWN || end->cause == HMS_CAUSE_CRASHED ||
        end->cause == HMS_CAUSE_COMPLETED)
        end->cause = HMS_CAUSE_STOPPED;
}

void hms_exit_own_stop(struct hms_exit *end, int under_way)
{
    end->own_stop = under_way;
}

void hms_exit_reconcile(struct hms_exit *end, int exit_code, int64_t finished_ns, int oom_killed)
{
    if (end->cause == HMS_CAUSE_NONE ||
        (finished_ns != 0 && finished_ns - end->ended_ns > SAME_END_NS)) {
        hms_exit_on_start(end);
        end->cause = HMS_CAUSE_UNKNOWN;
    }
    end->exit_code = exit_code;
    if (end->ended_ns == 0)
        end->ended_ns = finished_ns;
    if (oom_killed && end->cause == HMS_CAUSE_CRASHED)
        end->cause = HMS_CAUSE_OOM;
}

int hms_exit_is_pending(const struct hms_exit *end)
{
    return end->cause == HMS_CAUSE_NONE && end->kill_ns != 0 &&
           (end->kill_signal == SIGKILL || end->kill_signal == SIGTERM);
}

int hms_exit_signal(const struct hms_exit *end)
{
    return end->exit_code > 128 && end->exit_code < 128 + NSIG ? end->exit_code - 128 : 0;
}
