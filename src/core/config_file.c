/* The INI file: inih splits its lines, this file numbers them and knows what may stand there. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/config_internal.h"
#include "core/error.h"
#include "core/suggest.h"

#define FILE_MAX_BYTES 65536

struct ini_file {
    struct hms_config *config;
    const char *path;
    const char *next; /* the first byte not yet read */
    const char *end;
    int line; /* of what was read last, from 1 */
};

/*
 * One line for inih, without its indent, which inih would take for the continuation of a value.
 * Returns NULL at the end or after an error.
 */
static char *read_line(char *line, int size, void *arg)
{
    struct ini_file *file = arg;
    const char *start = file->next;
    const char *newline;
    size_t length;

    if (file->config->error != NULL || start == file->end)
        return NULL;
    newline = memchr(start, '\n', (size_t)(file->end - start));
    file->next = newline ? newline + 1 : file->end;
    file->line++;
    while (start < file->next && *start != '\n' && isspace((unsigned char)*start))
        start++;
    length = (size_t)(file->next - start);
    if (length >= (size_t)size) {
        hms_config_fail(file->config, "%s:%d: the line is longer than %d bytes", file->path,
                        file->line, size - 2);
        return NULL;
    }
    memcpy(line, start, length);
    line[length] = '\0';
    return line;
}

/* Whether keys of this section are for the command that is run; an unknown one is an error. */
static int section_applies(struct ini_file *file, const char *section)
{
    const struct hms_config_spec *spec = file->config->spec;
    char quote[HMS_CONFIG_QUOTE_SIZE];
    struct hms_suggest suggest;
    size_t i;

    if (section[0] == '\0' || strcmp(section, spec->command) == 0)
        return 1;
    hms_suggest_begin(&suggest, section);
    for (i = 0; spec->all_commands[i] != NULL; i++) {
        if (strcmp(section, spec->all_commands[i]) == 0)
            return 0;
        hms_suggest_offer(&suggest, spec->all_commands[i]);
    }
    hms_config_fail(file->config, "%s:%d: unknown section %s%s%s%s", file->path, file->line,
                    hms_config_quote(section, quote), suggest.best ? "; did you mean '" : "",
                    suggest.best ? suggest.best : "", suggest.best ? "'?" : "");
    return 0;
}

static void set_key(struct ini_file *file, size_t index, const char *value)
{
    struct hms_config_setting *setting = &file->config->settings[index];
    const char *name = file->config->spec->options[index].name;
    char *subject;

    if (setting->file_line != 0) {
        hms_config_fail(file->config, "%s:%d: '%s' was set before, on line %d", file->path,
                        file->line, name, setting->file_line);
        return;
    }
    setting->file_line = file->line;
    subject = hms_asprintf("%s:%d: %s", file->path, file->line, name);
    hms_config_assign(file->config, index, value,
                      hms_asprintf("file %s:%d", file->path, file->line), subject);
    free(subject);
}

static void fail_unknown(struct ini_file *file, const char *name)
{
    const struct hms_config_spec *spec = file->config->spec;
    char quote[HMS_CONFIG_QUOTE_SIZE];
    struct hms_suggest suggest;
    size_t i;

    hms_suggest_begin(&suggest, name);
    for (i = 0; i < spec->option_count; i++)
        if (!spec->options[i].environment_only && !spec->options[i].flag_only &&
            hms_config_has(spec, &spec->options[i]))
            hms_suggest_offer(&suggest, spec->options[i].name);
    hms_config_fail(file->config, "%s:%d: unknown key %s%s%s%s", file->path, file->line,
                    hms_config_quote(name, quote), suggest.best ? "; did you mean '" : "",
                    suggest.best ? suggest.best : "", suggest.best ? "'?" : "");
}

/* A key that belongs to a row of the table. */
static void take_key(struct ini_file *file, const char *section, size_t index, const char *value)
{
    const struct hms_config_spec *spec = file->config->spec;
    const struct hms_option *option = &spec->options[index];
    char *variable;

    if (option->environment_only) {
        variable = hms_config_environment_name(option->name);
        hms_config_fail(file->config,
                        "%s:%d: '%s' cannot be set in a file, only as %s in the "
                        "environment",
                        file->path, file->line, option->name, variable);
        free(variable);
    } else if (hms_config_has(spec, option)) {
        set_key(file, index, value);
    } else if (section[0] != '\0') {
        hms_config_fail(file->config, "%s:%d: 'hms %s' has no option '%s'", file->path, file->line,
                        spec->command, option->name);
    }
}

/* Errors of ours are kept in the config; inih is always told that all went well. */
static int on_key(void *arg, const char *section, const char *name, const char *value)
{
    struct ini_file *file = arg;
    const struct hms_config_spec *spec = file->config->spec;
    size_t i;

    if (!section_applies(file, section))
        return 1;
    for (i = 0; i < spec->option_count; i++) {
        if (strcmp(name, spec->options[i].name) == 0) {
            take_key(file, section, i, value);
            return 1;
        }
    }
    fail_unknown(file, name);
    return 1;
}

/* The whole file, so that a key's line is known and nothing is read without a bound. */
static int slurp(struct hms_config *config, const char *path, struct hms_buffer *buffer)
{
    char chunk[4096];
    int result = HMS_OK;
    ssize_t got = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return hms_config_fail(config, "cannot open %s: %s", path, strerror(errno));
    while (result == HMS_OK && (got = read(fd, chunk, sizeof(chunk))) != 0) {
        if (got > 0)
            result = hms_buffer_append(buffer, chunk, (size_t)got);
        else if (errno != EINTR)
            result = hms_config_fail(config, "cannot read %s: %s", path, strerror(errno));
    }
    close(fd);
    if (result == HMS_ELIMIT)
        return hms_config_fail(config, "%s is larger than %d bytes", path, FILE_MAX_BYTES);
    if (result == HMS_OK && buffer->size_bytes > 0 &&
        memchr(buffer->data, '\0', buffer->size_bytes) != NULL)
        return hms_config_fail(config, "%s is not a text file", path);
    return result;
}

int hms_config_read_file(struct hms_config *config, const char *path)
{
    struct ini_file file = {.config = config, .path = path};
    struct hms_buffer buffer;
    int bad_line;

    hms_buffer_init(&buffer, FILE_MAX_BYTES);
    if (slurp(config, path, &buffer) == HMS_OK && buffer.size_bytes > 0) {
        file.next = buffer.data;
        file.end = buffer.data + buffer.size_bytes;
        bad_line = ini_parse_stream(read_line, &file, on_key, &file);
        if (bad_line > 0 && (config->error == NULL || bad_line < file.line)) {
            free(config->error);
            config->error = NULL;
            hms_config_fail(config, "%s:%d: neither 'name = value' nor '[section]'", path,
                            bad_line);
        }
    }
    hms_buffer_free(&buffer);
    return config->error == NULL ? HMS_OK : HMS_EINVAL;
}
