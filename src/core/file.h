/*
 * Small files, read whole.
 */
#ifndef HMS_CORE_FILE_H
#define HMS_CORE_FILE_H

#include <stddef.h>

struct hms_buffer;

/*
 * Appends the file to the buffer, up to its limit. A regular file only: another one could make the
 * caller wait for ever. Returns 0; HMS_EIO or HMS_ELIMIT with a text in error that names the path.
 */
int hms_file_read(const char *path, struct hms_buffer *buffer, char *error, size_t error_size);

#endif
