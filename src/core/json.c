/* Strict parsing and typed access on top of jansson. */
#include "core/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"

json_t *hms_json_parse(const char *text, size_t size, char error[HMS_JSON_ERROR_SIZE])
{
    json_error_t detail;
    json_t *value = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &detail);

    if (value == NULL)
        snprintf(error, HMS_JSON_ERROR_SIZE, "invalid JSON at line %d, column %d: %s", detail.line,
                 detail.column, detail.text);
    return value;
}

/* Length of the UTF-8 sequence at text (RFC 3629), or 0 if it is not one. */
static size_t utf8_length(const unsigned char *text)
{
    unsigned char first = text[0];
    size_t length, i;

    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf)
        length = 2;
    else if (first >= 0xe0 && first <= 0xef)
        length = 3;
    else if (first >= 0xf0 && first <= 0xf4)
        length = 4;
    else
        return 0;
    if ((first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] > 0x9f) ||
        (first == 0xf0 && text[1] < 0x90) || (first == 0xf4 && text[1] > 0x8f))
        return 0;
    for (i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

json_t *hms_json_text(const char *text)
{
    json_t *value = json_string(text);
    char *clean, *out;

    if (value != NULL)
        return value;
    clean = out = hms_malloc(strlen(text) * 3 + 1);
    while (*text != '\0') {
        size_t length = utf8_length((const unsigned char *)text);

        if (length == 0) {
            memcpy(out, "\xef\xbf\xbd", 3);
            out += 3;
            text++;
        } else {
            memcpy(out, text, length);
            out += length;
            text += length;
        }
    }
    *out = '\0';
    value = json_string(clean);
    free(clean);
    return value;
}

const char *hms_json_string(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int64_t hms_json_int(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

int hms_json_bool(const json_t *object, const char *key, int otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

json_t *hms_json_path(const json_t *object, ...)
{
    const json_t *value = object;
    const char *key;
    va_list args;

    va_start(args, object);
    while (value != NULL && (key = va_arg(args, const char *)) != NULL)
        value = json_object_get(value, key);
    va_end(args);
    return (json_t *)value;
}

int hms_json_number(const json_t *object, const char *key, double min, double max, double *value,
                    char error[HMS_JSON_ERROR_SIZE])
{
    const json_t *field = json_object_get(object, key);
    double number;

    if (field == NULL) {
        snprintf(error, HMS_JSON_ERROR_SIZE, "%s is missing (a number from %.15g to %.15g)", key,
                 min, max);
        return HMS_ENOENT;
    }
    if (!json_is_number(field)) {
        snprintf(error, HMS_JSON_ERROR_SIZE, "%s must be a number from %.15g to %.15g", key, min,
                 max);
        return HMS_EINVAL;
    }
    number = json_number_value(field);
    if (!(number >= min && number <= max)) {
        snprintf(error, HMS_JSON_ERROR_SIZE, "%s is %.15g: it must be from %.15g to %.15g", key,
                 number, min, max);
        return HMS_EINVAL;
    }
    *value = number;
    return HMS_OK;
}
