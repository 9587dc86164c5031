/* Finds where each object of an array ends; jansson judges what is inside. */
#include "core/json_rows.h"

#include <string.h>

#include "core/error.h"

enum { BEFORE_ARRAY, FIRST_OR_END, IN_OBJECT, COMMA_OR_END, NEXT, AFTER_ARRAY };

void hms_json_rows_init(struct hms_json_rows *rows, size_t count_max, size_t row_limit_bytes)
{
    memset(rows, 0, sizeof(*rows));
    hms_buffer_init(&rows->row, row_limit_bytes);
    rows->count_max = count_max;
    rows->state = BEFORE_ARRAY;
}

void hms_json_rows_free(struct hms_json_rows *rows)
{
    hms_buffer_free(&rows->row);
}

/* The size of what belongs to the object at data; *complete tells whether it ends there. */
static size_t scan_object(struct hms_json_rows *rows, const char *data, size_t size, int *complete)
{
    size_t i;

    *complete = 0;
    for (i = 0; i < size; i++) {
        char byte = data[i];

        if (rows->in_string) {
            if (rows->is_escaped)
                rows->is_escaped = 0;
            else if (byte == '\\')
                rows->is_escaped = 1;
            else if (byte == '"')
                rows->in_string = 0;
        } else if (byte == '"') {
            rows->in_string = 1;
        } else if (byte == '{' || byte == '[') {
            rows->depth++;
        } else if ((byte == '}' || byte == ']') && --rows->depth == 0) {
            *complete = 1;
            return i + 1;
        }
    }
    return size;
}

static int parse_object(struct hms_json_rows *rows, hms_json_row_fn on_row, void *arg)
{
    json_t *row;

    if (rows->count == rows->count_max)
        return HMS_ELIMIT;
    row = json_loadb(rows->row.data, rows->row.size_bytes, JSON_ALLOW_NUL, NULL);
    if (row == NULL)
        return HMS_EPROTO;
    rows->count++;
    hms_buffer_clear(&rows->row);
    rows->state = COMMA_OR_END;
    on_row(arg, row);
    json_decref(row);
    return HMS_OK;
}

/* One character between the objects. */
static int step(struct hms_json_rows *rows, char byte)
{
    if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n')
        return HMS_OK;
    if (rows->state == BEFORE_ARRAY && byte == '[')
        rows->state = FIRST_OR_END;
    else if ((rows->state == FIRST_OR_END || rows->state == COMMA_OR_END) && byte == ']')
        rows->state = AFTER_ARRAY;
    else if (rows->state == COMMA_OR_END && byte == ',')
        rows->state = NEXT;
    else
        return HMS_EPROTO;
    return HMS_OK;
}

int hms_json_rows_feed(struct hms_json_rows *rows, const char *data, size_t size_bytes,
                       hms_json_row_fn on_row, void *arg)
{
    size_t taken;
    int complete, error;

    while (size_bytes > 0) {
        if ((rows->state == FIRST_OR_END || rows->state == NEXT) && *data == '{')
            rows->state = IN_OBJECT;
        if (rows->state != IN_OBJECT) {
            if ((error = step(rows, *data)) != HMS_OK)
                return error;
            data++;
            size_bytes--;
            continue;
        }
        taken = scan_object(rows, data, size_bytes, &complete);
        if (hms_buffer_append(&rows->row, data, taken) != HMS_OK)
            return HMS_ELIMIT;
        data += taken;
        size_bytes -= taken;
        if (complete && (error = parse_object(rows, on_row, arg)) != HMS_OK)
            return error;
    }
    return HMS_OK;
}

int hms_json_rows_end(const struct hms_json_rows *rows)
{
    return rows->state == AFTER_ARRAY ? HMS_OK : HMS_EPROTO;
}
