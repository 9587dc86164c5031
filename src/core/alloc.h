/*
 * Memory policy of the whole program: an allocation that fails ends the process with a message.
 * A supervisor restarts it; a half-working health monitor would be worse.
 */
#ifndef HMS_CORE_ALLOC_H
#define HMS_CORE_ALLOC_H

#include <stddef.h>

/* Makes jansson, libcurl and libuv follow the policy too. Call once, before using any of them. */
void hms_alloc_install(void);

/* As their libc namesakes; never return NULL (a size of 0 gives a valid pointer). Free with free().
 */
void *hms_malloc(size_t size);
void *hms_calloc(size_t count, size_t size);
void *hms_realloc(void *ptr, size_t size);
char *hms_strdup(const char *text);
char *hms_strndup(const char *text, size_t size);
char *hms_asprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The struct of which `member` is a field at address `ptr`. */
#define hms_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
