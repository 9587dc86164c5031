/* The specification, and a digest of it by which a running container is recognised. */
#include "controller/manager_spec.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/manager_image.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"
#include "core/tar.h"

#define ENGINE_DIR     "/run/engine" /* in the container: the folder of the engine's socket */
#define STATE_DIR      "/var/lib/hms"
#define SYSTEM_LABEL   "hms.system" /* by which managers leave it alone */
#define SYSTEM_VALUE   "manager"
#define DIGEST_LABEL   "hms.spec"
#define STOP_TIMEOUT_S 10
#define PIDS_MAX       64
#define FILE_MAX_BYTES (256 * 1024)
#define SECRET_MODE    0600

enum { PASSWORD, CA, CERT, KEY, SECRET_COUNT };

/* The files of the secrets: in the container, and the manager's option for each. */
static const struct {
    const char *name;
    const char *option;
} secrets[] = {
    [PASSWORD] = {"broker-password", "broker-password-file"},
    [CA] = {"broker-ca.pem", "broker-ca"},
    [CERT] = {"broker-cert.pem", "broker-cert"},
    [KEY] = {"broker-key.pem", "broker-key"},
};

static int has_secret(const struct hms_manager_settings *settings, int which)
{
    switch (which) {
    case PASSWORD:
        return settings->password != NULL || settings->password_file != NULL;
    case CA:
        return settings->ca_file != NULL;
    case CERT:
        return settings->cert_file != NULL;
    default:
        return settings->key_file != NULL;
    }
}

/* ---- the specification ---- */

static void add_option(json_t *command, const char *name, const char *value)
{
    char *text = hms_asprintf("--%s=%s", name, value);

    json_array_append_new(command, json_string(text));
    free(text);
}

static void add_ms(json_t *command, const char *name, int64_t value_ms)
{
    char *text = hms_asprintf("--%s=%lld", name, (long long)value_ms);

    json_array_append_new(command, json_string(text));
    free(text);
}

static json_t *command_of(const struct hms_manager_settings *settings, const char *address,
                          const char *socket)
{
    json_t *command = json_pack("[s]", "manager");
    char *text;
    int i;

    add_option(command, "address", address);
    text = hms_asprintf("unix://" ENGINE_DIR "%s", strrchr(socket, '/'));
    add_option(command, "docker", text);
    free(text);
    add_option(command, "state-dir", STATE_DIR);
    add_option(command, "broker", settings->broker);
    for (i = 0; i < SECRET_COUNT; i++) {
        if (!has_secret(settings, i))
            continue;
        text = hms_asprintf(HMS_MANAGER_SECRETS "/%s", secrets[i].name);
        add_option(command, secrets[i].option, text);
        free(text);
    }
    add_ms(command, "heartbeat-ms", settings->heartbeat_ms);
    add_ms(command, "aggregation-ms", settings->aggregation_ms);
    return command;
}

static json_t *mounts_of(const char *socket)
{
    const char *slash = strrchr(socket, '/');
    char *folder =
        slash == socket ? hms_strdup("/") : hms_strndup(socket, (size_t)(slash - socket));
    /* A socket may be connected to through a read-only mount. Mounts below the folder (the engine
     * has some of its own in /run) stay outside. */
    json_t *mounts = json_pack(
        "[{s:s, s:s, s:s, s:b, s:{s:b}}, {s:s, s:s, s:s, s:{s:{s:s}}}, {s:s, s:s}]", "Type", "bind",
        "Source", folder, "Target", ENGINE_DIR, "ReadOnly", 1, "BindOptions", "NonRecursive", 1,
        "Type", "volume", "Source", HMS_MANAGER_VOLUME, "Target", STATE_DIR, "VolumeOptions",
        "Labels", SYSTEM_LABEL, SYSTEM_VALUE, "Type", "volume", "Target", HMS_MANAGER_SECRETS);

    free(folder);
    return mounts;
}

/* Only in the host's user namespace it has the host's network; image and volumes then belong to
 * other users, whom the capability reaches. */
static void undo_remapping(json_t *host_config)
{
    json_object_set_new(host_config, "UsernsMode", json_string("host"));
    json_array_append_new(json_object_get(host_config, "CapAdd"), json_string("DAC_OVERRIDE"));
}

static json_t *host_config_of(const char *socket)
{
    /* An engine that remaps users refuses the host's network to those. */
    return json_pack(
        "{s:s, s:s, s:{s:s}, s:[s], s:[s], s:[s], s:b, s:I, s:I, s:i, s:{s:s, s:{s:s, "
        "s:s}}, s:o}",
        "NetworkMode", "host", "UsernsMode", "host", "RestartPolicy", "Name", "unless-stopped",
        "CapDrop", "ALL", "CapAdd", "NET_RAW", "SecurityOpt", "no-new-privileges", "ReadonlyRootfs",
        1, "Memory", (json_int_t)HMS_MANAGER_MEMORY_MAX_BYTES, "MemorySwap",
        (json_int_t)HMS_MANAGER_MEMORY_MAX_BYTES, "PidsLimit", PIDS_MAX, "LogConfig", "Type",
        "json-file", "Config", "max-size", "5m", "max-file", "3", "Mounts", mounts_of(socket));
}

/* Hexadecimal SHA-256 of the text; free() it. */
static char *digest_of(const char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char *hex = hms_calloc(2 * sizeof(digest) + 1, 1);
    unsigned size = 0, i;

    EVP_Digest(text, strlen(text), digest, &size, EVP_sha256(), NULL);
    for (i = 0; i < size; i++)
        sprintf(hex + (size_t)2 * i, "%02x", digest[i]);
    return hex;
}

json_t *hms_manager_spec_make(const struct hms_manager_settings *settings,
                              const struct hms_manager_image *image, const char *address,
                              const char *socket, int remaps_users)
{
    json_t *spec = json_pack("{s:s, s:o, s:i, s:{s:s, s:s}, s:o}", "Image", image->name, "Cmd",
                             command_of(settings, address, socket), "StopTimeout", STOP_TIMEOUT_S,
                             "Labels", SYSTEM_LABEL, SYSTEM_VALUE, "hms.image", image->id,
                             "HostConfig", host_config_of(socket));
    char *text, *digest;

    if (remaps_users)
        undo_remapping(json_object_get(spec, "HostConfig"));
    text = json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS);
    digest = digest_of(text);
    json_object_set_new(json_object_get(spec, "Labels"), DIGEST_LABEL, json_string(digest));
    free(digest);
    free(text);
    return spec;
}

static const char *label_of(const json_t *inspected, const char *label)
{
    return json_string_value(hms_json_path(inspected, "Config", "Labels", label, NULL));
}

int hms_manager_spec_is_ours(const json_t *inspected)
{
    const char *value = label_of(inspected, SYSTEM_LABEL);

    return value != NULL && strcmp(value, SYSTEM_VALUE) == 0;
}

int hms_manager_spec_fits(const json_t *spec, const json_t *inspected)
{
    const char *wanted = json_string_value(hms_json_path(spec, "Labels", DIGEST_LABEL, NULL));
    const char *found = label_of(inspected, DIGEST_LABEL);

    return found != NULL && strcmp(found, wanted) == 0;
}

const char *hms_manager_spec_option(const json_t *inspected, const char *name)
{
    const json_t *command = hms_json_path(inspected, "Config", "Cmd", NULL);
    size_t length = strlen(name), i;
    json_t *word;

    json_array_foreach((json_t *)command, i, word)
    {
        const char *text = json_string_value(word);

        if (text != NULL && strncmp(text, "--", 2) == 0 && strncmp(text + 2, name, length) == 0 &&
            text[2 + length] == '=')
            return text + 2 + length + 1;
    }
    return NULL;
}

/* ---- secrets ---- */

static int read_file(const char *option, const char *path, struct hms_buffer *text, char *error,
                     size_t error_size)
{
    char why[512];
    int result = hms_file_read(path, text, why, sizeof(why));

    if (result != HMS_OK)
        snprintf(error, error_size, "--%s: %s", option, why);
    return result;
}

static int read_secret(const struct hms_manager_settings *settings, int which,
                       struct hms_buffer *text, char *error, size_t error_size)
{
    const char *const paths[] = {
        [PASSWORD] = settings->password_file,
        [CA] = settings->ca_file,
        [CERT] = settings->cert_file,
        [KEY] = settings->key_file,
    };

    if (paths[which] != NULL)
        return read_file(secrets[which].option, paths[which], text, error, error_size);
    return hms_buffer_append(text, settings->password, strlen(settings->password));
}

int hms_manager_secrets(const struct hms_manager_settings *settings, struct hms_buffer *tar,
                        char *error, size_t error_size)
{
    struct hms_tar_file files[SECRET_COUNT];
    struct hms_buffer texts[SECRET_COUNT];
    size_t count = 0, i;
    int result = HMS_OK, which;

    for (which = 0; which < SECRET_COUNT && result == HMS_OK; which++) {
        if (!has_secret(settings, which))
            continue;
        hms_buffer_init(&texts[count], FILE_MAX_BYTES);
        result = read_secret(settings, which, &texts[count], error, error_size);
        files[count] = (struct hms_tar_file){.name = secrets[which].name,
                                             .data = texts[count].data,
                                             .size_bytes = texts[count].size_bytes,
                                             .mode = SECRET_MODE};
        count++;
    }
    if (result == HMS_OK)
        result = hms_tar_append(tar, files, count);
    for (i = 0; i < count; i++)
        hms_buffer_wipe(&texts[i]);
    return result;
}
