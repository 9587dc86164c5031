/* Reads in the calling thread: what is small and local takes no time that counts. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/error.h"

static int fail(int code, const char *path, const char *why, char *error, size_t error_size)
{
    snprintf(error, error_size, "%.300s: %s", path, why);
    return code;
}

static int read_all(int fd, const char *path, struct hms_buffer *buffer, char *error,
                    size_t error_size)
{
    char chunk[4096];
    int result = HMS_OK;
    ssize_t got;

    while (result == HMS_OK && (got = read(fd, chunk, sizeof(chunk))) != 0) {
        if (got > 0)
            result = hms_buffer_append(buffer, chunk, (size_t)got);
        else if (errno != EINTR)
            result = fail(HMS_EIO, path, strerror(errno), error, error_size);
    }
    explicit_bzero(chunk, sizeof(chunk));
    if (result == HMS_ELIMIT)
        fail(HMS_ELIMIT, path, "the file is too long", error, error_size);
    return result;
}

int hms_file_read(const char *path, struct hms_buffer *buffer, char *error, size_t error_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    int result;

    if (fd < 0)
        return fail(HMS_EIO, path, strerror(errno), error, error_size);
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        result = fail(HMS_EIO, path, "not a regular file", error, error_size);
    else
        result = read_all(fd, path, buffer, error, error_size);
    close(fd);
    return result;
}
