/* Text and JSON lines on a descriptor that is never waited for. */
#include "core/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/json.h"

/* A pipe that polls writable takes PIPE_BUF bytes at least without blocking (pipe(7)). */
#define LINE_MAX_BYTES 4096

/* Fits a line even if JSON needs six bytes for each of its own. */
#define SHORT_MESSAGE_BYTES 512

struct hms_log {
    int fd;
    enum hms_log_format format;
    enum hms_log_level level;
    uint64_t dropped;
    uint64_t dropped_told;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct hms_log *hms_log_new(int fd, enum hms_log_format format, enum hms_log_level level)
{
    struct hms_log *log = hms_calloc(1, sizeof(*log));

    log->fd = fd;
    log->format = format;
    log->level = level;
    return log;
}

void hms_log_free(struct hms_log *log)
{
    free(log);
}

int hms_log_enabled(const struct hms_log *log, enum hms_log_level level)
{
    return level >= log->level;
}

uint64_t hms_log_dropped(const struct hms_log *log)
{
    return log->dropped;
}

static int put(struct hms_log *log, const char *line, size_t size)
{
    struct pollfd ready = {.fd = log->fd, .events = POLLOUT};

    if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT)) {
        log->dropped++;
        return 0;
    }
    while (size > 0) {
        ssize_t written = write(log->fd, line, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            log->dropped++;
            return 0;
        }
        line += written;
        size -= (size_t)written;
    }
    return 1;
}

static void append(char *line, size_t *used, const char *text)
{
    for (; *text != '\0' && *used < LINE_MAX_BYTES - 8; text++) {
        unsigned char byte = (unsigned char)*text;

        if (byte < 0x20 || byte == 0x7f) {
            *used += (size_t)sprintf(line + *used, "\\x%02x", byte);
        } else if (byte == 0xc2 && ((unsigned char)text[1] & 0xe0) == 0x80) {
            text++; /* U+0080 to U+009F: terminals may obey these too */
            *used += (size_t)sprintf(line + *used, "\\u00%02x", (unsigned char)*text);
        } else {
            line[(*used)++] = (char)byte;
        }
    }
}

static size_t format_text(char *line, enum hms_log_level level, const char *module,
                          const char *message)
{
    char when[HMS_CLOCK_TEXT_SIZE];
    size_t used = 0;

    used += (size_t)snprintf(line, LINE_MAX_BYTES,
                             "%s %-5s %s: ", hms_clock_format(hms_clock_wall_ns(), when),
                             level_names[level], module);
    append(line, &used, message);
    line[used++] = '\n';
    return used;
}

static json_t *json_line(enum hms_log_level level, const char *module, const char *message)
{
    char when[HMS_CLOCK_TEXT_US_SIZE];
    json_t *object = json_object();

    json_object_set_new(object, "time",
                        json_string(hms_clock_format_us(hms_clock_wall_ns(), when)));
    json_object_set_new(object, "level", json_string(level_names[level]));
    json_object_set_new(object, "module", json_string(module));
    json_object_set_new(object, "message", hms_json_text(message));
    return object;
}

/* Returns the size, or 0 if the object does not fit; takes the reference over. */
static size_t dump_line(char *line, json_t *object)
{
    size_t used = json_dumpb(object, line, LINE_MAX_BYTES - 1, HMS_JSON_DUMP);

    json_decref(object);
    return used <= LINE_MAX_BYTES - 1 ? used : 0;
}

/* Too long a line loses its fields, then the end of its message. */
static size_t format_json(char *line, enum hms_log_level level, const char *module,
                          const char *message, json_t *fields)
{
    char start[SHORT_MESSAGE_BYTES];
    json_t *object = json_line(level, module, message);
    size_t used;

    if (fields != NULL)
        json_object_update_missing(object, fields);
    used = dump_line(line, object);
    if (used == 0)
        used = dump_line(line, json_line(level, module, message));
    if (used == 0) {
        snprintf(start, sizeof(start), "%s", message);
        used = dump_line(line, json_line(level, module, start));
    }
    line[used++] = '\n';
    return used;
}

static void put_message(struct hms_log *log, enum hms_log_level level, const char *module,
                        json_t *fields, const char *message, va_list args)
    __attribute__((format(printf, 5, 0)));

static void put_message(struct hms_log *log, enum hms_log_level level, const char *module,
                        json_t *fields, const char *message, va_list args)
{
    char line[LINE_MAX_BYTES];
    char text[LINE_MAX_BYTES / 2];
    size_t used;

    vsnprintf(text, sizeof(text), message, args);
    used = log->format == HMS_LOG_JSON ? format_json(line, level, module, text, fields)
                                       : format_text(line, level, module, text);
    put(log, line, used);
}

static void tell_dropped(struct hms_log *log)
{
    uint64_t missing = log->dropped - log->dropped_told;
    char line[LINE_MAX_BYTES];
    char text[64];
    size_t used;

    if (missing == 0)
        return;
    snprintf(text, sizeof(text), "%llu lines dropped: the reader is slow",
             (unsigned long long)missing);
    used = log->format == HMS_LOG_JSON ? format_json(line, HMS_LOG_WARN, "log", text, NULL)
                                       : format_text(line, HMS_LOG_WARN, "log", text);
    if (put(log, line, used))
        log->dropped_told += missing;
    else
        log->dropped--; /* the notice itself is not a lost line */
}

void hms_log(struct hms_log *log, enum hms_log_level level, const char *module, const char *message,
             ...)
{
    va_list args;

    if (!hms_log_enabled(log, level))
        return;
    tell_dropped(log);
    va_start(args, message);
    put_message(log, level, module, NULL, message, args);
    va_end(args);
}

void hms_log_fields(struct hms_log *log, enum hms_log_level level, const char *module,
                    json_t *fields, const char *message, ...)
{
    va_list args;

    if (hms_log_enabled(log, level)) {
        tell_dropped(log);
        va_start(args, message);
        put_message(log, level, module, fields, message, args);
        va_end(args);
    }
    json_decref(fields);
}

int hms_log_limit_pass(struct hms_log_limit *limit, int64_t now_ms)
{
    if (limit->in_window == 0 || now_ms - limit->window_start_ms >= limit->period_ms) {
        limit->window_start_ms = now_ms;
        limit->in_window = 0;
    }
    if (limit->in_window >= limit->burst) {
        limit->suppressed++;
        return 0;
    }
    limit->in_window++;
    limit->suppressed = 0;
    return 1;
}
