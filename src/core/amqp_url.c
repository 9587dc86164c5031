/* libcurl takes the URL apart. */
#include "core/amqp_url.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/amqp_codec.h"

#define DEFAULT_USER "health-monitor"

static const char shape[] = "amqp[s]://[user@]host[:port][/vhost]";

/* A copy of the part, or of `otherwise` if there is none; NULL if it cannot be decoded. */
static char *part(CURLU *parsed, CURLUPart what, unsigned flags, const char *otherwise)
{
    char *found = NULL, *copy;
    CURLUcode code = curl_url_get(parsed, what, &found, flags);

    if (code != CURLUE_OK)
        return code == CURLUE_URLDECODE ? NULL : hms_strdup(otherwise);
    copy = hms_strdup(found);
    curl_free(found);
    return copy;
}

static int is_short(const char *text)
{
    return text != NULL && text[0] != '\0' && strlen(text) <= HMS_AMQP_SHORT_MAX_BYTES;
}

static void strip_brackets(char *host)
{
    size_t size = strlen(host);

    if (host[0] != '[')
        return;
    memmove(host, host + 1, size);
    host[size - 2] = '\0';
}

/* The path's slash belongs to the URL, not to the vhost. */
static void path_to_vhost(char *path)
{
    if (path[0] == '/' && path[1] != '\0')
        memmove(path, path + 1, strlen(path));
}

static const char *check(CURLU *parsed, const struct hms_amqp_url *url, const char *scheme)
{
    char *refused = NULL;

    if (strcmp(scheme, "amqp") != 0 && strcmp(scheme, "amqps") != 0)
        return shape;
    if (curl_url_get(parsed, CURLUPART_PASSWORD, &refused, 0) == CURLUE_OK) {
        curl_free(refused);
        return "a URL without a password, which would show in the list of processes";
    }
    if (curl_url_get(parsed, CURLUPART_QUERY, &refused, 0) == CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_FRAGMENT, &refused, 0) == CURLUE_OK) {
        curl_free(refused);
        return "amqp[s]://[user@]host[:port][/vhost] and nothing behind it";
    }
    if (!is_short(url->host) || url->port == NULL || strcmp(url->port, "0") == 0)
        return shape;
    if (!is_short(url->user) || !is_short(url->vhost))
        return "a URL whose user and vhost have 1 to 255 bytes each";
    return NULL;
}

const char *hms_amqp_url_read(const char *text, struct hms_amqp_url *url)
{
    const char *authority = strstr(text, "://");
    const char *refusal = shape;
    char *scheme = NULL;
    CURLU *parsed;

    if (authority == NULL || authority[3] == '/') /* libcurl forgives one slash, and three */
        return shape;
    parsed = curl_url();
    if (curl_url_set(parsed, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK) {
        scheme = part(parsed, CURLUPART_SCHEME, 0, "");
        url->is_tls = strcmp(scheme, "amqps") == 0;
        url->user = part(parsed, CURLUPART_USER, CURLU_URLDECODE, DEFAULT_USER);
        url->host = part(parsed, CURLUPART_HOST, CURLU_URLDECODE, "");
        url->port = part(parsed, CURLUPART_PORT, 0, url->is_tls ? "5671" : "5672");
        url->vhost = part(parsed, CURLUPART_PATH, CURLU_URLDECODE, "/");
        refusal = check(parsed, url, scheme);
        if (refusal != NULL) {
            hms_amqp_url_free(url);
        } else {
            strip_brackets(url->host);
            path_to_vhost(url->vhost);
        }
        free(scheme);
    }
    curl_url_cleanup(parsed);
    return refusal;
}

void hms_amqp_url_free(struct hms_amqp_url *url)
{
    free(url->user);
    free(url->host);
    free(url->port);
    free(url->vhost);
}
