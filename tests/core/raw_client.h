/*
 * A plain AMQP client, for what a bus of ours never says: librabbitmq with its own blocking socket,
 * on its own channel 1. Everything is static.
 */
#ifndef HMS_TESTS_CORE_RAW_CLIENT_H
#define HMS_TESTS_CORE_RAW_CLIENT_H

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static amqp_connection_state_t raw_open(const char *user, const char *password)
{
    amqp_connection_state_t raw = amqp_new_connection();

    assert_int_equal(amqp_socket_open(amqp_tcp_socket_new(raw), "127.0.0.1", 5672), 0);
    assert_int_equal(
        amqp_login(raw, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, user, password).reply_type,
        AMQP_RESPONSE_NORMAL);
    assert_non_null(amqp_channel_open(raw, 1));
    return raw;
}

/* correlation_id may be NULL; headers too. */
static void raw_publish(amqp_connection_state_t raw, const char *key, const char *correlation_id,
                        const amqp_table_t *headers, const void *body, size_t size_bytes)
{
    amqp_basic_properties_t properties = {0};

    if (correlation_id != NULL) {
        properties._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
        properties.correlation_id = amqp_cstring_bytes(correlation_id);
    }
    if (headers != NULL) {
        properties._flags |= AMQP_BASIC_HEADERS_FLAG;
        properties.headers = *headers;
    }
    assert_int_equal(amqp_basic_publish(raw, 1, amqp_cstring_bytes("health_system_exchange"),
                                        amqp_cstring_bytes(key), 0, 0, &properties,
                                        (amqp_bytes_t){.len = size_bytes, .bytes = (void *)body}),
                     0);
}

static void raw_close(amqp_connection_state_t raw)
{
    amqp_connection_close(raw, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(raw);
}

#endif
