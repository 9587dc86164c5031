/*
 * The REST door of the controller (protocol.md, section 2): who may enter, which route means which
 * command, which outcome is which status.
 */
#ifndef HMS_CONTROLLER_REST_H
#define HMS_CONTROLLER_REST_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct hms_access_tokens;
struct hms_dispatcher;
struct hms_gather;
struct hms_log;
struct hms_platform;
struct hms_registry;
struct hms_rest;
struct hms_standby;

/* What requests are answered from; all borrowed, and used until hms_rest_close() is called. */
struct hms_rest_parts {
    struct hms_dispatcher *dispatcher;
    struct hms_gather *gather;
    struct hms_platform *platform;
    const struct hms_registry *registry;
    const struct hms_standby *standby;
};

/*
 * Listens on `listen` (http_server.h); who may enter is decided by the tokens (access.h; copied).
 * Returns 0, or a negative error with a text in error.
 */
int hms_rest_open(struct hms_rest **rest, uv_loop_t *loop, struct hms_log *log, const char *listen,
                  const struct hms_access_tokens *tokens, const struct hms_rest_parts *parts,
                  char *error, size_t error_size);

/* Where it listens; borrowed. */
const char *hms_rest_where(const struct hms_rest *rest);

/* Bytes sent to users since the start. */
uint64_t hms_rest_bytes_out(const struct hms_rest *rest);

/*
 * Answers nothing but 503 from now on, gives answers under way a second to be sent; closed(arg)
 * runs from the loop. The dispatcher's commands must have ended.
 */
void hms_rest_close(struct hms_rest *rest, void (*closed)(void *arg), void *arg);

#endif
