/*
 * Certificates and key for https calls, as PEM texts in memory.
 */
#ifndef HMS_CORE_HTTP_TLS_H
#define HMS_CORE_HTTP_TLS_H

#include <stddef.h>

#define HMS_HTTP_TLS_PEM_MAX (256 * 1024) /* bytes of each text */

/* The server's certificate must be signed by one of `ca` and name the URL's host: always. */
struct hms_http_tls {
    char *ca;   /* one or more certificates */
    char *cert; /* the client's own, with its chain; NULL for none */
    char *key;  /* its private key, without a passphrase; NULL for none */
};

/*
 * Each of ca, cert and key is the path of a PEM file, or the PEM text itself (it has "-----BEGIN "
 * in it). cert and key are NULL both or given both. The files are read before the return; they are
 * small. Returns 0, or HMS_EINVAL with a text in error that names the field ("tls.ca", "tls.cert",
 * "tls.key"): missing, cannot be read, no PEM of that kind, a key that does not fit its
 * certificate. tls holds nothing then.
 */
int hms_http_tls_read(struct hms_http_tls *tls, const char *ca, const char *cert, const char *key,
                      char *error, size_t error_size);

/* Frees the texts; the key is wiped first. Allowed on a zeroed struct. */
void hms_http_tls_clear(struct hms_http_tls *tls);

#endif
