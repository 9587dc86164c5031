#include "core/amqp_content.h"

#include <assert.h>
#include <string.h>

#include "core/error.h"

/* A larger body's memory is not kept for the next one. */
#define KEPT_BYTES (1u << 20)

void hms_amqp_content_init(struct hms_amqp_content *content, size_t limit_bytes)
{
    memset(content, 0, sizeof(*content));
    hms_buffer_init(&content->body, limit_bytes);
}

void hms_amqp_content_free(struct hms_amqp_content *content)
{
    hms_buffer_free(&content->body);
}

/* Text is what has no 0 byte within. Returns whether it was copied. */
static int copy_short(char text[HMS_AMQP_SHORT_MAX_BYTES + 1], amqp_bytes_t from)
{
    text[0] = '\0';
    if (from.len > HMS_AMQP_SHORT_MAX_BYTES || memchr(from.bytes, '\0', from.len) != NULL)
        return 0;
    memcpy(text, from.bytes, from.len);
    text[from.len] = '\0';
    return 1;
}

static int begin(struct hms_amqp_content *content, const struct hms_amqp_frame *frame)
{
    content->is_returned = frame->method == AMQP_BASIC_RETURN_METHOD;
    content->tag[0] = '\0';
    if (!content->is_returned &&
        !copy_short(content->tag, ((const amqp_basic_deliver_t *)frame->fields)->consumer_tag))
        return HMS_EPROTO;
    if (content->body.capacity_bytes > KEPT_BYTES)
        hms_buffer_free(&content->body);
    else
        hms_buffer_clear(&content->body);
    content->is_unreadable = content->is_oversized = 0;
    content->correlation_id[0] = '\0';
    content->wire_bytes = frame->wire_bytes;
    content->step = HMS_AMQP_WANTS_HEADER;
    return 0;
}

static int finish_if_complete(struct hms_amqp_content *content)
{
    if (content->missing_bytes > 0)
        return 0;
    content->step = HMS_AMQP_NO_CONTENT;
    return 1;
}

static int take_header(struct hms_amqp_content *content, const struct hms_amqp_frame *frame)
{
    const amqp_basic_properties_t *properties = frame->properties;

    content->wire_bytes += frame->wire_bytes;
    content->missing_bytes = frame->body_bytes;
    content->is_oversized = frame->body_bytes > content->body.limit_bytes;
    if (properties == NULL)
        content->is_unreadable = 1;
    else if (properties->_flags & AMQP_BASIC_CORRELATION_ID_FLAG)
        content->is_unreadable = !copy_short(content->correlation_id, properties->correlation_id);
    content->step = HMS_AMQP_WANTS_BODY;
    return finish_if_complete(content);
}

static int take_body(struct hms_amqp_content *content, const struct hms_amqp_frame *frame)
{
    int result;

    if (frame->size_bytes > content->missing_bytes)
        return HMS_EPROTO;
    content->wire_bytes += frame->wire_bytes;
    content->missing_bytes -= frame->size_bytes;
    if (!content->is_oversized && !content->is_returned) {
        result = hms_buffer_append(&content->body, frame->data, frame->size_bytes);
        assert(result == HMS_OK);
        (void)result;
    }
    return finish_if_complete(content);
}

int hms_amqp_content_add(struct hms_amqp_content *content, const struct hms_amqp_frame *frame)
{
    if (content->step == HMS_AMQP_NO_CONTENT && frame->kind == HMS_AMQP_METHOD)
        return begin(content, frame);
    if (content->step == HMS_AMQP_WANTS_HEADER && frame->kind == HMS_AMQP_HEADER)
        return take_header(content, frame);
    if (content->step == HMS_AMQP_WANTS_BODY && frame->kind == HMS_AMQP_BODY)
        return take_body(content, frame);
    return HMS_EPROTO;
}
