/*
 * The body of a request that comes from a file: read piece by piece on libuv's pool, so that
 * neither memory nor the loop has to hold it, and handed to curl as the connection takes it.
 */
#ifndef HMS_CORE_HTTP_UPLOAD_H
#define HMS_CORE_HTTP_UPLOAD_H

#include <curl/curl.h>
#include <stdint.h>
#include <uv.h>

struct hms_http_upload;

/* Makes the first size_bytes bytes of the regular file fd, which is taken over, the body of the
 * request. Never returns NULL. */
struct hms_http_upload *hms_http_upload_new(uv_loop_t *loop, CURL *easy, int fd,
                                            uint64_t size_bytes);

/* Why the file could not be read to its end, or NULL; static. */
const char *hms_http_upload_trouble(const struct hms_http_upload *upload);

/* To be called when curl has done with the request; closed(arg) runs when the last read has come
 * back, within the call if none is under way. */
void hms_http_upload_close(struct hms_http_upload *upload, void (*closed)(void *arg), void *arg);

#endif
