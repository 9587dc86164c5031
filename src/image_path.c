/* Finds the container image that belongs to this program. */
#include "image_path.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "core/alloc.h"

#define NAME "hms-image.tar"

/* Cuts the last part off; what is left of "/x" is "". */
static void to_parent(char *path)
{
    char *slash = strrchr(path, '/');

    *(slash ? slash : path) = '\0';
}

char *hms_image_path(void)
{
    char folder[PATH_MAX] = "/usr/bin/hms"; /* stays if the system does not tell */
    size_t size = sizeof(folder);
    char *path;

    uv_exepath(folder, &size);
    to_parent(folder);
    path = hms_asprintf("%s/" NAME, folder);
    if (access(path, F_OK) == 0)
        return path;
    free(path);
    to_parent(folder);
    return hms_asprintf("%s/share/hms/" NAME, folder);
}
