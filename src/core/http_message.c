/* Storage of a received request. */
#include "core/http_message.h"

#include <strings.h>

#include "core/http_server.h"

/* Buffers up to this size wait for the connection's next request. */
#define KEPT_BYTES 8192

void hms_http_message_init(struct hms_http_message *message, const struct hms_http_limits *limits)
{
    /* The parser counts each field 4 bytes longer than it is: room for its two 0 bytes. */
    hms_buffer_init(&message->text, limits->target_bytes + limits->header_bytes + 2);
    hms_buffer_init(&message->body, limits->body_bytes);
    hms_http_message_reset(message);
}

void hms_http_message_free(struct hms_http_message *message)
{
    hms_buffer_free(&message->text);
    hms_buffer_free(&message->body);
}

static void empty(struct hms_buffer *buffer)
{
    if (buffer->capacity_bytes > KEPT_BYTES)
        hms_buffer_free(buffer);
    else
        hms_buffer_clear(buffer);
}

void hms_http_message_reset(struct hms_http_message *message)
{
    empty(&message->text);
    empty(&message->body);
    message->method = "";
    message->uri.authority = NULL;
    message->uri.path = "";
    message->uri.query_count = 0;
    message->field_count = 0;
    message->is_http_1_0 = 0;
    message->keep_alive = 0;
    message->expects_continue = 0;
}

const char *hms_http_message_header(const struct hms_http_message *message, const char *name)
{
    const char *text = message->text.data;

    /* In the absolute form the target's host replaces whatever the field says (RFC 9112, 3.2.2). */
    if (message->uri.authority != NULL && strcasecmp(name, "host") == 0)
        return message->uri.authority;
    for (int i = 0; i < message->field_count; i++)
        if (strcasecmp(text + message->fields[i].name, name) == 0)
            return text + message->fields[i].value;
    return NULL;
}

int hms_http_message_count(const struct hms_http_message *message, const char *name)
{
    int count = 0;

    for (int i = 0; i < message->field_count; i++)
        count += strcasecmp(message->text.data + message->fields[i].name, name) == 0;
    return count;
}
