/*
 * Shared by deployment.c (the machine), deployment_bring.c (the way there) and deployment_undo.c
 * (the way back) alone.
 *
 * A deployment is in one state at a time. Each state begins one call and judges its answer, which
 * gives the next state. A state that finds nothing to do goes on to the next one at once.
 */
#ifndef HMS_CONTROLLER_DEPLOYMENT_PRIVATE_H
#define HMS_CONTROLLER_DEPLOYMENT_PRIVATE_H

#include <jansson.h>
#include <stdint.h>
#include <uv.h>

#include "controller/deployment.h"
#include "controller/manager_image.h"
#include "core/docker.h"

#define DEPLOYMENT_TEXT_SIZE 2048
#define DEPLOYMENT_STALE_MAX 2 /* images that may have become needless */

struct hms_engine_link;

enum deployment_state {
    DEPLOY_REACHING,
    DEPLOY_ASKING_ENGINE,
    DEPLOY_LOOKING,   /* for a manager that is there */
    DEPLOY_LISTENING, /* for one that is somewhere else */
    DEPLOY_ASKING_IMAGE,
    DEPLOY_LOADING,
    DEPLOY_CHECKING_IMAGE,
    DEPLOY_ASKING_VOLUME,
    DEPLOY_STOPPING_OLD,
    DEPLOY_CLEARING_NAME, /* of what an interrupted deployment left */
    DEPLOY_SETTING_ASIDE,
    DEPLOY_CREATING,
    DEPLOY_CONFIGURING,
    DEPLOY_STARTING,
    DEPLOY_RESTARTING,
    DEPLOY_AWAITING_LIFE,

    DEPLOY_READING_LOG,
    DEPLOY_UNDOING_CREATE,
    DEPLOY_UNDOING_ASIDE,
    DEPLOY_UNDOING_STOP,
    DEPLOY_UNDOING_VOLUME,

    DEPLOY_STOPPING,
    DEPLOY_REMOVING,
    DEPLOY_REMOVING_PREVIOUS,
    DEPLOY_REMOVING_VOLUME,
    DEPLOY_ASKING_STALE, /* about an image that may have become needless */
    DEPLOY_REMOVING_STALE,

    DEPLOY_ENDING,
};

struct hms_deployment {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_deployment_task task;
    hms_deployment_done_fn done;
    void *arg;

    enum deployment_state state;
    struct hms_engine_link *link; /* NULL: not opened */
    struct hms_docker *docker;    /* the link's */
    uv_timer_t timer;
    int open_parts; /* link and timer, while ending */

    struct hms_manager_image image;
    char *image_id; /* as the engine calls it */
    json_t *spec;
    char *old_id;                      /* of the manager that is there; NULL: none */
    int old_runs;                      /* it ran when we came */
    int is_adopted;                    /* it is what is wanted */
    int has_stopped;                   /* the old one */
    int has_set_aside;                 /* the old one */
    int has_created;                   /* the new one, or may have */
    int is_new_volume;                 /* of the state */
    char *stale[DEPLOYMENT_STALE_MAX]; /* ids of images */
    json_t *stale_names;               /* what is to be removed of the image at hand */
    size_t stale_place;

    enum deployment_state after_listening;
    uint64_t signs_before;
    uint64_t life_due_ms; /* of the loop's clock; also of listening */
    uint64_t look_due_ms;
    int is_looking;

    int error; /* the first failure */
    enum hms_deploy_step step;
    int is_unclean;
    char text[DEPLOYMENT_TEXT_SIZE];
};

/* What a state does; that of DEPLOY_REACHING is the machine's. begin calls hms_deployment_go() or
 * starts what ends in judge. */
struct deployment_row {
    const char *word; /* for the log */
    enum hms_deploy_step step;
    void (*begin)(struct hms_deployment *deployment);
    enum deployment_state (*judge)(struct hms_deployment *deployment,
                                   const struct hms_docker_answer *answer);
};

/* deployment.c */
void hms_deployment_go(struct hms_deployment *deployment, enum deployment_state next);
/* The engine's answer to the state's call; arg is the deployment. */
void hms_deployment_on_answer(void *arg, const struct hms_docker_answer *answer);
/* Notes the first failure with the step of the present state; returns where the way back begins. */
enum deployment_state hms_deployment_fail(struct hms_deployment *deployment, int error,
                                          const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for an engine's answer. */
enum deployment_state hms_deployment_refused(struct hms_deployment *deployment,
                                             const struct hms_docker_answer *answer);
/* An image that may have become needless at the end; a NULL is none. */
void hms_deployment_add_stale(struct hms_deployment *deployment, const char *image_id);

/* Rows of the states that a file has; the others' are empty. */
extern const struct deployment_row
    hms_deployment_bring_rows[DEPLOY_ENDING];                               /* deployment_bring.c */
extern const struct deployment_row hms_deployment_undo_rows[DEPLOY_ENDING]; /* deployment_undo.c */

#endif
