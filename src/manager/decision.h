/*
 * Decision records: what the manager saw of a container, what it decided and what came of it.
 */
#ifndef HMS_MANAGER_DECISION_H
#define HMS_MANAGER_DECISION_H

#include <jansson.h>
#include <stdint.h>

#include "manager/exit_cause.h"
#include "manager/guard.h"
#include "manager/health.h"

/* Records kept for each container. */
#define HMS_DECISIONS 16

enum hms_decision_action { HMS_ACTION_NONE, HMS_ACTION_START, HMS_ACTION_RESTART };

enum hms_outcome {
    HMS_OUTCOME_NONE,     /* nothing was done, or it is under way */
    HMS_OUTCOME_DONE,     /* the engine did it */
    HMS_OUTCOME_ALREADY,  /* it ran already: somebody else was first */
    HMS_OUTCOME_REFUSED,  /* the engine refused; text tells its words */
    HMS_OUTCOME_LOST,     /* the engine did not answer */
    HMS_OUTCOME_OBSERVED, /* --observe: would have been done */
};

struct hms_decision {
    uint64_t number;  /* 1, 2, ... within the container; 0: an empty record */
    int64_t time_ns;  /* wall time of the decision; of an action: when it was asked for */
    int64_t event_ns; /* wall time of the engine's event behind it, 0 if there is none */
    int64_t done_ns;  /* wall time of the engine's answer, 0 if there is none */
    enum hms_trigger trigger;
    enum hms_cause cause; /* of the end, unless the trigger is loss */
    int exit_code;
    enum hms_decision_action action;
    enum hms_reason reason;
    enum hms_outcome outcome;
    int helped; /* a restart for loss: 1 the next round was good, 0 it was not, -1 not known */
    float samples_pct[HMS_HEALTH_SAMPLES]; /* loss of the rounds before, newest first */
    size_t sample_count;
    char text[256]; /* the engine's words, "" if there are none */
};

/* The newest records of one container. */
struct hms_decisions {
    struct hms_decision ring[HMS_DECISIONS];
    uint64_t count; /* ever made */
};

/* A new record to fill in, in place of the oldest; valid until HMS_DECISIONS later ones. */
struct hms_decision *hms_decisions_add(struct hms_decisions *decisions);

/* The newest record, or NULL; the record of that number, or NULL if it has been replaced. */
struct hms_decision *hms_decisions_last(struct hms_decisions *decisions);
struct hms_decision *hms_decisions_find(struct hms_decisions *decisions, uint64_t number);

/* One record, or all of them, newest first, as JSON; new references. */
json_t *hms_decision_json(const struct hms_decision *decision);
json_t *hms_decisions_json(const struct hms_decisions *decisions);

/* Room for any sentence of hms_decision_occasion(). */
#define HMS_DECISION_OCCASION_SIZE 80

/* What a decision answers, for people: "was killed", "crashed (exit code 3)", "loses 85.0 % of its
 * packets". Returns text. */
char *hms_decision_occasion(const struct hms_decision *decision,
                            char text[HMS_DECISION_OCCASION_SIZE]);

/* "stopped", "failed", "loss", "requested". */
const char *hms_trigger_name(enum hms_trigger trigger);

#endif
