/*
 * Any bytes from a broker: frames, methods, properties and contents are read or refused, and no
 * more is kept than the bounds allow. The first byte gives the size of the pieces they come in.
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/amqp_codec.h"
#include "core/amqp_content.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct hms_amqp_content *content)
{
    if (content->body.size_bytes > BODY_MAX || content->step != HMS_AMQP_NO_CONTENT)
        abort();
}

/* Returns 0 when the connection would be given up. */
static int take(struct hms_amqp_decoder *decoder, struct hms_amqp_content *content,
                const char *data, size_t size)
{
    struct hms_amqp_frame frame;
    const char *why;
    int result;

    while ((result = hms_amqp_decoder_next(decoder, &data, &size, &frame, &why)) > 0) {
        if (frame.kind == HMS_AMQP_HEARTBEAT ||
            (frame.kind == HMS_AMQP_METHOD && frame.method != AMQP_BASIC_DELIVER_METHOD &&
             frame.method != AMQP_BASIC_RETURN_METHOD))
            continue;
        result = hms_amqp_content_add(content, &frame);
        if (result < 0)
            return 0;
        if (result > 0)
            check(content);
    }
    if (decoder->partial.size_bytes > HMS_AMQP_FRAME_MAX_BYTES)
        abort();
    return result == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hms_amqp_decoder decoder;
    struct hms_amqp_content content;
    size_t piece, offset;

    if (size == 0)
        return 0;
    piece = (size_t)data[0] + 1;
    hms_amqp_decoder_init(&decoder);
    hms_amqp_content_init(&content, BODY_MAX);
    for (offset = 1; offset < size; offset += piece)
        if (!take(&decoder, &content, (const char *)data + offset,
                  size - offset < piece ? size - offset : piece))
            break;
    hms_amqp_content_free(&content);
    hms_amqp_decoder_free(&decoder);
    return 0;
}
