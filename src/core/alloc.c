/* Allocation that does not fail: see alloc.h for the policy. */
#include "core/alloc.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void *or_die(void *ptr, size_t size)
{
    if (ptr == NULL) {
        fprintf(stderr, "hms: out of memory (%zu bytes)\n", size);
        abort();
    }
    return ptr;
}

void *hms_malloc(size_t size)
{
    return or_die(malloc(size ? size : 1), size);
}

void *hms_calloc(size_t count, size_t size)
{
    return or_die(calloc(count ? count : 1, size ? size : 1), size);
}

void *hms_realloc(void *ptr, size_t size)
{
    return or_die(realloc(ptr, size ? size : 1), size);
}

char *hms_strdup(const char *text)
{
    return or_die(strdup(text), strlen(text));
}

char *hms_strndup(const char *text, size_t size)
{
    return or_die(strndup(text, size), size);
}

char *hms_asprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return or_die(text, 0);
}

void hms_alloc_install(void)
{
    json_set_alloc_funcs(hms_malloc, free);
    uv_replace_allocator(hms_malloc, hms_realloc, hms_calloc, free);
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, hms_malloc, free, hms_realloc, hms_strdup,
                         hms_calloc);
}
