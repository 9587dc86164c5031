/*
 * The text of HTTP answers: status line and header fields, and the error object. Pure.
 */
#ifndef HMS_CORE_HTTP_ANSWER_H
#define HMS_CORE_HTTP_ANSWER_H

#include <stddef.h>
#include <stdint.h>

struct hms_buffer;

/* A Date field's value, made once per second. Starts zeroed. */
struct hms_http_date {
    int64_t second;
    char text[sizeof("Thu, 01 Jan 1970 00:00:00 GMT")];
};

/* IMF-fixdate (RFC 9110, 5.6.7) of a wall time; borrowed from date. */
const char *hms_http_date_text(struct hms_http_date *date, int64_t wall_ns);

struct hms_http_answer {
    int status;                 /* 200 to 599 */
    const char *content_type;   /* or NULL */
    const char *const *headers; /* pairs of name and value ended by NULL, or NULL */
    size_t body_bytes;
    const char *connection; /* value of the Connection field, or NULL for none */
    const char *date;
};

/*
 * Appends status line, fields and the empty line to out. Control characters in the values of
 * `headers` become blanks, so that no value can add a line.
 */
void hms_http_answer_head(struct hms_buffer *out, const struct hms_http_answer *answer);

/* Whether answers of this status have a body at all (RFC 9110, 6.4.1). */
int hms_http_answer_has_body(int status);

/* The error object as JSON text; free() it. */
char *hms_http_answer_error(int status, const char *description);

#endif
