/* Bodies from files, against a server that reads fast, slowly, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uv.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/http_client.h"

#define DEADLINE_MS 60000
#define PAUSE_MS    10
#define SHORT_BYTES (1000 * 1000)      /* a few pieces, the last one not full */
#define LONG_BYTES  (12 * 1024 * 1024) /* more than sockets hold */

enum reader { READS_ALL, READS_SLOWLY, READS_THE_HEAD, READS_BUT_IS_SILENT, CUTS };

struct fixture {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_tcp_t peer;
    uv_timer_t pause; /* of the slow reader; also wakes run_until_done() */
    int port;
    int has_peer;
    enum reader reader;
    struct hms_buffer in;
    struct hms_http_client *client;
    struct hms_http_request *request;
    int is_closed;
    int fd;
    int done;
    int error;
    int status;
    char reason[256];
};

/* --- server --------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    *buf = uv_buf_init(hms_malloc(suggested), (unsigned)suggested);
}

static const char *body_of(const struct fixture *fixture, size_t *size)
{
    const char *end = fixture->in.data != NULL ? strstr(fixture->in.data, "\r\n\r\n") : NULL;

    if (end == NULL)
        return NULL;
    *size = fixture->in.size_bytes - (size_t)(end + 4 - fixture->in.data);
    return end + 4;
}

static int has_all(const struct fixture *fixture)
{
    const char *length;
    size_t size;

    if (body_of(fixture, &size) == NULL)
        return 0;
    length = strcasestr(fixture->in.data, "\r\nContent-Length: ");
    assert_non_null(length);
    return size >= strtoul(length + 18, NULL, 10);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    static char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct fixture *fixture = stream->data;
    uv_buf_t out = uv_buf_init(answer, sizeof(answer) - 1);

    if (size > 0)
        assert_int_equal(hms_buffer_append(&fixture->in, buf->base, (size_t)size), 0);
    free(buf->base);
    if (size < 0 || fixture->reader == CUTS)
        uv_close((uv_handle_t *)stream, NULL);
    else if (fixture->reader == READS_THE_HEAD || fixture->reader == READS_SLOWLY)
        uv_read_stop(stream);
    if (size > 0 && fixture->reader != READS_BUT_IS_SILENT && has_all(fixture))
        assert_int_equal(uv_try_write(stream, &out, 1), sizeof(answer) - 1);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct fixture *fixture = timer->data;

    if (fixture->has_peer && fixture->reader == READS_SLOWLY &&
        !uv_is_closing((uv_handle_t *)&fixture->peer))
        uv_read_start((uv_stream_t *)&fixture->peer, on_alloc, on_read);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct fixture *fixture = listener->data;

    assert_int_equal(status, 0);
    assert_false(fixture->has_peer);
    uv_tcp_init(&fixture->loop, &fixture->peer);
    fixture->peer.data = fixture;
    fixture->has_peer = 1;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&fixture->peer), 0);
    uv_read_start((uv_stream_t *)&fixture->peer, on_alloc, on_read);
}

/* --- frame ---------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    struct fixture *fixture = hms_calloc(1, sizeof(*fixture));
    struct sockaddr_in address;
    int size = sizeof(address);

    uv_loop_init(&fixture->loop);
    uv_tcp_init(&fixture->loop, &fixture->listener);
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_bind(&fixture->listener, (struct sockaddr *)&address, 0);
    uv_tcp_getsockname(&fixture->listener, (struct sockaddr *)&address, &size);
    fixture->port = ntohs(address.sin_port);
    assert_int_equal(uv_listen((uv_stream_t *)&fixture->listener, 1, on_connection), 0);
    uv_timer_init(&fixture->loop, &fixture->pause);
    fixture->listener.data = fixture->pause.data = fixture;
    uv_timer_start(&fixture->pause, on_pause_over, PAUSE_MS, PAUSE_MS);
    hms_buffer_init(&fixture->in, LONG_BYTES + 4096);
    fixture->client = hms_http_client_new(&fixture->loop, 1);
    *state = fixture;
    return 0;
}

static void on_closed(void *arg)
{
    ((struct fixture *)arg)->is_closed = 1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    hms_http_client_close(fixture->client, on_closed, fixture);
    uv_close((uv_handle_t *)&fixture->listener, NULL);
    uv_close((uv_handle_t *)&fixture->pause, NULL);
    if (fixture->has_peer && !uv_is_closing((uv_handle_t *)&fixture->peer))
        uv_close((uv_handle_t *)&fixture->peer, NULL);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_true(fixture->is_closed);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    assert_int_equal(fcntl(fixture->fd, F_GETFD), -1); /* the call has closed its file */
    assert_int_equal(errno, EBADF);
    hms_buffer_free(&fixture->in);
    free(fixture);
    return 0;
}

static char byte_at(size_t at)
{
    return (char)(at * 7 + at / 251);
}

static int make_file(size_t size)
{
    int fd = memfd_create("upload", MFD_CLOEXEC);
    char *data = hms_malloc(size);
    size_t i;

    for (i = 0; i < size; i++)
        data[i] = byte_at(i);
    assert_int_equal(write(fd, data, size), size);
    free(data);
    return fd;
}

static void on_done(void *arg, const struct hms_http_answer *answer)
{
    struct fixture *fixture = arg;

    fixture->done++;
    fixture->error = answer->error;
    fixture->status = answer->status;
    snprintf(fixture->reason, sizeof(fixture->reason), "%s", answer->reason);
}

/* Sends a file of file_bytes bytes as one of body_bytes bytes. */
static void begin(struct fixture *fixture, enum reader reader, size_t file_bytes, size_t body_bytes,
                  int64_t stall_timeout_ms)
{
    char url[64];
    struct hms_http_call call = {.method = "POST",
                                 .url = url,
                                 .body_bytes = body_bytes,
                                 .connect_timeout_ms = 10000,
                                 .stall_timeout_ms = stall_timeout_ms,
                                 .answer_limit_bytes = 4096};

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/file", fixture->port);
    fixture->reader = reader;
    fixture->fd = call.body_fd = make_file(file_bytes);
    assert_int_equal(
        hms_http_call(fixture->client, &call, NULL, on_done, fixture, &fixture->request), 0);
    assert_int_equal(fixture->done, 0);
}

static void run_until_done(struct fixture *fixture)
{
    int64_t deadline_ms = hms_clock_mono_ms() + DEADLINE_MS;

    while (fixture->done == 0) {
        if (hms_clock_mono_ms() > deadline_ms)
            fail_msg("no end after %zu bytes", fixture->in.size_bytes);
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->done, 1);
}

static void require_whole(struct fixture *fixture, size_t size)
{
    size_t got, i;
    const char *body = body_of(fixture, &got);

    if (fixture->error != 0)
        fail_msg("error %d: %s", fixture->error, fixture->reason);
    assert_int_equal(fixture->status, 200);
    assert_int_equal(got, size);
    for (i = 0; i < size; i++)
        if (body[i] != byte_at(i))
            fail_msg("byte %zu is another one", i);
}

/* --- tests ---------------------------------------------------------------------------------- */

static void test_whole_file(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, READS_ALL, SHORT_BYTES, SHORT_BYTES, 10000);
    run_until_done(fixture);
    require_whole(fixture, SHORT_BYTES);
    assert_non_null(strstr(fixture->in.data, "POST /file HTTP/1.1\r\n"));
    assert_null(strstr(fixture->in.data, "chunked"));
}

/* It takes longer than the time without a byte that would end it. */
static void test_slow_reader(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, READS_SLOWLY, LONG_BYTES, LONG_BYTES, 1000);
    run_until_done(fixture);
    require_whole(fixture, LONG_BYTES);
}

static void test_stalls(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, READS_THE_HEAD, LONG_BYTES, LONG_BYTES, 500);
    run_until_done(fixture);
    assert_int_equal(fixture->error, HMS_ETIMEDOUT);
    assert_string_equal(fixture->reason, "no byte moved for 0.5 s");
}

static void test_no_answer(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, READS_BUT_IS_SILENT, SHORT_BYTES, SHORT_BYTES, 500);
    run_until_done(fixture);
    assert_int_equal(fixture->error, HMS_ETIMEDOUT);
    assert_true(has_all(fixture));
}

static void test_connection_cut(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, CUTS, LONG_BYTES, LONG_BYTES, 10000);
    run_until_done(fixture);
    assert_int_equal(fixture->error, HMS_EIO);
    assert_true(fixture->reason[0] != '\0');
}

static void test_file_becomes_shorter(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, READS_ALL, SHORT_BYTES, SHORT_BYTES + 1, 10000);
    run_until_done(fixture);
    assert_int_equal(fixture->error, HMS_EIO);
    assert_non_null(strstr(fixture->reason, "shorter"));
}

/* The read that is under way outlives the call; the client waits for it. */
static void test_cancel(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, READS_SLOWLY, LONG_BYTES, LONG_BYTES, 10000);
    while (fixture->in.size_bytes == 0)
        uv_run(&fixture->loop, UV_RUN_ONCE);
    hms_http_cancel(fixture->request);
    assert_int_equal(fixture->done, 1);
    assert_int_equal(fixture->error, HMS_ECANCELED);
}

static void test_close_at_once(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, READS_ALL, SHORT_BYTES, SHORT_BYTES, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_reader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stalls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connection_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file_becomes_shorter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_at_once, set_up, tear_down),
    };

    signal(SIGPIPE, SIG_IGN);
    hms_alloc_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
