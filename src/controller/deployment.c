/*
 * The machine of a deployment: its states, its failures, its end. What the states do stands in
 * deployment_bring.c and deployment_undo.c.
 */
#include "controller/deployment.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/deployment_private.h"
#include "controller/engine_link.h"
#include "controller/manager_spec.h"
#include "controller/reach.h"
#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"

#define MODULE "deploy"

static const char *const step_names[] = {
    [HMS_STEP_REACH] = "reach",   [HMS_STEP_ENGINE] = "engine",
    [HMS_STEP_IMAGE] = "image",   [HMS_STEP_LOAD] = "load",
    [HMS_STEP_CREATE] = "create", [HMS_STEP_CONFIGURE] = "configure",
    [HMS_STEP_START] = "start",   [HMS_STEP_SIGN_OF_LIFE] = "sign_of_life",
    [HMS_STEP_STOP] = "stop",     [HMS_STEP_REMOVE] = "remove",
};

const char *hms_deploy_step_name(enum hms_deploy_step step)
{
    return step_names[step];
}

static const struct deployment_row *row_of(enum deployment_state state)
{
    assert(state != DEPLOY_REACHING && state < DEPLOY_ENDING);
    if (hms_deployment_bring_rows[state].word != NULL)
        return &hms_deployment_bring_rows[state];
    assert(hms_deployment_undo_rows[state].word != NULL);
    return &hms_deployment_undo_rows[state];
}

/* ---- the end ---- */

static void deployment_free(struct hms_deployment *deployment)
{
    size_t i;

    for (i = 0; i < DEPLOYMENT_STALE_MAX; i++)
        free(deployment->stale[i]);
    hms_manager_image_clear(&deployment->image);
    free(deployment->image_id);
    json_decref(deployment->spec);
    json_decref(deployment->stale_names);
    free(deployment->old_id);
    free(deployment);
}

static void on_part_closed(void *arg)
{
    struct hms_deployment *deployment = arg;
    struct hms_deployment_outcome outcome = {
        .error = deployment->error,
        .step = deployment->step,
        .text = deployment->text,
        .is_unclean = deployment->is_unclean,
    };

    if (--deployment->open_parts > 0)
        return;
    deployment->done(deployment->arg, &outcome);
    deployment_free(deployment);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void end(struct hms_deployment *deployment)
{
    deployment->state = DEPLOY_ENDING;
    deployment->open_parts = 1;
    uv_close((uv_handle_t *)&deployment->timer, on_timer_closed);
    if (deployment->link != NULL) {
        deployment->open_parts++;
        hms_engine_link_close(deployment->link, on_part_closed, deployment);
    }
}

/* ---- going on ---- */

void hms_deployment_go(struct hms_deployment *deployment, enum deployment_state next)
{
    const struct deployment_row *row;

    if (next == DEPLOY_ENDING) {
        end(deployment);
        return;
    }
    row = row_of(next);
    deployment->state = next;
    if (deployment->error == HMS_OK)
        deployment->step = row->step;
    hms_log(deployment->log, HMS_LOG_DEBUG, MODULE, "%s: %s", deployment->task.address, row->word);
    assert(row->begin != NULL);
    row->begin(deployment);
}

void hms_deployment_on_answer(void *arg, const struct hms_docker_answer *answer)
{
    struct hms_deployment *deployment = arg;
    const struct deployment_row *row;

    if (deployment->state == DEPLOY_ENDING)
        return;
    row = row_of(deployment->state);
    assert(row->judge != NULL);
    hms_deployment_go(deployment, row->judge(deployment, answer));
}

enum deployment_state hms_deployment_fail(struct hms_deployment *deployment, int error,
                                          const char *format, ...)
{
    va_list arguments;

    assert(deployment->error == HMS_OK);
    deployment->error = error;
    va_start(arguments, format);
    vsnprintf(deployment->text, sizeof(deployment->text), format, arguments);
    va_end(arguments);
    return deployment->task.goal == HMS_DEPLOY_REMOVE ? DEPLOY_ENDING : DEPLOY_READING_LOG;
}

enum deployment_state hms_deployment_refused(struct hms_deployment *deployment,
                                             const struct hms_docker_answer *answer)
{
    const char *complaint = hms_engine_link_complaint(deployment->link);
    int has_come = answer->status != 0; /* then the way to the engine is all right */

    return hms_deployment_fail(deployment, answer->error, "%s%s%s", answer->message,
                               has_come || *complaint == '\0' ? "" : "; ",
                               has_come ? "" : complaint);
}

void hms_deployment_add_stale(struct hms_deployment *deployment, const char *image_id)
{
    size_t i;

    for (i = 0; image_id != NULL && i < DEPLOYMENT_STALE_MAX; i++) {
        if (deployment->stale[i] != NULL && strcmp(deployment->stale[i], image_id) == 0)
            return;
        if (deployment->stale[i] == NULL) {
            deployment->stale[i] = hms_strdup(image_id);
            return;
        }
    }
}

/* ---- the beginning ---- */

static void on_ready(void *arg, struct hms_docker *docker)
{
    struct hms_deployment *deployment = arg;

    deployment->docker = docker;
    hms_deployment_go(deployment, deployment->task.goal == HMS_DEPLOY_REMOVE
                                      ? DEPLOY_LOOKING
                                      : DEPLOY_ASKING_ENGINE);
}

/* Nothing was done yet, so there is no way back. */
static void on_failed(void *arg, int error, const char *reason)
{
    struct hms_deployment *deployment = arg;

    hms_deployment_fail(deployment, error, "%s", reason);
    end(deployment);
}

static int prepare(struct hms_deployment *deployment, char *error, size_t error_size)
{
    const struct hms_deployment_task *task = &deployment->task;
    int result = HMS_OK;

    if (task->goal != HMS_DEPLOY_REMOVE) {
        deployment->step = HMS_STEP_IMAGE;
        result = hms_manager_image_read(&deployment->image, task->image_path, error, error_size);
    }
    if (result == HMS_OK)
        deployment->step = HMS_STEP_REACH;
    return result;
}

/* In a turn of its own, so that done never runs before hms_deployment_begin() returned. */
static void on_begin(uv_timer_t *timer)
{
    static const struct hms_engine_link_events events = {.ready = on_ready, .failed = on_failed};
    struct hms_deployment *deployment = timer->data;
    char error[DEPLOYMENT_TEXT_SIZE];
    int result = prepare(deployment, error, sizeof(error));

    if (result == HMS_OK)
        result =
            hms_engine_link_open(&deployment->link, deployment->loop, deployment->log,
                                 deployment->task.reach, &events, deployment, error, sizeof(error));
    if (result != HMS_OK)
        on_failed(deployment, result, error);
}

struct hms_deployment *hms_deployment_begin(uv_loop_t *loop, struct hms_log *log,
                                            const struct hms_deployment_task *task,
                                            hms_deployment_done_fn done, void *arg)
{
    struct hms_deployment *deployment = hms_calloc(1, sizeof(*deployment));

    deployment->loop = loop;
    deployment->log = log;
    deployment->task = *task;
    deployment->done = done;
    deployment->arg = arg;
    deployment->signs_before = task->signs(arg);
    uv_timer_init(loop, &deployment->timer);
    deployment->timer.data = deployment;
    uv_timer_start(&deployment->timer, on_begin, 0, 0);
    return deployment;
}

void hms_deployment_cancel(struct hms_deployment *deployment)
{
    if (deployment->state == DEPLOY_ENDING)
        return;
    deployment->error = HMS_ECANCELED;
    snprintf(deployment->text, sizeof(deployment->text), "%s", hms_strerror(HMS_ECANCELED));
    end(deployment);
}

enum hms_deploy_step hms_deployment_step(const struct hms_deployment *deployment)
{
    return deployment->step;
}
