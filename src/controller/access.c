/* The rules of access.h. */
#include "controller/access.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/alloc.h"
#include "core/error.h"

/* Room for a host name (RFC 1035: 253 characters) or any address. */
#define HOST_SIZE 256

/* The host of "HOST", "HOST:PORT" or "[HOST]:PORT". Returns 0 or HMS_EINVAL. */
static int split_host(const char *text, char host[HOST_SIZE])
{
    const char *end, *port;
    size_t length;

    if (*text == '[') {
        end = strchr(++text, ']');
        port = end ? end + 1 : NULL;
    } else {
        end = text + strcspn(text, ":");
        port = end;
    }
    if (end == NULL || (*port != '\0' && *port != ':'))
        return HMS_EINVAL;
    if (*port == ':' && port[1 + strspn(port + 1, "0123456789")] != '\0')
        return HMS_EINVAL;
    length = (size_t)(end - text);
    if (length == 0 || length >= HOST_SIZE)
        return HMS_EINVAL;
    memcpy(host, text, length);
    host[length] = '\0';
    return HMS_OK;
}

static int is_literal(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* Only a name can be rebound; "localhost" never is, since resolvers do not ask DNS for it. */
static int is_safe_host(const char *text)
{
    char host[HOST_SIZE];

    if (text == NULL || split_host(text, host) != HMS_OK)
        return 0;
    return is_literal(host) || strcasecmp(host, "localhost") == 0;
}

/* No Origin: no browser, or one that does not write. "null" and foreign ones are refused. */
static int is_same_origin(const char *origin, const char *host)
{
    if (origin == NULL)
        return 1;
    if (host == NULL)
        return 0;
    if (strncasecmp(origin, "http://", 7) == 0)
        return strcasecmp(origin + 7, host) == 0;
    if (strncasecmp(origin, "https://", 8) == 0)
        return strcasecmp(origin + 8, host) == 0;
    return 0;
}

static int is_json(const char *content_type)
{
    static const char json[] = "application/json";
    const char *rest;

    if (content_type == NULL || strncasecmp(content_type, json, sizeof(json) - 1) != 0)
        return 0;
    rest = content_type + sizeof(json) - 1;
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == ';';
}

static int has_token(const char *authorization, const char *token)
{
    static const char scheme[] = "Bearer ";
    const char *given;

    if (token == NULL || authorization == NULL ||
        strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
        return 0;
    given = authorization + sizeof(scheme) - 1;
    given += strspn(given, " ");
    return strlen(given) == strlen(token) && CRYPTO_memcmp(given, token, strlen(token)) == 0;
}

static int is_read(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
           strcmp(method, "OPTIONS") == 0;
}

/* What needs no token even where one is configured. */
static int is_open(const struct hms_access_request *request)
{
    return (request->is_healthz && is_read(request->method)) ||
           (request->needs_admin && request->is_trusted_user);
}

enum hms_access hms_access_check(const struct hms_access_request *request,
                                 const struct hms_access_tokens *tokens)
{
    int is_admin = has_token(request->authorization, tokens->admin);
    int is_bearer = is_admin || has_token(request->authorization, tokens->user);

    if (tokens->user != NULL && !is_open(request) && !is_bearer)
        return HMS_ACCESS_NO_TOKEN;
    if (tokens->user == NULL && !is_bearer && !request->is_local_socket &&
        !is_safe_host(request->host))
        return HMS_ACCESS_BAD_HOST;
    if (request->needs_admin && !is_admin && !request->is_trusted_user)
        return HMS_ACCESS_NOT_ADMIN;
    if (is_read(request->method))
        return HMS_ACCESS_GRANTED;
    if (!is_same_origin(request->origin, request->host))
        return HMS_ACCESS_CROSS_SITE;
    if (request->has_body && !is_json(request->content_type))
        return HMS_ACCESS_NOT_JSON;
    return HMS_ACCESS_GRANTED;
}

int hms_access_needs_token(const char *listen)
{
    char host[HOST_SIZE];
    struct in_addr v4;
    struct in6_addr v6;

    if (strncmp(listen, "unix:", 5) == 0)
        return 0;
    if (split_host(listen, host) != HMS_OK)
        return 1;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 != 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return !IN6_IS_ADDR_LOOPBACK(&v6);
    return strcasecmp(host, "localhost") != 0;
}

static int check_token(const char *token, size_t length, char *error, size_t error_size)
{
    size_t i;

    if (length < HMS_ACCESS_TOKEN_MIN || length > HMS_ACCESS_TOKEN_MAX) {
        snprintf(error, error_size, "the token must have %d to %d characters", HMS_ACCESS_TOKEN_MIN,
                 HMS_ACCESS_TOKEN_MAX);
        return HMS_EINVAL;
    }
    for (i = 0; i < length; i++) {
        if (!isgraph((unsigned char)token[i])) {
            snprintf(error, error_size, "the token must be printable ASCII without spaces");
            return HMS_EINVAL;
        }
    }
    return HMS_OK;
}

int hms_access_read_token(const char *path, char **token, int *is_exposed, char *error,
                          size_t error_size)
{
    char text[HMS_ACCESS_TOKEN_MAX + 16]; /* white space around it */
    FILE *file = fopen(path, "re");
    struct stat status;
    size_t size, start = 0;
    int result;

    if (file == NULL || fstat(fileno(file), &status) != 0) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        if (file != NULL)
            fclose(file);
        return HMS_EIO;
    }
    *is_exposed = (status.st_mode & S_IROTH) != 0;
    size = fread(text, 1, sizeof(text), file);
    result = ferror(file) ? HMS_EIO : HMS_OK;
    fclose(file);
    if (result != HMS_OK) {
        snprintf(error, error_size, "%s: cannot be read", path);
        return result;
    }
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        size--;
    while (start < size && isspace((unsigned char)text[start]))
        start++;
    result = check_token(text + start, size - start, error, error_size);
    if (result == HMS_OK)
        *token = hms_strndup(text + start, size - start);
    OPENSSL_cleanse(text, sizeof(text));
    return result;
}
