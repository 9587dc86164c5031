/*
 * One deployment: brings a manager to a host, or takes it away, step by step through the engine of
 * that host.
 *
 * If bringing fails everything that it made is removed again: the new container with its secrets,
 * the state's volume if there was none before; a manager that was being replaced runs again. An
 * image that was loaded completely may stay. A manager of ours that is there already and is just
 * what is wanted is kept. One of another host or platform is left alone, and so is an engine whose
 * host has a manager that was brought by other means.
 */
#ifndef HMS_CONTROLLER_DEPLOYMENT_H
#define HMS_CONTROLLER_DEPLOYMENT_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct hms_deployment;
struct hms_log;
struct hms_manager_settings;
struct hms_reach;

/* What an operator sees of the progress, and in an error as "step". */
enum hms_deploy_step {
    HMS_STEP_REACH,        /* the way to the engine and its first answer; 35 s */
    HMS_STEP_ENGINE,       /* whether it can run a manager; 60 s */
    HMS_STEP_IMAGE,        /* whether it has our image; 30 s */
    HMS_STEP_LOAD,         /* sends it: no limit, but 120 s without a byte (docker_deploy.h) */
    HMS_STEP_CREATE,       /* puts an older manager aside and makes the container; 120 s each */
    HMS_STEP_CONFIGURE,    /* puts the secrets into it; 120 s */
    HMS_STEP_START,        /* 120 s */
    HMS_STEP_SIGN_OF_LIFE, /* waits until it is heard of; life_timeout_ms */
    HMS_STEP_STOP,         /* 130 s */
    HMS_STEP_REMOVE,       /* 120 s for the container and for its volume */
};

enum hms_deploy_goal {
    HMS_DEPLOY_BRING,  /* a manager as wanted; one that is there and speaks is kept */
    HMS_DEPLOY_REVIVE, /* the same, but one that is there is restarted */
    HMS_DEPLOY_RENEW,  /* ... is replaced */
    HMS_DEPLOY_REMOVE, /* none */
};

/* The strings and structs are borrowed until the end of the deployment. */
struct hms_deployment_task {
    enum hms_deploy_goal goal;
    const char *address;           /* of the host, IPv4 text */
    const struct hms_reach *reach; /* has a docker */
    const struct hms_manager_settings *settings;
    const char *image_path;
    int64_t life_timeout_ms;
    int is_joined;   /* a manager was brought to that host before; it may have had another broker */
    int may_replace; /* also the manager of another host or platform, beside one that speaks */
    uint64_t (*signs)(void *arg); /* counts the signs of life of that address so far */
};

/* Borrowed during the callback. */
struct hms_deployment_outcome {
    int error; /* 0, HMS_ECANCELED, or what failed */
    enum hms_deploy_step step;
    const char *text; /* for people; "" if error is 0 */
    int is_unclean;   /* failed, and something may be left on the host that could not be removed */
};

typedef void (*hms_deployment_done_fn)(void *arg, const struct hms_deployment_outcome *outcome);

/* Begins. done runs exactly once, from the loop, when everything is released; task->signs gets arg
 * too. Never returns NULL. */
struct hms_deployment *hms_deployment_begin(uv_loop_t *loop, struct hms_log *log,
                                            const struct hms_deployment_task *task,
                                            hms_deployment_done_fn done, void *arg);

/* Ends it where it is, without undoing anything: done runs soon with HMS_ECANCELED. */
void hms_deployment_cancel(struct hms_deployment *deployment);

enum hms_deploy_step hms_deployment_step(const struct hms_deployment *deployment);

/* "reach", "engine", ..., "sign_of_life", "stop", "remove". */
const char *hms_deploy_step_name(enum hms_deploy_step step);

#endif
