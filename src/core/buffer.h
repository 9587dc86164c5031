/*
 * A byte buffer that grows up to a limit, for everything that comes from outside.
 */
#ifndef HMS_CORE_BUFFER_H
#define HMS_CORE_BUFFER_H

#include <stddef.h>

struct hms_buffer {
    char *data; /* always followed by a 0 byte once something was appended */
    size_t size_bytes;
    size_t capacity_bytes;
    size_t limit_bytes;
};

/* An empty buffer; memory is taken when bytes arrive. Free with hms_buffer_free(). */
void hms_buffer_init(struct hms_buffer *buffer, size_t limit_bytes);
void hms_buffer_free(struct hms_buffer *buffer);

/* The same, after overwriting what is in it: for secrets (growing may have left copies behind). */
void hms_buffer_wipe(struct hms_buffer *buffer);

/* Appends. Returns 0, or HMS_ELIMIT (the buffer is as it was) past the limit. */
int hms_buffer_append(struct hms_buffer *buffer, const void *data, size_t size_bytes);

/* Drops the first size_bytes bytes (at most what is there). */
void hms_buffer_consume(struct hms_buffer *buffer, size_t size_bytes);

/* Empties it; keeps the memory. */
void hms_buffer_clear(struct hms_buffer *buffer);

#endif
