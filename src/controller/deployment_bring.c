/* The way to a manager that runs and is heard of. */
#include <stdio.h>
#include <string.h>

#include "controller/deployment_private.h"
#include "controller/manager_spec.h"
#include "controller/reach.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include "core/docker_deploy.h"
#include "core/error.h"
#include "core/json.h"

#define ARCHIVE_MAX_BYTES HMS_DOCKER_ARCHIVE_MAX_BYTES
#define STOP_TIMEOUT_S    10
#define LIFE_PERIOD_MS    100
#define LOOK_PERIOD_MS    1000
#define LISTEN_HEARTBEATS 3
/* One that was there already may be about to find its broker again (bus_amqp.h: every 10 s). */
#define ADOPTED_LIFE_MS 15000
#define MIB             (1024.0 * 1024.0)

static const char *machine(void)
{
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#else
    return NULL; /* not told apart: the container's start will tell */
#endif
}

/* ---- the engine ---- */

static void ask_engine(struct hms_deployment *deployment)
{
    hms_docker_info(deployment->docker, hms_deployment_on_answer, deployment);
}

static enum deployment_state check_engine(struct hms_deployment *deployment,
                                          const struct hms_docker_info *info)
{
    if (strcmp(info->os_type, "linux") != 0)
        return hms_deployment_fail(deployment, HMS_EREMOTE,
                                   "the engine runs %s containers: linux "
                                   "is needed",
                                   info->os_type);
    if (machine() != NULL && strcmp(info->architecture, machine()) != 0)
        return hms_deployment_fail(deployment, HMS_EREMOTE,
                                   "the host is %s, the image of the manager is %s",
                                   info->architecture, machine());
    if (info->memory_total_bytes > 0 && info->memory_total_bytes < HMS_MANAGER_MEMORY_MIN_BYTES)
        return hms_deployment_fail(
            deployment, HMS_EREMOTE, "the host has %.0f MiB of memory: %.0f are needed",
            (double)info->memory_total_bytes / MIB, (double)HMS_MANAGER_MEMORY_MIN_BYTES / MIB);
    deployment->spec = hms_manager_spec_make(deployment->task.settings, &deployment->image,
                                             deployment->task.address,
                                             deployment->task.reach->socket, info->remaps_users);
    return DEPLOY_LOOKING;
}

static enum deployment_state judge_engine(struct hms_deployment *deployment,
                                          const struct hms_docker_answer *answer)
{
    struct hms_docker_info info;
    enum deployment_state next;

    if (answer->error != HMS_OK)
        return hms_deployment_refused(deployment, answer);
    if (hms_docker_read_info(answer->body, &info) != HMS_OK)
        return hms_deployment_fail(deployment, HMS_EPROTO,
                                   "its answer about itself is no Docker "
                                   "Engine's");
    next = check_engine(deployment, &info);
    hms_docker_info_clear(&info);
    return next;
}

/* ---- who is there ---- */

static void look(struct hms_deployment *deployment)
{
    hms_docker_inspect(deployment->docker, HMS_MANAGER_CONTAINER, hms_deployment_on_answer,
                       deployment);
}

static int runs(const json_t *inspected)
{
    return hms_json_bool(json_object_get(inspected, "State"), "Running", 0);
}

/* One that never started may lack its secrets. */
static int has_begun(const json_t *inspected)
{
    const char *status = json_string_value(hms_json_path(inspected, "State", "Status", NULL));

    return status == NULL || strcmp(status, "created") != 0;
}

static void note_old(struct hms_deployment *deployment, const json_t *inspected)
{
    const char *id = hms_json_string(inspected, "Id");

    deployment->old_id = hms_strdup(id ? id : HMS_MANAGER_CONTAINER);
    deployment->old_runs = runs(inspected);
    hms_deployment_add_stale(deployment, hms_json_string(inspected, "Image"));
}

static int has_option(const json_t *inspected, const char *name, const char *value)
{
    const char *found = hms_manager_spec_option(inspected, name);

    return found != NULL && value != NULL && strcmp(found, value) == 0;
}

/* For people: the manager there belongs to somebody else. */
static enum deployment_state refuse_manager(struct hms_deployment *deployment,
                                            const json_t *inspected, const char *whose,
                                            const char *option)
{
    const char *found = hms_manager_spec_option(inspected, option);
    int is_removal = deployment->task.goal == HMS_DEPLOY_REMOVE;

    return hms_deployment_fail(deployment, HMS_EBUSY,
                               "the manager on this engine is that of %s, %s%s", whose,
                               found ? found : "which it does not name",
                               is_removal ? "" : ": \"replace\" puts another in its place");
}

/* Whether the manager there is this host's and this platform's; if not, next is what follows. */
static int is_own(struct hms_deployment *deployment, const json_t *inspected,
                  enum deployment_state *next)
{
    const struct hms_deployment_task *task = &deployment->task;

    if (task->may_replace)
        return 1;
    if (!has_option(inspected, "address", task->address)) {
        *next = task->goal == HMS_DEPLOY_REMOVE
                    ? DEPLOY_ENDING /* then nothing of this host is there */
                    : refuse_manager(deployment, inspected, "another host", "address");
        return 0;
    }
    if (!task->is_joined && !has_option(inspected, "broker", task->settings->broker)) {
        *next = refuse_manager(deployment, inspected, "another platform", "broker");
        return 0;
    }
    return 1;
}

/* A second manager would take the same containers into its care. What is known to speak is waited
 * for, unless it is the one in our container. */
static int must_listen(const struct hms_deployment *deployment)
{
    const struct hms_deployment_task *task = &deployment->task;

    return task->goal == HMS_DEPLOY_BRING && !task->may_replace && !deployment->old_runs &&
           task->signs(deployment->arg) > 0;
}

static void on_listen_tick(uv_timer_t *timer)
{
    struct hms_deployment *deployment = timer->data;

    if (deployment->task.signs(deployment->arg) > deployment->signs_before) {
        uv_timer_stop(timer);
        hms_deployment_go(
            deployment,
            hms_deployment_fail(deployment, HMS_EBUSY,
                                "a manager that is not on this engine, or was brought there by "
                                "other means, speaks for %s: stop it first",
                                deployment->task.address));
    } else if (uv_now(deployment->loop) >= deployment->life_due_ms) {
        uv_timer_stop(timer);
        hms_deployment_go(deployment, deployment->after_listening);
    }
}

static void listen_for_another(struct hms_deployment *deployment)
{
    int64_t heartbeat_ms = deployment->task.settings->heartbeat_ms;

    deployment->signs_before = deployment->task.signs(deployment->arg);
    deployment->life_due_ms =
        uv_now(deployment->loop) + (uint64_t)(LISTEN_HEARTBEATS * heartbeat_ms);
    uv_timer_start(&deployment->timer, on_listen_tick, LIFE_PERIOD_MS, LIFE_PERIOD_MS);
}

static enum deployment_state after_look(const struct hms_deployment *deployment)
{
    if (!deployment->is_adopted)
        return DEPLOY_ASKING_IMAGE;
    if (!deployment->old_runs)
        return DEPLOY_STARTING;
    return deployment->task.goal == HMS_DEPLOY_REVIVE ? DEPLOY_RESTARTING : DEPLOY_AWAITING_LIFE;
}

static enum deployment_state judge_look(struct hms_deployment *deployment,
                                        const struct hms_docker_answer *answer)
{
    enum hms_deploy_goal goal = deployment->task.goal;
    int is_there = answer->error == HMS_OK;
    enum deployment_state next;

    if (!is_there && answer->error != HMS_ENOENT)
        return hms_deployment_refused(deployment, answer);
    if (is_there && !hms_manager_spec_is_ours(answer->body)) {
        if (goal == HMS_DEPLOY_REMOVE)
            return DEPLOY_REMOVING_PREVIOUS;
        return hms_deployment_fail(deployment, HMS_EBUSY,
                                   "a container named " HMS_MANAGER_CONTAINER
                                   " is there that is not ours");
    }
    if (is_there && !is_own(deployment, answer->body, &next))
        return next;
    if (is_there)
        note_old(deployment, answer->body);
    if (goal == HMS_DEPLOY_REMOVE)
        return is_there ? DEPLOY_STOPPING : DEPLOY_REMOVING_PREVIOUS;
    deployment->is_adopted = is_there && goal != HMS_DEPLOY_RENEW && has_begun(answer->body) &&
                             hms_manager_spec_fits(deployment->spec, answer->body);
    deployment->after_listening = after_look(deployment);
    return must_listen(deployment) ? DEPLOY_LISTENING : deployment->after_listening;
}

/* ---- the image ---- */

static void ask_image(struct hms_deployment *deployment)
{
    hms_docker_image_inspect(deployment->docker, deployment->image.name, hms_deployment_on_answer,
                             deployment);
}

static void note_image(struct hms_deployment *deployment, const char *id)
{
    free(deployment->image_id);
    deployment->image_id = hms_strdup(id ? id : "");
}

/* scripts/image gives every version this label. */
static int is_our_image(const json_t *image)
{
    const char *title = json_string_value(
        hms_json_path(image, "Config", "Labels", "org.opencontainers.image.title", NULL));

    return title != NULL && strcmp(title, "hms") == 0;
}

/* Another version of that name loses it to ours. Some engines have ids of their own for images:
 * ours is then loaded once more, which changes nothing. */
static enum deployment_state judge_image(struct hms_deployment *deployment,
                                         const struct hms_docker_answer *answer)
{
    const char *id = hms_json_string(answer->body, "Id");

    if (answer->error != HMS_OK && answer->error != HMS_ENOENT)
        return hms_deployment_refused(deployment, answer);
    note_image(deployment, id);
    if (strcmp(deployment->image_id, deployment->image.id) == 0)
        return DEPLOY_ASKING_VOLUME;
    if (answer->error == HMS_OK && !is_our_image(answer->body))
        return hms_deployment_fail(deployment, HMS_EBUSY,
                                   "an image named %s is there that is not ours",
                                   deployment->image.name);
    if (answer->error == HMS_OK)
        hms_deployment_add_stale(deployment, id);
    return DEPLOY_LOADING;
}

static void load(struct hms_deployment *deployment)
{
    hms_docker_image_load(deployment->docker, deployment->task.image_path, hms_deployment_on_answer,
                          deployment);
}

static enum deployment_state judge_load(struct hms_deployment *deployment,
                                        const struct hms_docker_answer *answer)
{
    return answer->error == HMS_OK ? DEPLOY_CHECKING_IMAGE
                                   : hms_deployment_refused(deployment, answer);
}

static enum deployment_state judge_loaded(struct hms_deployment *deployment,
                                          const struct hms_docker_answer *answer)
{
    if (answer->error != HMS_OK)
        return hms_deployment_refused(deployment, answer);
    note_image(deployment, hms_json_string(answer->body, "Id"));
    return DEPLOY_ASKING_VOLUME;
}

/* ---- the container ---- */

static void ask_volume(struct hms_deployment *deployment)
{
    hms_docker_volume_inspect(deployment->docker, HMS_MANAGER_VOLUME, hms_deployment_on_answer,
                              deployment);
}

static enum deployment_state judge_volume(struct hms_deployment *deployment,
                                          const struct hms_docker_answer *answer)
{
    if (answer->error != HMS_OK && answer->error != HMS_ENOENT)
        return hms_deployment_refused(deployment, answer);
    deployment->is_new_volume = answer->error == HMS_ENOENT;
    return deployment->old_id != NULL ? DEPLOY_STOPPING_OLD : DEPLOY_CREATING;
}

/* Two managers of one host would answer for the same address and share their state. */
static void stop_old(struct hms_deployment *deployment)
{
    deployment->has_stopped = deployment->old_runs;
    hms_docker_stop(deployment->docker, deployment->old_id, STOP_TIMEOUT_S,
                    hms_deployment_on_answer, deployment);
}

static enum deployment_state judge_stop_old(struct hms_deployment *deployment,
                                            const struct hms_docker_answer *answer)
{
    return answer->error == HMS_OK ? DEPLOY_CLEARING_NAME
                                   : hms_deployment_refused(deployment, answer);
}

static void clear_name(struct hms_deployment *deployment)
{
    hms_docker_remove(deployment->docker, HMS_MANAGER_PREVIOUS, 1, hms_deployment_on_answer,
                      deployment);
}

static enum deployment_state judge_clear_name(struct hms_deployment *deployment,
                                              const struct hms_docker_answer *answer)
{
    return answer->error == HMS_OK || answer->error == HMS_ENOENT
               ? DEPLOY_SETTING_ASIDE
               : hms_deployment_refused(deployment, answer);
}

static void set_aside(struct hms_deployment *deployment)
{
    hms_docker_rename(deployment->docker, deployment->old_id, HMS_MANAGER_PREVIOUS,
                      hms_deployment_on_answer, deployment);
}

static enum deployment_state judge_set_aside(struct hms_deployment *deployment,
                                             const struct hms_docker_answer *answer)
{
    if (answer->error != HMS_OK)
        return hms_deployment_refused(deployment, answer);
    deployment->has_set_aside = 1;
    return DEPLOY_CREATING;
}

static void create(struct hms_deployment *deployment)
{
    deployment->has_created = 1; /* from here on: an answer may get lost */
    hms_docker_create(deployment->docker, HMS_MANAGER_CONTAINER, deployment->spec,
                      hms_deployment_on_answer, deployment);
}

static enum deployment_state judge_create(struct hms_deployment *deployment,
                                          const struct hms_docker_answer *answer)
{
    if (answer->error == HMS_OK)
        return DEPLOY_CONFIGURING;
    deployment->has_created = answer->status == 0;
    return hms_deployment_refused(deployment, answer);
}

static void configure(struct hms_deployment *deployment)
{
    struct hms_buffer tar;
    char error[512];
    int result;

    hms_buffer_init(&tar, ARCHIVE_MAX_BYTES);
    result = hms_manager_secrets(deployment->task.settings, &tar, error, sizeof(error));
    if (result != HMS_OK)
        hms_deployment_go(deployment, hms_deployment_fail(deployment, result, "%s", error));
    else
        hms_docker_put_archive(deployment->docker, HMS_MANAGER_CONTAINER, HMS_MANAGER_SECRETS,
                               tar.data, tar.size_bytes, hms_deployment_on_answer, deployment);
    hms_buffer_wipe(&tar);
}

static enum deployment_state judge_configure(struct hms_deployment *deployment,
                                             const struct hms_docker_answer *answer)
{
    return answer->error == HMS_OK ? DEPLOY_STARTING : hms_deployment_refused(deployment, answer);
}

/* ---- life ---- */

static void start(struct hms_deployment *deployment)
{
    hms_docker_start(deployment->docker, HMS_MANAGER_CONTAINER, hms_deployment_on_answer,
                     deployment);
}

static void restart(struct hms_deployment *deployment)
{
    hms_docker_restart(deployment->docker, HMS_MANAGER_CONTAINER, STOP_TIMEOUT_S,
                       hms_deployment_on_answer, deployment);
}

static enum deployment_state judge_start(struct hms_deployment *deployment,
                                         const struct hms_docker_answer *answer)
{
    deployment->signs_before = deployment->task.signs(deployment->arg);
    return answer->error == HMS_OK ? DEPLOY_AWAITING_LIFE
                                   : hms_deployment_refused(deployment, answer);
}

/* Why the container does not do, or NULL. One that Docker had to restart counts as ended; but what
 * was there before us may have been restarted long ago. */
static const char *trouble_of(const struct hms_deployment *deployment, const json_t *inspected,
                              char *text, size_t text_size)
{
    const json_t *state = json_object_get(inspected, "State");
    int64_t restarts = deployment->is_adopted ? 0 : hms_json_int(inspected, "RestartCount", 0);

    if (runs(inspected) && !hms_json_bool(state, "Restarting", 0) && restarts == 0)
        return NULL;
    if (hms_json_bool(state, "OOMKilled", 0))
        snprintf(text, text_size, "the manager was killed for lack of memory");
    else if (runs(inspected))
        snprintf(text, text_size, "the manager ended at once and had to be restarted");
    else
        snprintf(text, text_size, "the manager ended at once, with exit code %d",
                 (int)hms_json_int(state, "ExitCode", -1));
    return text;
}

/* What was there already and is not heard of may have an old password: where an operator asked for
 * a manager, it is replaced. */
static void give_up(struct hms_deployment *deployment, int error, const char *why)
{
    enum deployment_state next = DEPLOY_ASKING_IMAGE;

    uv_timer_stop(&deployment->timer);
    if (deployment->is_adopted && deployment->task.goal == HMS_DEPLOY_BRING)
        deployment->is_adopted = 0;
    else
        next = hms_deployment_fail(deployment, error, "%s", why);
    hms_deployment_go(deployment, next);
}

static void on_look(void *arg, const struct hms_docker_answer *answer)
{
    struct hms_deployment *deployment = arg;
    const char *trouble;
    char text[128];

    deployment->is_looking = 0;
    deployment->look_due_ms = uv_now(deployment->loop) + LOOK_PERIOD_MS;
    if (deployment->state == DEPLOY_ENDING)
        return;
    if (answer->error != HMS_OK) {
        give_up(deployment, answer->error, answer->message);
        return;
    }
    trouble = trouble_of(deployment, answer->body, text, sizeof(text));
    if (trouble != NULL)
        give_up(deployment, HMS_EREMOTE, trouble);
}

static void on_life_tick(uv_timer_t *timer)
{
    struct hms_deployment *deployment = timer->data;
    uint64_t now_ms = uv_now(deployment->loop);
    char text[128];

    if (deployment->is_looking)
        return;
    if (deployment->task.signs(deployment->arg) > deployment->signs_before) {
        uv_timer_stop(timer);
        hms_deployment_go(deployment, DEPLOY_REMOVING_PREVIOUS);
    } else if (now_ms >= deployment->life_due_ms) {
        snprintf(text, sizeof(text), "the manager runs, but was not heard of within %.0f s",
                 (double)deployment->task.life_timeout_ms / 1000);
        give_up(deployment, HMS_ETIMEDOUT, text);
    } else if (now_ms >= deployment->look_due_ms) {
        deployment->is_looking = 1;
        hms_docker_inspect(deployment->docker, HMS_MANAGER_CONTAINER, on_look, deployment);
    }
}

static void await_life(struct hms_deployment *deployment)
{
    uint64_t now_ms = uv_now(deployment->loop);
    int is_short = deployment->is_adopted && deployment->task.goal == HMS_DEPLOY_BRING;

    deployment->is_looking = 0;
    deployment->look_due_ms = now_ms + LOOK_PERIOD_MS;
    deployment->life_due_ms =
        now_ms + (uint64_t)(is_short ? ADOPTED_LIFE_MS : deployment->task.life_timeout_ms);
    uv_timer_start(&deployment->timer, on_life_tick, LIFE_PERIOD_MS, LIFE_PERIOD_MS);
}

const struct deployment_row hms_deployment_bring_rows[DEPLOY_ENDING] = {
    [DEPLOY_ASKING_ENGINE] = {"asking the engine", HMS_STEP_ENGINE, ask_engine, judge_engine},
    [DEPLOY_LOOKING] = {"looking for a manager", HMS_STEP_ENGINE, look, judge_look},
    [DEPLOY_LISTENING] = {"listening for another manager", HMS_STEP_ENGINE, listen_for_another,
                          NULL},
    [DEPLOY_ASKING_IMAGE] = {"asking for the image", HMS_STEP_IMAGE, ask_image, judge_image},
    [DEPLOY_LOADING] = {"loading the image", HMS_STEP_LOAD, load, judge_load},
    [DEPLOY_CHECKING_IMAGE] = {"checking the image", HMS_STEP_LOAD, ask_image, judge_loaded},
    [DEPLOY_ASKING_VOLUME] = {"asking for the volume", HMS_STEP_CREATE, ask_volume, judge_volume},
    [DEPLOY_STOPPING_OLD] = {"stopping the old manager", HMS_STEP_CREATE, stop_old, judge_stop_old},
    [DEPLOY_CLEARING_NAME] = {"clearing the name", HMS_STEP_CREATE, clear_name, judge_clear_name},
    [DEPLOY_SETTING_ASIDE] = {"setting it aside", HMS_STEP_CREATE, set_aside, judge_set_aside},
    [DEPLOY_CREATING] = {"creating the container", HMS_STEP_CREATE, create, judge_create},
    [DEPLOY_CONFIGURING] = {"putting the secrets", HMS_STEP_CONFIGURE, configure, judge_configure},
    [DEPLOY_STARTING] = {"starting", HMS_STEP_START, start, judge_start},
    [DEPLOY_RESTARTING] = {"restarting", HMS_STEP_START, restart, judge_start},
    [DEPLOY_AWAITING_LIFE] = {"awaiting life", HMS_STEP_SIGN_OF_LIFE, await_life, NULL},
};
