/* Runs a loop for as long as the request takes. */
#include "cli/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/file.h"
#include "core/http_client.h"
#include "core/json.h"

#define CONNECT_TIMEOUT_MS 10000
#define ANSWER_LIMIT_BYTES (64u << 20)
#define TOKEN_MAX_BYTES    8192
#define UNIX_PREFIX        "unix:"
#define HTTP_PREFIX        "http://"

/* The request while the loop runs. */
struct exchange {
    struct hms_http_client *http;
    struct hms_client_answer *answer;
    int result;
    char *error;
    size_t error_size;
};

static int has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0 && text[strlen(prefix)] != '\0';
}

const char *hms_client_check_url(const char *url)
{
    if (has_prefix(url, UNIX_PREFIX) || has_prefix(url, HTTP_PREFIX))
        return NULL;
    return "http://HOST:PORT or unix:PATH";
}

static void on_closed(void *arg)
{
}

static void on_done(void *arg, const struct hms_http_answer *http)
{
    struct exchange *exchange = arg;
    char why[HMS_JSON_ERROR_SIZE];

    exchange->result = http->error;
    if (http->error != HMS_OK) {
        snprintf(exchange->error, exchange->error_size, "%s", http->reason);
    } else {
        exchange->answer->status = http->status;
        exchange->answer->body = hms_json_parse(http->body, http->body_bytes, why);
        if (!json_is_object(exchange->answer->body)) {
            json_decref(exchange->answer->body);
            exchange->result = HMS_EPROTO;
            snprintf(exchange->error, exchange->error_size, "HTTP status %d, and no JSON object",
                     http->status);
        }
    }
    hms_http_client_close(exchange->http, on_closed, NULL);
}

static int send_call(struct exchange *exchange, const struct hms_client_request *request,
                     const char *authorization)
{
    int is_local = has_prefix(request->url, UNIX_PREFIX);
    const char *headers[] = {authorization, NULL};
    char *body = request->body ? json_dumps(request->body, HMS_JSON_DUMP) : NULL;
    char *url =
        hms_asprintf("%s%s", is_local ? HTTP_PREFIX "localhost" : request->url, request->path);
    struct hms_http_call call = {
        .method = request->method,
        .url = url,
        .unix_socket = is_local ? request->url + strlen(UNIX_PREFIX) : NULL,
        .content_type = body ? "application/json" : NULL,
        .body = body,
        .body_bytes = body ? strlen(body) : 0,
        .headers = headers,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .answer_limit_bytes = ANSWER_LIMIT_BYTES,
    };
    int result = hms_http_call(exchange->http, &call, NULL, on_done, exchange, NULL);

    if (body != NULL)
        explicit_bzero(body, strlen(body)); /* there may be a password in it */
    free(body);
    free(url);
    return result;
}

static int ask(const struct hms_client_request *request, const char *authorization,
               struct hms_client_answer *answer, char *error, size_t error_size)
{
    struct exchange exchange = {.answer = answer, .error = error, .error_size = error_size};
    uv_loop_t loop;

    uv_loop_init(&loop);
    exchange.http = hms_http_client_new(&loop, 1);
    exchange.result = send_call(&exchange, request, authorization);
    if (exchange.result != HMS_OK) {
        snprintf(error, error_size, "%s", hms_strerror(exchange.result));
        hms_http_client_close(exchange.http, on_closed, NULL);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return exchange.result;
}

int hms_client_ask(const struct hms_client_request *request, struct hms_client_answer *answer,
                   char *error, size_t error_size)
{
    char *authorization = NULL;
    struct hms_buffer token;
    int result = HMS_OK;

    hms_buffer_init(&token, TOKEN_MAX_BYTES);
    if (request->token_file != NULL) {
        result = hms_file_read(request->token_file, &token, error, error_size);
        if (result == HMS_OK && token.data != NULL) {
            token.data[strcspn(token.data, " \t\r\n")] = '\0';
            authorization = hms_asprintf("Authorization: Bearer %s", token.data);
        }
    }
    if (result == HMS_OK)
        result = ask(request, authorization, answer, error, error_size);
    if (authorization != NULL)
        explicit_bzero(authorization, strlen(authorization));
    free(authorization);
    hms_buffer_wipe(&token);
    return result;
}
