/* Who may enter: tables of requests, of listen addresses, of token files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/access.h"
#include "core/error.h"

#define TOKEN      "0123456789abcdef"
#define ADMIN      "fedcba9876543210"
#define GRANTED    HMS_ACCESS_GRANTED
#define BAD_HOST   HMS_ACCESS_BAD_HOST
#define CROSS_SITE HMS_ACCESS_CROSS_SITE
#define NO_TOKEN   HMS_ACCESS_NO_TOKEN
#define NOT_JSON   HMS_ACCESS_NOT_JSON
#define NOT_ADMIN  HMS_ACCESS_NOT_ADMIN

static const struct {
    const char *name;
    struct hms_access_request request;
    const char *token;
    enum hms_access expected;
} cases[] = {
    {"read by address", {.method = "GET", .host = "127.0.0.1:8080"}, NULL, GRANTED},
    {"read by IPv6 address", {.method = "GET", .host = "[::1]:8080"}, NULL, GRANTED},
    {"read by localhost", {.method = "HEAD", .host = "LocalHost"}, NULL, GRANTED},
    {"rebound name", {.method = "GET", .host = "evil.example:8080"}, NULL, BAD_HOST},
    {"name that looks like an address",
     {.method = "GET", .host = "127.0.0.1.evil.example"},
     NULL,
     BAD_HOST},
    {"name that begins like localhost",
     {.method = "GET", .host = "localhost.evil.example"},
     NULL,
     BAD_HOST},
    {"no host", {.method = "GET"}, NULL, BAD_HOST},
    {"empty host", {.method = "GET", .host = ""}, NULL, BAD_HOST},
    {"no port after the colon is fine", {.method = "GET", .host = "127.0.0.1:"}, NULL, GRANTED},
    {"port that is none", {.method = "GET", .host = "127.0.0.1:x"}, NULL, BAD_HOST},
    {"open bracket", {.method = "GET", .host = "[::1"}, NULL, BAD_HOST},
    {"text after the bracket", {.method = "GET", .host = "[::1]x"}, NULL, BAD_HOST},
    {"any name on the unix socket",
     {.method = "GET", .host = "hms", .is_local_socket = 1},
     NULL,
     GRANTED},
    {"health by a rebound name",
     {.method = "GET", .host = "evil.example", .is_healthz = 1},
     NULL,
     BAD_HOST},

    {"bodyless write, no browser", {.method = "PUT", .host = "127.0.0.1"}, NULL, GRANTED},
    {"bodyless write, same origin",
     {.method = "DELETE", .host = "127.0.0.1:8080", .origin = "http://127.0.0.1:8080"},
     NULL,
     GRANTED},
    {"same origin behind TLS",
     {.method = "DELETE", .host = "localhost", .origin = "https://LOCALHOST"},
     NULL,
     GRANTED},
    {"write from a foreign page",
     {.method = "DELETE", .host = "127.0.0.1:8080", .origin = "http://evil.example"},
     NULL,
     CROSS_SITE},
    {"write from another port",
     {.method = "PUT", .host = "127.0.0.1:8080", .origin = "http://127.0.0.1:3000"},
     NULL,
     CROSS_SITE},
    {"write from a hidden origin",
     {.method = "POST", .host = "127.0.0.1:8080", .origin = "null"},
     NULL,
     CROSS_SITE},
    {"foreign origin over the unix socket",
     {.method = "POST", .host = "hms", .is_local_socket = 1, .origin = "http://evil.example"},
     NULL,
     CROSS_SITE},
    {"read from a foreign page tells it nothing",
     {.method = "GET", .host = "127.0.0.1", .origin = "http://evil.example"},
     NULL,
     GRANTED},

    {"JSON body",
     {.method = "POST", .host = "::1", .has_body = 1, .content_type = "application/json"},
     NULL,
     BAD_HOST},
    {"JSON body",
     {.method = "POST", .host = "[::1]", .has_body = 1, .content_type = "application/json"},
     NULL,
     GRANTED},
    {"JSON body with a parameter",
     {.method = "POST",
      .host = "[::1]",
      .has_body = 1,
      .content_type = "Application/JSON ; charset=utf-8"},
     NULL,
     GRANTED},
    {"form body",
     {.method = "POST", .host = "[::1]", .has_body = 1, .content_type = "text/plain"},
     NULL,
     NOT_JSON},
    {"almost JSON",
     {.method = "POST", .host = "[::1]", .has_body = 1, .content_type = "application/jsonp"},
     NULL,
     NOT_JSON},
    {"undeclared body", {.method = "PUT", .host = "[::1]", .has_body = 1}, NULL, NOT_JSON},
    {"body of a read is not looked at",
     {.method = "GET", .host = "[::1]", .has_body = 1},
     NULL,
     GRANTED},

    {"token",
     {.method = "GET", .host = "hms.example", .authorization = "Bearer " TOKEN},
     TOKEN,
     GRANTED},
    {"token, scheme in any case",
     {.method = "GET", .host = "hms.example", .authorization = "bearer  " TOKEN},
     TOKEN,
     GRANTED},
    {"no token", {.method = "GET", .host = "127.0.0.1"}, TOKEN, NO_TOKEN},
    {"no token on the unix socket",
     {.method = "GET", .host = "hms", .is_local_socket = 1},
     TOKEN,
     NO_TOKEN},
    {"wrong token", {.method = "GET", .authorization = "Bearer 0123456789abcdeF"}, TOKEN, NO_TOKEN},
    {"short token", {.method = "GET", .authorization = "Bearer 0123"}, TOKEN, NO_TOKEN},
    {"longer token", {.method = "GET", .authorization = "Bearer " TOKEN "0"}, TOKEN, NO_TOKEN},
    {"empty token", {.method = "GET", .authorization = "Bearer "}, TOKEN, NO_TOKEN},
    {"other scheme", {.method = "GET", .authorization = "Basic " TOKEN}, TOKEN, NO_TOKEN},
    {"health needs none", {.method = "GET", .is_healthz = 1}, TOKEN, GRANTED},
    {"only reading it", {.method = "PUT", .is_healthz = 1}, TOKEN, NO_TOKEN},
    {"token does not open cross-site writes",
     {.method = "PUT",
      .host = "hms.example",
      .origin = "http://evil.example",
      .authorization = "Bearer " TOKEN},
     TOKEN,
     CROSS_SITE},
};

static void requests_are_judged(void **state)
{
    struct hms_access_tokens tokens = {NULL, ADMIN};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_message("%s\n", cases[i].name);
        tokens.user = cases[i].token;
        assert_int_equal(hms_access_check(&cases[i].request, &tokens), cases[i].expected);
    }
}

static void hosts_are_the_administrators(void **state)
{
    static const struct {
        const char *name;
        struct hms_access_request request;
        struct hms_access_tokens tokens;
        enum hms_access expected;
    } table[] = {
        {"nothing configured", {.host = "127.0.0.1"}, {NULL, NULL}, NOT_ADMIN},
        {"a group member's socket", {.is_local_socket = 1}, {NULL, NULL}, NOT_ADMIN},
        {"a trusted user's socket",
         {.is_local_socket = 1, .is_trusted_user = 1},
         {NULL, NULL},
         GRANTED},
        {"... needs no token",
         {.is_local_socket = 1, .is_trusted_user = 1},
         {TOKEN, ADMIN},
         GRANTED},
        {"administrator's token", {.authorization = "Bearer " ADMIN}, {NULL, ADMIN}, GRANTED},
        {"administrator's of two", {.authorization = "Bearer " ADMIN}, {TOKEN, ADMIN}, GRANTED},
        {"user's token",
         {.host = "127.0.0.1", .authorization = "Bearer " TOKEN},
         {TOKEN, ADMIN},
         NOT_ADMIN},
        {"user's token, no other", {.authorization = "Bearer " TOKEN}, {TOKEN, NULL}, NOT_ADMIN},
        {"no token", {.host = "127.0.0.1"}, {TOKEN, ADMIN}, NO_TOKEN},
        {"no token, rebound name", {.host = "evil.example"}, {NULL, ADMIN}, BAD_HOST},
        {"wrong token",
         {.host = "127.0.0.1", .authorization = "Bearer " TOKEN},
         {NULL, ADMIN},
         NOT_ADMIN},
        {"foreign page",
         {.origin = "http://evil.example", .host = "h", .authorization = "Bearer " ADMIN},
         {NULL, ADMIN},
         CROSS_SITE},
        {"undeclared body",
         {.has_body = 1, .authorization = "Bearer " ADMIN},
         {NULL, ADMIN},
         NOT_JSON},
    };
    struct hms_access_request request;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        print_message("%s\n", table[i].name);
        request = table[i].request;
        request.method = "PUT";
        request.needs_admin = 1;
        assert_int_equal(hms_access_check(&request, &table[i].tokens), table[i].expected);
    }
}

static void the_administrators_token_opens_the_rest(void **state)
{
    struct hms_access_request request = {.method = "GET", .authorization = "Bearer " ADMIN};
    struct hms_access_tokens tokens = {TOKEN, ADMIN};

    (void)state;
    assert_int_equal(hms_access_check(&request, &tokens), GRANTED);
}

static void listening_elsewhere_needs_a_token(void **state)
{
    static const struct {
        const char *listen;
        int needed;
    } places[] = {
        {"127.0.0.1:8080", 0},
        {"127.9.9.9:1", 0},
        {"localhost:8080", 0},
        {"[::1]:8080", 0},
        {"unix:/run/x", 0},
        {"0.0.0.0:8080", 1},
        {"10.0.0.1:8080", 1},
        {"[::]:8080", 1},
        {"[fe80::1]:80", 1},
        {"example.org:80", 1},
        {"", 1},
        {":8080", 1},
        {"[::1", 1},
        {"127.0.0.1.x:1", 1},
        {"[::ffff:1.2.3.4]:1", 1},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        print_message("%s\n", places[i].listen);
        assert_int_equal(hms_access_needs_token(places[i].listen), places[i].needed);
    }
}

static int read_file(const char *text, size_t size, char **token)
{
    char path[] = "/tmp/hms-test-token-XXXXXX";
    char error[256] = "";
    int fd = mkstemp(path);
    int result, is_exposed = 0;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), size);
    close(fd);
    result = hms_access_read_token(path, token, &is_exposed, error, sizeof(error));
    unlink(path);
    assert_false(is_exposed);
    assert_true((result == HMS_OK) == (*error == '\0'));
    return result;
}

static void token_files(void **state)
{
    char *big = malloc(HMS_ACCESS_TOKEN_MAX * 2);
    char *token = NULL;
    char path[] = "/tmp/hms-test-token-XXXXXX";
    char error[256];
    int fd, is_exposed = 0;

    (void)state;
    assert_int_equal(read_file("  " TOKEN " \n", strlen(TOKEN) + 4, &token), HMS_OK);
    assert_string_equal(token, TOKEN);
    free(token);
    memset(big, 'x', HMS_ACCESS_TOKEN_MAX * 2);
    assert_int_equal(read_file(big, HMS_ACCESS_TOKEN_MAX, &token), HMS_OK);
    assert_int_equal(strlen(token), HMS_ACCESS_TOKEN_MAX);
    free(token);
    assert_int_equal(read_file(big, HMS_ACCESS_TOKEN_MAX + 1, &token), HMS_EINVAL);
    assert_int_equal(read_file(big, HMS_ACCESS_TOKEN_MAX * 2, &token), HMS_EINVAL);
    assert_int_equal(read_file("", 0, &token), HMS_EINVAL);
    assert_int_equal(read_file("short\n", 6, &token), HMS_EINVAL);
    assert_int_equal(read_file("two words in here", 17, &token), HMS_EINVAL);
    assert_int_equal(read_file("0123456789\0abcdef", 17, &token), HMS_EINVAL);
    assert_int_equal(
        hms_access_read_token("/nonexistent/token", &token, &is_exposed, error, sizeof(error)),
        HMS_EIO);
    fd = mkstemp(path);
    assert_int_equal(write(fd, TOKEN, strlen(TOKEN)), strlen(TOKEN));
    assert_int_equal(fchmod(fd, 0644), 0);
    close(fd);
    assert_int_equal(hms_access_read_token(path, &token, &is_exposed, error, sizeof(error)),
                     HMS_OK);
    assert_true(is_exposed);
    free(token);
    unlink(path);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_judged),
        cmocka_unit_test(hosts_are_the_administrators),
        cmocka_unit_test(the_administrators_token_opens_the_rest),
        cmocka_unit_test(listening_elsewhere_needs_a_token),
        cmocka_unit_test(token_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
