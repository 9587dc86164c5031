/* Exchanges, and what the handler sees of one. */
#include "core/http_exchange.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/http_server.h"

struct hms_http_exchange *hms_http_exchange_new(struct hms_http_connection *connection,
                                                const struct hms_http_limits *limits, int is_local,
                                                uid_t peer_uid)
{
    struct hms_http_exchange *exchange = hms_calloc(1, sizeof(*exchange));

    hms_http_message_init(&exchange->message, limits);
    hms_buffer_init(&exchange->answer, SIZE_MAX / 2);
    exchange->connection = connection;
    exchange->is_local = is_local;
    exchange->peer_uid = peer_uid;
    return exchange;
}

void hms_http_exchange_free(struct hms_http_exchange *exchange)
{
    hms_http_message_free(&exchange->message);
    hms_buffer_free(&exchange->answer);
    free(exchange);
}

void hms_http_exchange_reset(struct hms_http_exchange *exchange)
{
    hms_http_message_reset(&exchange->message);
    hms_buffer_free(&exchange->answer);
}

const char *hms_http_method(const struct hms_http_exchange *exchange)
{
    return exchange->message.method;
}

const char *hms_http_path(const struct hms_http_exchange *exchange)
{
    return exchange->message.uri.path;
}

const char *hms_http_body(const struct hms_http_exchange *exchange, size_t *size_bytes)
{
    const struct hms_buffer *body = &exchange->message.body;

    *size_bytes = body->size_bytes;
    return body->data != NULL ? body->data : "";
}

const char *hms_http_header(const struct hms_http_exchange *exchange, const char *name)
{
    return hms_http_message_header(&exchange->message, name);
}

const char *hms_http_query(const struct hms_http_exchange *exchange, const char *name)
{
    return hms_http_uri_query(&exchange->message.uri, name);
}

int hms_http_is_local_socket(const struct hms_http_exchange *exchange)
{
    return exchange->is_local;
}

uid_t hms_http_peer_uid(const struct hms_http_exchange *exchange)
{
    return exchange->peer_uid;
}
