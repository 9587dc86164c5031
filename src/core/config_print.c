/* --help and --check-config. */
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/config_internal.h"

#define WIDTH       80
#define HELP_COLUMN 26

static char *join(const char *const *words, const char *separator)
{
    char *all = hms_strdup(words[0]);
    size_t i;

    for (i = 1; words[i] != NULL; i++) {
        char *longer = hms_asprintf("%s%s%s", all, separator, words[i]);

        free(all);
        all = longer;
    }
    return all;
}

/* Text in lines that begin at `indent` and end before WIDTH. */
struct paragraph {
    FILE *out;
    size_t indent;
    size_t column;
};

static void put_unbroken(struct paragraph *paragraph, const char *text, size_t length)
{
    if (paragraph->column > paragraph->indent) {
        if (paragraph->column + 1 + length < WIDTH) {
            fputc(' ', paragraph->out);
            paragraph->column++;
        } else {
            fprintf(paragraph->out, "\n%*s", (int)paragraph->indent, "");
            paragraph->column = paragraph->indent;
        }
    }
    fprintf(paragraph->out, "%.*s", (int)length, text);
    paragraph->column += length;
}

static void put_words(struct paragraph *paragraph, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " ");

        put_unbroken(paragraph, text, length);
        text += length;
        text += strspn(text, " ");
    }
}

static void print_paragraph(FILE *out, const char *text)
{
    struct paragraph paragraph = {.out = out};

    put_words(&paragraph, text);
    fputc('\n', out);
}

/* A form in the left column; text and, in one line if possible, `facts` in the right one. */
static void print_row(FILE *out, const char *form, const char *text, const char *facts)
{
    struct paragraph paragraph = {.out = out, .indent = HELP_COLUMN, .column = HELP_COLUMN};
    size_t used = strlen(form) + 2;

    fprintf(out, "  %s", form);
    if (used + 2 > HELP_COLUMN) {
        fputc('\n', out);
        used = 0;
    }
    fprintf(out, "%*s", (int)(HELP_COLUMN - used), "");
    put_words(&paragraph, text);
    if (HELP_COLUMN + strlen(facts) < WIDTH && facts[0] != '\0')
        put_unbroken(&paragraph, facts, strlen(facts));
    else
        put_words(&paragraph, facts);
    fputc('\n', out);
}

/* "--threshold PCT", "--on-stop start|respect", "--[no-]observe", "$HMS_SECRET" */
static char *option_form(const struct hms_option *option)
{
    char *words, *form;

    if (option->environment_only) {
        words = hms_config_environment_name(option->name);
        form = hms_asprintf("$%s", words);
        free(words);
        return form;
    }
    if (option->type == HMS_OPTION_FLAG)
        return hms_asprintf("--[no-]%s", option->name);
    if (option->type != HMS_OPTION_ENUM)
        return hms_asprintf("--%s %s", option->name, option->metavar);
    words = join(option->words, "|");
    form = hms_asprintf("--%s %s", option->name, words);
    free(words);
    return form;
}

/* "(0 to 100 %; default: 60)", or as much of it as there is; a new string. */
static char *option_facts(const struct hms_option *option)
{
    int has_range = option->type == HMS_OPTION_INTEGER || option->type == HMS_OPTION_NUMBER;
    const char *fallback = option->derive ? option->derived : option->fallback;
    char range[64] = "";

    if (option->required)
        return hms_strdup("(required)");
    if (has_range)
        hms_config_describe_range(option, range, sizeof(range));
    if (!has_range && fallback == NULL)
        return hms_strdup("");
    return hms_asprintf("(%s%s%s%s)", range, has_range && fallback ? "; " : "",
                        fallback ? "default: " : "", fallback ? fallback : "");
}

static void print_option(FILE *out, const struct hms_option *option)
{
    char *form = option_form(option);
    char *facts = option_facts(option);

    print_row(out, form, option->help, facts);
    free(form);
    free(facts);
}

static void print_file_help(const struct hms_config_spec *spec, FILE *out)
{
    char *outro;

    fprintf(out, "\nConfiguration:\n");
    print_row(out, "--config FILE", "read options from FILE", "(default: $HMS_CONFIG)");
    print_row(out, "--check-config",
              "print every option's value and where it comes from, and exit: 0 if all are good, "
              "else 1",
              "");
    print_row(out, "-h, --help", "print this and exit", "");
    outro = hms_asprintf("Each option can also be set in the environment, --state-dir as "
                         "HMS_STATE_DIR, or in FILE, as 'state-dir = DIR' in section [%s] or "
                         "before any section. A flag wins over the environment, the environment "
                         "over the file.",
                         spec->command);
    fputc('\n', out);
    print_paragraph(out, outro);
    free(outro);
}

void hms_config_print_help(const struct hms_config_spec *spec, FILE *out)
{
    const char *group = "";
    size_t i;

    fprintf(out, "Usage: hms %s [OPTION]...%s%s\n\n", spec->command, spec->operands ? " " : "",
            spec->operands ? spec->operands : "");
    print_paragraph(out, spec->summary);
    for (i = 0; i < spec->option_count; i++) {
        const struct hms_option *option = &spec->options[i];

        if (!hms_config_has(spec, option))
            continue;
        if (strcmp(group, option->group) != 0)
            fprintf(out, "\n%s:\n", option->group);
        group = option->group;
        print_option(out, option);
    }
    if (!spec->has_no_file) {
        print_file_help(spec, out);
        return;
    }
    fprintf(out, "\nOther:\n");
    print_row(out, "-h, --help", "print this and exit", "");
}

/* The lines are a valid file themselves: what is not set or secret stands in comments. */
void hms_config_print_effective(const struct hms_config *config, FILE *out)
{
    size_t i;

    fprintf(out, "[%s]\n", config->spec->command);
    for (i = 0; i < config->spec->option_count; i++) {
        const struct hms_option *option = &config->spec->options[i];
        const struct hms_config_setting *setting = &config->settings[i];

        if (!hms_config_has(config->spec, option))
            continue;
        if (setting->text == NULL)
            fprintf(out, "; %s is not set\n", option->name);
        else if (option->secret)
            fprintf(out, "; %s = (hidden) ; %s\n", option->name, setting->from);
        else
            fprintf(out, "%s = %s ; %s\n", option->name, setting->text, setting->from);
    }
}
