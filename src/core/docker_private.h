/*
 * Shared by docker.c and docker_deploy.c (calls) and docker_events.c (the stream) alone: one
 * operation under way.
 */
#ifndef HMS_CORE_DOCKER_PRIVATE_H
#define HMS_CORE_DOCKER_PRIVATE_H

#include <jansson.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "core/docker.h"
#include "core/http_client.h"
#include "core/http_tls.h"
#include "core/log.h"

#define HMS_DOCKER_READ_TIMEOUT_MS  30000
#define HMS_DOCKER_WRITE_TIMEOUT_MS 120000

struct docker_op {
    TAILQ_ENTRY(docker_op) link;
    struct hms_docker *docker;
    struct hms_http_request *request; /* NULL: it failed before it began; done is still owed */
    uint64_t number;                  /* in order of their beginning */
    int error;                        /* why we end it ourselves, or 0 */
    const char *reason;               /* the text to it; static or the op's */
    json_t *body;                     /* of the answer, or NULL */
    int is_unversioned;               /* asks for what does not depend on the API version */
    hms_docker_done_fn done;
    void *arg;
    /* NULL, or reads a 2xx answer before done hears of it; may set body, or error and reason. */
    void (*complete)(struct docker_op *op, const struct hms_http_answer *http);
    void (*release)(struct docker_op *op); /* frees it, after done */
};

struct hms_docker {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_http_client *http;
    char *url;               /* as given, for people */
    char *base;              /* "http://HOST:PORT", or with https */
    char *unix_socket;       /* path, or NULL */
    struct hms_http_tls tls; /* of NULLs without TLS */
    char api[HMS_DOCKER_API_SIZE];
    int64_t skew_ns; /* the engine's clock minus ours */
    TAILQ_HEAD(, docker_op) ops;
    uv_idle_t owed; /* runs done of ops that could not begin */
    uint64_t last_number;
    int closing;
    int open_parts;
    void (*closed)(void *arg);
    void *closed_arg;
};

/*
 * Begins an operation whose docker, done, arg and release are set. path is without the version;
 * NULL means that an argument was bad. timeout_ms as in http_client.h. op's end comes through done
 * in any case.
 */
void hms_docker_op_begin(struct docker_op *op, const char *method, const char *path,
                         int64_t timeout_ms, hms_http_data_fn on_data);

/* The same for a call with a body: of `call` method, body and timeouts are set; body_fd is taken
 * over in any case. An op that has an error (and a reason) already does not begin, but ends. */
void hms_docker_op_send(struct docker_op *op, struct hms_http_call *call, const char *path,
                        hms_http_data_fn on_data);

/* Whether text can stand in a URL as it is: all ids, names and signals of Docker's can. */
int hms_docker_is_word(const char *text);

/* Ends it early: done runs with HMS_ECANCELED before the return. */
void hms_docker_op_cancel(struct docker_op *op);

/* Ends it from within on_data, because of what came: done runs with error and reason (static). */
void hms_docker_op_fail(struct docker_op *op, int error, const char *reason);

#endif
