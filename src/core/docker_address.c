/* Engines' addresses, taken apart with curl's URL parser. Pure. */
#include "core/docker_address.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "core/alloc.h"
#include "core/error.h"

#define ALPHANUMERIC  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define HOST_MAX      255
#define HTTP_PORT     80
#define SSH_PATH_MAX  512
#define UNIX_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

/* What an address must look like, by its scheme. */
static const struct scheme {
    const char *prefix;
    enum hms_docker_transport transport;
    int default_port;
    const char *form;
} schemes[] = {
    {"tcp://", HMS_DOCKER_TCP, 0, "must be tcp://HOST[:PORT], the port from 1 to 65535"},
    {"http://", HMS_DOCKER_TCP, HTTP_PORT, "must be http://HOST[:PORT], the port from 1 to 65535"},
    {"ssh://", HMS_DOCKER_SSH, 0,
     "must be ssh://[USER@]HOST[:PORT][/PATH], the port from 1 to 65535"},
};

#define SCHEME_COUNT (sizeof(schemes) / sizeof(schemes[0]))

static int refuse(char *error, size_t error_size, const char *url, const char *why)
{
    /* A URL that was refused may hold what does not belong into a log. */
    const char *at = strrchr(url, '@');
    const char *slashes = strstr(url, "//");

    if (at != NULL && slashes != NULL && at > slashes)
        snprintf(error, error_size, "%.*s//...%s: %s", (int)(slashes - url), url, at, why);
    else
        snprintf(error, error_size, "%s: %s", url, why);
    return HMS_EINVAL;
}

/* Whether text consists of these characters and cannot be taken for an option. */
static int is_made_of(const char *text, const char *characters)
{
    return *text != '\0' && *text != '-' && text[strspn(text, characters)] == '\0';
}

/* The parts of a URL of `scheme`; what is wrong, or NULL. */
static const char *read_parts(struct hms_docker_address *address, CURLU *url)
{
    char *part = NULL;
    size_t length;

    if (curl_url_get(url, CURLUPART_PASSWORD, &part, 0) == CURLUE_OK) {
        curl_free(part);
        return "a password does not belong into an address";
    }
    if (curl_url_get(url, CURLUPART_QUERY, &part, 0) == CURLUE_OK ||
        curl_url_get(url, CURLUPART_FRAGMENT, &part, 0) == CURLUE_OK) {
        curl_free(part);
        return "nothing can follow the path";
    }
    if (curl_url_get(url, CURLUPART_HOST, &part, 0) != CURLUE_OK)
        return "there is no host";
    length = strlen(part);
    address->host = part[0] == '[' ? hms_strndup(part + 1, length - 2) : hms_strdup(part);
    curl_free(part);
    if (strlen(address->host) > HOST_MAX || !is_made_of(address->host, ALPHANUMERIC "._-:"))
        return "the host is neither a name nor an IP address";
    if (curl_url_get(url, CURLUPART_PORT, &part, 0) == CURLUE_OK) {
        address->port = atoi(part);
        curl_free(part);
        if (address->port < 1 || address->port > 65535)
            return "the port must be from 1 to 65535";
    }
    if (curl_url_get(url, CURLUPART_USER, &part, CURLU_URLDECODE) == CURLUE_OK) {
        address->user = hms_strdup(part);
        curl_free(part);
    }
    curl_url_get(url, CURLUPART_PATH, &part, CURLU_URLDECODE);
    if (part != NULL && strcmp(part, "/") != 0)
        address->path = hms_strdup(part);
    curl_free(part);
    return NULL;
}

/* What the parts may be; what is wrong, or NULL. */
static const char *check_parts(struct hms_docker_address *address)
{
    if (address->transport == HMS_DOCKER_TCP) {
        if (address->user != NULL)
            return "there is no user in this kind of address";
        return address->path != NULL ? "nothing can follow the port" : NULL;
    }
    if (address->user != NULL && !is_made_of(address->user, ALPHANUMERIC "._-"))
        return "the user may have letters, digits, '.', '_' and '-'";
    if (address->path == NULL)
        address->path = hms_strdup(HMS_DOCKER_SOCKET);
    /* ssh would read more into other characters. */
    if (strlen(address->path) > SSH_PATH_MAX || !is_made_of(address->path, ALPHANUMERIC "/._-+@"))
        return "the socket's path may have letters, digits, '/', '.', '_', '-', '+' and '@'";
    return NULL;
}

static const char *parse_with_host(struct hms_docker_address *address, const struct scheme *scheme,
                                   const char *rest)
{
    /* curl knows how to take http apart; the other schemes have the same form. */
    char *text = hms_asprintf("http://%s", rest);
    CURLU *url = curl_url();
    const char *wrong = NULL;

    address->transport = scheme->transport;
    address->port = scheme->default_port;
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS) != CURLUE_OK)
        wrong = scheme->form;
    if (wrong == NULL)
        wrong = read_parts(address, url);
    if (wrong == NULL)
        wrong = check_parts(address);
    curl_url_cleanup(url);
    free(text);
    return wrong;
}

static const char *parse_unix(struct hms_docker_address *address, const char *path)
{
    if (path[0] != '/' || path[1] == '\0')
        return "a unix socket needs an absolute path: unix://" HMS_DOCKER_SOCKET;
    if (strlen(path) > UNIX_PATH_MAX)
        return "the path of a unix socket has at most 107 bytes";
    address->transport = HMS_DOCKER_UNIX;
    address->path = hms_strdup(path);
    return NULL;
}

int hms_docker_address_parse(struct hms_docker_address *address, const char *url, char *error,
                             size_t error_size)
{
    const char *wrong = "not an engine's address that hms can use: unix:///PATH, "
                        "tcp://HOST[:PORT] or ssh://[USER@]HOST[:PORT][/PATH]";
    size_t i;

    memset(address, 0, sizeof(*address));
    if (strncmp(url, "unix://", 7) == 0)
        wrong = parse_unix(address, url + 7);
    for (i = 0; i < SCHEME_COUNT; i++) {
        size_t length = strlen(schemes[i].prefix);

        if (strncmp(url, schemes[i].prefix, length) == 0)
            wrong = parse_with_host(address, &schemes[i], url + length);
    }
    if (wrong == NULL)
        return HMS_OK;
    hms_docker_address_clear(address);
    return refuse(error, error_size, url, wrong);
}

void hms_docker_address_clear(struct hms_docker_address *address)
{
    free(address->host);
    free(address->user);
    free(address->path);
    memset(address, 0, sizeof(*address));
}
