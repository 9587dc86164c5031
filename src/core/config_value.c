/* From the text of an option to the field of the caller's struct. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/alloc.h"
#include "core/config_internal.h"
#include "core/error.h"

#define TEXT_MAX_BYTES 4095 /* PATH_MAX without its 0 byte */
#define LIST_MAX_ITEMS 64

void hms_config_describe_range(const struct hms_option *option, char *text, size_t size)
{
    snprintf(text, size, "%.15g to %.15g%s%s", option->min, option->max, option->unit ? " " : "",
             option->unit ? option->unit : "");
}

char *hms_config_quote(const char *text, char quote[HMS_CONFIG_QUOTE_SIZE])
{
    const size_t room = HMS_CONFIG_QUOTE_SIZE - sizeof("'...'");
    size_t used = 1;

    quote[0] = '\'';
    for (; *text != '\0' && used <= room; text++)
        quote[used++] = iscntrl((unsigned char)*text) ? '?' : *text;
    snprintf(quote + used, HMS_CONFIG_QUOTE_SIZE - used, "%s'", *text != '\0' ? "..." : "");
    return quote;
}

static int write_integer(const struct hms_option *option, const char *text, void *field, char *rule)
{
    const char *digits = text + (*text == '-');
    char range[HMS_CONFIG_RULE_SIZE / 2];
    long long value;

    errno = 0;
    value = strtoll(text, NULL, 10);
    if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0' || errno != 0 ||
        (double)value < option->min || (double)value > option->max) {
        hms_config_describe_range(option, range, sizeof(range));
        snprintf(rule, HMS_CONFIG_RULE_SIZE, "a whole number from %s", range);
        return HMS_EINVAL;
    }
    if (option->size == sizeof(int64_t)) {
        *(int64_t *)field = value;
    } else {
        assert(option->size == sizeof(int));
        *(int *)field = (int)value;
    }
    return HMS_OK;
}

static int write_number(const struct hms_option *option, const char *text, void *field, char *rule)
{
    char range[HMS_CONFIG_RULE_SIZE / 2];
    char *end;
    double value = strtod(text, &end);

    assert(option->size == sizeof(double));
    /* strtod() also takes blanks, hexadecimal, "inf" and "nan". */
    if (end == text || *end != '\0' || text[strspn(text, "0123456789+-.eE")] != '\0' ||
        !(value >= option->min && value <= option->max)) {
        hms_config_describe_range(option, range, sizeof(range));
        snprintf(rule, HMS_CONFIG_RULE_SIZE, "a number from %s", range);
        return HMS_EINVAL;
    }
    *(double *)field = value;
    return HMS_OK;
}

static int write_flag(const struct hms_option *option, const char *text, void *field, char *rule)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    size_t i;

    assert(option->size == sizeof(int));
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *(int *)field = (int)(i % 2);
            return HMS_OK;
        }
    }
    snprintf(rule, HMS_CONFIG_RULE_SIZE, "yes or no");
    return HMS_EINVAL;
}

static int write_enum(const struct hms_option *option, const char *text, void *field, char *rule)
{
    size_t used;
    int i;

    assert(option->size == sizeof(int));
    for (i = 0; option->words[i] != NULL; i++) {
        if (strcmp(text, option->words[i]) == 0) {
            memcpy(field, &i, sizeof(i));
            return HMS_OK;
        }
    }
    used = (size_t)snprintf(rule, HMS_CONFIG_RULE_SIZE, "one of");
    for (i = 0; option->words[i] != NULL && used < HMS_CONFIG_RULE_SIZE; i++)
        used += (size_t)snprintf(rule + used, HMS_CONFIG_RULE_SIZE - used, "%s %s", i ? "," : "",
                                 option->words[i]);
    return HMS_EINVAL;
}

static int check_text(const struct hms_option *option, const char *text, char *rule)
{
    size_t length = strlen(text);
    const char *must = NULL;
    size_t i;

    if (length == 0 || length > TEXT_MAX_BYTES)
        must = "1 to 4095 bytes long";
    for (i = 0; must == NULL && i < length; i++)
        if (iscntrl((unsigned char)text[i]))
            must = "free of control characters";
    if (must == NULL && option->check != NULL)
        must = option->check(text);
    if (must == NULL)
        return HMS_OK;
    snprintf(rule, HMS_CONFIG_RULE_SIZE, "%s", must);
    return HMS_EINVAL;
}

/* NULL-terminated items and their text in one block; free with free(). */
static char **split(const char *text)
{
    size_t size = strlen(text) + 1;
    char **items = hms_malloc((LIST_MAX_ITEMS + 1) * sizeof(*items) + size);
    char *rest = memcpy(items + LIST_MAX_ITEMS + 1, text, size);
    size_t count = 0;

    while (rest != NULL && count < LIST_MAX_ITEMS)
        items[count++] = strsep(&rest, ",");
    items[count] = NULL;
    if (rest == NULL)
        return items;
    free(items);
    return NULL;
}

static int write_list(const struct hms_option *option, const char *text, void *field,
                      struct hms_config_setting *setting, char *rule)
{
    char **items = split(text);
    size_t i;

    if (items == NULL) {
        snprintf(rule, HMS_CONFIG_RULE_SIZE, "a list of at most %d", LIST_MAX_ITEMS);
        return HMS_EINVAL;
    }
    for (i = 0; items[i] != NULL; i++) {
        if (check_text(option, items[i], rule) != HMS_OK) {
            free(items);
            return HMS_EINVAL;
        }
    }
    free(setting->items);
    setting->items = items;
    *(char ***)field = items;
    return HMS_OK;
}

int hms_config_write_value(const struct hms_option *option, const char *text, void *target,
                           struct hms_config_setting *setting, char rule[HMS_CONFIG_RULE_SIZE])
{
    void *field = (char *)target + option->offset;

    switch (option->type) {
    case HMS_OPTION_STRING:
        if (check_text(option, text, rule) != HMS_OK)
            return HMS_EINVAL;
        *(const char **)field = text;
        return HMS_OK;
    case HMS_OPTION_LIST:
        return write_list(option, text, field, setting, rule);
    case HMS_OPTION_INTEGER:
        return write_integer(option, text, field, rule);
    case HMS_OPTION_NUMBER:
        return write_number(option, text, field, rule);
    case HMS_OPTION_FLAG:
        return write_flag(option, text, field, rule);
    case HMS_OPTION_ENUM:
        return write_enum(option, text, field, rule);
    }
    abort();
}
