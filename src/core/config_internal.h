/*
 * What the files of config share: config.c (sources and precedence), config_value.c (text to
 * field), config_file.c (the INI file), config_print.c (--help and --check-config).
 */
#ifndef HMS_CORE_CONFIG_INTERNAL_H
#define HMS_CORE_CONFIG_INTERNAL_H

#include <stdio.h>

#include "core/config.h"

/* Room for what a value must be, and for a quoted value. */
#define HMS_CONFIG_RULE_SIZE  256
#define HMS_CONFIG_QUOTE_SIZE 96

/* Where the value that holds comes from; of one option. */
struct hms_config_setting {
    char *text;            /* NULL: not set */
    char *from;            /* "default", "file /etc/hms.conf:4", ... */
    char **items;          /* of a list: the array that the target points to */
    const char *flag_text; /* the last flag on the command line, borrowed, or NULL */
    const char *flag_form; /* "--" or "--no-" */
    int file_line;         /* where the file sets it, or 0 */
};

struct hms_config {
    const struct hms_config_spec *spec;
    struct hms_config_setting *settings; /* one per option, same order */
    void *target;
    char *error;           /* the first one, or NULL */
    const char *file_path; /* borrowed from argv or the environment */
    const char **operands; /* room for all of argv; borrowed from there */
    size_t operand_count;
    int check_only;
};

/* Whether the command that is run has this option. */
int hms_config_has(const struct hms_config_spec *spec, const struct hms_option *option);

/* HMS_STOP_GRACE_MS for stop-grace-ms; a new string. */
char *hms_config_environment_name(const char *option_name);

/* Records an error; returns HMS_EINVAL. */
int hms_config_fail(struct hms_config *config, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Lets text be the value of an option. Takes over `from`; `subject` names the value in an error,
 * which is recorded. Returns 0 or HMS_EINVAL.
 */
int hms_config_assign(struct hms_config *config, size_t index, const char *text, char *from,
                      const char *subject);

/* Reads the file. Returns 0 or HMS_EINVAL with the error recorded. */
int hms_config_read_file(struct hms_config *config, const char *path);

/*
 * Writes text into the target's field, which keeps pointing to it if it is a string. Returns 0, or
 * HMS_EINVAL (all is as it was) with what it must be in rule.
 */
int hms_config_write_value(const struct hms_option *option, const char *text, void *target,
                           struct hms_config_setting *setting, char rule[HMS_CONFIG_RULE_SIZE]);

/* "0 to 60000 ms": the bounds of an integer or number. */
void hms_config_describe_range(const struct hms_option *option, char *text, size_t size);

/* A printable, shortened 'value'. Returns quote. */
char *hms_config_quote(const char *text, char quote[HMS_CONFIG_QUOTE_SIZE]);

void hms_config_print_help(const struct hms_config_spec *spec, FILE *out);
void hms_config_print_effective(const struct hms_config *config, FILE *out);

#endif
