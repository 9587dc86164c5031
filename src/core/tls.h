/*
 * TLS for a client, without a socket: bytes of the network go in and come out, and so do those of
 * the application. The peer's certificate and name are always verified.
 */
#ifndef HMS_CORE_TLS_H
#define HMS_CORE_TLS_H

#include <stddef.h>

#include "core/buffer.h"

struct hms_tls_context;
struct hms_tls;

/*
 * What all connections share. ca_file: PEM of the authorities to trust, or NULL for the system's;
 * cert_file and key_file: PEM of the client's certificate (with its chain) and key, or both NULL.
 * Returns 0, or HMS_EINVAL or HMS_EIO with a text in error that names the file.
 */
int hms_tls_context_new(struct hms_tls_context **context, const char *ca_file,
                        const char *cert_file, const char *key_file, char *error,
                        size_t error_size);
void hms_tls_context_free(struct hms_tls_context *context); /* NULL is allowed */

/* A client of `host`, which is a name or an address and must be in the peer's certificate. */
struct hms_tls *hms_tls_new(const struct hms_tls_context *context, const char *host);
void hms_tls_free(struct hms_tls *tls); /* NULL is allowed */

/* Bytes from the network; all are taken. */
void hms_tls_receive(struct hms_tls *tls, const char *data, size_t size_bytes);

/* Goes on with the handshake. Returns 1 when it is done, 0 when bytes must be received first, or
 * HMS_EPROTO (see hms_tls_why()). */
int hms_tls_handshake(struct hms_tls *tls);

/*
 * Reads bytes for the application. Returns how many, 0 when more must be received first, or
 * HMS_EPROTO (see hms_tls_why()), also when the peer has ended the stream.
 */
int hms_tls_read(struct hms_tls *tls, char *data, size_t size_bytes);

/*
 * Appends to `network` what is to be sent: the handshake's bytes and, once that is done, all of
 * `plain`, which is emptied. Returns 0, HMS_ELIMIT (`network` is full) or HMS_EPROTO.
 */
int hms_tls_send(struct hms_tls *tls, struct hms_buffer *plain, struct hms_buffer *network);

/* Why it failed; valid as long as it is. */
const char *hms_tls_why(const struct hms_tls *tls);

#endif
