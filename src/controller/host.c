/*
 * Content of a host. Entries are shared with whoever sent them or reads them and so never changed,
 * but replaced. Each has its text kept until it is replaced, so that a read after one change writes
 * out one entry.
 */
#include "controller/host.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/json.h"

/* Fewer digits of an id are taken for a mistake, not for a container. */
#define PREFIX_MIN_DIGITS 4

struct hms_host_text {
    char *key;
    json_t *entry; /* that it is the text of */
    char *text;    /* "key":{...} */
    size_t size_bytes;
    UT_hash_handle hh;
};

struct hms_host *hms_host_new(const char *address)
{
    struct hms_host *host = hms_calloc(1, sizeof(*host));

    snprintf(host->address, sizeof(host->address), "%s", address);
    host->state = HMS_HOST_OFFLINE;
    host->content = json_object();
    return host;
}

static void add_text(struct hms_host *host, struct hms_host_text *text)
{
    HASH_ADD_KEYPTR(hh, host->texts, text->key, strlen(text->key), text);
}

/* Frees the texts of containers that are not in `content`. */
static void forget_texts(struct hms_host *host, const json_t *content)
{
    struct hms_host_text *text = host->texts, *next;

    HASH_CLEAR(hh, host->texts); /* the table only: the texts are still linked */
    for (; text != NULL; text = next) {
        next = text->hh.next;
        if (json_object_get(content, text->key) != NULL) {
            add_text(host, text);
            continue;
        }
        json_decref(text->entry);
        free(text->text);
        free(text->key);
        free(text);
    }
}

void hms_host_free(struct hms_host *host)
{
    forget_texts(host, NULL);
    json_decref(host->content);
    json_decref(host->report);
    free(host);
}

/* ---- changes ---- */

void hms_host_set_content(struct hms_host *host, json_t *content, json_t *report)
{
    const char *key;
    json_t *entry;

    json_decref(host->content);
    json_decref(host->report);
    host->content = content;
    host->report = report;
    host->has_content = 1;
    host->totals = (struct hms_totals){0};
    json_object_foreach(content, key, entry)
    {
        hms_totals_count(&host->totals, entry, 1);
    }
}

/* Whoever was given the content keeps what was in it. */
static void own_content(struct hms_host *host)
{
    json_t *copy;

    if (host->content->refcount == 1)
        return;
    copy = json_copy(host->content);
    json_decref(host->content);
    host->content = copy;
}

static void take_out(struct hms_host *host, const char *key)
{
    const json_t *entry = json_object_get(host->content, key);

    if (entry == NULL)
        return;
    hms_totals_count(&host->totals, entry, -1);
    json_object_del(host->content, key);
}

static void put_in(struct hms_host *host, const char *key, json_t *entry)
{
    const json_t *old = json_object_get(host->content, key);

    if (old != NULL)
        hms_totals_count(&host->totals, old, -1);
    hms_totals_count(&host->totals, entry, 1);
    json_object_set(host->content, key, entry);
}

void hms_host_change(struct hms_host *host, const json_t *removed, const json_t *changed)
{
    const char *key;
    json_t *value;
    size_t i;

    own_content(host);
    json_array_foreach(removed, i, value) take_out(host, json_string_value(value));
    json_object_foreach((json_t *)changed, key, value)
    {
        put_in(host, key, value);
    }
}

void hms_host_set_report(struct hms_host *host, json_t *report)
{
    if (report == NULL)
        return;
    json_decref(host->report);
    host->report = report;
}

size_t hms_host_count_after(const struct hms_host *host, const json_t *removed,
                            const json_t *changed)
{
    size_t count = json_object_size(host->content), i;
    json_t *gone = json_object(); /* a key may be told more than once */
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)changed, key, value)
    {
        count += json_object_get(host->content, key) == NULL;
    }
    json_array_foreach(removed, i, value)
    {
        key = json_string_value(value);
        if (json_object_get(host->content, key) != NULL && json_object_get(changed, key) == NULL)
            json_object_set_new(gone, key, json_null());
    }
    count -= json_object_size(gone);
    json_decref(gone);
    return count;
}

/* As the manager writes them into an entry. */
static json_t *with_measure(const json_t *entry, const json_t *numbers)
{
    json_t *copy = json_copy((json_t *)entry);
    char text[32];

    snprintf(text, sizeof(text), "%.1f%%", json_number_value(json_array_get(numbers, 0)));
    json_object_set_new(copy, "packet_loss", json_string(text));
    json_object_set(copy, "loss_pct", json_array_get(numbers, 0));
    json_object_set_new(copy, "rtt_ms",
                        json_pack("{s:O, s:O, s:O}", "min", json_array_get(numbers, 1), "avg",
                                  json_array_get(numbers, 2), "max", json_array_get(numbers, 3)));
    return copy;
}

void hms_host_measure(struct hms_host *host, const json_t *measures)
{
    const json_t *entry;
    const char *key;
    json_t *numbers;

    own_content(host);
    json_object_foreach((json_t *)measures, key, numbers)
    {
        entry = json_object_get(host->content, key);
        if (json_object_get(entry, "loss_pct") != NULL)
            json_object_set_new(host->content, key, with_measure(entry, numbers));
    }
}

/* ---- containers ---- */

static int has_name(const json_t *entry, const char *wanted)
{
    const char *name = hms_json_string(entry, "name");

    return name != NULL && strcmp(name, wanted) == 0;
}

static int is_hex(const char *text)
{
    for (; *text != '\0'; text++)
        if (!isxdigit((unsigned char)*text))
            return 0;
    return 1;
}

/* Either is the beginning of the other: a peer keys by ten digits of a full id it does not tell. */
static int fits_id(const char *key, const json_t *entry, const char *wanted, size_t length)
{
    const char *id = hms_json_string(entry, "id");

    if (id != NULL)
        return strncmp(id, wanted, length) == 0;
    return strncmp(key, wanted, length) == 0 || strncmp(key, wanted, strlen(key)) == 0;
}

int hms_host_resolve(const struct hms_host *host, const char *wanted, const char **key,
                     json_t **entry)
{
    size_t length = strlen(wanted);
    int may_be_id = length >= PREFIX_MIN_DIGITS && is_hex(wanted);
    const char *fitting_key = NULL, *each_key;
    json_t *fitting = NULL, *each;
    size_t fits = 0;

    json_object_foreach(host->content, each_key, each)
    {
        if (strcmp(each_key, wanted) == 0 || has_name(each, wanted)) {
            *key = each_key;
            *entry = each;
            return HMS_OK;
        }
        if (may_be_id && fits_id(each_key, each, wanted, length)) {
            fitting_key = each_key;
            fitting = each;
            fits++;
        }
    }
    if (fits != 1)
        return fits == 0 ? HMS_ENOENT : HMS_EBUSY;
    *key = fitting_key;
    *entry = fitting;
    return HMS_OK;
}

/* ---- text ---- */

static void write_out(struct hms_host_text *text, json_t *entry)
{
    json_t *object = json_pack("{s:O}", text->key, entry);

    free(text->text);
    json_decref(text->entry);
    text->entry = json_incref(entry);
    text->text = json_dumps(object, HMS_JSON_DUMP);
    text->size_bytes = strlen(text->text);
    json_decref(object);
}

static struct hms_host_text *text_of(struct hms_host *host, const char *key, json_t *entry)
{
    struct hms_host_text *text;

    HASH_FIND_STR(host->texts, key, text);
    if (text == NULL) {
        text = hms_calloc(1, sizeof(*text));
        text->key = hms_strdup(key);
        add_text(host, text);
    }
    if (text->entry != entry)
        write_out(text, entry);
    return text;
}

/* Each text is that of an object with one key: what lies between its braces is wanted. */
int hms_host_append_text(struct hms_host *host, struct hms_buffer *buffer)
{
    const struct hms_host_text *text;
    int result = hms_buffer_append(buffer, "{", 1);
    size_t count = 0;
    const char *key;
    json_t *entry;

    json_object_foreach(host->content, key, entry)
    {
        text = text_of(host, key, entry);
        if (count++ > 0 && result == HMS_OK)
            result = hms_buffer_append(buffer, ",", 1);
        if (result == HMS_OK)
            result = hms_buffer_append(buffer, text->text + 1, text->size_bytes - 2);
    }
    if (HASH_COUNT(host->texts) > count)
        forget_texts(host, host->content);
    return result == HMS_OK ? hms_buffer_append(buffer, "}", 1) : result;
}

const char *hms_host_state_name(enum hms_host_state state)
{
    static const char *const names[] = {
        [HMS_HOST_ONLINE] = "online",
        [HMS_HOST_STALE] = "stale",
        [HMS_HOST_OFFLINE] = "offline",
        [HMS_HOST_DEGRADED] = "degraded",
    };

    return names[state];
}
