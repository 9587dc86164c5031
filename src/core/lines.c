/* Lines out of pieces. */
#include "core/lines.h"

#include <string.h>

#include "core/error.h"

#define PIECE_MAX_BYTES ((size_t)64 * 1024)

void hms_lines_init(struct hms_lines *lines, size_t limit_bytes)
{
    hms_buffer_init(&lines->pending, limit_bytes + PIECE_MAX_BYTES);
    lines->limit_bytes = limit_bytes;
}

void hms_lines_free(struct hms_lines *lines)
{
    hms_buffer_free(&lines->pending);
}

/* Hands the complete lines over. `fresh`: where the bytes begin that were not searched yet. */
static void take_lines(struct hms_lines *lines, size_t fresh, hms_line_fn on_line, void *arg)
{
    struct hms_buffer *pending = &lines->pending;
    size_t start = 0;
    int is_enough = 0;
    char *end;

    while (!is_enough &&
           (end = memchr(pending->data + fresh, '\n', pending->size_bytes - fresh)) != NULL) {
        char *line = pending->data + start;
        size_t size = (size_t)(end - line);

        start = fresh = start + size + 1;
        if (size > 0 && line[size - 1] == '\r')
            size--;
        line[size] = '\0';
        if (strspn(line, " \t") < size)
            is_enough = on_line(arg, line, size);
    }
    hms_buffer_consume(pending, start);
}

int hms_lines_feed(struct hms_lines *lines, const char *data, size_t size_bytes,
                   hms_line_fn on_line, void *arg)
{
    size_t fresh = lines->pending.size_bytes;
    int error = hms_buffer_append(&lines->pending, data, size_bytes);

    if (error == HMS_OK && size_bytes > 0)
        take_lines(lines, fresh, on_line, arg);
    if (error == HMS_OK && lines->pending.size_bytes <= lines->limit_bytes)
        return HMS_OK;
    hms_buffer_clear(&lines->pending);
    return HMS_ELIMIT;
}
