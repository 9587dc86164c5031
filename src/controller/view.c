/* Both forms of a read's answer share the frame of a host: what is told of it beside its content.
 */
#include "controller/view.h"

#include <stdlib.h>
#include <string.h>

#include "controller/registry.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json.h"

static json_t *frame(const struct hms_host *host)
{
    char alive[HMS_CLOCK_TEXT_SIZE], since[HMS_CLOCK_TEXT_SIZE];
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s}", "address", host->address,
                               "manager_status", hms_sync_status_name(host->sync.status),
                               "host_state", hms_host_state_name(host->state), "state_since",
                               hms_clock_format(host->state_since_ns, since), "last_alive",
                               hms_clock_format(host->last_alive_ns, alive));

    if (host->sync.content.epoch != 0) {
        json_object_set_new(object, "epoch", json_integer(host->sync.content.epoch));
        json_object_set_new(object, "version", json_integer(host->sync.content.version));
    }
    if (host->report != NULL)
        json_object_set(object, "host", host->report);
    return object;
}

static json_t *content_of(const struct hms_view *view, const struct hms_host *host)
{
    if (view->key != NULL)
        return json_pack("{s:O}", view->key, view->entry);
    return json_incref(host->content);
}

static json_t *host_json(const struct hms_view *view, const struct hms_host *host)
{
    json_t *object = frame(host);

    json_object_set_new(object, "content", content_of(view, host));
    return object;
}

json_t *hms_view_json(const struct hms_view *view)
{
    json_t *description;
    size_t i;

    if (view->host != NULL) {
        description = host_json(view, view->host);
    } else {
        description = json_array();
        for (i = 0; i < hms_registry_count(view->registry); i++)
            json_array_append_new(description, host_json(view, hms_registry_at(view->registry, i)));
    }
    return json_pack("{s:s, s:o}", "command", "ok", "description", description);
}

static int append(struct hms_buffer *buffer, const char *text)
{
    return hms_buffer_append(buffer, text, strlen(text));
}

static int append_content(const struct hms_view *view, struct hms_host *host,
                          struct hms_buffer *buffer)
{
    char *single;
    json_t *content;
    int result;

    if (view->key == NULL)
        return hms_host_append_text(host, buffer);
    content = content_of(view, host);
    single = json_dumps(content, HMS_JSON_DUMP);
    result = append(buffer, single);
    free(single);
    json_decref(content);
    return result;
}

/* The frame's text without its closing brace, then the content. */
static int append_host(const struct hms_view *view, struct hms_host *host,
                       struct hms_buffer *buffer)
{
    json_t *object = frame(host);
    char *text = json_dumps(object, HMS_JSON_DUMP);
    int result = hms_buffer_append(buffer, text, strlen(text) - 1);

    free(text);
    json_decref(object);
    if (result == HMS_OK)
        result = append(buffer, ",\"content\":");
    if (result == HMS_OK)
        result = append_content(view, host, buffer);
    return result == HMS_OK ? append(buffer, "}") : result;
}

static int append_all(const struct hms_view *view, struct hms_buffer *buffer)
{
    int result = append(buffer, "[");
    size_t i;

    for (i = 0; i < hms_registry_count(view->registry) && result == HMS_OK; i++) {
        if (i > 0)
            result = append(buffer, ",");
        if (result == HMS_OK)
            result = append_host(view, hms_registry_at(view->registry, i), buffer);
    }
    return result == HMS_OK ? append(buffer, "]") : result;
}

int hms_view_text(const struct hms_view *view, struct hms_buffer *buffer)
{
    int result = append(buffer, "{\"command\":\"ok\",\"description\":");

    if (result == HMS_OK)
        result = view->host ? append_host(view, view->host, buffer) : append_all(view, buffer);
    return result == HMS_OK ? append(buffer, "}") : result;
}
