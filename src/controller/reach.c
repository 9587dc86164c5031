/* Fields of a request and of the disk's document are the same, so one table reads and writes both.
 */
#include "controller/reach.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/docker_address.h"
#include "core/error.h"
#include "core/http_tls.h"
#include "core/json.h"

#define NONE          "none"
#define SECRET_NEEDED "secret_needed"

struct field {
    const char *group; /* the object that it stands in, or NULL */
    const char *name;
    size_t offset;
    unsigned transports; /* where it may be given, bits of enum hms_docker_transport */
    int may_be_pem;      /* else one line */
    int is_secret;
    int is_kept; /* on disk */
};

#define BIT(transport) (1u << (transport))
#define UNIX           BIT(HMS_DOCKER_UNIX)
#define TCP            BIT(HMS_DOCKER_TCP)
#define SSH            BIT(HMS_DOCKER_SSH)
#define AT(member)     offsetof(struct hms_reach, member)

static const struct field fields[] = {
    {NULL, "docker", AT(docker), UNIX | TCP | SSH, 0, 0, 1},
    {"tls", "ca", AT(tls_ca), TCP, 1, 0, 1},
    {"tls", "cert", AT(tls_cert), TCP, 1, 0, 1},
    {"tls", "key", AT(tls_key), TCP, 1, 1, 1},
    {NULL, "host_key", AT(host_key), SSH, 0, 0, 1},
    {NULL, "key", AT(key), SSH, 1, 1, 1},
    {NULL, "password", AT(password), SSH, 0, 1, 0},
    {NULL, "socket", AT(socket), UNIX | TCP | SSH, 0, 0, 1},
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static char **slot(const struct hms_reach *reach, const struct field *field)
{
    return (char **)((char *)reach + field->offset);
}

static const char *full_name(const struct field *field, char text[32])
{
    snprintf(text, 32, "%s%s%s", field->group ? field->group : "", field->group ? "." : "",
             field->name);
    return text;
}

static int refuse(char *error, size_t error_size, const struct field *field, const char *why)
{
    char name[32];

    snprintf(error, error_size, "%s %s", full_name(field, name), why);
    return HMS_EINVAL;
}

static int is_pem(const char *text)
{
    return strstr(text, "-----BEGIN ") != NULL;
}

/* Control characters would end up in logs, command lines and files; only a PEM has lines. */
static int is_plain(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return 0;
    return 1;
}

static int read_field(struct hms_reach *reach, const struct field *field, const json_t *value,
                      char *error, size_t error_size)
{
    const char *text = json_string_value(value);
    size_t max_bytes = field->may_be_pem ? HMS_HTTP_TLS_PEM_MAX : HMS_REACH_TEXT_MAX;
    char why[64];

    if (value == NULL)
        return HMS_OK;
    if (text == NULL || *text == '\0')
        return refuse(error, error_size, field, "must be a text that is not empty");
    if (strlen(text) > max_bytes) {
        snprintf(why, sizeof(why), "is longer than %zu bytes", max_bytes);
        return refuse(error, error_size, field, why);
    }
    if (!(field->may_be_pem && is_pem(text)) && !is_plain(text))
        return refuse(error, error_size, field, "must not have control characters");
    *slot(reach, field) = hms_strdup(text);
    return HMS_OK;
}

static int read_fields(struct hms_reach *reach, const json_t *object, char *error,
                       size_t error_size)
{
    const json_t *tls = json_object_get(object, "tls");
    int result = HMS_OK;
    size_t i;

    if (tls != NULL && !json_is_object(tls)) {
        snprintf(error, error_size, "tls must be an object with ca, cert and key");
        return HMS_EINVAL;
    }
    for (i = 0; i < FIELD_COUNT && result == HMS_OK; i++) {
        const json_t *from = fields[i].group ? tls : object;

        result =
            read_field(reach, &fields[i], json_object_get(from, fields[i].name), error, error_size);
    }
    return result;
}

/* ---- what must fit together ---- */

static int check_transport(const struct hms_reach *reach, enum hms_docker_transport transport,
                           char *error, size_t error_size)
{
    static const char *const names[] = {
        [HMS_DOCKER_UNIX] = "unix://",
        [HMS_DOCKER_TCP] = "tcp://",
        [HMS_DOCKER_SSH] = "ssh://",
    };
    char why[64];
    size_t i;

    for (i = 0; i < FIELD_COUNT; i++) {
        if (*slot(reach, &fields[i]) == NULL || fields[i].transports & BIT(transport))
            continue;
        snprintf(why, sizeof(why), "means nothing for %s", names[transport]);
        return refuse(error, error_size, &fields[i], why);
    }
    return HMS_OK;
}

static int check_tls(const struct hms_reach *reach, char *error, size_t error_size)
{
    struct hms_http_tls tls;
    int result;

    if (reach->tls_ca == NULL && reach->tls_cert == NULL && reach->tls_key == NULL)
        return HMS_OK;
    result =
        hms_http_tls_read(&tls, reach->tls_ca, reach->tls_cert, reach->tls_key, error, error_size);
    if (result == HMS_OK)
        hms_http_tls_clear(&tls);
    return result;
}

/* The manager's own way to its engine: the socket that we use too, else the usual one. */
static int complete_socket(struct hms_reach *reach, const struct hms_docker_address *address,
                           char *error, size_t error_size)
{
    if (reach->socket == NULL)
        reach->socket = hms_strdup(address->path ? address->path : HMS_DOCKER_SOCKET);
    if (reach->socket[0] == '/' && strrchr(reach->socket, '/')[1] != '\0')
        return HMS_OK;
    snprintf(error, error_size, "socket must be the absolute path of the engine's socket");
    return HMS_EINVAL;
}

static int check_engine(struct hms_reach *reach, int is_recalled, char *error, size_t error_size)
{
    struct hms_docker_address address;
    char why[256];
    int result = hms_docker_address_parse(&address, reach->docker, why, sizeof(why));

    if (result != HMS_OK) {
        snprintf(error, error_size, "docker: %s", why);
        return result;
    }
    result = check_transport(reach, address.transport, error, error_size);
    if (result == HMS_OK && !is_recalled)
        result = check_tls(reach, error, error_size);
    if (result == HMS_OK)
        result = complete_socket(reach, &address, error, error_size);
    hms_docker_address_clear(&address);
    return result;
}

static int check_none(struct hms_reach *reach, char *error, size_t error_size)
{
    size_t i;

    free(reach->docker);
    reach->docker = NULL;
    for (i = 0; i < FIELD_COUNT; i++)
        if (*slot(reach, &fields[i]) != NULL)
            return refuse(error, error_size, &fields[i], "means nothing with \"docker\":\"none\"");
    return HMS_OK;
}

static int check(struct hms_reach *reach, const char *address, int is_recalled, char *error,
                 size_t error_size)
{
    if (reach->docker == NULL && reach->password != NULL)
        reach->docker = hms_asprintf("ssh://root@%s", address);
    if (reach->docker == NULL) {
        snprintf(
            error, error_size,
            "docker is missing: unix:///PATH, tcp://HOST:PORT, ssh://USER@HOST, or none if the "
            "manager is run by other means");
        return HMS_ENOENT;
    }
    if (strcmp(reach->docker, NONE) == 0)
        return check_none(reach, error, error_size);
    return check_engine(reach, is_recalled, error, error_size);
}

/* What was accepted once is not given up because a certificate's file is away at the moment. */
static int read_any(struct hms_reach *reach, const json_t *object, const char *address,
                    int is_recalled, char *error, size_t error_size)
{
    int result;

    memset(reach, 0, sizeof(*reach));
    result = read_fields(reach, object, error, error_size);
    if (result == HMS_OK)
        result = check(reach, address, is_recalled, error, error_size);
    if (result != HMS_OK)
        hms_reach_clear(reach);
    return result;
}

int hms_reach_read(struct hms_reach *reach, const json_t *request, const char *address, char *error,
                   size_t error_size)
{
    return read_any(reach, request, address, 0, error, error_size);
}

/* ---- as a value ---- */

void hms_reach_clear(struct hms_reach *reach)
{
    size_t i;

    for (i = 0; i < FIELD_COUNT; i++) {
        char *text = *slot(reach, &fields[i]);

        if (text != NULL && fields[i].is_secret)
            OPENSSL_cleanse(text, strlen(text));
        free(text);
    }
    memset(reach, 0, sizeof(*reach));
}

void hms_reach_move(struct hms_reach *to, struct hms_reach *from)
{
    hms_reach_clear(to);
    *to = *from;
    memset(from, 0, sizeof(*from));
}

/* A path tells nothing to whoever has not the file. */
static int is_told(const struct field *field, const char *text, int is_public)
{
    return field->is_kept && !(is_public && field->is_secret && is_pem(text));
}

static int is_equal(const struct hms_reach *a, const struct hms_reach *b, int is_public)
{
    size_t i;

    for (i = 0; i < FIELD_COUNT; i++) {
        const char *one = *slot(a, &fields[i]), *other = *slot(b, &fields[i]);

        if (one != NULL && !is_told(&fields[i], one, is_public))
            one = NULL;
        if (other != NULL && !is_told(&fields[i], other, is_public))
            other = NULL;
        if ((one == NULL) != (other == NULL) || (one != NULL && strcmp(one, other) != 0))
            return 0;
    }
    return 1;
}

int hms_reach_equal(const struct hms_reach *a, const struct hms_reach *b)
{
    return is_equal(a, b, 0);
}

int hms_reach_equal_public(const struct hms_reach *a, const struct hms_reach *b)
{
    return is_equal(a, b, 1);
}

static json_t *document(const struct hms_reach *reach, int is_public)
{
    json_t *object = json_object(), *tls = json_object();
    int is_needy = reach->is_needy;
    size_t i;

    for (i = 0; i < FIELD_COUNT; i++) {
        const char *text = *slot(reach, &fields[i]);

        if (text == NULL)
            continue;
        if (is_told(&fields[i], text, is_public))
            json_object_set_new(fields[i].group ? tls : object, fields[i].name, json_string(text));
        else
            is_needy = 1;
    }
    if (reach->docker == NULL)
        json_object_set_new(object, "docker", json_string(NONE));
    if (json_object_size(tls) > 0)
        json_object_set(object, "tls", tls);
    json_decref(tls);
    if (is_needy)
        json_object_set_new(object, SECRET_NEEDED, json_true());
    return object;
}

json_t *hms_reach_document(const struct hms_reach *reach)
{
    return document(reach, 0);
}

json_t *hms_reach_public(const struct hms_reach *reach)
{
    return document(reach, 1);
}

int hms_reach_recall(struct hms_reach *reach, const json_t *document, const char *address,
                     char *error, size_t error_size)
{
    int result = read_any(reach, document, address, 1, error, error_size);

    if (result == HMS_OK)
        reach->is_needy = hms_json_bool(document, SECRET_NEEDED, 0);
    return result;
}

const char *hms_reach_docker(const struct hms_reach *reach)
{
    return reach->docker ? reach->docker : NONE;
}

const char *hms_reach_credentials(const struct hms_reach *reach)
{
    if (reach->is_needy)
        return "needed";
    if (reach->password != NULL)
        return "in memory";
    return reach->key != NULL || reach->tls_key != NULL ? "kept" : "none";
}
