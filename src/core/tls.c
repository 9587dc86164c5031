/* OpenSSL between two memory BIOs. */
#include "core/tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/error.h"

struct hms_tls_context {
    SSL_CTX *ctx;
};

struct hms_tls {
    SSL *ssl;
    BIO *incoming; /* both belong to ssl */
    BIO *outgoing;
    char why[256];
};

/* ---- context ---- */

/* The reason of the oldest error of this thread; forgets them all. */
static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return text ? text : "unknown error";
}

static int load(SSL_CTX *ctx, const char *ca_file, const char *cert_file, const char *key_file,
                char *error, size_t error_size)
{
    const char *bad = NULL;

    ERR_clear_error();
    if (ca_file == NULL && SSL_CTX_set_default_verify_paths(ctx) != 1)
        bad = "the system's certificates";
    else if (ca_file != NULL && SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1)
        bad = ca_file;
    else if (cert_file != NULL && SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        bad = cert_file;
    else if (key_file != NULL && SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        bad = key_file;
    if (bad == NULL)
        return HMS_OK;
    snprintf(error, error_size, "%s: %s", bad, reason());
    return HMS_EIO;
}

/* A key with a passphrase would ask for it at the terminal. */
static int no_passphrase(char *text, int size, int is_for_writing, void *arg)
{
    return -1;
}

int hms_tls_context_new(struct hms_tls_context **context, const char *ca_file,
                        const char *cert_file, const char *key_file, char *error, size_t error_size)
{
    SSL_CTX *ctx;
    int result;

    if ((cert_file == NULL) != (key_file == NULL)) {
        snprintf(error, error_size, "a client's certificate and its key go together");
        return HMS_EINVAL;
    }
    ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        abort();
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    result = load(ctx, ca_file, cert_file, key_file, error, error_size);
    if (result != HMS_OK) {
        SSL_CTX_free(ctx);
        return result;
    }
    *context = hms_calloc(1, sizeof(**context));
    (*context)->ctx = ctx;
    return HMS_OK;
}

void hms_tls_context_free(struct hms_tls_context *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->ctx);
    free(context);
}

/* ---- one connection ---- */

static int is_ip(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* Names go into SNI and are compared with the certificate's names, addresses with its addresses. */
static int expect(SSL *ssl, const char *host)
{
    if (is_ip(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    return SSL_set_tlsext_host_name(ssl, host) && SSL_set1_host(ssl, host);
}

struct hms_tls *hms_tls_new(const struct hms_tls_context *context, const char *host)
{
    struct hms_tls *tls = hms_calloc(1, sizeof(*tls));

    tls->ssl = SSL_new(context->ctx);
    tls->incoming = BIO_new(BIO_s_mem());
    tls->outgoing = BIO_new(BIO_s_mem());
    if (tls->ssl == NULL || tls->incoming == NULL || tls->outgoing == NULL ||
        !expect(tls->ssl, host))
        abort();
    SSL_set_bio(tls->ssl, tls->incoming, tls->outgoing);
    SSL_set_connect_state(tls->ssl);
    return tls;
}

void hms_tls_free(struct hms_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

const char *hms_tls_why(const struct hms_tls *tls)
{
    return tls->why;
}

void hms_tls_receive(struct hms_tls *tls, const char *data, size_t size_bytes)
{
    assert(size_bytes <= INT_MAX);
    if (BIO_write(tls->incoming, data, (int)size_bytes) != (int)size_bytes)
        abort();
}

/* Whether a call that did not succeed only waits for bytes; else says why it failed. */
static int must_wait(struct hms_tls *tls, int result)
{
    long verdict = SSL_get_verify_result(tls->ssl);
    int error = SSL_get_error(tls->ssl, result);

    if (error == SSL_ERROR_WANT_READ)
        return 1;
    if (error == SSL_ERROR_ZERO_RETURN)
        snprintf(tls->why, sizeof(tls->why), "the broker closed the connection");
    else if (verdict != X509_V_OK)
        snprintf(tls->why, sizeof(tls->why), "TLS: the certificate is refused: %s",
                 X509_verify_cert_error_string(verdict));
    else
        snprintf(tls->why, sizeof(tls->why), "TLS: %s", reason());
    ERR_clear_error();
    return 0;
}

int hms_tls_handshake(struct hms_tls *tls)
{
    int result;

    ERR_clear_error();
    result = SSL_do_handshake(tls->ssl);
    if (result == 1)
        return 1;
    return must_wait(tls, result) ? 0 : HMS_EPROTO;
}

int hms_tls_read(struct hms_tls *tls, char *data, size_t size_bytes)
{
    int result;

    assert(size_bytes <= INT_MAX);
    ERR_clear_error();
    result = SSL_read(tls->ssl, data, (int)size_bytes);
    if (result > 0)
        return result;
    return must_wait(tls, result) ? 0 : HMS_EPROTO;
}

int hms_tls_send(struct hms_tls *tls, struct hms_buffer *plain, struct hms_buffer *network)
{
    char *data;
    long size;
    int result;

    if (plain->size_bytes > 0 && SSL_is_init_finished(tls->ssl)) {
        assert(plain->size_bytes <= INT_MAX);
        ERR_clear_error();
        result = SSL_write(tls->ssl, plain->data, (int)plain->size_bytes);
        if (result <= 0) {
            must_wait(tls, result);
            return HMS_EPROTO;
        }
        hms_buffer_consume(plain, (size_t)result);
    }
    size = BIO_get_mem_data(tls->outgoing, &data);
    if (hms_buffer_append(network, data, (size_t)size) != HMS_OK)
        return HMS_ELIMIT;
    BIO_reset(tls->outgoing);
    return HMS_OK;
}
