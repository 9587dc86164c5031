/*
 * The archive (`docker save`) with the image that managers are run from.
 */
#ifndef HMS_CONTROLLER_MANAGER_IMAGE_H
#define HMS_CONTROLLER_MANAGER_IMAGE_H

#include <stddef.h>

struct hms_manager_image {
    char *name; /* "hms:0.1.0" */
    char *id;   /* "sha256:..." of its configuration; most engines call the image so */
};

/*
 * Reads both from the archive's manifest: little work, whatever the size of the archive. Returns 0,
 * or HMS_EIO or HMS_EPROTO with a text in error that names the file.
 */
int hms_manager_image_read(struct hms_manager_image *image, const char *path, char *error,
                           size_t error_size);
void hms_manager_image_clear(struct hms_manager_image *image);

#endif
