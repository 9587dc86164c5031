/*
 * A file as the body of a request. It owns one piece at a time: while curl has taken all of it and
 * the next one is being read, curl is paused.
 */
#include "core/http_upload.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"

#define PIECE_BYTES (256 * 1024)

struct hms_http_upload {
    uv_loop_t *loop;
    CURL *easy; /* NULL once it is closed */
    int fd;
    uv_fs_t read;
    int is_reading;
    int is_paused; /* curl waits for the next piece */
    int is_short;  /* the file ends early */
    int read_error;
    uint64_t size_bytes;
    uint64_t at; /* of what is read next */
    size_t piece_bytes;
    size_t piece_at; /* what curl has of it */
    void (*closed)(void *arg);
    void *closed_arg;
    char piece[PIECE_BYTES];
};

static void release(struct hms_http_upload *upload)
{
    close(upload->fd);
    upload->closed(upload->closed_arg);
    free(upload);
}

static void on_read(uv_fs_t *read)
{
    struct hms_http_upload *upload = read->data;
    ssize_t result = read->result;

    uv_fs_req_cleanup(read);
    upload->is_reading = 0;
    if (upload->easy == NULL) {
        release(upload);
        return;
    }
    if (result > 0) {
        upload->piece_bytes = (size_t)result;
        upload->at += (uint64_t)result;
    } else if (result == 0) {
        upload->is_short = 1;
    } else {
        upload->read_error = (int)result;
    }
    if (upload->is_paused) {
        upload->is_paused = 0;
        curl_easy_pause(upload->easy, CURLPAUSE_CONT);
    }
}

static void read_piece(struct hms_http_upload *upload)
{
    uint64_t left = upload->size_bytes - upload->at;
    uv_buf_t buf =
        uv_buf_init(upload->piece, left < PIECE_BYTES ? (unsigned)left : (unsigned)PIECE_BYTES);

    upload->piece_bytes = upload->piece_at = 0;
    upload->read.data = upload;
    if (uv_fs_read(upload->loop, &upload->read, upload->fd, &buf, 1, (int64_t)upload->at,
                   on_read) != 0)
        abort();
    upload->is_reading = 1;
}

/* curl asks for more. */
static size_t on_curl_read(char *to, size_t one, size_t size, void *arg)
{
    struct hms_http_upload *upload = arg;
    size_t left = upload->piece_bytes - upload->piece_at;

    if (hms_http_upload_trouble(upload) != NULL)
        return CURL_READFUNC_ABORT;
    if (left == 0) {
        if (upload->at == upload->size_bytes)
            return 0;
        if (!upload->is_reading)
            read_piece(upload);
        upload->is_paused = 1;
        return CURL_READFUNC_PAUSE;
    }
    if (size > left)
        size = left;
    memcpy(to, upload->piece + upload->piece_at, size);
    upload->piece_at += size;
    if (size == left && upload->at < upload->size_bytes)
        read_piece(upload);
    return size;
}

struct hms_http_upload *hms_http_upload_new(uv_loop_t *loop, CURL *easy, int fd,
                                            uint64_t size_bytes)
{
    struct hms_http_upload *upload = hms_calloc(1, sizeof(*upload));

    upload->loop = loop;
    upload->easy = easy;
    upload->fd = fd;
    upload->size_bytes = size_bytes;
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size_bytes);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_curl_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, upload);
    /* A kept connection that turned out to be dead would want the file from its beginning again. */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    return upload;
}

const char *hms_http_upload_trouble(const struct hms_http_upload *upload)
{
    if (upload->is_short)
        return "the file to send became shorter meanwhile";
    return upload->read_error != 0 ? uv_strerror(upload->read_error) : NULL;
}

void hms_http_upload_close(struct hms_http_upload *upload, void (*closed)(void *arg), void *arg)
{
    assert(upload->easy != NULL);
    upload->easy = NULL;
    upload->closed = closed;
    upload->closed_arg = arg;
    if (!upload->is_reading)
        release(upload);
}
