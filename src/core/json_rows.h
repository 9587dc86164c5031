/*
 * A JSON array of objects, read object by object while its bytes arrive: parsing a long list in one
 * go would hold the loop, and would hold the whole text and the whole tree in memory.
 */
#ifndef HMS_CORE_JSON_ROWS_H
#define HMS_CORE_JSON_ROWS_H

#include <jansson.h>
#include <stddef.h>

#include "core/buffer.h"

struct hms_json_rows {
    struct hms_buffer row; /* text of the object that is arriving */
    size_t count;          /* objects so far */
    size_t count_max;
    size_t depth; /* of brackets within the object */
    int state;
    int in_string;
    int is_escaped; /* the previous character was a backslash */
};

/* Receives each object; `row` is borrowed. */
typedef void (*hms_json_row_fn)(void *arg, const json_t *row);

/* At most count_max objects of row_limit_bytes each. Free with hms_json_rows_free(). */
void hms_json_rows_init(struct hms_json_rows *rows, size_t count_max, size_t row_limit_bytes);
void hms_json_rows_free(struct hms_json_rows *rows);

/*
 * Takes the next bytes and calls on_row for each object that they complete. Returns 0, HMS_EPROTO
 * if this is no array of objects, or HMS_ELIMIT; after an error call nothing but the free function.
 */
int hms_json_rows_feed(struct hms_json_rows *rows, const char *data, size_t size_bytes,
                       hms_json_row_fn on_row, void *arg);

/* Whether the array was complete: 0 or HMS_EPROTO. */
int hms_json_rows_end(const struct hms_json_rows *rows);

#endif
