/*
 * Any bytes on the port, in pieces: the first byte says how large. Limits hold, and the outcome is
 * the same as that of the bytes as one piece.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/http_message.h"
#include "core/http_parser.h"
#include "core/http_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    int complete;
    int status; /* of a refusal, else 0 */
    size_t body_bytes;
    int fields;
};

static void check(const struct hms_http_message *message, const struct hms_http_limits *limits)
{
    const char *end = message->text.data + message->text.size_bytes;

    if (message->body.size_bytes > limits->body_bytes ||
        message->text.size_bytes > message->text.limit_bytes || message->method[0] == '\0' ||
        message->uri.path[0] == '\0')
        abort();
    for (int i = 0; i < message->field_count; i++) {
        const char *name = message->text.data + message->fields[i].name;
        const char *value = message->text.data + message->fields[i].value;

        if (*name == '\0' || name >= end || value >= end)
            abort();
        if (hms_http_message_header(message, name) == NULL)
            abort();
    }
    if (!message->is_http_1_0 && hms_http_message_count(message, "host") != 1)
        abort();
}

static void feed_piece(struct hms_http_parser *parser, struct hms_http_message *message,
                       const char *data, size_t size, struct outcome *outcome)
{
    while (size > 0 && outcome->status == 0) {
        size_t used = 0;
        enum hms_http_parse result;

        if (!parser->in_request)
            hms_http_message_reset(message);
        result = hms_http_parser_feed(parser, message, data, size, &used);
        if (used > size || (result == HMS_HTTP_PARSE_MORE && used != size))
            abort();
        data += used;
        size -= used;
        if (result == HMS_HTTP_PARSE_COMPLETE) {
            check(message, parser->limits);
            outcome->complete++;
            outcome->body_bytes += message->body.size_bytes;
            outcome->fields += message->field_count;
            if (!message->keep_alive) /* the connection takes no more */
                outcome->status = 200;
        } else if (result == HMS_HTTP_PARSE_BAD) {
            if (parser->status < 400 || parser->reason == NULL)
                abort();
            outcome->status = parser->status;
        }
    }
}

static struct outcome feed(const uint8_t *data, size_t size, size_t piece)
{
    struct hms_http_limits limits = hms_http_limits_default();
    struct hms_http_parser parser;
    struct hms_http_message message;
    struct outcome outcome = {0};

    limits.target_bytes = 64;
    limits.header_bytes = 256;
    limits.body_bytes = 64;
    hms_http_parser_init(&parser, &limits);
    hms_http_message_init(&message, &limits);
    for (size_t at = 0; at < size; at += piece) {
        size_t rest = size - at < piece ? size - at : piece;
        char *copy = hms_malloc(rest);

        memcpy(copy, data + at, rest);
        feed_piece(&parser, &message, copy, rest, &outcome);
        free(copy);
    }
    hms_http_message_free(&message);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome pieces, whole;

    if (size < 2)
        return 0;
    pieces = feed(data + 1, size - 1, data[0] % 16u + 1u);
    whole = feed(data + 1, size - 1, size);
    /* Which of several faults is named may differ; whether it is refused may not. */
    if (pieces.complete != whole.complete || (pieces.status >= 400) != (whole.status >= 400) ||
        pieces.body_bytes != whole.body_bytes || pieces.fields != whole.fields)
        abort();
    return 0;
}
