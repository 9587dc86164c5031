/* Sources of configuration and their precedence: default, file, environment, flags. */
#include "core/config.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/config_internal.h"
#include "core/error.h"
#include "core/suggest.h"

#define EXIT_CHECK_FAILED 1
#define EXIT_REFUSED      2

/* Values of getopt_long(): a word that is no option, built-in options, then two for each row of the
 * table. */
enum { OPT_OPERAND = 1, OPT_HELP = 'h', OPT_CONFIG = 256, OPT_CHECK_CONFIG, OPT_FIRST };

enum { FLAGS_OK, FLAGS_HELP, FLAGS_BAD };

int hms_config_has(const struct hms_config_spec *spec, const struct hms_option *option)
{
    unsigned bit = 1;
    size_t i;

    for (i = 0; strcmp(spec->all_commands[i], spec->command) != 0; i++)
        bit <<= 1;
    return option->commands == 0 || (option->commands & bit) != 0;
}

int hms_config_fail(struct hms_config *config, const char *format, ...)
{
    va_list args;

    if (config->error != NULL)
        return HMS_EINVAL;
    va_start(args, format);
    if (vasprintf(&config->error, format, args) < 0)
        abort();
    va_end(args);
    return HMS_EINVAL;
}

int hms_config_assign(struct hms_config *config, size_t index, const char *text, char *from,
                      const char *subject)
{
    const struct hms_option *option = &config->spec->options[index];
    struct hms_config_setting *setting = &config->settings[index];
    char rule[HMS_CONFIG_RULE_SIZE];
    char quote[HMS_CONFIG_QUOTE_SIZE];
    char *copy = hms_strdup(text);

    if (hms_config_write_value(option, copy, config->target, setting, rule) != HMS_OK) {
        free(copy);
        free(from);
        return hms_config_fail(config, "%s %s: must be %s", subject,
                               option->secret ? "(hidden)" : hms_config_quote(text, quote), rule);
    }
    free(setting->text);
    free(setting->from);
    setting->text = copy;
    setting->from = from;
    return HMS_OK;
}

static int assign_default(struct hms_config *config, size_t index)
{
    const struct hms_option *option = &config->spec->options[index];
    char *derived, *subject;
    int result;

    if (option->derive == NULL && option->fallback == NULL)
        return HMS_OK;
    derived = option->derive ? option->derive() : hms_strdup(option->fallback);
    if (derived == NULL)
        return HMS_OK;
    subject = hms_asprintf("the default of --%s", option->name);
    result = hms_config_assign(config, index, derived, hms_strdup("default"), subject);
    free(subject);
    free(derived);
    return result;
}

char *hms_config_environment_name(const char *option_name)
{
    char *name = hms_asprintf("HMS_%s", option_name);
    char *letter;

    for (letter = name; *letter != '\0'; letter++)
        *letter = *letter == '-' ? '_' : (char)toupper((unsigned char)*letter);
    return name;
}

/* NULL if it is not set or empty. */
static const char *environment_value(const char *name)
{
    const char *text = getenv(name);

    return text != NULL && text[0] != '\0' ? text : NULL;
}

static int assign_environment(struct hms_config *config, size_t index)
{
    const struct hms_option *option = &config->spec->options[index];
    char *name = hms_config_environment_name(option->name);
    const char *text = option->flag_only ? NULL : environment_value(name);
    int result = HMS_OK;

    if (text != NULL)
        result = hms_config_assign(config, index, text, hms_asprintf("environment %s", name), name);
    free(name);
    return result;
}

static int assign_flag(struct hms_config *config, size_t index)
{
    const struct hms_config_setting *setting = &config->settings[index];
    char *form;
    int result;

    if (setting->flag_text == NULL)
        return HMS_OK;
    form = hms_asprintf("%s%s", setting->flag_form, config->spec->options[index].name);
    result =
        hms_config_assign(config, index, setting->flag_text, hms_asprintf("flag %s", form), form);
    free(form);
    return result;
}

static int assign_all(struct hms_config *config,
                      int (*assign)(struct hms_config *config, size_t index))
{
    size_t i;

    for (i = 0; i < config->spec->option_count; i++)
        if (hms_config_has(config->spec, &config->spec->options[i]) && assign(config, i) != HMS_OK)
            return HMS_EINVAL;
    return HMS_OK;
}

/* The table for getopt_long() in one array that the caller frees with free_flag_table(). */
static struct option *make_flag_table(const struct hms_config_spec *spec)
{
    struct option *table = hms_calloc(spec->option_count * 2 + 4, sizeof(*table));
    size_t used = 0;
    size_t i;

    for (i = 0; i < spec->option_count; i++) {
        const struct hms_option *option = &spec->options[i];
        int is_flag = option->type == HMS_OPTION_FLAG;
        int value = OPT_FIRST + (int)i * 2;

        if (option->environment_only || !hms_config_has(spec, option))
            continue;
        table[used++] = (struct option){hms_strdup(option->name),
                                        is_flag ? no_argument : required_argument, NULL, value};
        if (is_flag)
            table[used++] =
                (struct option){hms_asprintf("no-%s", option->name), no_argument, NULL, value + 1};
    }
    if (!spec->has_no_file) {
        table[used++] = (struct option){hms_strdup("config"), required_argument, NULL, OPT_CONFIG};
        table[used++] =
            (struct option){hms_strdup("check-config"), no_argument, NULL, OPT_CHECK_CONFIG};
    }
    table[used++] = (struct option){hms_strdup("help"), no_argument, NULL, OPT_HELP};
    return table;
}

static void free_flag_table(struct option *table)
{
    size_t i;

    for (i = 0; table[i].name != NULL; i++)
        free((char *)table[i].name);
    free(table);
}

/* Whether word is "--NAME" or "--NAME=..." of a row of the table, in full. */
static const struct option *exact_option(const struct option *table, const char *word)
{
    size_t length;

    if (strncmp(word, "--", 2) != 0)
        return NULL;
    length = strcspn(word + 2, "=");
    for (; table->name != NULL; table++)
        if (strlen(table->name) == length && strncmp(table->name, word + 2, length) == 0)
            return table;
    return NULL;
}

/* getopt_long() takes any unique beginning of a name. */
static int is_abbreviation(const struct option *table, const char *word)
{
    return strncmp(word, "--", 2) == 0 && exact_option(table, word) == NULL;
}

static int fail_unknown(struct hms_config *config, const struct option *table, const char *word)
{
    char *name = hms_strndup(word, strcspn(word, "="));
    char quote[HMS_CONFIG_QUOTE_SIZE];
    struct hms_suggest suggest;

    hms_suggest_begin(&suggest, name + strspn(name, "-"));
    for (; table->name != NULL; table++)
        hms_suggest_offer(&suggest, table->name);
    hms_config_fail(config, "unknown option %s%s%s%s", hms_config_quote(name, quote),
                    suggest.best ? "; did you mean '--" : "", suggest.best ? suggest.best : "",
                    suggest.best ? "'?" : "");
    free(name);
    return FLAGS_BAD;
}

static int fail_flag(struct hms_config *config, const struct option *table, const char *word)
{
    const struct option *option = exact_option(table, word);

    if (option == NULL)
        return fail_unknown(config, table, word);
    hms_config_fail(config, "option '--%s' %s", option->name,
                    option->has_arg == no_argument ? "takes no value" : "needs a value");
    return FLAGS_BAD;
}

static void note_flag(struct hms_config *config, int value, const char *text)
{
    int ordinal = value - OPT_FIRST;
    struct hms_config_setting *setting = &config->settings[ordinal / 2];
    int is_negation = ordinal % 2;

    setting->flag_form = is_negation ? "--no-" : "--";
    setting->flag_text = text ? text : is_negation ? "no" : "yes";
}

static int note_operand(struct hms_config *config, const char *word)
{
    char quote[HMS_CONFIG_QUOTE_SIZE];

    if (config->spec->operands != NULL) {
        config->operands[config->operand_count++] = word;
        return FLAGS_OK;
    }
    hms_config_fail(config, "unexpected argument %s", hms_config_quote(word, quote));
    return FLAGS_BAD;
}

/* Notes what the command line says; values are looked at later, after the weaker sources. */
static int read_flags(struct hms_config *config, const struct option *table, int argc, char **argv)
{
    optind = 0; /* glibc: begin anew */
    opterr = 0;
    for (;;) {
        const char *word = argv[optind ? optind : 1];
        int value = getopt_long(argc, argv, "-:h", table, NULL);

        if (value == -1)
            break;
        if (value == OPT_OPERAND) {
            if (note_operand(config, optarg) != FLAGS_OK)
                return FLAGS_BAD;
            continue;
        }
        if (value == '?' || value == ':' || is_abbreviation(table, word))
            return fail_flag(config, table, word);
        if (value == OPT_HELP)
            return FLAGS_HELP;
        if (value == OPT_CONFIG)
            config->file_path = optarg;
        else if (value == OPT_CHECK_CONFIG)
            config->check_only = 1;
        else
            note_flag(config, value, optarg);
    }
    for (; optind < argc; optind++)
        if (note_operand(config, argv[optind]) != FLAGS_OK)
            return FLAGS_BAD;
    return FLAGS_OK;
}

/* An option without a default, or whose default depends on the surroundings that do not tell it. */
static int check_required(struct hms_config *config, size_t index)
{
    const struct hms_option *option = &config->spec->options[index];

    if (config->settings[index].text != NULL)
        return HMS_OK;
    if (option->required)
        return hms_config_fail(config, "--%s must be given", option->name);
    if (option->derive == NULL)
        return HMS_OK;
    return hms_config_fail(config, "--%s must be given: there is no default here (%s)",
                           option->name, option->derived);
}

/* From the weakest source to the strongest. */
static int apply_sources(struct hms_config *config)
{
    char error[HMS_CONFIG_RULE_SIZE] = "";

    if (config->file_path == NULL && !config->spec->has_no_file)
        config->file_path = environment_value("HMS_CONFIG");
    if (assign_all(config, assign_default) != HMS_OK)
        return HMS_EINVAL;
    if (config->file_path != NULL && hms_config_read_file(config, config->file_path) != HMS_OK)
        return HMS_EINVAL;
    if (assign_all(config, assign_environment) != HMS_OK ||
        assign_all(config, assign_flag) != HMS_OK || assign_all(config, check_required) != HMS_OK)
        return HMS_EINVAL;
    if (config->spec->finish != NULL &&
        config->spec->finish(config->target, error, sizeof(error)) != HMS_OK)
        return hms_config_fail(config, "%s", error);
    return HMS_OK;
}

static void print_error(const struct hms_config *config, FILE *err)
{
    const char *command = config->spec->command;

    fprintf(err, "hms %s: %s\nTry 'hms %s --help'.\n", command, config->error, command);
}

/* Returns 1 to go on, or 0 with the status to end with. */
static int load(struct hms_config *config, int argc, char **argv, FILE *out, FILE *err,
                int *exit_status)
{
    struct option *table = make_flag_table(config->spec);
    int flags = read_flags(config, table, argc, argv);

    free_flag_table(table);
    *exit_status = 0;
    if (flags == FLAGS_HELP) {
        hms_config_print_help(config->spec, out);
        return 0;
    }
    if (flags == FLAGS_BAD || apply_sources(config) != HMS_OK) {
        print_error(config, err);
        *exit_status = config->check_only ? EXIT_CHECK_FAILED : EXIT_REFUSED;
        return 0;
    }
    if (config->check_only)
        hms_config_print_effective(config, out);
    return !config->check_only;
}

int hms_config_load(struct hms_config **config, const struct hms_config_spec *spec, int argc,
                    char **argv, void *target, FILE *out, FILE *err, int *exit_status)
{
    *config = hms_calloc(1, sizeof(**config));
    (*config)->spec = spec;
    (*config)->settings = hms_calloc(spec->option_count, sizeof(*(*config)->settings));
    (*config)->operands = hms_calloc((size_t)argc + 1, sizeof((*config)->operands[0]));
    (*config)->target = target;
    if (load(*config, argc, argv, out, err, exit_status))
        return 1;
    hms_config_free(*config);
    *config = NULL;
    return 0;
}

const char *const *hms_config_operands(const struct hms_config *config, size_t *count)
{
    *count = config->operand_count;
    return config->operands;
}

void hms_config_free(struct hms_config *config)
{
    size_t i;

    if (config == NULL)
        return;
    for (i = 0; i < config->spec->option_count; i++) {
        free(config->settings[i].text);
        free(config->settings[i].from);
        free(config->settings[i].items);
    }
    free(config->settings);
    free(config->operands);
    free(config->error);
    free(config);
}
