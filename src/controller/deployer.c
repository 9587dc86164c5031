/* The posts of the roster's hosts: whose turn it is, what becomes of each deployment. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/deployer_private.h"
#include "controller/gather.h"
#include "controller/registry.h"
#include "core/alloc.h"
#include "core/bus.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"

#define TICK_MS 500

static void pump(struct hms_deployer *deployer);

/* ---- hosts ---- */

static void post_new(struct hms_deployer *deployer, struct hms_roster_host *host)
{
    host->post = hms_calloc(1, sizeof(*host->post));
    host->post->deployer = deployer;
    host->post->host = host;
}

static void post_free(struct hms_post *post)
{
    assert(post->state == POST_IDLE && post->reply == NULL);
    post->host->post = NULL;
    hms_reach_clear(&post->wanted);
    free(post->failed_text);
    free(post);
}

struct hms_post *hms_deployer_enlist(struct hms_deployer *deployer, const char *address)
{
    struct hms_roster_host *host;
    struct hms_host *known;

    if (hms_registry_enter(deployer->registry, address, &known) != HMS_OK)
        return NULL;
    host = hms_roster_add(deployer->roster, address);
    if (host != NULL)
        post_new(deployer, host);
    return host != NULL ? host->post : NULL;
}

static void withdraw(struct hms_post *post)
{
    if (post->state != POST_WAITING)
        return;
    TAILQ_REMOVE(&post->deployer->waiting, post, link);
    post->state = POST_IDLE;
}

void hms_deployer_forget(struct hms_post *post)
{
    struct hms_deployer *deployer = post->deployer;
    struct hms_roster_host *host = post->host;
    struct hms_host *known = hms_registry_find(deployer->registry, host->address);

    hms_log(deployer->log, HMS_LOG_INFO, DEPLOYER_MODULE, "host %s is given up", host->address);
    withdraw(post);
    if (known != NULL)
        hms_gather_forget(deployer->gather, known);
    post_free(post);
    hms_roster_remove(deployer->roster, host);
}

/* ---- replies ---- */

struct deployer_reply *hms_deployer_reply_new(struct hms_deployer *deployer,
                                              hms_deployer_done_fn done, void *arg)
{
    struct deployer_reply *reply = hms_calloc(1, sizeof(*reply));

    reply->deployer = deployer;
    reply->done = done;
    reply->arg = arg;
    return reply;
}

static void reply_free(struct deployer_reply *reply)
{
    json_decref(reply->body);
    free(reply);
}

static void on_saved(void *arg)
{
    struct deployer_reply *reply = arg;

    if (reply->done != NULL) {
        TAILQ_REMOVE(&reply->deployer->saving, reply, link);
        reply->done(reply->arg, reply->verdict, reply->body);
    }
    reply_free(reply);
}

void hms_deployer_answer(struct deployer_reply *reply, enum hms_verdict verdict, json_t *body)
{
    reply->verdict = verdict;
    reply->body = body;
    TAILQ_INSERT_TAIL(&reply->deployer->saving, reply, link);
    hms_roster_save(reply->deployer->roster, on_saved, reply);
}

/* ---- the end of a deployment ---- */

/* What failed on our side of the wire is told as what it is. */
static enum hms_verdict verdict_of(int error)
{
    switch (error) {
    case HMS_ECONNECT:
    case HMS_ETIMEDOUT:
        return HMS_VERDICT_SILENT;
    case HMS_EBUSY:
        return HMS_VERDICT_CONFLICT;
    case HMS_EINVAL:
        return HMS_VERDICT_INVALID;
    default:
        return HMS_VERDICT_BROKEN;
    }
}

static void note_failure(struct hms_post *post, const struct hms_deployment_outcome *outcome)
{
    post->failure = verdict_of(outcome->error);
    post->failed_step = outcome->step;
    free(post->failed_text);
    post->failed_text = hms_strdup(outcome->text);
    post->failed_ns = hms_clock_wall_ns();
    hms_log_fields(post->deployer->log, HMS_LOG_WARN, DEPLOYER_MODULE,
                   json_pack("{s:s, s:s}", "address", post->host->address, "step",
                             hms_deploy_step_name(outcome->step)),
                   "host %s: %s: %s", post->host->address, hms_deploy_step_name(outcome->step),
                   outcome->text);
}

/* The way that was tried becomes the host's. */
static void take_wanted(struct hms_post *post)
{
    if (post->wanted.docker == NULL)
        return;
    hms_reach_move(&post->host->reach, &post->wanted);
    post->host->wants_antagonist = post->wants_antagonist;
}

static void succeed(struct hms_post *post)
{
    struct deployer_reply *reply = post->reply;
    const char *address = post->host->address;
    int is_first = post->host->membership == HMS_JOINING;
    json_t *body = hms_bus_ok(post->goal == HMS_DEPLOY_REMOVE ? "removed" : "its manager runs");

    json_object_set_new(body, "address", json_string(address));
    hms_log(post->deployer->log, HMS_LOG_INFO, DEPLOYER_MODULE, "host %s: %s", address,
            post->goal == HMS_DEPLOY_REMOVE ? "its manager was removed" : "its manager runs");
    post->reply = NULL;
    post->may_replace = 0;
    post->failure = HMS_VERDICT_OK;
    post->is_new = 0;
    if (post->goal == HMS_DEPLOY_REMOVE) {
        hms_deployer_forget(post);
    } else {
        post->host->membership = HMS_JOINED;
        take_wanted(post);
    }
    if (reply != NULL)
        hms_deployer_answer(reply, is_first ? HMS_VERDICT_CREATED : HMS_VERDICT_OK, body);
    else
        json_decref(body);
}

static void fail(struct hms_post *post, const struct hms_deployment_outcome *outcome)
{
    struct deployer_reply *reply = post->reply;
    struct hms_deployer *deployer = post->deployer;
    json_t *body;

    note_failure(post, outcome);
    body = hms_deployer_error(post);
    post->reply = NULL;
    if (post->is_new && !outcome->is_unclean) {
        hms_deployer_forget(post);
    } else if (post->is_new) {
        post->is_new = 0; /* nor forgotten if it cannot be left at once */
        post->host->membership = HMS_LEAVING;
    } else if (reply != NULL) {
        post->may_replace = 0;
        post->host->membership = post->before;
        /* What is left there lies on this way. */
        if (outcome->is_unclean && post->before != HMS_JOINED)
            take_wanted(post);
        hms_reach_clear(&post->wanted);
    }
    if (reply != NULL) {
        hms_deployer_answer(reply, verdict_of(outcome->error), body);
        return;
    }
    json_decref(body);
    hms_roster_save(deployer->roster, NULL, NULL);
}

static void close_when_idle(struct hms_deployer *deployer);

static void on_deployed(void *arg, const struct hms_deployment_outcome *outcome)
{
    struct hms_post *post = arg;
    struct hms_deployer *deployer = post->deployer;

    post->state = POST_IDLE;
    post->deployment = NULL;
    deployer->running--;
    if (deployer->closing) {
        close_when_idle(deployer);
        return;
    }
    if (post->has_next) {
        post->has_next = 0;
        hms_deployer_deploy(post, post->next_goal, post->next_reply);
    } else if (outcome->error == HMS_OK) {
        succeed(post);
    } else {
        fail(post, outcome);
    }
    pump(deployer);
}

/* ---- whose turn it is ---- */

static uint64_t signs_of(void *arg)
{
    const struct hms_post *post = arg;
    const struct hms_host *known = hms_registry_find(post->deployer->registry, post->host->address);

    return known != NULL ? known->notifications : 0;
}

static void run(struct hms_post *post)
{
    struct hms_deployer *deployer = post->deployer;
    struct hms_deployment_task task = {
        .goal = post->goal,
        .address = post->host->address,
        .reach = post->wanted.docker != NULL ? &post->wanted : &post->host->reach,
        .settings = &deployer->options.managers,
        .image_path = deployer->options.image_path,
        .life_timeout_ms = deployer->options.life_timeout_ms,
        .is_joined = post->host->membership == HMS_JOINED,
        .may_replace = post->may_replace,
        .signs = signs_of,
    };

    post->state = POST_RUNNING;
    deployer->running++;
    post->deployment =
        hms_deployment_begin(deployer->loop, deployer->log, &task, on_deployed, post);
}

/* Hosts that are out of reach take half a minute each: no operator has to wait for them. */
static void pump(struct hms_deployer *deployer)
{
    struct hms_post *post;

    while ((post = TAILQ_FIRST(&deployer->waiting)) != NULL &&
           deployer->running <
               (post->reply ? HMS_DEPLOYER_CONCURRENT_MAX : HMS_DEPLOYER_CONCURRENT)) {
        TAILQ_REMOVE(&deployer->waiting, post, link);
        run(post);
    }
}

/* Behind those that somebody waits for, if nobody waits for this one. */
static void enqueue(struct hms_post *post)
{
    struct hms_posts *waiting = &post->deployer->waiting;
    struct hms_post *next = NULL;

    if (post->reply != NULL) {
        TAILQ_FOREACH(next, waiting, link)
        if (next->reply == NULL)
            break;
    }
    if (next != NULL)
        TAILQ_INSERT_BEFORE(next, post, link);
    else
        TAILQ_INSERT_TAIL(waiting, post, link);
    post->state = POST_WAITING;
}

int hms_deployer_is_busy(const struct hms_post *post)
{
    return post->reply != NULL || post->has_next;
}

void hms_deployer_deploy(struct hms_post *post, enum hms_deploy_goal goal,
                         struct deployer_reply *reply)
{
    assert(!hms_deployer_is_busy(post));
    if (post->state == POST_RUNNING) {
        post->has_next = 1;
        post->next_goal = goal;
        post->next_reply = reply;
        hms_deployment_cancel(post->deployment);
        return;
    }
    withdraw(post);
    post->goal = goal;
    post->reply = reply;
    enqueue(post);
    pump(post->deployer);
}

/* ---- what we do by ourselves ---- */

/* Restarting comes first; if that did not help, a new container does away with what may be wrong
 * with the old one, such as the password of a broker that has another now. */
static enum hms_deploy_goal goal_of(const struct hms_post *post)
{
    switch (post->host->membership) {
    case HMS_JOINING:
        return HMS_DEPLOY_BRING;
    case HMS_LEAVING:
        return HMS_DEPLOY_REMOVE;
    case HMS_JOINED:
        break;
    }
    return post->keeper.attempts % 2 == 0 ? HMS_DEPLOY_REVIVE : HMS_DEPLOY_RENEW;
}

static int is_well(const struct hms_post *post)
{
    const struct hms_host *known = hms_registry_find(post->deployer->registry, post->host->address);

    return post->host->membership == HMS_JOINED && known != NULL &&
           known->state != HMS_HOST_OFFLINE;
}

static void keep(struct hms_post *post, int64_t now_ms, int is_bus_up)
{
    int is_joined = post->host->membership == HMS_JOINED;
    enum hms_deploy_goal goal;

    if (post->state != POST_IDLE || post->host->reach.docker == NULL)
        return;
    if (post->host->reach.is_needy || (is_joined && !is_bus_up)) {
        hms_keeper_pause(&post->keeper);
        return;
    }
    if (!hms_keeper_is_due(&post->keeper, now_ms, is_well(post),
                           is_joined ? post->deployer->options.silence_ms : 0))
        return;
    goal = goal_of(post);
    hms_keeper_attempt(&post->keeper);
    if (is_joined) {
        post->revivals++;
        hms_log(post->deployer->log, HMS_LOG_WARN, DEPLOYER_MODULE,
                "host %s: its manager is silent and will be %s", post->host->address,
                goal == HMS_DEPLOY_REVIVE ? "restarted" : "replaced");
    }
    hms_deployer_deploy(post, goal, NULL);
}

static void on_tick(uv_timer_t *timer)
{
    struct hms_deployer *deployer = timer->data;
    int is_bus_up = hms_bus_contact(deployer->bus) != HMS_BUS_DOWN;
    struct hms_roster_host *host;

    if (!deployer->is_active)
        return;
    for (host = hms_roster_first(deployer->roster); host != NULL; host = host->hh.next)
        keep(host->post, (int64_t)uv_now(deployer->loop), is_bus_up);
}

void hms_deployer_set_active(struct hms_deployer *deployer, int is_active)
{
    struct hms_roster_host *host;

    deployer->is_active = is_active;
    for (host = hms_roster_first(deployer->roster); host != NULL; host = host->hh.next)
        hms_keeper_pause(&host->post->keeper);
}

/* ---- another controller's roster ---- */

static void drop_missing(struct hms_deployer *deployer, const json_t *hosts)
{
    struct hms_roster_host *host, *next;

    for (host = hms_roster_first(deployer->roster); host != NULL; host = next) {
        next = host->hh.next;
        if (json_object_get(hosts, host->address) == NULL && host->post->state == POST_IDLE)
            hms_deployer_forget(host->post);
    }
}

static void learn(struct hms_deployer *deployer, const char *address, const json_t *object)
{
    struct hms_roster_host *host = hms_roster_find(deployer->roster, address);
    int is_new = host == NULL;
    char error[HMS_JSON_ERROR_SIZE] = "too many hosts, or no address";
    struct hms_post *post = is_new ? hms_deployer_enlist(deployer, address) : host->post;

    if (post != NULL && (post->state != POST_IDLE ||
                         hms_roster_learn(post->host, object, error, sizeof(error)) == HMS_OK))
        return;
    hms_log(deployer->log, HMS_LOG_WARN, DEPLOYER_MODULE, "host %s of the roster: %s", address,
            error);
    if (post != NULL && is_new)
        hms_deployer_forget(post);
}

void hms_deployer_follow(struct hms_deployer *deployer, const json_t *hosts)
{
    const char *address;
    json_t *object;

    drop_missing(deployer, hosts);
    json_object_foreach((json_t *)hosts, address, object) learn(deployer, address, object);
    hms_roster_save(deployer->roster, NULL, NULL);
}

/* ---- life ---- */

struct hms_deployer *hms_deployer_new(uv_loop_t *loop, struct hms_log *log, struct hms_bus *bus,
                                      struct hms_registry *registry, struct hms_gather *gather,
                                      struct hms_roster *roster,
                                      const struct hms_deployer_options *options)
{
    struct hms_deployer *deployer = hms_calloc(1, sizeof(*deployer));
    struct hms_roster_host *host;
    struct hms_host *known;

    deployer->loop = loop;
    deployer->log = log;
    deployer->bus = bus;
    deployer->registry = registry;
    deployer->gather = gather;
    deployer->roster = roster;
    deployer->options = *options;
    TAILQ_INIT(&deployer->waiting);
    TAILQ_INIT(&deployer->saving);
    for (host = hms_roster_first(roster); host != NULL; host = host->hh.next) {
        hms_registry_enter(registry, host->address, &known);
        post_new(deployer, host);
    }
    return deployer;
}

void hms_deployer_free(struct hms_deployer *deployer)
{
    struct hms_roster_host *host;

    for (host = hms_roster_first(deployer->roster); host != NULL; host = host->hh.next)
        post_free(host->post);
    free(deployer);
}

void hms_deployer_start(struct hms_deployer *deployer)
{
    uv_timer_init(deployer->loop, &deployer->timer);
    deployer->timer.data = deployer;
    uv_timer_start(&deployer->timer, on_tick, TICK_MS, TICK_MS);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct hms_deployer *deployer = handle->data;
    void (*closed_fn)(void *) = deployer->closed_fn;
    void *closed_arg = deployer->closed_arg;

    hms_deployer_free(deployer);
    closed_fn(closed_arg);
}

static void close_when_idle(struct hms_deployer *deployer)
{
    if (deployer->running == 0)
        uv_close((uv_handle_t *)&deployer->timer, on_timer_closed);
}

static void tell_stopping(struct deployer_reply *reply)
{
    json_t *body;

    if (reply == NULL)
        return;
    body = hms_bus_error(hms_verdict_type(HMS_VERDICT_STOPPING), "the controller is stopping");
    reply->done(reply->arg, HMS_VERDICT_STOPPING, body);
    reply->done = NULL;
    json_decref(body);
}

static void stop_post(struct hms_post *post)
{
    struct deployer_reply *replies[] = {post->reply, post->has_next ? post->next_reply : NULL};
    size_t i;

    for (i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        if (replies[i] == NULL)
            continue;
        tell_stopping(replies[i]);
        reply_free(replies[i]);
    }
    post->reply = NULL;
    post->has_next = 0;
    if (post->state == POST_RUNNING)
        hms_deployment_cancel(post->deployment);
    else
        post->state = POST_IDLE;
}

void hms_deployer_close(struct hms_deployer *deployer, void (*closed)(void *arg), void *arg)
{
    struct deployer_reply *reply;
    struct hms_roster_host *host;

    deployer->closing = 1;
    deployer->closed_fn = closed;
    deployer->closed_arg = arg;
    uv_timer_stop(&deployer->timer);
    while ((reply = TAILQ_FIRST(&deployer->saving)) != NULL) {
        TAILQ_REMOVE(&deployer->saving, reply, link);
        tell_stopping(reply); /* freed once the disk has answered */
    }
    TAILQ_INIT(&deployer->waiting);
    for (host = hms_roster_first(deployer->roster); host != NULL; host = host->hh.next)
        stop_post(host->post);
    close_when_idle(deployer);
}
