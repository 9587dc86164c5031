/*
 * Docker Engine API: calls, and what they tell as plain structs. docker_watch.h keeps the contact.
 */
#ifndef HMS_CORE_DOCKER_H
#define HMS_CORE_DOCKER_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define HMS_DOCKER_ID_SIZE         65 /* 64 hex digits and the terminating 0 */
#define HMS_DOCKER_SHORT_ID_DIGITS 12
#define HMS_DOCKER_API_SIZE        12 /* an API version, "1.41" */

struct hms_log;
struct hms_docker;
struct hms_http_tls;

enum hms_docker_state {
    HMS_DOCKER_CREATED,
    HMS_DOCKER_RUNNING,
    HMS_DOCKER_PAUSED,
    HMS_DOCKER_RESTARTING,
    HMS_DOCKER_REMOVING,
    HMS_DOCKER_EXITED,
    HMS_DOCKER_DEAD,
};

/* Docker's word for a state ("running"), and back (an unknown word gives -1; what is read from the
 * engine takes such a word for DEAD). */
const char *hms_docker_state_name(enum hms_docker_state state);
int hms_docker_state_parse(const char *name);

/* An address of a container, as text; the network's driver decides whether the host reaches it. */
struct hms_docker_endpoint {
    char network_id[HMS_DOCKER_ID_SIZE];
    char *network; /* name */
    char *ipv4;    /* NULL if none */
    char *ipv6;    /* global address, NULL if none */
};

/* One container as `inspect` tells it. */
struct hms_docker_container {
    char id[HMS_DOCKER_ID_SIZE];
    char *name;         /* without the leading slash */
    char *image;        /* as the creator named it (Config.Image) */
    char *network_mode; /* "default", "bridge", "host", "none", "container:ID", a network's name */
    char *restart_policy; /* "no", "always", "unless-stopped", "on-failure" */
    int restart_max_retries;
    int stop_timeout_s; /* from the stop signal to KILL; -1: the engine's default, 10 s */
    int auto_remove;
    int interactive; /* attached to somebody's standard input (run -i without -d) */
    enum hms_docker_state state;
    int exit_code;
    int oom_killed;
    int pid;
    int64_t created_ns; /* wall time, 0 if unknown; so the two below */
    int64_t started_ns;
    int64_t finished_ns;
    json_t *labels; /* object of strings, never NULL */
    struct hms_docker_endpoint *endpoints;
    size_t endpoint_count;
};

/* One row of the container list. */
struct hms_docker_row {
    char id[HMS_DOCKER_ID_SIZE];
    enum hms_docker_state state;
};

struct hms_docker_network {
    char id[HMS_DOCKER_ID_SIZE];
    char *name;
    char *driver; /* "bridge", "host", "null", "macvlan", "overlay", ... */
};

/*
 * Reads the bodies of `inspect`, of the container list and of the network list. Each returns 0, or
 * HMS_EPROTO if the shape is not Docker's (nothing is left to free then). Free what was read with
 * the function next to it, rows with free().
 */
int hms_docker_read_container(const json_t *body, struct hms_docker_container *container);
void hms_docker_container_clear(struct hms_docker_container *container);
int hms_docker_read_list(const json_t *body, struct hms_docker_row **rows, size_t *count);
int hms_docker_read_networks(const json_t *body, struct hms_docker_network **networks,
                             size_t *count);
void hms_docker_networks_free(struct hms_docker_network *networks, size_t count);

/*
 * Reads the body of GET /version and chooses the API version for all calls: the newest that both
 * sides know, at least 1.24. Returns 0, HMS_EPROTO if the shape is not Docker's, or HMS_EREMOTE if
 * there is none; then with a text in error.
 */
int hms_docker_read_version(const json_t *body, char api[HMS_DOCKER_API_SIZE], char *error,
                            size_t error_size);

/* The outcome of a call. */
struct hms_docker_answer {
    int error;           /* 0; HMS_ENOENT for 404; HMS_EREMOTE for other refusals; HMS_EPROTO for
                          * what is not Docker's; HMS_EINVAL for a bad id; or of http_client.h */
    int status;          /* HTTP status, 0 if none came; 304: it was so already (error is 0) */
    const json_t *body;  /* borrowed; NULL if there is none */
    const char *message; /* the engine's or the transport's words; never NULL, "" if error is 0 */
};

typedef void (*hms_docker_done_fn)(void *arg, const struct hms_docker_answer *answer);

/*
 * A client for the engine at `url`: "unix:///var/run/docker.sock", "tcp://HOST:PORT" or
 * "http://HOST:PORT". Does not talk yet. Returns 0, or HMS_EINVAL with a text in error.
 */
int hms_docker_open(struct hms_docker **docker, uv_loop_t *loop, struct hms_log *log,
                    const char *url, char *error, size_t error_size);

/* The same for an engine that speaks TLS at tcp://HOST[:PORT]; tls is copied. HMS_EINVAL also for
 * another kind of address. */
int hms_docker_open_tls(struct hms_docker **docker, uv_loop_t *loop, struct hms_log *log,
                        const char *url, const struct hms_http_tls *tls, char *error,
                        size_t error_size);

/* Cancels what is under way (callbacks run with HMS_ECANCELED); closed(arg) runs from the loop. */
void hms_docker_close(struct hms_docker *docker, void (*closed)(void *arg), void *arg);

/*
 * Cancels every call and stream whose arg is `arg` (done runs with HMS_ECANCELED before the
 * return; what it starts anew is left alone). For an owner that goes away.
 */
void hms_docker_cancel(struct hms_docker *docker, void *arg);

/* The engine's wall time in ns: ours, corrected if the engine's clock was seconds off at the last
 * hms_docker_negotiate(). */
int64_t hms_docker_now_ns(const struct hms_docker *docker);

/*
 * The calls. Each runs done exactly once, never before its own return; where the connection stands
 * already its bytes are written before the return. An id may be any that the engine takes: full,
 * short, or a name.
 */

/*
 * Asks for the engine's version and settles the API version for all later calls
 * (hms_docker_read_version). The body is that of GET /version. Deadline 30 s.
 */
void hms_docker_negotiate(struct hms_docker *docker, hms_docker_done_fn done, void *arg);

/* "1.41" after hms_docker_negotiate(), "" before; borrowed. */
const char *hms_docker_api_version(const struct hms_docker *docker);

/* All containers, stopped ones included; all networks; one container. Deadline 30 s. Lists are
 * read while they arrive: their bodies hold what hms_docker_read_list() and
 * hms_docker_read_networks() need and nothing else. */
void hms_docker_list(struct hms_docker *docker, hms_docker_done_fn done, void *arg);
void hms_docker_networks(struct hms_docker *docker, hms_docker_done_fn done, void *arg);
void hms_docker_inspect(struct hms_docker *docker, const char *id, hms_docker_done_fn done,
                        void *arg);

/* Starts a container (status 304 if it runs already). Deadline 120 s. */
void hms_docker_start(struct hms_docker *docker, const char *id, hms_docker_done_fn done,
                      void *arg);

/* Restarts (stops) it, killing it after stop_timeout_s seconds, or after the container's own stop
 * timeout if that is negative. Deadline 120 s on top of it. */
void hms_docker_restart(struct hms_docker *docker, const char *id, int stop_timeout_s,
                        hms_docker_done_fn done, void *arg);
void hms_docker_stop(struct hms_docker *docker, const char *id, int stop_timeout_s,
                     hms_docker_done_fn done, void *arg);

/* Sends a signal ("KILL", "TERM", "9"). Deadline 120 s. */
void hms_docker_kill(struct hms_docker *docker, const char *id, const char *signal,
                     hms_docker_done_fn done, void *arg);

enum hms_docker_action {
    HMS_DOCKER_ON_CREATE,
    HMS_DOCKER_ON_START,
    HMS_DOCKER_ON_RESTART,
    HMS_DOCKER_ON_KILL,
    HMS_DOCKER_ON_DIE,
    HMS_DOCKER_ON_STOP,
    HMS_DOCKER_ON_OOM,
    HMS_DOCKER_ON_PAUSE,
    HMS_DOCKER_ON_UNPAUSE,
    HMS_DOCKER_ON_RENAME,
    HMS_DOCKER_ON_UPDATE,
    HMS_DOCKER_ON_DESTROY,
    HMS_DOCKER_ON_NETWORK, /* a container joined or left a network, or a network came or went */
};

struct hms_docker_event {
    enum hms_docker_action action;
    int64_t time_ns;             /* the engine's wall time */
    char id[HMS_DOCKER_ID_SIZE]; /* of the container; "" for a network that came or went */
    const char *name;            /* of the container; borrowed, "" if unknown */
    const char *image;           /* as in struct hms_docker_container; borrowed, "" if unknown */
    int exit_code;               /* ON_DIE, else -1; -1 too if it is not told */
    int signal;                  /* ON_KILL, else 0 */
    const json_t *attributes;    /* of the actor: labels among them; borrowed, never NULL */
};

/*
 * Reads one event. Returns 0; HMS_ENOENT for an event that nobody here needs; HMS_EPROTO if the
 * shape is not Docker's. The strings live as long as body.
 */
int hms_docker_read_event(const json_t *body, struct hms_docker_event *event);

typedef void (*hms_docker_event_fn)(void *arg, const struct hms_docker_event *event);
struct hms_docker_stream;

/*
 * Opens the events stream from since_ns (wall, ns) to until_ns, or without end if that is 0.
 * With a since_ns of 0 it starts with what happens next. on_open(arg) (may be NULL) runs when the
 * engine has accepted it; done runs once at its end, however it ends: with error 0 if the engine
 * ended it. A stream with until_ns ends with HMS_ETIMEDOUT if it lasts 30 s. Returns the stream,
 * valid until done; no callback runs before the return.
 */
struct hms_docker_stream *hms_docker_events(struct hms_docker *docker, int64_t since_ns,
                                            int64_t until_ns, void (*on_open)(void *arg),
                                            hms_docker_event_fn on_event, hms_docker_done_fn done,
                                            void *arg);

/* Ends the stream: done runs with HMS_ECANCELED before the return. */
void hms_docker_stream_cancel(struct hms_docker_stream *stream);

#endif
