/* Request targets, taken apart in place: what is decoded is never longer than what was sent. */
#include "core/http_uri.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "core/error.h"

#define SCHEME "http://"

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* Decodes text in place. Returns 0, or HMS_EINVAL on a broken escape or an encoded 0 byte. */
static int decode(char *text, int plus_is_space)
{
    char *out = text;

    for (; *text != '\0'; text++) {
        if (*text == '%') {
            int high = hex_value(text[1]);
            int low = high < 0 ? -1 : hex_value(text[2]);

            if (low < 0 || high + low == 0)
                return HMS_EINVAL;
            *out++ = (char)(high * 16 + low);
            text += 2;
        } else {
            *out++ = *text == '+' && plus_is_space ? ' ' : *text;
        }
    }
    *out = '\0';
    return HMS_OK;
}

/* Visible ASCII without '#': a target has no fragment (RFC 9112, 3.2). */
static int is_target_text(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f || *text == '#')
            return 0;
    return 1;
}

static int parse_query(struct hms_http_uri *uri, char *query, const char **reason)
{
    char *field;

    while ((field = strsep(&query, "&")) != NULL) {
        char *value = field + strcspn(field, "=");

        if (*field == '\0')
            continue;
        if (*value == '=')
            *value++ = '\0';
        if (uri->query_count == HMS_HTTP_QUERY_MAX) {
            *reason = "too many query parameters";
            return HMS_EINVAL;
        }
        if (decode(field, 1) != HMS_OK || decode(value, 1) != HMS_OK) {
            *reason = "broken percent-encoding in the query";
            return HMS_EINVAL;
        }
        uri->query[uri->query_count].name = field;
        uri->query[uri->query_count].value = value;
        uri->query_count++;
    }
    return HMS_OK;
}

/*
 * Takes the authority off an absolute target and moves it to the front, over the scheme, so that
 * there is room for its terminating 0. Returns what follows it.
 */
static char *split_authority(struct hms_http_uri *uri, char *target)
{
    char *authority = target + strlen(SCHEME);
    size_t size = strcspn(authority, "/?");

    memmove(target, authority, size);
    target[size] = '\0';
    uri->authority = target;
    return authority + size;
}

int hms_http_uri_parse(struct hms_http_uri *uri, char *target, const char **reason)
{
    char *path = target;
    char *query;

    uri->authority = NULL;
    uri->query_count = 0;
    if (!is_target_text(target)) {
        *reason = "invalid character in the request target";
        return HMS_EINVAL;
    }
    if (strcmp(target, "*") == 0) {
        uri->path = target;
        return HMS_OK;
    }
    if (strncasecmp(target, SCHEME, strlen(SCHEME)) == 0) {
        path = split_authority(uri, target);
        if (!hms_http_authority_is_valid(uri->authority)) {
            *reason = "invalid host in the request target";
            return HMS_EINVAL;
        }
    } else if (*target != '/') {
        *reason = "unsupported form of request target";
        return HMS_EINVAL;
    }
    query = path + strcspn(path, "?");
    if (*query == '?')
        *query++ = '\0';
    if (decode(path, 0) != HMS_OK) {
        *reason = "broken percent-encoding in the path";
        return HMS_EINVAL;
    }
    uri->path = *path == '\0' ? "/" : path;
    return parse_query(uri, query, reason);
}

const char *hms_http_uri_query(const struct hms_http_uri *uri, const char *name)
{
    for (int i = 0; i < uri->query_count; i++)
        if (strcmp(uri->query[i].name, name) == 0)
            return uri->query[i].value;
    return NULL;
}

int hms_http_authority_is_valid(const char *text)
{
    /* RFC 3986: unreserved, sub-delims and percent-encoding; within brackets an IPv6 address. */
    static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789-._~!$&'()*+,;=%";
    size_t host;

    if (*text == '[') {
        host = strspn(text + 1, "0123456789abcdefABCDEF:.");
        if (host == 0 || text[host + 1] != ']')
            return 0;
        text += host + 2;
    } else {
        host = strspn(text, name_bytes);
        if (host == 0)
            return 0;
        text += host;
    }
    if (*text == ':')
        text += 1 + strspn(text + 1, "0123456789");
    return *text == '\0';
}
