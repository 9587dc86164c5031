/* What a call asks of curl. */
#include "core/http_easy.h"

#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/http_client.h"
#include "core/http_tls.h"

#define KEEPALIVE_IDLE_S     30L
#define KEEPALIVE_INTERVAL_S 10L

static void set_method(CURL *easy, const struct hms_http_call *call)
{
    int is_get = strcmp(call->method, "GET") == 0;

    if (strcmp(call->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    /* Everything that may have a body says its length, also if that is 0. */
    if (call->body_fd == 0 &&
        (call->body != NULL || (!is_get && strcmp(call->method, "DELETE") != 0))) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)(call->body != NULL ? call->body_bytes : 0));
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, call->body != NULL ? call->body : "");
    }
    if (!is_get || call->body != NULL)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static struct curl_slist *make_headers(const struct hms_http_call *call)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:"); /* no value: not sent */
    const char *const *line;
    char *type = call->content_type != NULL ? hms_asprintf("Content-Type: %s", call->content_type)
                                            : hms_strdup("Content-Type:");

    curl_slist_append(headers, type);
    for (line = call->headers; line != NULL && *line != NULL; line++)
        curl_slist_append(headers, *line);
    free(type);
    return headers;
}

static void set_blob(CURL *easy, CURLoption option, char *text)
{
    struct curl_blob blob = {.data = text, .len = strlen(text), .flags = CURL_BLOB_COPY};

    curl_easy_setopt(easy, option, &blob);
}

/* That certificate and host are checked is curl's default. */
static void set_tls(CURL *easy, const struct hms_http_tls *tls)
{
    set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* the system's authorities do not count */
    if (tls->cert == NULL)
        return;
    set_blob(easy, CURLOPT_SSLCERT_BLOB, tls->cert);
    set_blob(easy, CURLOPT_SSLKEY_BLOB, tls->key);
}

CURL *hms_http_easy_new(const struct hms_http_call *call, struct curl_slist **headers)
{
    CURL *easy = curl_easy_init();

    if (easy == NULL)
        abort();
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    if (call->unix_socket != NULL)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, call->unix_socket);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "hms/" HMS_VERSION);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)call->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Ending a call must not wait for the thread that looks its name up. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    if (call->tls != NULL)
        set_tls(easy, call->tls);
    set_method(easy, call);
    *headers = make_headers(call);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers);
    return easy;
}

char *hms_http_easy_host(const struct hms_http_call *call)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL;
    char *key = NULL;

    if (curl_url_set(url, CURLUPART_URL, call->url, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
        key = call->unix_socket != NULL ? hms_strdup(call->unix_socket)
                                        : hms_asprintf("%s://%s:%s", scheme, host, port);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    return key;
}
