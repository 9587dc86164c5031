/*
 * Cuts what arrives in pieces into lines.
 */
#ifndef HMS_CORE_LINES_H
#define HMS_CORE_LINES_H

#include <stddef.h>

#include "core/buffer.h"

struct hms_lines {
    struct hms_buffer pending; /* what has arrived of the line that is not complete */
    size_t limit_bytes;
};

/* Receives one line without its end ("\n" or "\r\n"), 0-terminated and borrowed; returns non-zero
 * to have no more of them. */
typedef int (*hms_line_fn)(void *arg, const char *line, size_t size_bytes);

/* For lines of at most limit_bytes that come in pieces of at most 64 KiB. Free with
 * hms_lines_free(), but not from within on_line. */
void hms_lines_init(struct hms_lines *lines, size_t limit_bytes);
void hms_lines_free(struct hms_lines *lines);

/*
 * Takes the next bytes and calls on_line for each line that they complete, but for blank ones.
 * Returns 0, or HMS_ELIMIT when a line is too long: what has come of it is dropped.
 */
int hms_lines_feed(struct hms_lines *lines, const char *data, size_t size_bytes,
                   hms_line_fn on_line, void *arg);

#endif
