/* A tar archive in memory, written by libarchive. */
#include "core/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/buffer.h"
#include "core/error.h"

#define MODE_MAX 07777
#define NAME_MAX_BYTES                                                                             \
    255 /* ustar's: 155 of folders, 100 of the rest; libarchive knows exactly                      \
         */

static la_ssize_t on_write(struct archive *archive, void *arg, const void *data, size_t size)
{
    if (hms_buffer_append(arg, data, size) == HMS_OK)
        return (la_ssize_t)size;
    archive_set_error(archive, ENOSPC, "the archive is too long");
    return -1;
}

static int is_name(const char *name)
{
    size_t length = strlen(name);
    const char *dots;

    if (length == 0 || length > NAME_MAX_BYTES || name[0] == '/')
        return 0;
    for (dots = strstr(name, ".."); dots != NULL; dots = strstr(dots + 1, ".."))
        if ((dots == name || dots[-1] == '/') && (dots[2] == '/' || dots[2] == '\0'))
            return 0;
    return 1;
}

static int append_file(struct archive *archive, const struct hms_tar_file *file)
{
    struct archive_entry *entry;
    int is_folder = is_name(file->name) && file->name[strlen(file->name) - 1] == '/';
    int result;

    if (!is_name(file->name) || file->mode > MODE_MAX || (is_folder && file->size_bytes > 0))
        return HMS_EINVAL;
    entry = archive_entry_new();
    if (entry == NULL)
        abort();
    archive_entry_set_pathname(entry, file->name);
    archive_entry_set_filetype(entry, is_folder ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(entry, (mode_t)file->mode);
    archive_entry_set_size(entry, (la_int64_t)file->size_bytes);
    archive_entry_set_mtime(entry, time(NULL), 0);
    result = archive_write_header(archive, entry);
    archive_entry_free(entry);
    if (result == ARCHIVE_FAILED) /* ustar has no room for the name */
        return HMS_EINVAL;
    if (result != ARCHIVE_OK ||
        archive_write_data(archive, file->data, file->size_bytes) != (la_ssize_t)file->size_bytes)
        return HMS_ELIMIT;
    return HMS_OK;
}

int hms_tar_append(struct hms_buffer *out, const struct hms_tar_file *files, size_t count)
{
    struct archive *archive = archive_write_new();
    int result = HMS_OK;
    size_t i;

    if (archive == NULL || archive_write_set_format_ustar(archive) != ARCHIVE_OK)
        abort();
    archive_write_set_bytes_in_last_block(archive, 1); /* no padding to a tape's block */
    if (archive_write_open(archive, out, NULL, on_write, NULL) != ARCHIVE_OK)
        abort();
    for (i = 0; i < count && result == HMS_OK; i++)
        result = append_file(archive, &files[i]);
    if (archive_write_close(archive) != ARCHIVE_OK && result == HMS_OK)
        result = HMS_ELIMIT;
    archive_write_free(archive);
    return result;
}
