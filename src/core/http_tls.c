/* Certificates and keys: read, and checked before anybody connects with them. */
#include "core/http_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/error.h"

static void free_secret(char *text)
{
    if (text != NULL)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

void hms_http_tls_clear(struct hms_http_tls *tls)
{
    free(tls->ca);
    free(tls->cert);
    free_secret(tls->key);
    memset(tls, 0, sizeof(*tls));
}

/* --- texts ---------------------------------------------------------------------------------- */

static int refuse(char *error, size_t error_size, const char *field, const char *why)
{
    snprintf(error, error_size, "tls.%s: %s", field, why);
    return HMS_EINVAL;
}

static int refuse_file(char *error, size_t error_size, const char *field, const char *path,
                       const char *why)
{
    snprintf(error, error_size, "tls.%s: cannot read %.200s: %s", field, path, why);
    return HMS_EINVAL;
}

/* Reads a small regular file whole: opening anything else could wait for ever. */
static int read_file(const char *field, const char *path, char **text, char *error,
                     size_t error_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    ssize_t size;

    if (fd < 0)
        return refuse_file(error, error_size, field, path, strerror(errno));
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return refuse_file(error, error_size, field, path, "not a regular file");
    }
    if (status.st_size > HMS_HTTP_TLS_PEM_MAX) {
        close(fd);
        return refuse_file(error, error_size, field, path, "more than 256 KiB are no PEM file");
    }
    *text = hms_calloc(1, (size_t)status.st_size + 1);
    size = read(fd, *text, (size_t)status.st_size);
    close(fd);
    if (size < 0) {
        free(*text);
        *text = NULL;
        return refuse_file(error, error_size, field, path, strerror(errno));
    }
    return HMS_OK;
}

static int read_text(const char *field, const char *source, char **text, char *error,
                     size_t error_size)
{
    if (strstr(source, "-----BEGIN ") == NULL)
        return read_file(field, source, text, error, error_size);
    if (strlen(source) > HMS_HTTP_TLS_PEM_MAX)
        return refuse(error, error_size, field, "a PEM text has at most 256 KiB");
    *text = hms_strdup(source);
    return HMS_OK;
}

/* --- what they say -------------------------------------------------------------------------- */

static X509 *first_certificate(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    return certificate;
}

/* No passphrase: without this OpenSSL would ask the terminal. */
static int no_passphrase(char *buffer, int size, int is_writing, void *arg)
{
    return -1;
}

static EVP_PKEY *private_key(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

    BIO_free(bio);
    return key;
}

static int check_certificate(const char *field, const char *text, char *error, size_t error_size)
{
    X509 *certificate = first_certificate(text);

    if (certificate == NULL)
        return refuse(error, error_size, field, "no PEM certificate in it");
    X509_free(certificate);
    return HMS_OK;
}

static int check_pair(const struct hms_http_tls *tls, char *error, size_t error_size)
{
    EVP_PKEY *key = private_key(tls->key);
    X509 *certificate;
    int fits;

    if (key == NULL)
        return refuse(error, error_size, "key", "no PEM private key without a passphrase in it");
    certificate = first_certificate(tls->cert);
    fits = X509_check_private_key(certificate, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return fits ? HMS_OK : refuse(error, error_size, "key", "not the key of tls.cert");
}

static int check(const struct hms_http_tls *tls, char *error, size_t error_size)
{
    int result = check_certificate("ca", tls->ca, error, error_size);

    if (result == HMS_OK && tls->cert != NULL)
        result = check_certificate("cert", tls->cert, error, error_size);
    if (result == HMS_OK && tls->cert != NULL)
        result = check_pair(tls, error, error_size);
    ERR_clear_error();
    return result;
}

int hms_http_tls_read(struct hms_http_tls *tls, const char *ca, const char *cert, const char *key,
                      char *error, size_t error_size)
{
    int result;

    memset(tls, 0, sizeof(*tls));
    if (ca == NULL)
        return refuse(error, error_size, "ca", "the authority's certificate is missing");
    if ((cert == NULL) != (key == NULL))
        return refuse(error, error_size, cert == NULL ? "cert" : "key",
                      "tls.cert and tls.key go together");
    result = read_text("ca", ca, &tls->ca, error, error_size);
    if (result == HMS_OK && cert != NULL)
        result = read_text("cert", cert, &tls->cert, error, error_size);
    if (result == HMS_OK && key != NULL)
        result = read_text("key", key, &tls->key, error, error_size);
    if (result == HMS_OK)
        result = check(tls, error, error_size);
    if (result != HMS_OK)
        hms_http_tls_clear(tls);
    return result;
}
