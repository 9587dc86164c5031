/* What Docker's JSON says, as plain structs. Pure: no I/O, no state. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/docker.h"
#include "core/error.h"
#include "core/json.h"

/* The API versions that this code was written against. 1.44 is the oldest that Engine 29 takes. */
#define API_MAJOR        1
#define API_NEWEST_MINOR 44
#define API_OLDEST_MINOR 24

#define EXIT_CODE_UNKNOWN (-1)

static const char *const state_names[] = {
    [HMS_DOCKER_CREATED] = "created",   [HMS_DOCKER_RUNNING] = "running",
    [HMS_DOCKER_PAUSED] = "paused",     [HMS_DOCKER_RESTARTING] = "restarting",
    [HMS_DOCKER_REMOVING] = "removing", [HMS_DOCKER_EXITED] = "exited",
    [HMS_DOCKER_DEAD] = "dead",
};

static const struct {
    const char *name;
    enum hms_docker_action action;
} container_actions[] = {
    {"create", HMS_DOCKER_ON_CREATE},   {"start", HMS_DOCKER_ON_START},
    {"restart", HMS_DOCKER_ON_RESTART}, {"kill", HMS_DOCKER_ON_KILL},
    {"die", HMS_DOCKER_ON_DIE},         {"stop", HMS_DOCKER_ON_STOP},
    {"oom", HMS_DOCKER_ON_OOM},         {"pause", HMS_DOCKER_ON_PAUSE},
    {"unpause", HMS_DOCKER_ON_UNPAUSE}, {"rename", HMS_DOCKER_ON_RENAME},
    {"update", HMS_DOCKER_ON_UPDATE},   {"destroy", HMS_DOCKER_ON_DESTROY},
};

static const char *const network_actions[] = {"connect", "disconnect", "create", "destroy",
                                              "remove"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *hms_docker_state_name(enum hms_docker_state state)
{
    return state_names[state];
}

int hms_docker_state_parse(const char *name)
{
    size_t i;

    for (i = 0; i < COUNT(state_names); i++)
        if (strcmp(state_names[i], name) == 0)
            return (int)i;
    return -1;
}

/* --- pieces --------------------------------------------------------------------------------- */

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* Copies an id of any form: that of a network, which may be missing, or a swarm's. */
static int read_loose_id(const char *text, char id[HMS_DOCKER_ID_SIZE])
{
    size_t length = strlen(text_or_empty(text));

    if (length >= HMS_DOCKER_ID_SIZE)
        return HMS_EPROTO;
    memcpy(id, text_or_empty(text), length + 1);
    return HMS_OK;
}

/* Copies a container's id. */
static int read_id(const char *text, char id[HMS_DOCKER_ID_SIZE])
{
    if (text == NULL || *text == '\0' || text[strspn(text, "0123456789abcdefABCDEF")] != '\0')
        return HMS_EPROTO;
    return read_loose_id(text, id);
}

static int read_state(const char *name, enum hms_docker_state *state)
{
    int known;

    if (name == NULL)
        return HMS_EPROTO;
    /* A word of a newer engine must not hide all the others: it is taken for a state to let be. */
    known = hms_docker_state_parse(name);
    *state = known < 0 ? HMS_DOCKER_DEAD : (enum hms_docker_state)known;
    return HMS_OK;
}

static int to_int(int64_t value)
{
    return value < INT_MIN ? INT_MIN : value > INT_MAX ? INT_MAX : (int)value;
}

/* A time, 0 if it is missing or none. */
static int64_t read_time_ns(const json_t *object, const char *key)
{
    const char *text = hms_json_string(object, key);
    int64_t wall_ns = 0;

    if (text != NULL && hms_clock_parse(text, &wall_ns) != HMS_OK)
        return 0;
    return wall_ns;
}

/* The decimal number that an event carries as text; `otherwise` if there is none. */
static int read_number_text(const json_t *attributes, const char *key, int otherwise)
{
    const char *text = hms_json_string(attributes, key);
    char *end;
    long value;

    if (text == NULL || *text == '\0')
        return otherwise;
    value = strtol(text, &end, 10);
    return *end == '\0' ? to_int(value) : otherwise;
}

static char *copy_unless_empty(const char *text)
{
    return text != NULL && *text != '\0' ? hms_strdup(text) : NULL;
}

/* --- inspect -------------------------------------------------------------------------------- */

static int read_labels(const json_t *labels, struct hms_docker_container *container)
{
    const char *key;
    json_t *value;

    if (labels == NULL || json_is_null(labels)) {
        container->labels = json_object();
        return HMS_OK;
    }
    if (!json_is_object(labels))
        return HMS_EPROTO;
    json_object_foreach((json_t *)labels, key, value)
    {
        if (!json_is_string(value))
            return HMS_EPROTO;
    }
    container->labels = json_incref((json_t *)labels);
    return HMS_OK;
}

static int read_endpoints(const json_t *networks, struct hms_docker_container *container)
{
    const char *name;
    json_t *value;

    if (networks == NULL || json_is_null(networks))
        return HMS_OK;
    if (!json_is_object(networks))
        return HMS_EPROTO;
    container->endpoints = hms_calloc(json_object_size(networks), sizeof(*container->endpoints));
    json_object_foreach((json_t *)networks, name, value)
    {
        struct hms_docker_endpoint *endpoint = &container->endpoints[container->endpoint_count];

        if (json_is_null(value)) /* to be joined: there is no address yet */
            continue;
        if (!json_is_object(value) ||
            read_loose_id(hms_json_string(value, "NetworkID"), endpoint->network_id) != HMS_OK)
            return HMS_EPROTO;
        endpoint->network = hms_strdup(name);
        endpoint->ipv4 = copy_unless_empty(hms_json_string(value, "IPAddress"));
        endpoint->ipv6 = copy_unless_empty(hms_json_string(value, "GlobalIPv6Address"));
        container->endpoint_count++;
    }
    return HMS_OK;
}

static void read_texts(const json_t *body, struct hms_docker_container *container)
{
    const char *name = text_or_empty(hms_json_string(body, "Name"));
    const json_t *host = json_object_get(body, "HostConfig");
    const json_t *policy = json_object_get(host, "RestartPolicy");
    const char *policy_name = hms_json_string(policy, "Name");

    container->name = hms_strdup(*name == '/' ? name + 1 : name);
    container->image =
        hms_strdup(text_or_empty(hms_json_string(json_object_get(body, "Config"), "Image")));
    container->network_mode = hms_strdup(text_or_empty(hms_json_string(host, "NetworkMode")));
    container->restart_policy =
        hms_strdup(policy_name != NULL && *policy_name != '\0' ? policy_name : "no");
    container->restart_max_retries = to_int(hms_json_int(policy, "MaximumRetryCount", 0));
    container->auto_remove = hms_json_bool(host, "AutoRemove", 0);
    container->interactive = hms_json_bool(json_object_get(body, "Config"), "AttachStdin", 0);
    container->stop_timeout_s =
        to_int(hms_json_int(json_object_get(body, "Config"), "StopTimeout", -1));
}

static void read_run(const json_t *state, struct hms_docker_container *container)
{
    container->exit_code = to_int(hms_json_int(state, "ExitCode", 0));
    container->oom_killed = hms_json_bool(state, "OOMKilled", 0);
    container->pid = to_int(hms_json_int(state, "Pid", 0));
    container->started_ns = read_time_ns(state, "StartedAt");
    container->finished_ns = read_time_ns(state, "FinishedAt");
}

int hms_docker_read_container(const json_t *body, struct hms_docker_container *container)
{
    const json_t *state = json_object_get(body, "State");

    memset(container, 0, sizeof(*container));
    if (read_id(hms_json_string(body, "Id"), container->id) != HMS_OK ||
        read_state(hms_json_string(state, "Status"), &container->state) != HMS_OK ||
        read_labels(hms_json_path(body, "Config", "Labels", NULL), container) != HMS_OK ||
        read_endpoints(hms_json_path(body, "NetworkSettings", "Networks", NULL), container) !=
            HMS_OK) {
        hms_docker_container_clear(container);
        return HMS_EPROTO;
    }
    container->created_ns = read_time_ns(body, "Created");
    read_texts(body, container);
    read_run(state, container);
    return HMS_OK;
}

void hms_docker_container_clear(struct hms_docker_container *container)
{
    size_t i;

    for (i = 0; i < container->endpoint_count; i++) {
        free(container->endpoints[i].network);
        free(container->endpoints[i].ipv4);
        free(container->endpoints[i].ipv6);
    }
    free(container->endpoints);
    free(container->name);
    free(container->image);
    free(container->network_mode);
    free(container->restart_policy);
    json_decref(container->labels);
    memset(container, 0, sizeof(*container));
}

/* --- lists ---------------------------------------------------------------------------------- */

int hms_docker_read_list(const json_t *body, struct hms_docker_row **rows, size_t *count)
{
    size_t i, size = json_array_size(body);
    struct hms_docker_row *read;

    if (!json_is_array(body))
        return HMS_EPROTO;
    read = hms_calloc(size, sizeof(*read));
    for (i = 0; i < size; i++) {
        const json_t *row = json_array_get(body, i);

        if (read_id(hms_json_string(row, "Id"), read[i].id) != HMS_OK ||
            read_state(hms_json_string(row, "State"), &read[i].state) != HMS_OK) {
            free(read);
            return HMS_EPROTO;
        }
    }
    *rows = read;
    *count = size;
    return HMS_OK;
}

int hms_docker_read_networks(const json_t *body, struct hms_docker_network **networks,
                             size_t *count)
{
    size_t i, size = json_array_size(body);
    struct hms_docker_network *read;

    if (!json_is_array(body))
        return HMS_EPROTO;
    read = hms_calloc(size, sizeof(*read));
    for (i = 0; i < size; i++) {
        const json_t *row = json_array_get(body, i);
        const char *name = hms_json_string(row, "Name");

        if (name == NULL || read_loose_id(hms_json_string(row, "Id"), read[i].id) != HMS_OK) {
            hms_docker_networks_free(read, i);
            return HMS_EPROTO;
        }
        read[i].name = hms_strdup(name);
        read[i].driver = hms_strdup(text_or_empty(hms_json_string(row, "Driver")));
    }
    *networks = read;
    *count = size;
    return HMS_OK;
}

void hms_docker_networks_free(struct hms_docker_network *networks, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        free(networks[i].name);
        free(networks[i].driver);
    }
    free(networks);
}

/* --- events --------------------------------------------------------------------------------- */

static int find_container_action(const char *name, enum hms_docker_action *action)
{
    size_t i;

    for (i = 0; i < COUNT(container_actions); i++) {
        if (strcmp(container_actions[i].name, name) == 0) {
            *action = container_actions[i].action;
            return HMS_OK;
        }
    }
    return HMS_ENOENT;
}

static int find_network_action(const char *name, enum hms_docker_action *action)
{
    size_t i;

    *action = HMS_DOCKER_ON_NETWORK;
    for (i = 0; i < COUNT(network_actions); i++)
        if (strcmp(network_actions[i], name) == 0)
            return HMS_OK;
    return HMS_ENOENT;
}

static int read_event_time(const json_t *body, int64_t *time_ns)
{
    int64_t seconds = hms_json_int(body, "time", 0);

    *time_ns = hms_json_int(body, "timeNano", 0);
    if (*time_ns <= 0 && seconds > 0 && seconds < INT64_MAX / INT64_C(1000000000))
        *time_ns = seconds * INT64_C(1000000000);
    return *time_ns > 0 ? HMS_OK : HMS_EPROTO;
}

static int read_container_event(const json_t *body, const json_t *attributes,
                                struct hms_docker_event *event)
{
    const char *id = hms_json_string(json_object_get(body, "Actor"), "ID");
    const char *image = hms_json_string(attributes, "image");

    /* `id` and `from` stood there before Actor did and went with API 1.52. */
    if (read_id(id != NULL ? id : hms_json_string(body, "id"), event->id) != HMS_OK)
        return HMS_EPROTO;
    event->name = text_or_empty(hms_json_string(attributes, "name"));
    event->image = text_or_empty(image != NULL ? image : hms_json_string(body, "from"));
    if (event->action == HMS_DOCKER_ON_DIE)
        event->exit_code = read_number_text(attributes, "exitCode", EXIT_CODE_UNKNOWN);
    if (event->action == HMS_DOCKER_ON_KILL)
        event->signal = read_number_text(attributes, "signal", 0);
    return HMS_OK;
}

int hms_docker_read_event(const json_t *body, struct hms_docker_event *event)
{
    const char *type = hms_json_string(body, "Type");
    const char *action = hms_json_string(body, "Action");
    const json_t *attributes = hms_json_path(body, "Actor", "Attributes", NULL);
    int is_container;

    memset(event, 0, sizeof(*event));
    event->name = event->image = "";
    event->exit_code = EXIT_CODE_UNKNOWN;
    if (action == NULL)
        action = hms_json_string(body, "status");
    if (type == NULL || action == NULL)
        return HMS_EPROTO;
    is_container = strcmp(type, "container") == 0;
    if (!is_container && strcmp(type, "network") != 0)
        return HMS_ENOENT;
    if ((is_container ? find_container_action(action, &event->action)
                      : find_network_action(action, &event->action)) != HMS_OK)
        return HMS_ENOENT;
    if (!json_is_object(attributes) || read_event_time(body, &event->time_ns) != HMS_OK)
        return HMS_EPROTO;
    event->attributes = attributes;
    if (is_container)
        return read_container_event(body, attributes, event);
    if (hms_json_string(attributes, "container") == NULL) /* the network came or went */
        return HMS_OK;
    return read_id(hms_json_string(attributes, "container"), event->id);
}

/* --- version -------------------------------------------------------------------------------- */

/* The minor number of an API version 1.N, or -1. */
static int api_minor(const char *text)
{
    int major, minor, used = 0;

    if (text == NULL || sscanf(text, "%3d.%3d%n", &major, &minor, &used) != 2 ||
        text[used] != '\0' || major != API_MAJOR || minor < 0)
        return -1;
    return minor;
}

int hms_docker_read_version(const json_t *body, char api[HMS_DOCKER_API_SIZE], char *error,
                            size_t error_size)
{
    const char *oldest_text = hms_json_string(body, "MinAPIVersion");
    int newest = api_minor(hms_json_string(body, "ApiVersion"));
    int oldest = oldest_text != NULL && *oldest_text != '\0' ? api_minor(oldest_text) : 0;

    if (newest < 0 || oldest < 0) {
        snprintf(error, error_size, "no API version that a Docker Engine would tell");
        return HMS_EPROTO;
    }
    if (newest < API_OLDEST_MINOR || oldest > API_NEWEST_MINOR) {
        snprintf(error, error_size,
                 "the engine speaks API %d.%d to %d.%d and hms %d.%d to %d.%d: too %s an engine",
                 API_MAJOR, oldest, API_MAJOR, newest, API_MAJOR, API_OLDEST_MINOR, API_MAJOR,
                 API_NEWEST_MINOR, newest < API_OLDEST_MINOR ? "old" : "new");
        return HMS_EREMOTE;
    }
    snprintf(api, HMS_DOCKER_API_SIZE, "%d.%d", API_MAJOR,
             newest < API_NEWEST_MINOR ? newest : API_NEWEST_MINOR);
    return HMS_OK;
}
