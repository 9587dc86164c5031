/* Formatting of answers, without printf: it is done once per request. */
#include "core/http_answer.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#include "core/buffer.h"
#include "core/json.h"

#define NS_PER_S INT64_C(1000000000)

/* RFC 9110, 15; a phrase may be empty, so that an unlisted status is no error. */
static const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {207, "Multi-Status"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "";
}

const char *hms_http_date_text(struct hms_http_date *date, int64_t wall_ns)
{
    int64_t second = wall_ns / NS_PER_S;

    if (date->text[0] == '\0' || second != date->second) {
        time_t seconds = (time_t)second;
        struct tm utc;

        gmtime_r(&seconds, &utc);
        /* The program never leaves the C locale: names of days and months are English. */
        strftime(date->text, sizeof(date->text), "%a, %d %b %Y %H:%M:%S GMT", &utc);
        date->second = second;
    }
    return date->text;
}

int hms_http_answer_has_body(int status)
{
    return status != 204 && status != 304;
}

static void put(struct hms_buffer *out, const char *text)
{
    hms_buffer_append(out, text, strlen(text));
}

static void put_number(struct hms_buffer *out, size_t number)
{
    char digits[24];
    char *first = digits + sizeof(digits);

    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    hms_buffer_append(out, first, (size_t)(digits + sizeof(digits) - first));
}

static void put_field(struct hms_buffer *out, const char *name, const char *value)
{
    put(out, name);
    put(out, ": ");
    put(out, value);
    put(out, "\r\n");
}

/* A field whose value may hold text from outside. */
static void put_foreign_field(struct hms_buffer *out, const char *name, const char *value)
{
    size_t start = out->size_bytes + strlen(name) + strlen(": ");

    put_field(out, name, value);
    for (size_t i = start; i < out->size_bytes - strlen("\r\n"); i++)
        if ((unsigned char)out->data[i] < ' ' || out->data[i] == 0x7f)
            out->data[i] = ' ';
}

void hms_http_answer_head(struct hms_buffer *out, const struct hms_http_answer *answer)
{
    const char *const *header = answer->headers;

    assert(answer->status >= 200 && answer->status <= 599);
    put(out, "HTTP/1.1 ");
    put_number(out, (size_t)answer->status);
    put(out, " ");
    put(out, reason_phrase(answer->status));
    put(out, "\r\n");
    put_field(out, "Date", answer->date);
    if (answer->content_type != NULL)
        put_foreign_field(out, "Content-Type", answer->content_type);
    if (hms_http_answer_has_body(answer->status)) {
        put(out, "Content-Length: ");
        put_number(out, answer->body_bytes);
        put(out, "\r\n");
    }
    if (answer->connection != NULL)
        put_field(out, "Connection", answer->connection);
    for (; header != NULL && header[0] != NULL; header += 2)
        put_foreign_field(out, header[0], header[1]);
    put(out, "\r\n");
}

char *hms_http_answer_error(int status, const char *description)
{
    json_t *object = json_pack("{s:s, s:s, s:s}", "command", "error", "type",
                               status == 503 ? "connection_error" : "INVALID_REQUEST",
                               "description", description);
    char *text = json_dumps(object, HMS_JSON_DUMP);

    json_decref(object);
    return text;
}
