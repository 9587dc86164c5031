/*
 * Which containers are supervised, and what their labels ask for. Pure.
 *
 *   hms.ignore=true                     left alone
 *   hms.restart=always|on-failure|no    which ends are answered with a start
 *   hms.threshold=0..100                packet loss in percent that is too much
 *   hms.stop-timeout=0..3600            seconds between TERM and KILL in a restart for loss
 */
#ifndef HMS_MANAGER_SUPERVISION_H
#define HMS_MANAGER_SUPERVISION_H

#include "core/docker.h"
#include "manager/options.h"
#include "manager/reason.h"

enum hms_restart_label {
    HMS_RESTART_DEFAULT, /* whatever ended, but not what completed */
    HMS_RESTART_ALWAYS,
    HMS_RESTART_ON_FAILURE,
    HMS_RESTART_NO,
};

struct hms_labels {
    enum hms_restart_label restart;
    int is_ignored;
    int has_any;          /* carries one of the last three labels */
    double threshold_pct; /* -1: not given */
    int stop_timeout_s;   /* -1: not given */
    char problem[160];    /* a label that was not understood, in words; "" if there is none */
};

/* Reads the labels (an object of strings). A label that is not understood counts as not given. */
void hms_labels_read(const json_t *labels, struct hms_labels *result);

/*
 * CLEAR if the container is supervised, else the reason why it is not. ignored: it is on the
 * ignored list; seen: it has been seen running (or was put under supervision by name).
 */
enum hms_reason hms_supervision_of(const struct hms_docker_container *container,
                                   const struct hms_labels *labels, enum hms_supervise mode,
                                   int ignored, int seen);

/*
 * The address at which the host can probe a running container: on a bridge network (the default
 * one first, then by name), IPv4 before IPv6. Returns 1 with *address borrowed from the container,
 * or 0 with *why a static text that says why it is supervised by its state only.
 */
int hms_supervision_address(const struct hms_docker_container *container,
                            const struct hms_docker_network *networks, size_t network_count,
                            const char **address, const char **why);

#endif
