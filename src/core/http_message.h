/*
 * A received HTTP request: its target, header fields and body, in memory that a connection reuses
 * from one request to the next. Filled by http_parser.
 */
#ifndef HMS_CORE_HTTP_MESSAGE_H
#define HMS_CORE_HTTP_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"
#include "core/http_uri.h"

/* Header fields of one request; more are refused with 431. */
#define HMS_HTTP_FIELDS_MAX 100

struct hms_http_limits;

struct hms_http_field {
    size_t name; /* offsets into text */
    size_t value;
};

struct hms_http_message {
    const char *method;     /* static; "" until it is known */
    struct hms_buffer text; /* target, then names and values, each followed by a 0 byte */
    struct hms_buffer body;
    struct hms_http_uri uri; /* valid once the header is complete; points into text */
    struct hms_http_field fields[HMS_HTTP_FIELDS_MAX];
    int field_count;
    int is_http_1_0;
    int keep_alive;
    int expects_continue;
};

void hms_http_message_init(struct hms_http_message *message, const struct hms_http_limits *limits);
void hms_http_message_free(struct hms_http_message *message);

/* Ready for the next request; keeps small buffers, gives back large ones. */
void hms_http_message_reset(struct hms_http_message *message);

/* The value of the first field of that name (case does not matter), or NULL; borrowed. */
const char *hms_http_message_header(const struct hms_http_message *message, const char *name);

/* How many fields have that name. */
int hms_http_message_count(const struct hms_http_message *message, const char *name);

#endif
