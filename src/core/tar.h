/*
 * A tar archive of a few small files, made in memory (libarchive).
 */
#ifndef HMS_CORE_TAR_H
#define HMS_CORE_TAR_H

#include <stddef.h>

struct hms_buffer;

struct hms_tar_file {
    const char *name; /* relative; one that ends in '/' is a folder, without data */
    const void *data;
    size_t size_bytes;
    unsigned mode; /* permissions, 0 to 07777; 0600 for secrets */
};

/*
 * Appends an archive (POSIX ustar; owner root, 0:0) of the files, in that order, to out. Returns 0;
 * HMS_EINVAL for a bad name (empty, absolute, with "..", longer than ustar can hold) or mode;
 * HMS_ELIMIT past out's limit (out is not an archive then).
 */
int hms_tar_append(struct hms_buffer *out, const struct hms_tar_file *files, size_t count);

#endif
