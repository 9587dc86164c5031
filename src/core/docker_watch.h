/*
 * Keeps contact with one Docker Engine: negotiates, replays the events that were missed, follows
 * the stream, compares with the list periodically, and begins again with backoff when the engine
 * goes away. What it tells is enough to know every container without gaps.
 */
#ifndef HMS_CORE_DOCKER_WATCH_H
#define HMS_CORE_DOCKER_WATCH_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "core/docker.h"

struct hms_docker_watch;

struct hms_docker_watch_handlers {
    /* An event, each once, replayed ones first; replayed is 1 for those from before this contact.
     */
    void (*on_event)(void *arg, const struct hms_docker_event *event, int replayed);
    /* The network list, before the first on_list of a contact and after changes. */
    void (*on_networks)(void *arg, const struct hms_docker_network *networks, size_t count);
    /* The container list, as it was at some moment not before asked_ms (monotonic): what an event
     * that came since then says is newer. first: the first list of this contact. */
    void (*on_list)(void *arg, const struct hms_docker_row *rows, size_t count, int64_t asked_ms,
                    int first);
    /* Contact was lost or could not be made; told once for each outage. */
    void (*on_down)(void *arg, const char *reason);
};

/* 0 stands for the default. */
struct hms_docker_watch_options {
    int64_t since_ns;          /* replay events after this wall time; 0: none */
    int64_t list_period_ms;    /* between periodic lists; default 10000 */
    int64_t answer_timeout_ms; /* an engine silent for this long hangs: contact is lost; default
                                * 15000. So a frozen engine is told after both periods at most */
    int64_t backoff_min_ms;    /* first wait after a failure; default 100 */
    int64_t backoff_max_ms;    /* longest wait; default 5000; jittered by up to half */
};

/* docker is borrowed and must outlive the watch. Never returns NULL. Starts at once. */
struct hms_docker_watch *hms_docker_watch_new(uv_loop_t *loop, struct hms_log *log,
                                              struct hms_docker *docker,
                                              const struct hms_docker_watch_options *options,
                                              const struct hms_docker_watch_handlers *handlers,
                                              void *arg);

/* The wall time in ns of the newest event seen; 0 if none. Pass it as since_ns after a restart. */
int64_t hms_docker_watch_last_event_ns(const struct hms_docker_watch *watch);

/* Stops; no handler runs any more. closed(arg) runs from the loop. */
void hms_docker_watch_close(struct hms_docker_watch *watch, void (*closed)(void *arg), void *arg);

#endif
