/* Frames: type, channel and size in front, an end mark behind (AMQP 0-9-1, section 4.2.3). */
#include "core/amqp_codec.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "core/error.h"

#define HEADER_BYTES  7
#define END_MARK      ((char)0xCE)
#define CONTENT_BYTES 12 /* class, weight and size of the body, in front of the properties */
#define POOL_BYTES    8192

static uint16_t read_16(const char *data)
{
    uint16_t value;

    memcpy(&value, data, sizeof(value));
    return ntohs(value);
}

static uint32_t read_32(const char *data)
{
    uint32_t value;

    memcpy(&value, data, sizeof(value));
    return ntohl(value);
}

static void write_16(char *data, uint16_t value)
{
    value = htons(value);
    memcpy(data, &value, sizeof(value));
}

static void write_32(char *data, uint32_t value)
{
    value = htonl(value);
    memcpy(data, &value, sizeof(value));
}

static amqp_bytes_t bytes_of(const char *data, size_t size_bytes)
{
    return (amqp_bytes_t){.len = size_bytes, .bytes = (void *)data};
}

/* ---- bytes to frames ---- */

void hms_amqp_decoder_init(struct hms_amqp_decoder *decoder)
{
    hms_buffer_init(&decoder->partial, HMS_AMQP_FRAME_MAX_BYTES);
    init_amqp_pool(&decoder->pool, POOL_BYTES);
}

void hms_amqp_decoder_free(struct hms_amqp_decoder *decoder)
{
    hms_buffer_free(&decoder->partial);
    empty_amqp_pool(&decoder->pool);
}

static int decode_method(struct hms_amqp_decoder *decoder, const char *payload, size_t size_bytes,
                         struct hms_amqp_frame *frame, const char **why)
{
    if (size_bytes < 4 || size_bytes > HMS_AMQP_METHOD_MAX_BYTES) {
        *why = "a method of a size that cannot be";
        return HMS_EPROTO;
    }
    frame->method = read_32(payload);
    if (amqp_decode_method(frame->method, &decoder->pool, bytes_of(payload + 4, size_bytes - 4),
                           &frame->fields) != AMQP_STATUS_OK) {
        *why = "a method that is unknown or damaged";
        return HMS_EPROTO;
    }
    return 1;
}

/* Properties are a publisher's work: if they are no good, that is the message's end only. */
static int decode_header(struct hms_amqp_decoder *decoder, const char *payload, size_t size_bytes,
                         struct hms_amqp_frame *frame, const char **why)
{
    amqp_bytes_t encoded;
    void *properties;

    if (size_bytes < CONTENT_BYTES || read_16(payload) != AMQP_BASIC_CLASS) {
        *why = "a content header that is damaged";
        return HMS_EPROTO;
    }
    frame->body_bytes = (uint64_t)read_32(payload + 4) << 32 | read_32(payload + 8);
    encoded = bytes_of(payload + CONTENT_BYTES, size_bytes - CONTENT_BYTES);
    if (encoded.len <= HMS_AMQP_PROPERTIES_MAX_BYTES &&
        amqp_decode_properties(AMQP_BASIC_CLASS, &decoder->pool, encoded, &properties) ==
            AMQP_STATUS_OK)
        frame->properties = properties;
    return 1;
}

static int decode(struct hms_amqp_decoder *decoder, const char *data, size_t size_bytes,
                  struct hms_amqp_frame *frame, const char **why)
{
    const char *payload = data + HEADER_BYTES;
    size_t payload_bytes = size_bytes - HMS_AMQP_FRAME_OVERHEAD;

    memset(frame, 0, sizeof(*frame));
    frame->channel = read_16(data + 1);
    frame->wire_bytes = size_bytes;
    recycle_amqp_pool(&decoder->pool);
    if (data[size_bytes - 1] != END_MARK) {
        *why = "a frame without its end mark";
        return HMS_EPROTO;
    }
    switch (data[0]) {
    case AMQP_FRAME_METHOD:
        frame->kind = HMS_AMQP_METHOD;
        return decode_method(decoder, payload, payload_bytes, frame, why);
    case AMQP_FRAME_HEADER:
        frame->kind = HMS_AMQP_HEADER;
        return decode_header(decoder, payload, payload_bytes, frame, why);
    case AMQP_FRAME_BODY:
        frame->kind = HMS_AMQP_BODY;
        frame->data = payload;
        frame->size_bytes = payload_bytes;
        return 1;
    case AMQP_FRAME_HEARTBEAT:
        frame->kind = HMS_AMQP_HEARTBEAT;
        return 1;
    default:
        *why = "a frame of an unknown type";
        return HMS_EPROTO;
    }
}

/* Of the whole frame that begins with these HEADER_BYTES, or 0 if there is no such frame. */
static size_t frame_bytes(const char *header, const char **why)
{
    uint32_t payload_bytes = read_32(header + 3);

    if (memcmp(header, "AMQP", 4) == 0)
        *why = "it speaks another version of AMQP";
    else if (payload_bytes > HMS_AMQP_FRAME_MAX_BYTES - HMS_AMQP_FRAME_OVERHEAD)
        *why = "a frame above the size agreed on, or no AMQP at all";
    else
        return payload_bytes + HMS_AMQP_FRAME_OVERHEAD;
    return 0;
}

/* Moves bytes to the partial frame until it has `wanted_bytes`; returns whether it has them. */
static int complete(struct hms_amqp_decoder *decoder, const char **data, size_t *size_bytes,
                    size_t wanted_bytes)
{
    size_t missing = wanted_bytes - decoder->partial.size_bytes;
    size_t taken = missing < *size_bytes ? missing : *size_bytes;
    int result = hms_buffer_append(&decoder->partial, *data, taken);

    assert(result == HMS_OK); /* frame_bytes() is below the limit */
    (void)result;
    *data += taken;
    *size_bytes -= taken;
    return taken == missing;
}

int hms_amqp_decoder_next(struct hms_amqp_decoder *decoder, const char **data, size_t *size_bytes,
                          struct hms_amqp_frame *frame, const char **why)
{
    struct hms_buffer *partial = &decoder->partial;
    const char *begin = *data;
    size_t wanted;

    if (partial->size_bytes == 0 && *size_bytes >= HEADER_BYTES) {
        wanted = frame_bytes(begin, why);
        if (wanted == 0)
            return HMS_EPROTO;
        if (wanted <= *size_bytes) { /* the usual case: nothing is copied */
            *data += wanted;
            *size_bytes -= wanted;
            return decode(decoder, begin, wanted, frame, why);
        }
    }
    if (partial->size_bytes < HEADER_BYTES && !complete(decoder, data, size_bytes, HEADER_BYTES))
        return 0;
    wanted = frame_bytes(partial->data, why);
    if (wanted == 0)
        return HMS_EPROTO;
    if (!complete(decoder, data, size_bytes, wanted))
        return 0;
    /* Emptied, but not touched before the next call. */
    partial->size_bytes = 0;
    return decode(decoder, partial->data, wanted, frame, why);
}

/* ---- methods to bytes ---- */

static void append(struct hms_buffer *out, const void *data, size_t size_bytes)
{
    int result = hms_buffer_append(out, data, size_bytes);

    assert(result == HMS_OK);
    (void)result;
}

static void append_frame(struct hms_buffer *out, char type, uint16_t channel, const char *payload,
                         size_t size_bytes)
{
    static const char end_mark = END_MARK;
    char header[HEADER_BYTES];

    assert(size_bytes <= HMS_AMQP_FRAME_MAX_BYTES - HMS_AMQP_FRAME_OVERHEAD);
    header[0] = type;
    write_16(header + 1, channel);
    write_32(header + 3, (uint32_t)size_bytes);
    append(out, header, sizeof(header));
    append(out, payload, size_bytes);
    append(out, &end_mark, 1);
}

void hms_amqp_encode_method(struct hms_buffer *out, uint16_t channel, amqp_method_number_t method,
                            void *fields)
{
    char payload[HMS_AMQP_FRAME_MIN_BYTES - HMS_AMQP_FRAME_OVERHEAD];
    amqp_bytes_t room = {.len = sizeof(payload) - 4, .bytes = payload + 4};
    int used = amqp_encode_method(method, fields, room);

    assert(used >= 0);
    write_32(payload, method);
    append_frame(out, AMQP_FRAME_METHOD, channel, payload, 4 + (size_t)used);
}

void hms_amqp_encode_header(struct hms_buffer *out, uint16_t channel, uint64_t body_bytes,
                            amqp_basic_properties_t *properties)
{
    char payload[HMS_AMQP_FRAME_MIN_BYTES - HMS_AMQP_FRAME_OVERHEAD];
    amqp_bytes_t room = {.len = sizeof(payload) - CONTENT_BYTES, .bytes = payload + CONTENT_BYTES};
    int used = amqp_encode_properties(AMQP_BASIC_CLASS, properties, room);

    assert(used >= 0);
    write_16(payload, AMQP_BASIC_CLASS);
    write_16(payload + 2, 0);
    write_32(payload + 4, (uint32_t)(body_bytes >> 32));
    write_32(payload + 8, (uint32_t)body_bytes);
    append_frame(out, AMQP_FRAME_HEADER, channel, payload, CONTENT_BYTES + (size_t)used);
}

void hms_amqp_encode_body(struct hms_buffer *out, uint16_t channel, const char *data,
                          size_t size_bytes)
{
    append_frame(out, AMQP_FRAME_BODY, channel, data, size_bytes);
}

void hms_amqp_encode_heartbeat(struct hms_buffer *out)
{
    append_frame(out, AMQP_FRAME_HEARTBEAT, 0, NULL, 0);
}
