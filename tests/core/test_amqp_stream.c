/*
 * A stream over TLS whose other end, on the same loop, renegotiates: brokers with TLS 1.2 do so
 * after very many records. Nothing may wait for the next thing that we have to say. And a name with
 * two addresses, of which the first one takes no connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "core/alloc.h"
#include "core/amqp_stream.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/tls.h"

#define DEADLINE_MS 60000

struct world {
    uv_loop_t loop;
    uv_timer_t tick; /* wakes until() when nothing else happens */
    char ca_path[64];
    SSL_CTX *ctx;
    uv_tcp_t listener;
    uv_tcp_t socket; /* the other end */
    SSL *ssl;
    char heard[64]; /* by it */
    struct hms_tls_context *context;
    struct hms_amqp_stream *stream;
    int open, closed;
};

/* ---- the other end ---- */

static void make_certificate(struct world *world)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_EXTENSION *name =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, (char *)"IP:127.0.0.1");
    int fd;
    FILE *file;

    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_add_ext(certificate, name, -1);
    X509_sign(certificate, key, EVP_sha256());
    SSL_CTX_use_certificate(world->ctx, certificate);
    SSL_CTX_use_PrivateKey(world->ctx, key);
    strcpy(world->ca_path, "/tmp/hms-stream-XXXXXX");
    fd = mkstemp(world->ca_path);
    file = fdopen(fd, "w");
    assert_non_null(file);
    PEM_write_X509(file, certificate);
    fclose(file);
    X509_EXTENSION_free(name);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void on_written(uv_write_t *write, int status)
{
    free(write);
}

static void tell(struct world *world)
{
    char *data;
    size_t size = (size_t)BIO_get_mem_data(SSL_get_wbio(world->ssl), &data);
    uv_write_t *write = hms_malloc(sizeof(*write) + size);
    uv_buf_t buf = uv_buf_init((char *)(write + 1), (unsigned)size);

    memcpy(write + 1, data, size);
    BIO_reset(SSL_get_wbio(world->ssl));
    uv_write(write, (uv_stream_t *)&world->socket, &buf, 1, on_written);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char bytes[65536];

    *buf = uv_buf_init(bytes, sizeof(bytes));
}

static void on_read(uv_stream_t *socket, ssize_t size, const uv_buf_t *buf)
{
    struct world *world = socket->data;
    size_t length = strlen(world->heard);
    int result;

    if (size <= 0)
        return;
    BIO_write(SSL_get_rbio(world->ssl), buf->base, (int)size);
    result = SSL_read(world->ssl, world->heard + length, (int)(sizeof(world->heard) - 1 - length));
    assert_true(result > 0 || SSL_get_error(world->ssl, result) == SSL_ERROR_WANT_READ);
    tell(world);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct world *world = listener->data;

    uv_tcp_init(&world->loop, &world->socket);
    world->socket.data = world;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&world->socket), 0);
    world->ssl = SSL_new(world->ctx);
    SSL_set_bio(world->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(world->ssl);
    uv_read_start((uv_stream_t *)&world->socket, on_alloc, on_read);
}

/* ---- our end ---- */

static void on_open(void *arg)
{
    ((struct world *)arg)->open = 1;
}

static size_t on_data(void *arg, const char *data, size_t size_bytes)
{
    return size_bytes;
}

static void on_sent(void *arg)
{
}

static void on_failed(void *arg, const char *why)
{
    fail_msg("%s", why);
}

static void on_closed(void *arg)
{
    ((struct world *)arg)->closed = 1;
}

static void on_tick(uv_timer_t *timer)
{
}

static int setup(void **state)
{
    static const struct hms_amqp_stream_handlers handlers = {on_open, on_data, on_sent, on_failed};
    struct world *world = hms_calloc(1, sizeof(*world));
    struct sockaddr_in address;
    int size = sizeof(address);
    char error[256], port[16];

    world->ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(world->ctx, TLS1_2_VERSION);
    make_certificate(world);
    uv_loop_init(&world->loop);
    uv_timer_init(&world->loop, &world->tick);
    uv_timer_start(&world->tick, on_tick, 10, 10);
    uv_tcp_init(&world->loop, &world->listener);
    world->listener.data = world;
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(uv_tcp_bind(&world->listener, (const struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&world->listener, 1, on_connection), 0);
    uv_tcp_getsockname(&world->listener, (struct sockaddr *)&address, &size);
    snprintf(port, sizeof(port), "%d", ntohs(address.sin_port));
    if (hms_tls_context_new(&world->context, world->ca_path, NULL, NULL, error, sizeof(error)) !=
        HMS_OK)
        fail_msg("%s", error);
    world->stream =
        hms_amqp_stream_open(&world->loop, "127.0.0.1", port, world->context, &handlers, world);
    *state = world;
    return 0;
}

/* Also proves that nothing is left on the loop. */
static int teardown(void **state)
{
    struct world *world = *state;

    hms_amqp_stream_close(world->stream, on_closed, world);
    uv_close((uv_handle_t *)&world->tick, NULL);
    uv_close((uv_handle_t *)&world->listener, NULL);
    uv_close((uv_handle_t *)&world->socket, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_true(world->closed);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    hms_tls_context_free(world->context);
    SSL_free(world->ssl);
    SSL_CTX_free(world->ctx);
    unlink(world->ca_path);
    free(world);
    return 0;
}

/* ---- renegotiation ---- */

static void renegotiation_needs_no_message_of_ours(void **state)
{
    struct world *world = *state;
    int64_t deadline_ms = hms_clock_mono_ms() + DEADLINE_MS;

    while (!world->open && hms_clock_mono_ms() < deadline_ms)
        uv_run(&world->loop, UV_RUN_ONCE);
    assert_true(world->open);
    SSL_renegotiate(world->ssl);
    SSL_do_handshake(world->ssl);
    tell(world);
    while (SSL_renegotiate_pending(world->ssl) && hms_clock_mono_ms() < deadline_ms)
        uv_run(&world->loop, UV_RUN_ONCE);
    assert_false(SSL_renegotiate_pending(world->ssl));
}

/* Sent while the handshake is under way, it has to wait, but for nothing else. */
static void what_is_said_meanwhile_arrives(void **state)
{
    struct world *world = *state;
    int64_t deadline_ms = hms_clock_mono_ms() + DEADLINE_MS;

    while (!world->open && hms_clock_mono_ms() < deadline_ms)
        uv_run(&world->loop, UV_RUN_ONCE);
    assert_true(world->open);
    SSL_renegotiate(world->ssl);
    SSL_do_handshake(world->ssl);
    tell(world);
    while (!SSL_in_init(world->ssl) && hms_clock_mono_ms() < deadline_ms)
        uv_run(&world->loop, UV_RUN_ONCE);
    hms_amqp_stream_write(world->stream, "meanwhile", 9);
    while (world->heard[0] == '\0' && hms_clock_mono_ms() < deadline_ms)
        uv_run(&world->loop, UV_RUN_ONCE);
    assert_string_equal(world->heard, "meanwhile");
    assert_false(SSL_renegotiate_pending(world->ssl));
}

/* ---- a name with two addresses ---- */

/* In a mount namespace of this process: /etc/hosts with a name for both of them. */
static void name_both(void)
{
    char path[] = "/tmp/hms-hosts-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");

    assert_non_null(file);
    fprintf(file, "127.0.0.1 two.test\n127.0.0.2 two.test\n");
    fclose(file);
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    assert_int_equal(mount(path, "/etc/hosts", NULL, MS_BIND, NULL), 0);
    unlink(path);
}

static int listen_at(const char *ip, uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, ip, &address.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 0), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    *port = ntohs(address.sin_port);
    return fd;
}

/* What is not accepted fills the queue; from then on nobody is answered there. */
static void fill_queue(uint16_t port, int fds[4])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int i;

    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    for (i = 0; i < 4; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(fds[i], (struct sockaddr *)&address, sizeof(address));
    }
}

static void an_address_that_is_silent_does_not_cost_the_other(void **state)
{
    static const struct hms_amqp_stream_handlers handlers = {on_open, on_data, on_sent, on_failed};
    struct world world = {0};
    int64_t deadline_ms = hms_clock_mono_ms() + DEADLINE_MS;
    uint16_t port = 0;
    char text[16];
    int silent, listening, fds[4], i;

    if (geteuid() != 0)
        skip(); /* namespaces need root */
    name_both();
    silent = listen_at("127.0.0.1", &port);
    listening = listen_at("127.0.0.2", &port);
    fill_queue(port, fds);
    snprintf(text, sizeof(text), "%d", port);
    uv_loop_init(&world.loop);
    world.stream = hms_amqp_stream_open(&world.loop, "two.test", text, NULL, &handlers, &world);
    while (!world.open && hms_clock_mono_ms() < deadline_ms)
        uv_run(&world.loop, UV_RUN_ONCE);
    assert_true(world.open);
    hms_amqp_stream_close(world.stream, on_closed, &world);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    assert_true(world.closed);
    assert_int_equal(uv_loop_close(&world.loop), 0);
    for (i = 0; i < 4; i++)
        close(fds[i]);
    close(silent);
    close(listening);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: threads for look-ups that exist already would not share its name. */
        cmocka_unit_test(an_address_that_is_silent_does_not_cost_the_other),
        cmocka_unit_test_setup_teardown(renegotiation_needs_no_message_of_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_said_meanwhile_arrives, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
