/*
 * One request of the operator's commands to the controller's REST interface.
 */
#ifndef HMS_CLI_CLIENT_H
#define HMS_CLI_CLIENT_H

#include <jansson.h>
#include <stddef.h>

#define HMS_CLIENT_URL                                                                             \
    "http://127.0.0.1:8080" /* where a controller listens unless told otherwise */

struct hms_client_request {
    const char *url;        /* "http://HOST:PORT" or "unix:PATH" */
    const char *token_file; /* with the bearer token, or NULL */
    const char *method;
    const char *path;
    const json_t *body; /* NULL: none */
};

struct hms_client_answer {
    int status;   /* of HTTP */
    json_t *body; /* an object; the caller's */
};

/* NULL if the text may be a url, else what it must be. */
const char *hms_client_check_url(const char *url);

/*
 * Sends it and waits for the answer, however long that takes: on a loop of its own. Returns 0; or
 * HMS_EIO (the token file cannot be read) or an error of http_client.h, HMS_EPROTO also for an
 * answer that is no JSON object, with a text in error.
 */
int hms_client_ask(const struct hms_client_request *request, struct hms_client_answer *answer,
                   char *error, size_t error_size);

#endif
