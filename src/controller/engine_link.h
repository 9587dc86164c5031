/*
 * The way to the Docker Engine of a host (reach.h): through ssh where that is asked for, up to the
 * engine's first answer.
 */
#ifndef HMS_CONTROLLER_ENGINE_LINK_H
#define HMS_CONTROLLER_ENGINE_LINK_H

#include <stddef.h>
#include <uv.h>

struct hms_docker;
struct hms_engine_link;
struct hms_log;
struct hms_reach;

struct hms_engine_link_events {
    /* The engine has answered; docker is borrowed and lives as long as the link. */
    void (*ready)(void *arg, struct hms_docker *docker);
    /* It will not: errors of ssh_forward.h and docker.h, with words for people; borrowed. */
    void (*failed)(void *arg, int error, const char *reason);
};

/*
 * Begins. At most one of the events runs, never before the return. Returns 0 and a link that must
 * be closed in any case; or HMS_EINVAL or HMS_EIO with a text in error. reach must have a docker;
 * it is borrowed for the call.
 */
int hms_engine_link_open(struct hms_engine_link **link, uv_loop_t *loop, struct hms_log *log,
                         const struct hms_reach *reach, const struct hms_engine_link_events *events,
                         void *arg, char *error, size_t error_size);

/* What ssh says about the way, "" if nothing: tells why a call failed. Borrowed until the loop
 * turns. */
const char *hms_engine_link_complaint(const struct hms_engine_link *link);

/* Cancels the engine's calls (they run with HMS_ECANCELED); no event runs from here on. closed(arg)
 * runs from the loop. */
void hms_engine_link_close(struct hms_engine_link *link, void (*closed)(void *arg), void *arg);

#endif
