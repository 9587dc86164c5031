/* Checks notifications. */
#include "controller/notice.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/bus.h"
#include "core/error.h"

#define MEASURES 4

static int refuse(char error[HMS_JSON_ERROR_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(char error[HMS_JSON_ERROR_SIZE], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(error, HMS_JSON_ERROR_SIZE, format, args);
    va_end(args);
    return HMS_EPROTO;
}

/* An integer from min on; HMS_ENOENT if it is missing. */
static int read_integer(const json_t *message, const char *key, int64_t min, int64_t *value,
                        char error[HMS_JSON_ERROR_SIZE])
{
    const json_t *field = json_object_get(message, key);

    if (field == NULL)
        return HMS_ENOENT;
    if (!json_is_integer(field) || json_integer_value(field) < min)
        return refuse(error, "%s must be an integer from %" PRId64 " on", key, min);
    *value = json_integer_value(field);
    return HMS_OK;
}

static int check_key(const char *name, const char *key, char error[HMS_JSON_ERROR_SIZE])
{
    if (key == NULL || *key == '\0' || strlen(key) > HMS_NOTICE_KEY_MAX)
        return refuse(error, "%s: a key must be a text of 1 to %d bytes", name, HMS_NOTICE_KEY_MAX);
    return HMS_OK;
}

static int check_count(size_t count, const char *name, char error[HMS_JSON_ERROR_SIZE])
{
    if (count <= HMS_NOTICE_CONTAINERS_MAX)
        return HMS_OK;
    return refuse(error, "%s: %zu containers, %d are the limit", name, count,
                  HMS_NOTICE_CONTAINERS_MAX);
}

/* What version 1 and we read of an entry. It need not have them all; the rest is passed on. */
static const struct {
    const char *name;
    int is_text; /* else a boolean */
} entry_fields[] = {
    {"address", 1},       {"packet_loss", 1}, {"container_state", 1},
    {"service_state", 1}, {"details", 1},     {"id", 1},
    {"name", 1},          {"up", 0},          {"supervised", 0},
};

static int check_entry(const json_t *entry, const char *name, const char *key,
                       char error[HMS_JSON_ERROR_SIZE])
{
    const json_t *field;
    size_t i;

    if (!json_is_object(entry))
        return refuse(error, "%s: the entry of %s must be an object", name, key);
    for (i = 0; i < sizeof(entry_fields) / sizeof(entry_fields[0]); i++) {
        field = json_object_get(entry, entry_fields[i].name);
        if (field == NULL)
            continue;
        if (entry_fields[i].is_text ? !json_is_string(field) : !json_is_boolean(field))
            return refuse(error, "%s: %s of %s must be %s", name, entry_fields[i].name, key,
                          entry_fields[i].is_text ? "a text" : "true or false");
    }
    return HMS_OK;
}

int hms_notice_check_content(const json_t *content, const char *name,
                             char error[HMS_JSON_ERROR_SIZE])
{
    const char *key;
    json_t *entry;
    int result;

    if (!json_is_object(content))
        return refuse(error, "%s must be an object", name);
    result = check_count(json_object_size(content), name, error);
    if (result != HMS_OK)
        return result;
    json_object_foreach((json_t *)content, key, entry)
    {
        if (check_key(name, key, error) != HMS_OK || check_entry(entry, name, key, error) != HMS_OK)
            return HMS_EPROTO;
    }
    return HMS_OK;
}

static int check_removed(const json_t *removed, char error[HMS_JSON_ERROR_SIZE])
{
    size_t i;
    json_t *key;
    int result;

    if (!json_is_array(removed))
        return refuse(error, "removed must be an array");
    result = check_count(json_array_size(removed), "removed", error);
    if (result != HMS_OK)
        return result;
    json_array_foreach(removed, i, key) if (check_key("removed", json_string_value(key), error) !=
                                            HMS_OK) return HMS_EPROTO;
    return HMS_OK;
}

static int is_measure(const json_t *numbers)
{
    size_t i;
    json_t *number;

    if (json_array_size(numbers) != MEASURES)
        return 0;
    json_array_foreach(numbers, i, number) if (!json_is_number(number) ||
                                               json_number_value(number) < 0) return 0;
    return json_number_value(json_array_get(numbers, 0)) <= 100;
}

static int check_measures(const json_t *measures, char error[HMS_JSON_ERROR_SIZE])
{
    const char *key;
    json_t *numbers;
    int result;

    if (!json_is_object(measures))
        return refuse(error, "measures must be an object");
    result = check_count(json_object_size(measures), "measures", error);
    if (result != HMS_OK)
        return result;
    json_object_foreach((json_t *)measures, key, numbers)
    {
        if (check_key("measures", key, error) != HMS_OK)
            return HMS_EPROTO;
        if (!is_measure(numbers))
            return refuse(error,
                          "measures: %s must have a loss from 0 to 100 and three times in ms", key);
    }
    return HMS_OK;
}

static int read_address(struct hms_notice *notice, const json_t *message,
                        char error[HMS_JSON_ERROR_SIZE])
{
    const char *sender = hms_bus_sender_address(message);
    struct in_addr ignored;

    notice->address = hms_json_string(message, "address");
    if (notice->address == NULL || inet_pton(AF_INET, notice->address, &ignored) != 1)
        return refuse(error, "address must be an IPv4 address");
    if (sender != NULL && strcmp(sender, notice->address) != 0)
        return refuse(error, "address must be that of the sender");
    return HMS_OK;
}

int hms_notice_read_point(const json_t *message, struct hms_sync_point *point,
                          char error[HMS_JSON_ERROR_SIZE])
{
    int epoch = read_integer(message, "epoch", 1, &point->epoch, error);
    int version = HMS_EPROTO;

    if (epoch != HMS_EPROTO)
        version = read_integer(message, "version", 0, &point->version, error);
    if (version == HMS_EPROTO)
        return HMS_EPROTO;
    return epoch == version ? HMS_OK : refuse(error, "epoch and version must come together");
}

/* An update that tells a version has a base beside it. */
static int read_base(struct hms_notice *notice, const json_t *message,
                     char error[HMS_JSON_ERROR_SIZE])
{
    notice->base = notice->point.version;
    if (notice->kind != HMS_NOTICE_UPDATE || notice->point.epoch == 0)
        return HMS_OK;
    switch (read_integer(message, "base", 0, &notice->base, error)) {
    case HMS_OK:
        break;
    case HMS_ENOENT:
        return refuse(error, "base is missing");
    default:
        return HMS_EPROTO;
    }
    return notice->base <= notice->point.version ? HMS_OK : refuse(error, "base is above version");
}

static int read_changes(struct hms_notice *notice, const json_t *message,
                        char error[HMS_JSON_ERROR_SIZE])
{
    int result = HMS_OK;

    notice->changed = json_object_get(message, "changed");
    notice->removed = json_object_get(message, "removed");
    if (notice->changed != NULL)
        result = hms_notice_check_content(notice->changed, "changed", error);
    if (result == HMS_OK && notice->removed != NULL)
        result = check_removed(notice->removed, error);
    return result;
}

static int read_kind(struct hms_notice *notice, const json_t *message,
                     char error[HMS_JSON_ERROR_SIZE])
{
    const char *command = hms_json_string(message, "command");

    notice->kind = HMS_NOTICE_LIVE;
    if (command != NULL && strcmp(command, "live") == 0)
        return HMS_OK;
    notice->kind = HMS_NOTICE_UPDATE;
    if (command != NULL && strcmp(command, "update") == 0)
        return HMS_OK;
    refuse(error, "unknown command %.64s", command ? command : "that is no text");
    return HMS_ENOENT;
}

int hms_notice_read(struct hms_notice *notice, const json_t *message,
                    char error[HMS_JSON_ERROR_SIZE])
{
    int result;

    *notice = (struct hms_notice){0};
    result = read_kind(notice, message, error);
    if (result != HMS_OK)
        return result;
    if (read_address(notice, message, error) != HMS_OK ||
        read_integer(message, "period_ms", 1, &notice->period_ms, error) == HMS_EPROTO ||
        hms_notice_read_point(message, &notice->point, error) != HMS_OK ||
        read_base(notice, message, error) != HMS_OK)
        return HMS_EPROTO;
    notice->host = json_object_get(message, "host");
    if (notice->host != NULL && !json_is_object(notice->host))
        return refuse(error, "host must be an object");
    if (notice->kind == HMS_NOTICE_UPDATE)
        return read_changes(notice, message, error);
    notice->measures = json_object_get(message, "measures");
    return notice->measures ? check_measures(notice->measures, error) : HMS_OK;
}
