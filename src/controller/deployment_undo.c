/* The way back from a failure, and the removal of a manager. */
#include <stdio.h>
#include <string.h>

#include "controller/deployment_private.h"
#include "controller/manager_spec.h"
#include "core/docker_deploy.h"
#include "core/error.h"
#include "core/json.h"

#define STOP_TIMEOUT_S 10
#define LOG_LINES      5
#define IMAGE_PREFIX   "hms:" /* names of our images */

static int is_gone(const struct hms_docker_answer *answer)
{
    return answer->error == HMS_OK || answer->error == HMS_ENOENT;
}

/* ---- the way back ---- */

/* Only of a container that may have said something. */
static void read_log(struct hms_deployment *deployment)
{
    int has_run = deployment->step == HMS_STEP_SIGN_OF_LIFE || deployment->step == HMS_STEP_START;

    if (has_run)
        hms_docker_logs(deployment->docker, HMS_MANAGER_CONTAINER, LOG_LINES,
                        hms_deployment_on_answer, deployment);
    else
        hms_deployment_go(deployment, DEPLOY_UNDOING_CREATE);
}

static enum deployment_state judge_log(struct hms_deployment *deployment,
                                       const struct hms_docker_answer *answer)
{
    const char *lines = json_string_value(answer->body);
    size_t used = strlen(deployment->text);

    if (answer->error == HMS_OK && lines != NULL && *lines != '\0')
        snprintf(deployment->text + used, sizeof(deployment->text) - used, "; its last words: %.*s",
                 (int)(strlen(lines) - (lines[strlen(lines) - 1] == '\n')), lines);
    return DEPLOY_UNDOING_CREATE;
}

/* A step back has failed. Without an answer the engine is out of reach, and so are the other steps.
 */
static enum deployment_state unclean(struct hms_deployment *deployment,
                                     const struct hms_docker_answer *answer,
                                     enum deployment_state next)
{
    size_t used = strlen(deployment->text);

    if (!deployment->is_unclean)
        snprintf(deployment->text + used, sizeof(deployment->text) - used,
                 "; and what was done could not be undone: %s", answer->message);
    deployment->is_unclean = 1;
    return answer->status == 0 ? DEPLOY_ENDING : next;
}

static void undo_create(struct hms_deployment *deployment)
{
    if (deployment->has_created)
        hms_docker_remove(deployment->docker, HMS_MANAGER_CONTAINER, 1, hms_deployment_on_answer,
                          deployment);
    else
        hms_deployment_go(deployment, DEPLOY_UNDOING_ASIDE);
}

static enum deployment_state judge_undo_create(struct hms_deployment *deployment,
                                               const struct hms_docker_answer *answer)
{
    return is_gone(answer) ? DEPLOY_UNDOING_ASIDE
                           : unclean(deployment, answer, DEPLOY_UNDOING_ASIDE);
}

static void undo_aside(struct hms_deployment *deployment)
{
    if (deployment->has_set_aside)
        hms_docker_rename(deployment->docker, deployment->old_id, HMS_MANAGER_CONTAINER,
                          hms_deployment_on_answer, deployment);
    else
        hms_deployment_go(deployment, DEPLOY_UNDOING_STOP);
}

static enum deployment_state judge_undo_aside(struct hms_deployment *deployment,
                                              const struct hms_docker_answer *answer)
{
    return answer->error == HMS_OK ? DEPLOY_UNDOING_STOP
                                   : unclean(deployment, answer, DEPLOY_UNDOING_STOP);
}

static void undo_stop(struct hms_deployment *deployment)
{
    if (deployment->has_stopped)
        hms_docker_start(deployment->docker, deployment->old_id, hms_deployment_on_answer,
                         deployment);
    else
        hms_deployment_go(deployment, DEPLOY_UNDOING_VOLUME);
}

static enum deployment_state judge_undo_stop(struct hms_deployment *deployment,
                                             const struct hms_docker_answer *answer)
{
    return answer->error == HMS_OK ? DEPLOY_UNDOING_VOLUME
                                   : unclean(deployment, answer, DEPLOY_UNDOING_VOLUME);
}

static void undo_volume(struct hms_deployment *deployment)
{
    if (deployment->is_new_volume)
        hms_docker_volume_remove(deployment->docker, HMS_MANAGER_VOLUME, hms_deployment_on_answer,
                                 deployment);
    else
        hms_deployment_go(deployment, DEPLOY_ASKING_STALE);
}

static enum deployment_state judge_undo_volume(struct hms_deployment *deployment,
                                               const struct hms_docker_answer *answer)
{
    return is_gone(answer) ? DEPLOY_ASKING_STALE : unclean(deployment, answer, DEPLOY_ASKING_STALE);
}

/* ---- removal ---- */

static void stop(struct hms_deployment *deployment)
{
    hms_docker_stop(deployment->docker, deployment->old_id, STOP_TIMEOUT_S,
                    hms_deployment_on_answer, deployment);
}

/* What does not stop is killed by the removal. */
static enum deployment_state judge_stop(struct hms_deployment *deployment,
                                        const struct hms_docker_answer *answer)
{
    return answer->status == 0 ? hms_deployment_refused(deployment, answer) : DEPLOY_REMOVING;
}

static void remove_container(struct hms_deployment *deployment)
{
    hms_docker_remove(deployment->docker, deployment->old_id, 1, hms_deployment_on_answer,
                      deployment);
}

static enum deployment_state judge_remove(struct hms_deployment *deployment,
                                          const struct hms_docker_answer *answer)
{
    return is_gone(answer) ? DEPLOY_REMOVING_PREVIOUS : hms_deployment_refused(deployment, answer);
}

/* Also the last act of bringing: the new one is alive. */
static void remove_previous(struct hms_deployment *deployment)
{
    hms_docker_remove(deployment->docker, HMS_MANAGER_PREVIOUS, 1, hms_deployment_on_answer,
                      deployment);
}

/* A new manager that is alive is not given up because an old one could not be removed: the next
 * deployment clears the name. */
static enum deployment_state judge_remove_previous(struct hms_deployment *deployment,
                                                   const struct hms_docker_answer *answer)
{
    if (deployment->task.goal != HMS_DEPLOY_REMOVE)
        return deployment->is_adopted ? DEPLOY_ENDING : DEPLOY_ASKING_STALE;
    return is_gone(answer) ? DEPLOY_REMOVING_VOLUME : hms_deployment_refused(deployment, answer);
}

static void remove_volume(struct hms_deployment *deployment)
{
    hms_docker_volume_remove(deployment->docker, HMS_MANAGER_VOLUME, hms_deployment_on_answer,
                             deployment);
}

static enum deployment_state judge_remove_volume(struct hms_deployment *deployment,
                                                 const struct hms_docker_answer *answer)
{
    return is_gone(answer) ? DEPLOY_ASKING_STALE : hms_deployment_refused(deployment, answer);
}

/* ---- images that nobody needs any more; who uses one keeps it, and no failure counts ---- */

static void ask_stale(struct hms_deployment *deployment)
{
    const char *id = deployment->stale_place < DEPLOYMENT_STALE_MAX
                         ? deployment->stale[deployment->stale_place]
                         : NULL;

    if (id != NULL)
        hms_docker_image_inspect(deployment->docker, id, hms_deployment_on_answer, deployment);
    else
        hms_deployment_go(deployment, DEPLOY_ENDING);
}

/* By its names, if they are ours; one that has lost them by its id. After a failure only the
 * latter: an older manager may go on with the others. */
static json_t *names_of(const struct hms_deployment *deployment, const json_t *image)
{
    json_t *tags = json_object_get(image, "RepoTags"), *tag;
    size_t i;

    json_array_foreach(tags, i, tag)
    {
        const char *name = json_string_value(tag);

        if (name == NULL || deployment->error != HMS_OK ||
            strncmp(name, IMAGE_PREFIX, strlen(IMAGE_PREFIX)) != 0)
            return json_array();
    }
    if (json_array_size(tags) > 0)
        return json_copy(tags);
    return json_pack("[O]", json_object_get(image, "Id"));
}

static enum deployment_state judge_stale(struct hms_deployment *deployment,
                                         const struct hms_docker_answer *answer)
{
    const char *id = hms_json_string(answer->body, "Id");

    deployment->stale_place++;
    if (answer->error != HMS_OK || id == NULL)
        return DEPLOY_ASKING_STALE;
    /* What runs now is not needless. */
    if (deployment->task.goal != HMS_DEPLOY_REMOVE && deployment->image_id != NULL &&
        strcmp(id, deployment->image_id) == 0)
        return DEPLOY_ASKING_STALE;
    json_decref(deployment->stale_names);
    deployment->stale_names = names_of(deployment, answer->body);
    return DEPLOY_REMOVING_STALE;
}

static void remove_stale(struct hms_deployment *deployment)
{
    size_t count = json_array_size(deployment->stale_names);
    const char *name;

    if (count == 0) {
        hms_deployment_go(deployment, DEPLOY_ASKING_STALE);
        return;
    }
    name = json_string_value(json_array_get(deployment->stale_names, count - 1));
    hms_docker_image_remove(deployment->docker, name, hms_deployment_on_answer, deployment);
}

static enum deployment_state judge_remove_stale(struct hms_deployment *deployment,
                                                const struct hms_docker_answer *answer)
{
    json_array_remove(deployment->stale_names, json_array_size(deployment->stale_names) - 1);
    return DEPLOY_REMOVING_STALE;
}

const struct deployment_row hms_deployment_undo_rows[DEPLOY_ENDING] = {
    [DEPLOY_READING_LOG] = {"reading the log", HMS_STEP_SIGN_OF_LIFE, read_log, judge_log},
    [DEPLOY_UNDOING_CREATE] = {"removing the new container", HMS_STEP_REMOVE, undo_create,
                               judge_undo_create},
    [DEPLOY_UNDOING_ASIDE] = {"naming the old manager again", HMS_STEP_REMOVE, undo_aside,
                              judge_undo_aside},
    [DEPLOY_UNDOING_STOP] = {"starting the old manager again", HMS_STEP_REMOVE, undo_stop,
                             judge_undo_stop},
    [DEPLOY_UNDOING_VOLUME] = {"removing the new volume", HMS_STEP_REMOVE, undo_volume,
                               judge_undo_volume},
    [DEPLOY_STOPPING] = {"stopping", HMS_STEP_STOP, stop, judge_stop},
    [DEPLOY_REMOVING] = {"removing the container", HMS_STEP_REMOVE, remove_container, judge_remove},
    [DEPLOY_REMOVING_PREVIOUS] = {"removing an older container", HMS_STEP_REMOVE, remove_previous,
                                  judge_remove_previous},
    [DEPLOY_REMOVING_VOLUME] = {"removing the volume", HMS_STEP_REMOVE, remove_volume,
                                judge_remove_volume},
    [DEPLOY_ASKING_STALE] = {"asking about an old image", HMS_STEP_REMOVE, ask_stale, judge_stale},
    [DEPLOY_REMOVING_STALE] = {"removing an old image", HMS_STEP_REMOVE, remove_stale,
                               judge_remove_stale},
};
