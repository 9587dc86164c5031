/* Any request target: nothing is read past its end, and what is taken holds what it promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/http_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct hms_http_uri *uri, const char *target, size_t size)
{
    const char *end = target + size + 1;

    if (uri->path[0] != '/' && strcmp(uri->path, "*") != 0)
        abort();
    if (uri->authority != NULL && !hms_http_authority_is_valid(uri->authority))
        abort();
    for (int i = 0; i < uri->query_count; i++) {
        if (uri->query[i].name < target || uri->query[i].value + strlen(uri->query[i].value) >= end)
            abort();
        if (hms_http_uri_query(uri, uri->query[i].name) == NULL)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *target = hms_strndup((const char *)data, size);
    size_t length = strlen(target);
    struct hms_http_uri uri;
    const char *reason = NULL;

    if (hms_http_uri_parse(&uri, target, &reason) == HMS_OK)
        check(&uri, target, length);
    else if (reason == NULL)
        abort();
    free(target);
    return 0;
}
