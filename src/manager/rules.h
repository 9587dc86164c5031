/*
 * The rules: what is to be done about a container, from what is known of it. Pure: facts in, a
 * ruling out; the guard is asked last.
 */
#ifndef HMS_MANAGER_RULES_H
#define HMS_MANAGER_RULES_H

#include <stdint.h>

#include "core/docker.h"
#include "manager/exit_cause.h"
#include "manager/guard.h"
#include "manager/options.h"
#include "manager/supervision.h"

struct hms_facts {
    enum hms_docker_state state;
    enum hms_reason supervision; /* CLEAR, or why it is not supervised */
    enum hms_restart_label restart;
    const struct hms_exit *end;
    const struct hms_guard *guard;
    int has_docker_policy; /* Docker may restart it by itself after its own failure */
    int is_superseded;
    int is_requested; /* an operator put it under supervision while it was down */
    int is_bad;       /* loses too many packets */
    int is_stopping;  /* somebody else is ending it */
    int is_storm;
    int64_t ended_ms;   /* monotonic; when it ended or was found down */
    int64_t touched_ms; /* monotonic; last act from outside that belongs to the same stop;
                           INT64_MAX while one is under way */
};

struct hms_rule_options {
    enum hms_on_stop on_stop;
    int64_t stop_grace_ms; /* 0: none */
};

/* A stop that goes together with others waits for them at most this long. */
#define HMS_RULES_BATCH_MS 120000

/* How long Docker's own restart policy is given to show itself after an exit. */
#define HMS_RULES_POLICY_MS 1000

/* A container that is down. *trigger is set whatever the ruling. */
struct hms_ruling hms_rules_down(const struct hms_facts *facts,
                                 const struct hms_rule_options *options, int64_t now_ms,
                                 enum hms_trigger *trigger);

/* A container that runs, after a complete round. LEAVE with CLEAR: it is healthy. */
struct hms_ruling hms_rules_loss(const struct hms_facts *facts, int64_t now_ms);

#endif
