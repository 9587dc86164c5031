/* Raw bytes to requests: every case whole, and one byte at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/http_message.h"
#include "core/http_parser.h"
#include "core/http_server.h"

#define H "Host: h\r\n"

/* What a connection does with the parser, without a connection. */
struct reading {
    struct hms_http_parser parser;
    struct hms_http_message message;
    struct hms_http_limits limits;
    int complete; /* requests */
    int status;   /* of a refusal, else 0 */
};

static void reading_begin(struct reading *reading)
{
    memset(reading, 0, sizeof(*reading));
    reading->limits = hms_http_limits_default();
    reading->limits.target_bytes = 100;
    reading->limits.header_bytes = 500;
    reading->limits.body_bytes = 50;
    hms_http_parser_init(&reading->parser, &reading->limits);
    hms_http_message_init(&reading->message, &reading->limits);
}

static void reading_end(struct reading *reading)
{
    hms_http_message_free(&reading->message);
}

/* Keeps the last request's message. */
static void feed(struct reading *reading, const char *data, size_t size)
{
    while (size > 0 && reading->status == 0) {
        size_t used;
        enum hms_http_parse result;

        if (!reading->parser.in_request)
            hms_http_message_reset(&reading->message);
        result = hms_http_parser_feed(&reading->parser, &reading->message, data, size, &used);
        assert_true(used <= size);
        data += used;
        size -= used;
        if (result == HMS_HTTP_PARSE_COMPLETE)
            reading->complete++;
        else if (result == HMS_HTTP_PARSE_BAD)
            reading->status = reading->parser.status;
    }
}

static void feed_in_pieces(struct reading *reading, const char *data, size_t size, size_t piece)
{
    for (size_t at = 0; at < size; at += piece) {
        size_t rest = size - at < piece ? size - at : piece;
        /* Its own block, so that the sanitizer sees a read past it. */
        char *copy = hms_malloc(rest);

        memcpy(copy, data + at, rest);
        feed(reading, copy, rest);
        free(copy);
    }
}

static const size_t pieces[] = {100000, 1, 2, 7};
#define PIECES (sizeof(pieces) / sizeof(pieces[0]))

static void takes_what_is_valid(void **state)
{
    static const struct {
        const char *data;
        const char *method;
        const char *path;
        const char *body;
        int keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", "GET", "/", "", 1},
        {"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", "GET", "/", "", 1},
        {"GET / HTTP/1.1\r\nhost:h\r\n\r\n", "GET", "/", "", 1},
        {"GET / HTTP/1.1\r\nhost:\t h \t\r\nX:\r\nY: \r\n\r\n", "GET", "/", "", 1},
        {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "GET", "/", "", 0},
        {"GET / HTTP/1.1\r\n" H "Connection: x, close\r\n\r\n", "GET", "/", "", 0},
        {"GET / HTTP/1.0\r\n\r\n", "GET", "/", "", 0},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET", "/", "", 1},
        {"HEAD /x HTTP/1.1\r\n" H "\r\n", "HEAD", "/x", "", 1},
        {"PROPFIND /x HTTP/1.1\r\n" H "\r\n", "PROPFIND", "/x", "", 1},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", "OPTIONS", "*", "", 1},
        {"GET http://other/y?z HTTP/1.1\r\n" H "\r\n", "GET", "/y", "", 1},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", "POST", "/", "hello", 1},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "POST", "/", "", 1},
        {"GET / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\n\0\n", "GET", "/", "", 1},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
         "5\r\nhello\r\n3;a=b\r\n wo\r\n0\r\nTrailer: x\r\n\r\n",
         "POST", "/", "hello wo", 1},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", "POST", "/", "", 1},
        {"GET / HTTP/1.1\r\n" H "Upgrade: h2c\r\nConnection: upgrade\r\n\r\n", "GET", "/", "", 1},
        {"POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx", "POST", "/",
         "x", 1},
        {"POST / HTTP/1.0\r\nExpect: else\r\n\r\n", "POST", "/", "", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        /* The one with a 0 byte in its body is longer than its text. */
        size_t size = strlen(cases[i].data) + (strstr(cases[i].data, "Length: 2") ? 2 : 0);

        for (size_t j = 0; j < PIECES; j++) {
            struct reading reading;

            reading_begin(&reading);
            feed_in_pieces(&reading, cases[i].data, size, pieces[j]);
            if (reading.status != 0)
                fail_msg("case %zu by %zu: %d %s", i, pieces[j], reading.status,
                         reading.parser.reason);
            assert_int_equal(reading.complete, 1);
            assert_string_equal(reading.message.method, cases[i].method);
            assert_string_equal(reading.message.uri.path, cases[i].path);
            if (cases[i].body[0] != '\0')
                assert_string_equal(reading.message.body.data, cases[i].body);
            assert_int_equal(reading.message.keep_alive, cases[i].keep_alive);
            reading_end(&reading);
        }
    }
}

static void refuses_what_is_not(void **state)
{
    static const struct {
        const char *data;
        int status;
    } cases[] = {
        {"hello\r\n", 400},
        {"\x16\x03\x01\x02", 400}, /* a TLS client */
        {"FOO / HTTP/1.1\r\n", 400},
        {"get / HTTP/1.1\r\n", 400},
        {"HTTP/1.1 200 OK\r\n", 400},
        {"GET x HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a#b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /%zz HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /%00 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /\xff HTTP/1.1\r\n" H "\r\n", 400},
        {"GET * HTTP/1.1\r\n" H "\r\n", 400},
        {"GET https://h/ HTTP/1.1\r\n" H "\r\n", 400},
        {"GET http://u@h/ HTTP/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H H "\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
        {"GET http://h/ HTTP/1.1\r\n" H H "\r\n", 400},
        {"GET / HTTP/1.0\r\n" H H "\r\n", 400},
        {"GET / HTTP/1.1\n" H "\n", 400},
        {"GET / HTTP/1.1\r\n " H "\r\n", 400},
        {"GET / HTTP/1.1\r\n" H " folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X:\r\n\tfolded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H ": x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X y: z\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X : z\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: \x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X:\rContent-Length: 3\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\nContent-Length: 3\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nx\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 501},
        {"CONNECT h:80 HTTP/1.1\r\n" H "\r\n", 501},
        {"POST / HTTP/1.1\r\n" H "Expect: else\r\n\r\n", 417},
        {"GET /\r\n\r\n", 505},
        {"GET / HTTP/0.9\r\n\r\n", 505},
        {"GET / HTTP/1.2\r\n" H "\r\n", 505},
        {"GET / HTTP/3.0\r\n" H "\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t j = 0; j < PIECES; j++) {
            struct reading reading;

            reading_begin(&reading);
            feed_in_pieces(&reading, cases[i].data, strlen(cases[i].data), pieces[j]);
            if (reading.status != cases[i].status || reading.complete != 0)
                fail_msg("case %zu (%s) by %zu: status %d, not %d; %d complete", i, cases[i].data,
                         pieces[j], reading.status, cases[i].status, reading.complete);
            assert_non_null(reading.parser.reason);
            reading_end(&reading);
        }
    }
}

/* A request from a format with one run of `count` letters. */
static char *with_run(const char *format, size_t count)
{
    char *run = hms_malloc(count + 1);
    char *text;

    memset(run, 'a', count);
    run[count] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    text = hms_asprintf(format, run);
#pragma GCC diagnostic pop
    free(run);
    return text;
}

static void enforces_sizes(void **state)
{
    static const struct {
        const char *format;
        size_t most; /* letters that are still taken */
        int status;  /* for one more */
    } cases[] = {
        {"GET /%s HTTP/1.1\r\n" H "\r\n", 99, 414},
        {"GET / HTTP/1.1\r\n" H "X: %s\r\n\r\n", 500 - 9 - 5, 431},
        {"GET / HTTP/1.1\r\n" H "%s: x\r\n\r\n", 500 - 9 - 5, 431},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nT:%s\r\n\r\n",
         500 - 9 - 28 - 1, 431},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;%s\r\nx\r\n0\r\n\r\n",
         500 - 9 - 28, 431},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t j = 0; j < PIECES; j++) {
            for (size_t more = 0; more < 2; more++) {
                char *text = with_run(cases[i].format, cases[i].most + more);
                struct reading reading;

                reading_begin(&reading);
                feed_in_pieces(&reading, text, strlen(text), pieces[j]);
                if (reading.status != (more ? cases[i].status : 0))
                    fail_msg("case %zu by %zu with %zu: %d %s", i, pieces[j], cases[i].most + more,
                             reading.status, reading.parser.reason);
                reading_end(&reading);
                free(text);
            }
        }
    }
}

static void enforces_the_body_limit(void **state)
{
    static const char body[] = "01234567890123456789012345678901234567890123456789"; /* 50 */
    static const char *const formats[] = {
        "POST / HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n%.*s",
        "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%.*s\r\n0\r\n\r\n"};

    for (size_t i = 0; i < 2; i++) {
        for (size_t size = 49; size <= 51; size++) {
            struct reading reading;
            char text[256];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(text, sizeof(text), formats[i], size, (int)size, body);
#pragma GCC diagnostic pop
            if (size > 50) /* the string ends before its count does */
                strcat(text, "xxxxxx");
            reading_begin(&reading);
            feed(&reading, text, strlen(text));
            assert_int_equal(reading.status, size > 50 ? 413 : 0);
            reading_end(&reading);
        }
    }
}

static void bounds_fields_and_blanks(void **state)
{
    struct reading reading;
    static const char request[] = "GET / HTTP/1.1\r\n" H "X:";

    reading_begin(&reading);
    reading.limits.header_bytes = 100000;
    feed(&reading, request, strlen("GET / HTTP/1.1\r\n" H));
    for (int i = 1; i < HMS_HTTP_FIELDS_MAX; i++)
        feed(&reading, "a:\r\n", 4);
    assert_int_equal(reading.status, 0);
    feed(&reading, "a:\r\n", 4);
    assert_int_equal(reading.status, 431);
    reading_end(&reading);

    reading_begin(&reading); /* llhttp skips blanks before a value without telling */
    feed(&reading, request, strlen(request));
    for (int i = 0; i < 1000 && reading.status == 0; i++)
        feed(&reading, "    ", 4);
    assert_int_equal(reading.status, 431);
    reading_end(&reading);
}

static void keeps_the_fields(void **state)
{
    static const char request[] = "POST /p?q=1 HTTP/1.1\r\nHost: h:1\r\nX-One:  a b \t\r\n"
                                  "Empty:\r\nx-one: second\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "0\r\nX-Two: trailer\r\nHost: evil\r\n\r\n";

    for (size_t j = 0; j < PIECES; j++) {
        struct reading reading;
        const struct hms_http_message *message = &reading.message;

        reading_begin(&reading);
        feed_in_pieces(&reading, request, strlen(request), pieces[j]);
        assert_int_equal(reading.complete, 1);
        assert_string_equal(hms_http_message_header(message, "HOST"), "h:1");
        assert_string_equal(hms_http_message_header(message, "x-one"), "a b");
        assert_string_equal(hms_http_message_header(message, "empty"), "");
        assert_null(hms_http_message_header(message, "x-two"));
        assert_null(hms_http_message_header(message, ""));
        assert_int_equal(hms_http_message_count(message, "X-ONE"), 2);
        reading_end(&reading);
    }
}

static void the_absolute_form_says_the_host(void **state)
{
    static const char request[] = "GET http://real:1/ HTTP/1.1\r\nHost: claimed\r\n\r\n";
    struct reading reading;

    reading_begin(&reading);
    feed(&reading, request, strlen(request));
    assert_int_equal(reading.complete, 1);
    assert_string_equal(hms_http_message_header(&reading.message, "Host"), "real:1");
    reading_end(&reading);
}

static void reads_one_request_after_another(void **state)
{
    static const char requests[] =
        "GET /1 HTTP/1.1\r\n" H "\r\n"
        "POST /2 HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc"
        "GET /3 HTTP/1.1\r\n" H "Upgrade: h2c\r\nConnection: upgrade\r\n\r\n\r\n"
        "POST /4 HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
        "GET /5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
        "GET /6 HTTP/1.1\r\n" H "\r\n";

    for (size_t j = 0; j < PIECES; j++) {
        struct reading reading;

        reading_begin(&reading);
        feed_in_pieces(&reading, requests, strlen(requests), pieces[j]);
        assert_int_equal(reading.status, 0);
        assert_int_equal(reading.complete, 6);
        assert_string_equal(reading.message.uri.path, "/6");
        reading_end(&reading);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_valid),
        cmocka_unit_test(refuses_what_is_not),
        cmocka_unit_test(enforces_sizes),
        cmocka_unit_test(enforces_the_body_limit),
        cmocka_unit_test(bounds_fields_and_blanks),
        cmocka_unit_test(keeps_the_fields),
        cmocka_unit_test(the_absolute_form_says_the_host),
        cmocka_unit_test(reads_one_request_after_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
