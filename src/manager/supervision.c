/* Whom to supervise. See supervision.h. */
#include "manager/supervision.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/json.h"

/* Containers of HMS itself carry this label, whatever its value. */
#define SYSTEM_LABEL "hms.system"

static const char *const orchestrator_labels[] = {
    "com.docker.swarm.task.id",     "com.docker.swarm.service.id",  "io.kubernetes.pod.uid",
    "io.kubernetes.container.name", "com.hashicorp.nomad.alloc_id",
};

static void complain(struct hms_labels *result, const char *label, const char *value,
                     const char *allowed)
{
    snprintf(result->problem, sizeof(result->problem), "label %s=%.40s is not understood: %s",
             label, value, allowed);
}

/* Reads a number within [0, max]; -1 if it is not one. */
static double read_number(const char *text, double max)
{
    char *end;
    double value = strtod(text, &end);

    return end != text && *end == '\0' && value >= 0 && value <= max ? value : -1;
}

static void read_restart(const char *value, struct hms_labels *result)
{
    if (strcmp(value, "always") == 0)
        result->restart = HMS_RESTART_ALWAYS;
    else if (strcmp(value, "on-failure") == 0)
        result->restart = HMS_RESTART_ON_FAILURE;
    else if (strcmp(value, "no") == 0)
        result->restart = HMS_RESTART_NO;
    else
        complain(result, "hms.restart", value, "always, on-failure or no");
}

static void read_ignore(const char *value, struct hms_labels *result)
{
    if (strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0)
        result->is_ignored = 1;
    else if (strcasecmp(value, "false") != 0 && strcmp(value, "0") != 0)
        complain(result, "hms.ignore", value, "true or false");
}

void hms_labels_read(const json_t *labels, struct hms_labels *result)
{
    const char *value;

    memset(result, 0, sizeof(*result));
    result->threshold_pct = result->stop_timeout_s = -1;
    if ((value = hms_json_string(labels, "hms.ignore")) != NULL)
        read_ignore(value, result);
    if ((value = hms_json_string(labels, "hms.restart")) != NULL) {
        result->has_any = 1;
        read_restart(value, result);
    }
    if ((value = hms_json_string(labels, "hms.threshold")) != NULL) {
        result->has_any = 1;
        result->threshold_pct = read_number(value, 100);
        if (result->threshold_pct < 0)
            complain(result, "hms.threshold", value, "a number from 0 to 100");
    }
    if ((value = hms_json_string(labels, "hms.stop-timeout")) != NULL) {
        result->has_any = 1;
        result->stop_timeout_s = (int)read_number(value, 3600);
        if (result->stop_timeout_s < 0)
            complain(result, "hms.stop-timeout", value, "seconds from 0 to 3600");
    }
}

static int is_orchestrated(const json_t *labels)
{
    size_t i;

    for (i = 0; i < sizeof(orchestrator_labels) / sizeof(orchestrator_labels[0]); i++)
        if (json_object_get(labels, orchestrator_labels[i]) != NULL)
            return 1;
    return 0;
}

/* The classic builder runs each step in a container made from a bare image id. */
static int is_build_step(const struct hms_docker_container *container)
{
    return strncmp(container->image, "sha256:", strlen("sha256:")) == 0;
}

enum hms_reason hms_supervision_of(const struct hms_docker_container *container,
                                   const struct hms_labels *labels, enum hms_supervise mode,
                                   int ignored, int seen)
{
    if (json_object_get(container->labels, SYSTEM_LABEL) != NULL)
        return HMS_REASON_SYSTEM;
    if (ignored)
        return HMS_REASON_IGNORED;
    if (labels->is_ignored)
        return HMS_REASON_IGNORED_BY_LABEL;
    if (container->auto_remove)
        return HMS_REASON_AUTO_REMOVE;
    if (is_orchestrated(container->labels))
        return HMS_REASON_ORCHESTRATED;
    if (container->interactive)
        return HMS_REASON_INTERACTIVE;
    if (is_build_step(container) && !labels->has_any)
        return HMS_REASON_BUILD_STEP;
    if (mode == HMS_SUPERVISE_LABELLED && !labels->has_any)
        return HMS_REASON_NOT_LABELLED;
    if (mode == HMS_SUPERVISE_SEEN && !seen)
        return HMS_REASON_NOT_SEEN;
    return HMS_REASON_CLEAR;
}

static const char *driver_of(const struct hms_docker_endpoint *endpoint,
                             const struct hms_docker_network *networks, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (strcmp(networks[i].id, endpoint->network_id) == 0)
            return networks[i].driver;
    return "";
}

/* Orders usable endpoints: the default bridge, then by name. */
static int is_before(const struct hms_docker_endpoint *a, const struct hms_docker_endpoint *b)
{
    if (b == NULL || strcmp(a->network, "bridge") == 0)
        return 1;
    return strcmp(b->network, "bridge") != 0 && strcmp(a->network, b->network) < 0;
}

int hms_supervision_address(const struct hms_docker_container *container,
                            const struct hms_docker_network *networks, size_t network_count,
                            const char **address, const char **why)
{
    const struct hms_docker_endpoint *best = NULL;
    int has_address = 0;
    size_t i;

    for (i = 0; i < container->endpoint_count; i++) {
        const struct hms_docker_endpoint *endpoint = &container->endpoints[i];

        if (endpoint->ipv4 == NULL && endpoint->ipv6 == NULL)
            continue;
        has_address = 1;
        if (strcmp(driver_of(endpoint, networks, network_count), "bridge") == 0 &&
            is_before(endpoint, best))
            best = endpoint;
    }
    if (best != NULL) {
        *address = best->ipv4 != NULL ? best->ipv4 : best->ipv6;
        return 1;
    }
    if (strcmp(container->network_mode, "host") == 0)
        *why = "state only: it uses the host's network";
    else if (strcmp(container->network_mode, "none") == 0)
        *why = "state only: it has no network";
    else if (strncmp(container->network_mode, "container:", strlen("container:")) == 0)
        *why = "state only: it uses another container's network";
    else if (has_address)
        *why = "state only: the host cannot reach its networks (no bridge among them)";
    else
        *why = "state only: it has no address";
    return 0;
}
