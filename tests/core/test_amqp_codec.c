/* Frames: the same whatever pieces they come in; damaged ones are refused before they are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/amqp_codec.h"
#include "core/amqp_content.h"
#include "core/error.h"

static void encode_message(struct hms_buffer *out, const char *body, size_t size_bytes)
{
    amqp_basic_deliver_t deliver = {.consumer_tag = amqp_cstring_bytes("tag"),
                                    .routing_key = amqp_cstring_bytes("manager")};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_CORRELATION_ID_FLAG,
                                          .correlation_id = amqp_cstring_bytes("ABCDEFGHIJ")};

    hms_amqp_encode_method(out, 1, AMQP_BASIC_DELIVER_METHOD, &deliver);
    hms_amqp_encode_header(out, 1, size_bytes, &properties);
    hms_amqp_encode_body(out, 1, body, size_bytes / 2);
    hms_amqp_encode_heartbeat(out);
    hms_amqp_encode_body(out, 1, body + size_bytes / 2, size_bytes - size_bytes / 2);
}

/* Feeds pieces of that size; returns how many contents were complete, and checks them. */
static int feed(const struct hms_buffer *in, size_t piece_bytes, const char *body)
{
    struct hms_amqp_decoder decoder;
    struct hms_amqp_content content;
    struct hms_amqp_frame frame;
    const char *why;
    size_t offset;
    int result, complete = 0;

    hms_amqp_decoder_init(&decoder);
    hms_amqp_content_init(&content, 1000);
    for (offset = 0; offset < in->size_bytes; offset += piece_bytes) {
        size_t left = in->size_bytes - offset < piece_bytes ? in->size_bytes - offset : piece_bytes;
        char *piece = malloc(left); /* so that reading beyond it is noticed */
        const char *data = memcpy(piece, in->data + offset, left);

        while ((result = hms_amqp_decoder_next(&decoder, &data, &left, &frame, &why)) > 0) {
            if (frame.kind == HMS_AMQP_HEARTBEAT || hms_amqp_content_add(&content, &frame) == 0)
                continue;
            complete++;
            assert_string_equal(content.tag, "tag");
            assert_string_equal(content.correlation_id, "ABCDEFGHIJ");
            assert_string_equal(content.body.data, body);
            assert_int_equal(content.wire_bytes + HMS_AMQP_FRAME_OVERHEAD, in->size_bytes / 2);
        }
        assert_int_equal(result, 0);
        assert_int_equal(left, 0);
        free(piece);
    }
    hms_amqp_content_free(&content);
    hms_amqp_decoder_free(&decoder);
    return complete;
}

static void pieces_make_no_difference(void **state)
{
    const char *body = "{\"command\":\"live\",\"sender\":\"manager.callback.10.0.0.1\"}";
    struct hms_buffer out;
    size_t piece_bytes;

    hms_buffer_init(&out, 10000);
    encode_message(&out, body, strlen(body));
    encode_message(&out, body, strlen(body));
    for (piece_bytes = 1; piece_bytes <= out.size_bytes; piece_bytes++)
        assert_int_equal(feed(&out, piece_bytes, body), 2);
    hms_buffer_free(&out);
}

static int decode(const void *data, size_t size_bytes, struct hms_amqp_decoder *decoder,
                  struct hms_amqp_frame *frame)
{
    const char *begin = data, *why = NULL;
    int result = hms_amqp_decoder_next(decoder, &begin, &size_bytes, frame, &why);

    assert_true((result < 0) == (why != NULL));
    return result;
}

static void damaged_frames_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t size_bytes;
    } bad[] = {
        {"AMQP\0\0\x09\x01", 8},
        {"\x08\0\0\0\0\0\0\xcf", 8},                /* end mark */
        {"\x09\0\0\0\0\0\0\xce", 8},                /* type */
        {"\x01\0\0\0\0\0\x03\0\0\0\xce", 11},       /* method without its number */
        {"\x01\0\0\0\0\0\x04\xff\0\0\0\xce", 12},   /* unknown method */
        {"\x01\0\0\0\0\0\x04\0\x3c\0\x3c\xce", 12}, /* basic.deliver without fields */
        {"\x02\0\0\0\0\0\x04\0\x3c\0\0\xce", 12},   /* header that is too short */
        {"\x03\0\0\x00\x01\xff\xf9", 7},            /* one byte longer than a frame can be */
        {"HTTP/1.1 400", 12},
    };
    struct hms_amqp_decoder decoder;
    struct hms_amqp_frame frame;
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        hms_amqp_decoder_init(&decoder);
        assert_int_equal(decode(bad[i].bytes, bad[i].size_bytes, &decoder, &frame), HMS_EPROTO);
        hms_amqp_decoder_free(&decoder);
    }
}

static void bad_properties_are_the_messages_fault(void **state)
{
    static const char header[] = "\x02\0\1\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\7\xff\xff\xce";
    struct hms_amqp_decoder decoder;
    struct hms_amqp_frame frame;

    hms_amqp_decoder_init(&decoder);
    assert_int_equal(decode(header, sizeof(header) - 1, &decoder, &frame), 1);
    assert_int_equal(frame.kind, HMS_AMQP_HEADER);
    assert_int_equal(frame.body_bytes, 7);
    assert_null(frame.properties);
    hms_amqp_decoder_free(&decoder);
}

static void parts_come_in_their_order(void **state)
{
    amqp_basic_deliver_t deliver = {.consumer_tag = amqp_cstring_bytes("t")};
    amqp_basic_properties_t properties = {0};
    struct hms_amqp_frame method = {
        .kind = HMS_AMQP_METHOD, .method = AMQP_BASIC_DELIVER_METHOD, .fields = &deliver};
    struct hms_amqp_frame header = {
        .kind = HMS_AMQP_HEADER, .body_bytes = 3, .properties = &properties};
    struct hms_amqp_frame body = {.kind = HMS_AMQP_BODY, .data = "ab", .size_bytes = 2};
    struct hms_amqp_content content;

    hms_amqp_content_init(&content, 10);
    assert_int_equal(hms_amqp_content_add(&content, &header), HMS_EPROTO);
    assert_int_equal(hms_amqp_content_add(&content, &body), HMS_EPROTO);
    assert_int_equal(hms_amqp_content_add(&content, &method), 0);
    assert_int_equal(hms_amqp_content_add(&content, &method), HMS_EPROTO);
    assert_int_equal(hms_amqp_content_add(&content, &header), 0);
    assert_int_equal(hms_amqp_content_add(&content, &body), 0);
    assert_int_equal(hms_amqp_content_add(&content, &body), HMS_EPROTO); /* a byte too much */
    body.size_bytes = 1;
    assert_int_equal(hms_amqp_content_add(&content, &body), 1);
    assert_string_equal(content.body.data, "aba");
    header.body_bytes = UINT64_MAX;
    hms_amqp_content_add(&content, &method);
    hms_amqp_content_add(&content, &header);
    assert_true(content.is_oversized);
    assert_int_equal(hms_amqp_content_add(&content, &body), 0);
    assert_int_equal(content.body.size_bytes, 0);
    hms_amqp_content_free(&content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_make_no_difference),
        cmocka_unit_test(damaged_frames_are_refused),
        cmocka_unit_test(bad_properties_are_the_messages_fault),
        cmocka_unit_test(parts_come_in_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
