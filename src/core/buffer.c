/* A bounded byte buffer. */
#include "core/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"

#define FIRST_CAPACITY_BYTES 256

void hms_buffer_init(struct hms_buffer *buffer, size_t limit_bytes)
{
    memset(buffer, 0, sizeof(*buffer));
    buffer->limit_bytes = limit_bytes;
}

void hms_buffer_free(struct hms_buffer *buffer)
{
    free(buffer->data);
    buffer->data = NULL;
    buffer->size_bytes = buffer->capacity_bytes = 0;
}

void hms_buffer_wipe(struct hms_buffer *buffer)
{
    if (buffer->data != NULL)
        explicit_bzero(buffer->data, buffer->capacity_bytes);
    hms_buffer_free(buffer);
}

int hms_buffer_append(struct hms_buffer *buffer, const void *data, size_t size_bytes)
{
    size_t need;

    if (size_bytes > buffer->limit_bytes - buffer->size_bytes)
        return HMS_ELIMIT;
    if (size_bytes == 0)
        return HMS_OK;
    need = buffer->size_bytes + size_bytes + 1;
    if (need > buffer->capacity_bytes) {
        size_t capacity = buffer->capacity_bytes ? buffer->capacity_bytes : FIRST_CAPACITY_BYTES;

        while (capacity < need)
            capacity *= 2;
        buffer->data = hms_realloc(buffer->data, capacity);
        buffer->capacity_bytes = capacity;
    }
    memcpy(buffer->data + buffer->size_bytes, data, size_bytes);
    buffer->size_bytes += size_bytes;
    buffer->data[buffer->size_bytes] = '\0';
    return HMS_OK;
}

void hms_buffer_consume(struct hms_buffer *buffer, size_t size_bytes)
{
    if (size_bytes >= buffer->size_bytes) {
        hms_buffer_clear(buffer);
        return;
    }
    buffer->size_bytes -= size_bytes;
    memmove(buffer->data, buffer->data + size_bytes, buffer->size_bytes + 1);
}

void hms_buffer_clear(struct hms_buffer *buffer)
{
    buffer->size_bytes = 0;
    if (buffer->data != NULL)
        buffer->data[0] = '\0';
}
