/* Owns the ssh forward, if there is one, and the engine's client on top of it. */
#include "controller/engine_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/reach.h"
#include "core/alloc.h"
#include "core/docker.h"
#include "core/docker_address.h"
#include "core/error.h"
#include "core/http_tls.h"
#include "core/ssh_forward.h"

#define SSH_TIMEOUT_MS 30000
#define TEXT_SIZE      512

struct hms_engine_link {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_ssh_forward *ssh;
    struct hms_docker *docker;
    struct hms_engine_link_events events;
    void *arg;
    char ended[TEXT_SIZE]; /* why ssh ended after the engine's answer, or "" */
    int has_told;          /* one of the events */
    int closing;
    void (*closed_fn)(void *arg);
    void *closed_arg;
};

static void fail(struct hms_engine_link *link, int error, const char *reason)
{
    if (link->has_told || link->closing)
        return;
    link->has_told = 1;
    link->events.failed(link->arg, error, reason);
}

static void on_negotiated(void *arg, const struct hms_docker_answer *answer)
{
    struct hms_engine_link *link = arg;
    char text[TEXT_SIZE];
    const char *complaint = hms_engine_link_complaint(link);

    if (answer->error == HMS_OK && !link->closing) {
        link->has_told = 1;
        link->events.ready(link->arg, link->docker);
        return;
    }
    snprintf(text, sizeof(text), "%s", *complaint ? complaint : answer->message);
    fail(link, answer->error, text);
}

/* Takes over the client. */
static void talk(struct hms_engine_link *link, struct hms_docker *docker)
{
    link->docker = docker;
    hms_docker_negotiate(docker, on_negotiated, link);
}

/* ---- through ssh ---- */

static void on_forwarded(void *arg, const char *socket_path)
{
    struct hms_engine_link *link = arg;
    char *url = hms_asprintf("unix://%s", socket_path);
    struct hms_docker *docker;
    char error[TEXT_SIZE];
    int result = hms_docker_open(&docker, link->loop, link->log, url, error, sizeof(error));

    free(url);
    if (result == HMS_OK)
        talk(link, docker);
    else
        fail(link, result, error);
}

static void on_ssh_ended(void *arg, int error, const char *reason)
{
    struct hms_engine_link *link = arg;

    snprintf(link->ended, sizeof(link->ended), "%s", reason);
    fail(link, error, reason);
}

static int open_ssh(struct hms_engine_link *link, const struct hms_reach *reach,
                    const struct hms_docker_address *address, char *error, size_t error_size)
{
    struct hms_ssh_forward_options options = {
        .host = address->host,
        .port = address->port,
        .user = address->user,
        .remote_path = address->path,
        .host_key = reach->host_key,
        .private_key = reach->key,
        .password = reach->password,
        .timeout_ms = SSH_TIMEOUT_MS,
    };

    return hms_ssh_forward_open(&link->ssh, link->loop, link->log, &options, on_forwarded,
                                on_ssh_ended, link, error, error_size);
}

/* ---- directly ---- */

static int open_docker(struct hms_engine_link *link, const struct hms_reach *reach, char *error,
                       size_t error_size)
{
    struct hms_docker *docker;
    struct hms_http_tls tls;
    int result;

    if (reach->tls_ca == NULL) {
        result = hms_docker_open(&docker, link->loop, link->log, reach->docker, error, error_size);
    } else {
        result = hms_http_tls_read(&tls, reach->tls_ca, reach->tls_cert, reach->tls_key, error,
                                   error_size);
        if (result != HMS_OK)
            return result;
        result = hms_docker_open_tls(&docker, link->loop, link->log, reach->docker, &tls, error,
                                     error_size);
        hms_http_tls_clear(&tls);
    }
    if (result == HMS_OK)
        talk(link, docker);
    return result;
}

int hms_engine_link_open(struct hms_engine_link **opened, uv_loop_t *loop, struct hms_log *log,
                         const struct hms_reach *reach, const struct hms_engine_link_events *events,
                         void *arg, char *error, size_t error_size)
{
    struct hms_engine_link *link = hms_calloc(1, sizeof(*link));
    struct hms_docker_address address;
    int result = hms_docker_address_parse(&address, reach->docker, error, error_size);

    link->loop = loop;
    link->log = log;
    link->events = *events;
    link->arg = arg;
    if (result == HMS_OK) {
        if (address.transport == HMS_DOCKER_SSH)
            result = open_ssh(link, reach, &address, error, error_size);
        else
            result = open_docker(link, reach, error, error_size);
        hms_docker_address_clear(&address);
    }
    if (result != HMS_OK) {
        free(link);
        return result;
    }
    *opened = link;
    return HMS_OK;
}

const char *hms_engine_link_complaint(const struct hms_engine_link *link)
{
    if (*link->ended != '\0' || link->ssh == NULL)
        return link->ended;
    return hms_ssh_forward_complaint(link->ssh);
}

/* ---- closing: the client, then its way ---- */

static void on_ssh_closed(void *arg)
{
    struct hms_engine_link *link = arg;
    void (*closed_fn)(void *) = link->closed_fn;
    void *closed_arg = link->closed_arg;

    free(link);
    closed_fn(closed_arg);
}

static void on_docker_closed(void *arg)
{
    struct hms_engine_link *link = arg;

    if (link->ssh != NULL)
        hms_ssh_forward_close(link->ssh, on_ssh_closed, link);
    else
        on_ssh_closed(link);
}

void hms_engine_link_close(struct hms_engine_link *link, void (*closed)(void *arg), void *arg)
{
    link->closing = 1;
    link->closed_fn = closed;
    link->closed_arg = arg;
    if (link->docker != NULL)
        hms_docker_close(link->docker, on_docker_closed, link);
    else
        on_docker_closed(link);
}
