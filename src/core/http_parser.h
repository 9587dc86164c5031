/*
 * Bytes to HTTP/1.x requests: llhttp in its strict mode, plus the rules that it leaves to its user
 * and every limit on a request's size. Pure: no socket, no clock.
 */
#ifndef HMS_CORE_HTTP_PARSER_H
#define HMS_CORE_HTTP_PARSER_H

#include <llhttp.h>
#include <stddef.h>

struct hms_http_limits;
struct hms_http_message;

enum hms_http_parse {
    HMS_HTTP_PARSE_MORE,     /* all bytes used, the request is not complete */
    HMS_HTTP_PARSE_HEAD,     /* the header is complete and a body follows */
    HMS_HTTP_PARSE_COMPLETE, /* a request is complete */
    HMS_HTTP_PARSE_BAD       /* refused: status and reason say why; feed no more */
};

struct hms_http_parser {
    llhttp_t llhttp;
    const struct hms_http_limits *limits;
    struct hms_http_message *message; /* the one being filled */
    enum { HMS_HTTP_PART_NONE, HMS_HTTP_PART_NAME, HMS_HTTP_PART_VALUE } part;
    size_t head_bytes;   /* received up to the header's end */
    size_t header_bytes; /* of header fields and trailers */
    char last_byte;      /* of the header received so far */
    int in_request;      /* between a request's first byte and its last */
    int in_head;
    int is_complete;
    int status; /* of the answer to a bad request */
    const char *reason;
};

/* limits is borrowed. There is nothing to release. */
void hms_http_parser_init(struct hms_http_parser *parser, const struct hms_http_limits *limits);

/*
 * Parses into `message`, which has been reset before a request's first byte and is the same until
 * its last. Stops behind a header or a request; *used says how many bytes were taken. A request
 * that is complete has keep_alive set if others may follow it.
 */
enum hms_http_parse hms_http_parser_feed(struct hms_http_parser *parser,
                                         struct hms_http_message *message, const char *data,
                                         size_t size_bytes, size_t *used);

#endif
