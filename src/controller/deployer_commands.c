/* add_host and remove_host: what is asked for, whether it can be done now. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "controller/deployer_private.h"
#include "controller/gather.h"
#include "controller/registry.h"
#include "core/bus.h"
#include "core/error.h"
#include "core/json.h"

#define ERROR_SIZE 512

/* A command that has been read. */
struct order {
    const char *address;
    struct hms_roster_host *host; /* NULL: not on the roster */
    struct hms_reach reach;
    int wants_antagonist;
    int is_async;
    int is_forced;
    int may_replace;
};

static enum hms_verdict refuse(json_t **body, enum hms_verdict verdict, const char *why)
{
    *body = hms_bus_error(hms_verdict_type(verdict), "%s", why);
    return verdict;
}

/* ---- reading ---- */

/* A mistyped name must not pass for a setting that was not given. */
static enum hms_verdict check_names(const json_t *message, const char *const *allowed,
                                    json_t **body)
{
    const char *name;
    json_t *value;
    size_t i;

    json_object_foreach((json_t *)message, name, value)
    {
        for (i = 0; allowed[i] != NULL && strcmp(allowed[i], name) != 0; i++)
            ;
        if (allowed[i] == NULL) {
            *body = hms_bus_error(hms_verdict_type(HMS_VERDICT_INVALID), "there is no field \"%s\"",
                                  name);
            return HMS_VERDICT_INVALID;
        }
    }
    return HMS_VERDICT_OK;
}

static enum hms_verdict read_address(struct hms_deployer *deployer, const json_t *message,
                                     struct order *order, json_t **body)
{
    struct in_addr ignored;

    order->address = hms_json_string(message, "address");
    if (json_object_get(message, "address") == NULL)
        return refuse(body, HMS_VERDICT_MISSING, "address is missing");
    if (order->address == NULL || inet_pton(AF_INET, order->address, &ignored) != 1)
        return refuse(body, HMS_VERDICT_INVALID, "address must be an IPv4 address");
    order->host = hms_roster_find(deployer->roster, order->address);
    return HMS_VERDICT_OK;
}

static enum hms_verdict read_flag(const json_t *message, const char *name, int *flag, json_t **body)
{
    const json_t *value = json_object_get(message, name);

    *flag = json_is_true(value);
    if (value == NULL || json_is_boolean(value))
        return HMS_VERDICT_OK;
    *body = hms_bus_error(hms_verdict_type(HMS_VERDICT_INVALID), "%s must be true or false", name);
    return HMS_VERDICT_INVALID;
}

static enum hms_verdict read_reach(const json_t *message, struct order *order, json_t **body)
{
    char error[ERROR_SIZE];

    switch (hms_reach_read(&order->reach, message, order->address, error, sizeof(error))) {
    case HMS_OK:
        return HMS_VERDICT_OK;
    case HMS_ENOENT:
        return refuse(body, HMS_VERDICT_MISSING, error);
    default:
        return refuse(body, HMS_VERDICT_INVALID, error);
    }
}

static enum hms_verdict read_add(struct hms_deployer *deployer, const json_t *message,
                                 struct order *order, json_t **body)
{
    static const char *const allowed[] = {
        "command",  "sender", "address",    "docker", "tls",     "host_key", "key",
        "password", "socket", "antagonist", "async",  "replace", NULL,
    };
    enum hms_verdict verdict = check_names(message, allowed, body);

    if (verdict == HMS_VERDICT_OK)
        verdict = read_address(deployer, message, order, body);
    if (verdict == HMS_VERDICT_OK)
        verdict = read_flag(message, "antagonist", &order->wants_antagonist, body);
    if (verdict == HMS_VERDICT_OK)
        verdict = read_flag(message, "async", &order->is_async, body);
    if (verdict == HMS_VERDICT_OK)
        verdict = read_flag(message, "replace", &order->may_replace, body);
    if (verdict == HMS_VERDICT_OK)
        verdict = read_reach(message, order, body);
    return verdict;
}

/* ---- whether it can be done ---- */

static enum hms_verdict check_busy(const struct order *order, json_t **body)
{
    const struct hms_post *post = order->host ? order->host->post : NULL;

    if (post == NULL || !hms_deployer_is_busy(post))
        return HMS_VERDICT_OK;
    *body = hms_bus_error(hms_verdict_type(HMS_VERDICT_CONFLICT),
                          "host %s is being %s: one thing at a time", order->address,
                          post->goal == HMS_DEPLOY_REMOVE ? "removed" : "added");
    return HMS_VERDICT_CONFLICT;
}

static enum hms_verdict check_add(struct hms_deployer *deployer, const struct order *order,
                                  json_t **body)
{
    if (order->reach.docker != NULL && deployer->options.managers.broker == NULL)
        return refuse(body, HMS_VERDICT_CONFLICT,
                      "this controller has no broker that managers of other hosts could reach: run "
                      "hms controller with --broker");
    if (order->reach.docker == NULL && order->host != NULL && order->host->reach.docker != NULL)
        return refuse(body, HMS_VERDICT_CONFLICT,
                      "a manager was brought to this host: remove the host first");
    return check_busy(order, body);
}

/* ---- doing it ---- */

static json_t *done_body(const char *address, const char *description)
{
    json_t *body = hms_bus_ok(description);

    json_object_set_new(body, "address", json_string(address));
    return body;
}

static void register_only(struct hms_post *post, struct order *order, struct deployer_reply *reply)
{
    int is_first = post->host->membership == HMS_JOINING;

    post->host->membership = HMS_JOINED;
    post->host->wants_antagonist = order->wants_antagonist;
    hms_reach_move(&post->host->reach, &order->reach);
    hms_deployer_answer(reply, is_first ? HMS_VERDICT_CREATED : HMS_VERDICT_OK,
                        done_body(order->address, "registered"));
}

/* A host that is there already keeps its settings until the new ones have proved to be right, where
 * somebody waits for that. */
static void bring(struct hms_post *post, struct order *order, struct deployer_reply *reply)
{
    int is_trial = !post->is_new && !order->is_async;

    post->before = post->host->membership;
    post->may_replace = order->may_replace;
    post->wants_antagonist = order->wants_antagonist;
    if (!is_trial)
        post->host->wants_antagonist = order->wants_antagonist;
    hms_reach_move(is_trial ? &post->wanted : &post->host->reach, &order->reach);
    if (post->host->membership != HMS_JOINED)
        post->host->membership = HMS_JOINING;
    if (order->is_async) {
        hms_deployer_answer(reply, HMS_VERDICT_ACCEPTED,
                            done_body(order->address, "GET /hosts/ADDRESS tells how it goes on"));
        reply = NULL;
    } else {
        hms_roster_save(post->deployer->roster, NULL, NULL);
    }
    hms_deployer_deploy(post, HMS_DEPLOY_BRING, reply);
}

static enum hms_verdict add(struct hms_deployer *deployer, struct order *order,
                            hms_deployer_done_fn done, void *arg, json_t **body)
{
    struct hms_post *post = order->host ? order->host->post : NULL;
    int is_new = post == NULL;
    struct deployer_reply *reply;

    if (is_new)
        post = hms_deployer_enlist(deployer, order->address);
    if (post == NULL)
        return refuse(body, HMS_VERDICT_BUSY, "there are as many hosts as a controller takes");
    reply = hms_deployer_reply_new(deployer, done, arg);
    post->is_new = is_new && !order->is_async;
    if (order->reach.docker == NULL)
        register_only(post, order, reply);
    else
        bring(post, order, reply);
    return HMS_VERDICT_OK;
}

void hms_deployer_add(struct hms_deployer *deployer, const json_t *message,
                      hms_deployer_done_fn done, void *arg)
{
    struct order order = {0};
    json_t *body = NULL;
    enum hms_verdict verdict = read_add(deployer, message, &order, &body);

    if (verdict == HMS_VERDICT_OK)
        verdict = check_add(deployer, &order, &body);
    if (verdict == HMS_VERDICT_OK)
        verdict = add(deployer, &order, done, arg, &body);
    if (verdict != HMS_VERDICT_OK)
        done(arg, verdict, body);
    json_decref(body);
    hms_reach_clear(&order.reach);
}

/* ---- removing ---- */

static enum hms_verdict read_remove(struct hms_deployer *deployer, const json_t *message,
                                    struct order *order, json_t **body)
{
    static const char *const allowed[] = {"command", "sender", "address", "force", NULL};
    enum hms_verdict verdict = check_names(message, allowed, body);

    if (verdict == HMS_VERDICT_OK)
        verdict = read_address(deployer, message, order, body);
    if (verdict == HMS_VERDICT_OK)
        verdict = read_flag(message, "force", &order->is_forced, body);
    if (verdict == HMS_VERDICT_OK)
        verdict = check_busy(order, body);
    return verdict;
}

/* One that announced itself is forgotten, and comes back if it still speaks. */
static enum hms_verdict forget_stranger(struct hms_deployer *deployer, const char *address,
                                        json_t **body)
{
    struct hms_host *known = hms_registry_find(deployer->registry, address);

    if (known == NULL) {
        *body =
            hms_bus_error(hms_verdict_type(HMS_VERDICT_NO_HOST), "no host %s is known", address);
        return HMS_VERDICT_NO_HOST;
    }
    hms_gather_forget(deployer->gather, known);
    *body = done_body(address, "forgotten");
    return HMS_VERDICT_OK;
}

static void forget(struct hms_deployer *deployer, struct hms_post *post, const char *address,
                   hms_deployer_done_fn done, void *arg)
{
    struct deployer_reply *reply = hms_deployer_reply_new(deployer, done, arg);

    hms_deployer_forget(post);
    hms_deployer_answer(reply, HMS_VERDICT_OK, done_body(address, "removed from the roster"));
}

static enum hms_verdict remove_host(struct hms_deployer *deployer, const struct order *order,
                                    hms_deployer_done_fn done, void *arg, json_t **body)
{
    struct hms_post *post = order->host->post;

    if (order->is_forced && post->state == POST_RUNNING)
        return refuse(body, HMS_VERDICT_CONFLICT, "something is under way on this host: try again");
    if (order->is_forced || order->host->reach.docker == NULL) {
        forget(deployer, post, order->address, done, arg);
        return HMS_VERDICT_OK;
    }
    if (order->host->reach.is_needy)
        return refuse(
            body, HMS_VERDICT_CONFLICT,
            "the password for this host went with the controller's last run: add the host "
            "again with it, or remove it with force");
    post->before = order->host->membership;
    order->host->membership = HMS_LEAVING;
    post->may_replace = 0;
    hms_roster_save(deployer->roster, NULL, NULL);
    hms_deployer_deploy(post, HMS_DEPLOY_REMOVE, hms_deployer_reply_new(deployer, done, arg));
    return HMS_VERDICT_OK;
}

void hms_deployer_remove(struct hms_deployer *deployer, const json_t *message,
                         hms_deployer_done_fn done, void *arg)
{
    struct order order = {0};
    json_t *body = NULL;
    enum hms_verdict verdict = read_remove(deployer, message, &order, &body);

    if (verdict == HMS_VERDICT_OK && order.host == NULL)
        verdict = forget_stranger(deployer, order.address, &body);
    else if (verdict == HMS_VERDICT_OK)
        verdict = remove_host(deployer, &order, done, arg, &body);
    if (body != NULL)
        done(arg, verdict, body);
    json_decref(body);
}
