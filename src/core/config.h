/*
 * Configuration of a command from one table of options of all commands. From a row come the flag
 * --stop-grace-ms (with --no-NAME for flags of type HMS_OPTION_FLAG), the environment variable
 * HMS_STOP_GRACE_MS, the key stop-grace-ms of the file given with --config (or HMS_CONFIG), its
 * part of --help and of --check-config.
 *
 * A flag wins over the environment, the environment over the file, the file over the default; a
 * value that loses is checked all the same. An environment variable that is empty counts as not
 * set. Of a flag given twice the last one holds. Option names cannot be abbreviated, so that a new
 * option never changes what an old command line means.
 *
 * The file has lines `name = value`, comments that begin with ; or # (at the end of a line: with a
 * space and ;), and sections named after commands: keys before the first section and those in the
 * section of the command that is run apply, other commands' sections are skipped. Each key stands
 * in it once; an unknown key or section is an error. A key that only other commands have is
 * skipped before the first section, which all of them share, and an error in a command's own.
 *
 * Adds to every command: --config FILE, --check-config (unless it has no file), --help.
 */
#ifndef HMS_CORE_CONFIG_H
#define HMS_CORE_CONFIG_H

#include <stddef.h>
#include <stdio.h>

enum hms_option_type {
    HMS_OPTION_STRING,  /* const char *: 1 to 4095 bytes without control characters, or NULL */
    HMS_OPTION_LIST,    /* const char *const *: comma-separated strings, NULL-terminated */
    HMS_OPTION_INTEGER, /* int or int64_t, told apart by the field's size */
    HMS_OPTION_NUMBER,  /* double */
    HMS_OPTION_FLAG,    /* int: 0 or 1; as text yes/no, true/false, on/off or 1/0 */
    HMS_OPTION_ENUM,    /* enum whose values are the positions in `words` */
};

struct hms_option {
    const char *name; /* as a flag without the dashes */
    enum hms_option_type type;
    size_t offset; /* of the field in the caller's struct: see HMS_OPTION_FIELD */
    size_t size;
    const char *group;        /* heading in --help; the rows of a group stand together */
    const char *metavar;      /* the value's name in --help; not for flags and enums */
    const char *help;         /* one sentence without a full stop; range and default are added */
    const char *unit;         /* "ms", "%"; or NULL */
    double min, max;          /* of integers (exact up to 2^53) and numbers, both inclusive */
    const char *const *words; /* of enums, NULL-terminated */

    /* The default as text; for one found at run time, derive() and how help tells it. Strings and
     * lists may have neither and are NULL then; where derive() gives NULL, the user must choose. */
    const char *fallback;
    char *(*derive)(void); /* a new string, or NULL */
    const char *derived;

    /* Further syntax of a string (or each of a list): NULL, or what it must be ("an IPv4 address").
     */
    const char *(*check)(const char *text);
    unsigned commands;             /* bit i: all_commands[i] has it; 0: every command has it */
    unsigned required : 1;         /* there is no default: the user must choose */
    unsigned secret : 1;           /* its value is never printed */
    unsigned environment_only : 1; /* no flag and no key in the file: for secrets */
    unsigned flag_only : 1;        /* neither environment nor file: for what is said each time */
};

#define HMS_OPTION_FIELD(type, field)                                                              \
    .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)

struct hms_config_spec {
    const char *command;              /* one of all_commands; its section in the file */
    const char *summary;              /* for --help */
    const char *const *all_commands;  /* sections a file may have, NULL-terminated */
    const struct hms_option *options; /* of all commands */
    size_t option_count;
    const char *operands;     /* what --help shows for them, "add ADDRESS | list"; NULL: none */
    unsigned has_no_file : 1; /* a command of people: no --config, no --check-config */

    /* Checks what spans several options and fills what depends on them. Returns 0, or a negative
     * error with a text in error that names the option. May be NULL. */
    int (*finish)(void *target, char *error, size_t error_size);
};

struct hms_config;

/*
 * Fills *target (the struct that the offsets are of) from argv[1] on, the environment, the file
 * and the defaults. Strings in it belong to *config, which the caller frees last.
 * Returns 1: go on; or 0: everything asked for (--help, --check-config) was printed to `out`, or
 * an error to `err`, *config is NULL, and the program ends with *exit_status: 0, 1 (--check-config
 * found an error) or 2 (refused). Uses getopt_long() and getenv(): not from threads.
 */
int hms_config_load(struct hms_config **config, const struct hms_config_spec *spec, int argc,
                    char **argv, void *target, FILE *out, FILE *err, int *exit_status);

/* The words of the command line that are no flags, in their order; they may stand between flags.
 * Borrowed from argv. */
const char *const *hms_config_operands(const struct hms_config *config, size_t *count);

void hms_config_free(struct hms_config *config);

#endif
