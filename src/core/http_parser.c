/* llhttp's callbacks and the checks of a complete header. */
#include "core/http_parser.h"

#include <string.h>
#include <strings.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/http_message.h"
#include "core/http_server.h"

static int refuse(struct hms_http_parser *parser, int status, const char *reason)
{
    parser->status = status;
    parser->reason = reason;
    return HPE_USER;
}

static struct hms_http_parser *parser_of(llhttp_t *llhttp)
{
    return hms_container_of(llhttp, struct hms_http_parser, llhttp);
}

static int on_message_begin(llhttp_t *llhttp)
{
    struct hms_http_parser *parser = parser_of(llhttp);

    parser->in_request = parser->in_head = 1;
    parser->part = HMS_HTTP_PART_NONE;
    parser->head_bytes = parser->header_bytes = 0;
    parser->last_byte = '\0';
    return 0;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t size)
{
    struct hms_http_parser *parser = parser_of(llhttp);
    struct hms_http_message *message = parser->message;

    message->method = llhttp_method_name(llhttp_get_method(llhttp));
    if (size > parser->limits->target_bytes - message->text.size_bytes)
        return refuse(parser, 414, "the request target is too long");
    hms_buffer_append(&message->text, at, size);
    return 0;
}

static int on_url_complete(llhttp_t *llhttp)
{
    hms_buffer_append(&parser_of(llhttp)->message->text, "", 1);
    return 0;
}

/* Fields, trailers and chunk extensions share one limit. */
static int count_header(struct hms_http_parser *parser, size_t size)
{
    parser->header_bytes += size;
    if (parser->header_bytes > parser->limits->header_bytes)
        return refuse(parser, 431, "the header fields are too large");
    return 0;
}

static int on_extension(llhttp_t *llhttp, const char *at, size_t size)
{
    return count_header(parser_of(llhttp), size);
}

/* Ends the value before: without the blanks at its end (RFC 9110, 5.5). */
static void end_field(struct hms_http_parser *parser)
{
    struct hms_http_message *message = parser->message;
    struct hms_buffer *text = &message->text;
    size_t start;

    if (parser->part != HMS_HTTP_PART_VALUE)
        return;
    start = message->fields[message->field_count - 1].value;
    while (text->size_bytes > start &&
           (text->data[text->size_bytes - 1] == ' ' || text->data[text->size_bytes - 1] == '\t'))
        text->size_bytes--;
    hms_buffer_append(text, "", 1);
    parser->part = HMS_HTTP_PART_NONE;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t size)
{
    struct hms_http_parser *parser = parser_of(llhttp);
    struct hms_http_message *message = parser->message;
    int error;

    if (!parser->in_head) /* a trailer: counted, not kept */
        return count_header(parser, size);
    if (parser->part != HMS_HTTP_PART_NAME) {
        end_field(parser);
        if (message->field_count == HMS_HTTP_FIELDS_MAX)
            return refuse(parser, 431, "too many header fields");
        error = count_header(parser, strlen(": \r\n"));
        if (error != 0)
            return error;
        message->fields[message->field_count++].name = message->text.size_bytes;
        parser->part = HMS_HTTP_PART_NAME;
    }
    error = count_header(parser, size);
    if (error == 0)
        hms_buffer_append(&message->text, at, size);
    return error;
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    struct hms_http_parser *parser = parser_of(llhttp);
    struct hms_http_message *message = parser->message;
    struct hms_http_field *field;

    if (!parser->in_head)
        return 0;
    if (parser->part != HMS_HTTP_PART_NAME)
        return refuse(parser, 400, "a header field without a name");
    field = &message->fields[message->field_count - 1];
    if (field->name == message->text.size_bytes)
        return refuse(parser, 400, "a header field without a name");
    hms_buffer_append(&message->text, "", 1);
    field->value = message->text.size_bytes;
    parser->part = HMS_HTTP_PART_VALUE;
    return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t size)
{
    struct hms_http_parser *parser = parser_of(llhttp);
    int error = count_header(parser, size);

    if (error == 0 && parser->in_head)
        hms_buffer_append(&parser->message->text, at, size);
    return error;
}

/* Stops llhttp, so that the header's end in the data is known. */
static int on_headers_complete(llhttp_t *llhttp)
{
    end_field(parser_of(llhttp));
    return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t size)
{
    struct hms_http_parser *parser = parser_of(llhttp);

    if (hms_buffer_append(&parser->message->body, at, size) != HMS_OK)
        return refuse(parser, 413, "the body is too large");
    return 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
    parser_of(llhttp)->is_complete = 1;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_url_complete = on_url_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_extension_name = on_extension,
    .on_chunk_extension_value = on_extension,
    .on_message_complete = on_message_complete,
};

void hms_http_parser_init(struct hms_http_parser *parser, const struct hms_http_limits *limits)
{
    memset(parser, 0, sizeof(*parser));
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->limits = limits;
}

/*
 * What llhttp lets through in a header: lines that end without CR, folded lines (a blank after a
 * line's end), and blanks without end, which it skips unseen.
 */
static int check_raw_head(struct hms_http_parser *parser, const char *data, size_t size)
{
    const char *end = data + size;
    const char *at = data;

    if (size == 0)
        return 0;
    if (parser->last_byte == '\n' && (*data == ' ' || *data == '\t'))
        return refuse(parser, 400, "a folded header line");
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        if ((at > data ? at[-1] : parser->last_byte) != '\r')
            return refuse(parser, 400, "a header line that does not end with CR LF");
        if (++at < end && (*at == ' ' || *at == '\t'))
            return refuse(parser, 400, "a folded header line");
    }
    parser->last_byte = end[-1];
    parser->head_bytes += size;
    if (parser->head_bytes > parser->limits->target_bytes + parser->limits->header_bytes)
        return refuse(parser, 431, "the header fields are too large");
    return 0;
}

static int check_host(struct hms_http_parser *parser)
{
    const char *host = hms_http_message_header(parser->message, "Host");
    int count = hms_http_message_count(parser->message, "Host");

    if (count > 1)
        return refuse(parser, 400, "more than one Host field");
    if (count == 0 && !parser->message->is_http_1_0)
        return refuse(parser, 400, "the Host field is missing");
    if (count == 1 && !hms_http_authority_is_valid(host))
        return refuse(parser, 400, "the Host field is invalid");
    return 0;
}

/* How long the body is (RFC 9112, 6.3); llhttp has refused lengths that contradict each other. */
static int check_framing(struct hms_http_parser *parser)
{
    const char *coding = hms_http_message_header(parser->message, "Transfer-Encoding");

    if (coding != NULL && parser->message->is_http_1_0)
        return refuse(parser, 400, "Transfer-Encoding in an HTTP/1.0 request");
    if (coding != NULL && strcasecmp(coding, "chunked") != 0)
        return refuse(parser, 501, "the only Transfer-Encoding understood is chunked");
    if (coding == NULL && parser->llhttp.content_length > parser->limits->body_bytes)
        return refuse(parser, 413, "the body is too large");
    return 0;
}

static int check_expect(struct hms_http_parser *parser)
{
    struct hms_http_message *message = parser->message;
    const char *expect = hms_http_message_header(message, "Expect");

    if (expect == NULL || message->is_http_1_0) /* 1.0 has no interim answers */
        return 0;
    if (strcasecmp(expect, "100-continue") != 0)
        return refuse(parser, 417, "the only expectation met is 100-continue");
    message->expects_continue = 1;
    return 0;
}

static int check_head(struct hms_http_parser *parser)
{
    struct hms_http_message *message = parser->message;
    const char *reason;
    int method = llhttp_get_method(&parser->llhttp);
    int error;

    if (llhttp_get_http_major(&parser->llhttp) != 1)
        return refuse(parser, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    message->is_http_1_0 = llhttp_get_http_minor(&parser->llhttp) == 0;
    message->keep_alive = llhttp_should_keep_alive(&parser->llhttp);
    if (method == HTTP_CONNECT)
        return refuse(parser, 501, "this is no proxy");
    if (hms_http_uri_parse(&message->uri, message->text.data, &reason) != HMS_OK)
        return refuse(parser, 400, reason);
    if (*message->uri.path == '*' && method != HTTP_OPTIONS)
        return refuse(parser, 400, "the target * is for OPTIONS only");
    error = check_host(parser);
    if (error == 0)
        error = check_framing(parser);
    if (error == 0)
        error = check_expect(parser);
    return error;
}

static int has_body(const struct hms_http_parser *parser)
{
    return parser->llhttp.content_length > 0 || (parser->llhttp.flags & F_CHUNKED);
}

/* The answer to what llhttp itself refused. */
static void refuse_syntax(struct hms_http_parser *parser, llhttp_errno_t error)
{
    switch (error) {
    case HPE_USER: /* a callback has said why */
        break;
    case HPE_INVALID_VERSION:
    case HPE_PAUSED_H2_UPGRADE:
        refuse(parser, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
        break;
    default:
        refuse(parser, 400, llhttp_get_error_reason(&parser->llhttp));
        break;
    }
}

/* Before a request (RFC 9112, 2.2). */
static size_t skip_empty_lines(const struct hms_http_parser *parser, const char *data, size_t size)
{
    size_t skipped = 0;

    while (!parser->in_request && skipped < size &&
           (data[skipped] == '\r' || data[skipped] == '\n'))
        skipped++;
    return skipped;
}

enum hms_http_parse hms_http_parser_feed(struct hms_http_parser *parser,
                                         struct hms_http_message *message, const char *data,
                                         size_t size_bytes, size_t *used)
{
    parser->message = message;
    *used = skip_empty_lines(parser, data, size_bytes);
    for (;;) {
        const char *at = data + *used;
        llhttp_errno_t error = llhttp_execute(&parser->llhttp, at, size_bytes - *used);
        size_t step = size_bytes - *used;

        if (error != HPE_OK)
            step = (size_t)(llhttp_get_error_pos(&parser->llhttp) - at);
        *used += step;
        if (error != HPE_OK && error != HPE_PAUSED && error != HPE_PAUSED_UPGRADE) {
            refuse_syntax(parser, error);
            return HMS_HTTP_PARSE_BAD;
        }
        if (parser->in_head && check_raw_head(parser, at, step) != 0)
            return HMS_HTTP_PARSE_BAD;
        if (error == HPE_OK)
            return HMS_HTTP_PARSE_MORE;
        if (error == HPE_PAUSED_UPGRADE) { /* an offer that is not taken up (RFC 9110, 7.8) */
            llhttp_resume_after_upgrade(&parser->llhttp);
            continue;
        }
        llhttp_resume(&parser->llhttp);
        if (parser->is_complete) {
            parser->is_complete = parser->in_request = 0;
            return HMS_HTTP_PARSE_COMPLETE;
        }
        parser->in_head = 0;
        if (check_head(parser) != 0)
            return HMS_HTTP_PARSE_BAD;
        if (has_body(parser))
            return HMS_HTTP_PARSE_HEAD;
    }
}
