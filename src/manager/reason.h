/*
 * Why a container is acted on, waited for or left alone: one table of words and explanations.
 */
#ifndef HMS_MANAGER_REASON_H
#define HMS_MANAGER_REASON_H

#define HMS_REASON_MAP(X)                                                                          \
    X(CLEAR, "clear", "nothing speaks against it")                                                 \
    X(IGNORED, "ignored", "on the ignored list")                                                   \
    X(IGNORED_BY_LABEL, "ignored-by-label", "label hms.ignore")                                    \
    X(SYSTEM, "system", "part of HMS itself")                                                      \
    X(AUTO_REMOVE, "auto-remove", "Docker removes it when it ends (--rm)")                         \
    X(INTERACTIVE, "interactive", "somebody's terminal session (run -i)")                          \
    X(BUILD_STEP, "build-step", "a step of an image build")                                        \
    X(ORCHESTRATED, "orchestrated", "run by Swarm, Kubernetes or Nomad")                           \
    X(NOT_SEEN, "not-seen-running", "never seen running (--supervise=seen)")                       \
    X(NOT_LABELLED, "not-labelled", "has no hms label (--supervise=labelled)")                     \
    X(LABEL_NO, "label-no", "label hms.restart=no")                                                \
    X(LABEL_ON_FAILURE, "label-on-failure", "label hms.restart=on-failure")                        \
    X(NOT_STARTED, "not-started", "created, but never started")                                    \
    X(STATE, "state", "nothing to be done in this state")                                          \
    X(COMPLETED, "completed", "finished by itself with exit code 0")                               \
    X(RESPECTED, "respected", "stopped from outside, and --on-stop=respect")                       \
    X(SUPERSEDED, "superseded", "a newer container of its compose service took its place")         \
    X(DOCKER_POLICY, "docker-policy", "Docker's own restart policy acts first")                    \
    X(STOP_GRACE, "stop-grace", "whoever stopped it may be about to remove or restart it")         \
    X(STOPPING, "stopping", "being stopped from outside")                                          \
    X(RESTARTED, "restarted", "on the restarted list: its restart is under way")                   \
    X(START_GRACE, "start-grace", "still starting")                                                \
    X(BACKOFF, "backoff", "fails again and again: waits longer each time")                         \
    X(QUARANTINE, "quarantine", "failed too often: left alone until released")                     \
    X(LOSS_BUDGET, "loss-budget", "restarted for loss too often within the window")                \
    X(STORM, "storm", "most containers turned bad at once: the host is to blame")                  \
    X(CONCURRENCY, "concurrency", "other restarts are under way")                                  \
    X(ENGINE_DOWN, "engine-down", "the Docker Engine does not answer")                             \
    X(OBSERVE, "observe", "--observe: nothing is touched")

enum hms_reason {
#define X(name, word, text) HMS_REASON_##name,
    HMS_REASON_MAP(X)
#undef X
};

/* The word ("stop-grace") and the explanation of a reason; static. */
const char *hms_reason_word(enum hms_reason reason);
const char *hms_reason_text(enum hms_reason reason);

#endif
