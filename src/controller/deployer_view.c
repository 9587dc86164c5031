/* What is told of the roster's hosts and of those that are not on it. */
#include "controller/deployer_private.h"
#include "controller/registry.h"
#include "core/bus.h"
#include "core/clock.h"

json_t *hms_deployer_error(const struct hms_post *post)
{
    json_t *body = hms_bus_error(hms_verdict_type(post->failure), "%s", post->failed_text);

    json_object_set_new(body, "address", json_string(post->host->address));
    json_object_set_new(body, "step", json_string(hms_deploy_step_name(post->failed_step)));
    return body;
}

static const char *task_of(const struct hms_post *post)
{
    static const char *const names[] = {
        [HMS_DEPLOY_BRING] = "bring",
        [HMS_DEPLOY_REVIVE] = "restart",
        [HMS_DEPLOY_RENEW] = "replace",
        [HMS_DEPLOY_REMOVE] = "remove",
    };

    return names[post->goal];
}

static json_t *contact_of(const struct hms_host *known)
{
    return known == NULL
               ? json_object()
               : json_pack("{s:s, s:s}", "manager_status", hms_sync_status_name(known->sync.status),
                           "host_state", hms_host_state_name(known->state));
}

static void add_error(json_t *object, const struct hms_post *post)
{
    char when[HMS_CLOCK_TEXT_SIZE];
    json_t *error = json_null();

    if (post->failure != HMS_VERDICT_OK) {
        error = hms_deployer_error(post);
        json_object_del(error, "command");
        json_object_del(error, "address");
        json_object_set_new(error, "time", json_string(hms_clock_format(post->failed_ns, when)));
    }
    json_object_set_new(object, "error", error);
}

static json_t *member_view(const struct hms_deployer *deployer, const struct hms_roster_host *host)
{
    const struct hms_post *post = host->post;
    json_t *object = contact_of(hms_registry_find(deployer->registry, host->address));
    json_t *task = json_null();

    if (post->state != POST_IDLE)
        task = json_pack("{s:s, s:s}", "goal", task_of(post), "step",
                         post->state == POST_WAITING
                             ? "waiting"
                             : hms_deploy_step_name(hms_deployment_step(post->deployment)));
    json_object_set_new(object, "address", json_string(host->address));
    json_object_set_new(object, "membership", json_string(hms_membership_name(host->membership)));
    json_object_set_new(object, "docker", json_string(hms_reach_docker(&host->reach)));
    json_object_set_new(object, "credentials", json_string(hms_reach_credentials(&host->reach)));
    json_object_set_new(object, "antagonist", json_boolean(host->wants_antagonist));
    json_object_set_new(object, "task", task);
    json_object_set_new(object, "revivals", json_integer((json_int_t)post->revivals));
    add_error(object, post);
    return object;
}

/* One that announced itself. */
static json_t *stranger_view(const struct hms_host *known)
{
    json_t *object = contact_of(known);

    json_object_set_new(object, "address", json_string(known->address));
    json_object_set_new(object, "membership", json_string("stranger"));
    return object;
}

static json_t *view_of(const struct hms_deployer *deployer, const struct hms_host *known)
{
    const struct hms_roster_host *host = hms_roster_find(deployer->roster, known->address);

    return host != NULL ? member_view(deployer, host) : stranger_view(known);
}

json_t *hms_deployer_view(const struct hms_deployer *deployer, const char *address)
{
    const struct hms_host *known;
    json_t *list;
    size_t i;

    if (address != NULL) {
        known = hms_registry_find(deployer->registry, address);
        return known != NULL ? view_of(deployer, known) : NULL;
    }
    list = json_array();
    for (i = 0; i < hms_registry_count(deployer->registry); i++)
        json_array_append_new(list, view_of(deployer, hms_registry_at(deployer->registry, i)));
    return list;
}
