/*
 * What a call asks of curl: everything that follows from the call alone. Part of http_client.
 */
#ifndef HMS_CORE_HTTP_EASY_H
#define HMS_CORE_HTTP_EASY_H

#include <curl/curl.h>

struct hms_http_call;

/*
 * A handle for the call, without callbacks, and without the body if that comes from a file. Both it
 * and *headers, which it uses, are the caller's to free, in this order. Never returns NULL.
 */
CURL *hms_http_easy_new(const struct hms_http_call *call, struct curl_slist **headers);

/* What tells hosts apart: the unix socket's path, or scheme, host and port; free() it. NULL: a bad
 * URL. */
char *hms_http_easy_host(const struct hms_http_call *call);

#endif
