/* Reads the archive's manifest.json and nothing else. */
#include "controller/manager_image.h"

#include <archive.h>
#include <archive_entry.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/json.h"

#define MANIFEST           "manifest.json"
#define MANIFEST_MAX_BYTES 65536
#define BLOCK_BYTES        65536
#define ID_DIGITS          64

static int fail(int error, const char *path, const char *why, char *text, size_t text_size)
{
    snprintf(text, text_size, "%s: %s", path, why);
    return error;
}

/* Leaves the archive at the manifest's data. The layers before it are skipped by seeking. */
static int find_manifest(struct archive *archive, struct archive_entry **entry)
{
    int status;

    while ((status = archive_read_next_header(archive, entry)) == ARCHIVE_OK)
        if (strcmp(archive_entry_pathname(*entry), MANIFEST) == 0)
            break;
    return status;
}

static int read_manifest(const char *path, json_t **manifest, char *error, size_t error_size)
{
    struct archive *archive = archive_read_new();
    char *text = hms_malloc(MANIFEST_MAX_BYTES);
    struct archive_entry *entry;
    la_ssize_t size = -1;
    int result = HMS_OK;

    archive_read_support_format_tar(archive);
    if (archive_read_open_filename(archive, path, BLOCK_BYTES) != ARCHIVE_OK)
        result = fail(HMS_EIO, path, archive_error_string(archive), error, error_size);
    else if (find_manifest(archive, &entry) == ARCHIVE_OK)
        size = archive_read_data(archive, text, MANIFEST_MAX_BYTES);
    *manifest = size > 0 ? json_loadb(text, (size_t)size, 0, NULL) : NULL;
    if (result == HMS_OK && *manifest == NULL)
        result = fail(HMS_EPROTO, path, "is no archive of a container image", error, error_size);
    archive_read_free(archive);
    free(text);
    return result;
}

/* "DIGEST.json" or "blobs/sha256/DIGEST". */
static char *id_of(const char *config)
{
    const char *slash = config ? strrchr(config, '/') : NULL;
    const char *digest = slash ? slash + 1 : config;

    if (digest == NULL || strspn(digest, "0123456789abcdef") != ID_DIGITS)
        return NULL;
    return hms_asprintf("sha256:%.*s", ID_DIGITS, digest);
}

int hms_manager_image_read(struct hms_manager_image *image, const char *path, char *error,
                           size_t error_size)
{
    const json_t *first;
    const char *name;
    json_t *manifest;
    int result = read_manifest(path, &manifest, error, error_size);

    memset(image, 0, sizeof(*image));
    if (result != HMS_OK)
        return result;
    first = json_array_get(manifest, 0);
    name = json_string_value(json_array_get(json_object_get(first, "RepoTags"), 0));
    image->name = name ? hms_strdup(name) : NULL;
    image->id = id_of(hms_json_string(first, "Config"));
    json_decref(manifest);
    if (image->name != NULL && image->id != NULL)
        return HMS_OK;
    hms_manager_image_clear(image);
    return fail(HMS_EPROTO, path, "its manifest names no image", error, error_size);
}

void hms_manager_image_clear(struct hms_manager_image *image)
{
    free(image->name);
    free(image->id);
    memset(image, 0, sizeof(*image));
}
