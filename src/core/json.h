/*
 * Reading JSON that others wrote: strict parsing, typed fields, errors that name the field.
 */
#ifndef HMS_CORE_JSON_H
#define HMS_CORE_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Flags of everything that is written: no blanks, and 0.1 as 0.1 rather than with 17 digits. */
#define HMS_JSON_DUMP (JSON_COMPACT | JSON_REAL_PRECISION(10))

/* Room for any error text of this module. */
#define HMS_JSON_ERROR_SIZE 256

/*
 * Parses exactly one JSON value (no trailing text, no duplicate keys, depth as jansson's limit).
 * Returns a new reference, or NULL with a text in error.
 */
json_t *hms_json_parse(const char *text, size_t size, char error[HMS_JSON_ERROR_SIZE]);

/* A JSON string from bytes that need not be UTF-8: every invalid byte becomes U+FFFD. */
json_t *hms_json_text(const char *text);

/* The string at key, or NULL when it is missing or no string; borrowed. */
const char *hms_json_string(const json_t *object, const char *key);

/* The integer at key, or `otherwise` when it is missing or no integer. */
int64_t hms_json_int(const json_t *object, const char *key, int64_t otherwise);

/* The boolean at key, or `otherwise` when it is missing or no boolean. */
int hms_json_bool(const json_t *object, const char *key, int otherwise);

/* A nested object's field, e.g. hms_json_path(o, "State", "Status", NULL); borrowed, or NULL. */
json_t *hms_json_path(const json_t *object, ...) __attribute__((sentinel));

/*
 * A number (integer or real) within [min, max] at key. Returns 0; HMS_ENOENT if it is missing, or
 * HMS_EINVAL if it has another type or is out of range, with a text in error that names the key
 * and the range.
 */
int hms_json_number(const json_t *object, const char *key, double min, double max, double *value,
                    char error[HMS_JSON_ERROR_SIZE]);

#endif
