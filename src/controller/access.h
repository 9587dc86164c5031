/*
 * Who may use the REST interface: it can stop and start what runs on the hosts, and, with the
 * administrator's right, take hosts over. Pure.
 *
 * Without a token the danger is a browser on this machine that is led here by a foreign page, by a
 * cross-site request or by DNS rebinding: the checks of Host and Origin are against those. With a
 * token, a bearer who knows it is trusted.
 */
#ifndef HMS_CONTROLLER_ACCESS_H
#define HMS_CONTROLLER_ACCESS_H

#include <stddef.h>

/* Length of a token, in bytes. */
#define HMS_ACCESS_TOKEN_MIN 16
#define HMS_ACCESS_TOKEN_MAX 4096

/* What counts of a request; header values are NULL if the field is missing. */
struct hms_access_request {
    const char *method;
    int is_healthz;      /* the one thing that needs no token */
    int is_local_socket; /* came over the unix socket, which no browser can reach */
    int is_trusted_user; /* ... from root or from the user that we run as */
    int needs_admin;     /* takes hosts over or gives them up */
    int has_body;
    const char *host;
    const char *origin;
    const char *content_type;
    const char *authorization;
};

enum hms_access {
    HMS_ACCESS_GRANTED,
    HMS_ACCESS_BAD_HOST,   /* 403: Host is a name that may have been rebound to us */
    HMS_ACCESS_CROSS_SITE, /* 403: a write on behalf of a foreign page */
    HMS_ACCESS_NO_TOKEN,   /* 401: the bearer token is missing or wrong */
    HMS_ACCESS_NOT_JSON,   /* 415: a write whose body is not declared as JSON */
    HMS_ACCESS_NOT_ADMIN,  /* 403: neither the administrator's token nor a trusted user's socket */
};

/* What is configured; NULL: none. The administrator's opens what the user's opens, too. */
struct hms_access_tokens {
    const char *user;
    const char *admin;
};

enum hms_access hms_access_check(const struct hms_access_request *request,
                                 const struct hms_access_tokens *tokens);

/* Whether listening there (http_server.h) is allowed with a token only: anything that is neither a
 * loopback address nor a unix socket. */
int hms_access_needs_token(const char *listen);

/*
 * Reads a token: the file's text without white space around it. Returns 0, the token (free it) and
 * whether every user of this machine may read the file; or a negative error with a text in error:
 * HMS_EIO, or HMS_EINVAL if it is too short, too long or not printable ASCII.
 */
int hms_access_read_token(const char *path, char **token, int *is_exposed, char *error,
                          size_t error_size);

#endif
