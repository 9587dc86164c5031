/*
 * How the Docker Engine of a host is reached, as an operator told it: read from a request, kept on
 * disk, shown without its secrets. Reads certificate files to check them, otherwise pure.
 */
#ifndef HMS_CONTROLLER_REACH_H
#define HMS_CONTROLLER_REACH_H

#include <jansson.h>
#include <stddef.h>

/* Bytes of a text in a request, but for keys and certificates (http_tls.h). */
#define HMS_REACH_TEXT_MAX 4096

/* NULL where nothing was given. PEM fields hold a path or the PEM text itself. */
struct hms_reach {
    char *docker;   /* URL (docker_address.h), or NULL: the manager is run by other means */
    char *tls_ca;   /* of tcp:// with TLS, see http_tls.h ... */
    char *tls_cert; /* ... with the client's certificate ... */
    char *tls_key;  /* ... and its key */
    char *host_key; /* of ssh://, see ssh_forward.h; so the two below */
    char *key;      /* PEM */
    char *password; /* never written to disk */
    char *socket; /* the engine's socket on its host, for the manager there; never NULL with docker
                   */
    int is_needy; /* it has a password or key that is not known here */
};

/*
 * Reads the fields of add_host: "docker", "tls" {"ca", "cert", "key"}, "host_key", "key",
 * "password", "socket". A password alone is version 1's way to say ssh://root@ADDRESS. Returns 0;
 * HMS_ENOENT if "docker" is missing, or HMS_EINVAL, both with a text in error that names the field;
 * reach holds nothing then.
 */
int hms_reach_read(struct hms_reach *reach, const json_t *request, const char *address, char *error,
                   size_t error_size);

/* Wipes the secrets and frees. Allowed on a zeroed struct. */
void hms_reach_clear(struct hms_reach *reach);

/* from becomes empty. */
void hms_reach_move(struct hms_reach *to, struct hms_reach *from);

/* Whether both name the same engine and say the same about the way to it; passwords do not count.
 */
int hms_reach_equal(const struct hms_reach *a, const struct hms_reach *b);

/* The same of what hms_reach_public() tells. */
int hms_reach_equal_public(const struct hms_reach *a, const struct hms_reach *b);

/* The fields for the disk: all but the password, which becomes "secret_needed". */
json_t *hms_reach_document(const struct hms_reach *reach);

/* The same for another controller: without keys either, unless they are paths. */
json_t *hms_reach_public(const struct hms_reach *reach);

/* Reads such a document as hms_reach_read() reads a request; but files need not be there. */
int hms_reach_recall(struct hms_reach *reach, const json_t *document, const char *address,
                     char *error, size_t error_size);

/* "docker" as given, or "none"; what credentials there are: "none", "kept" (on disk), "in memory",
 * "needed" (a password was lost with an earlier run: it must be given again). Static or borrowed.
 */
const char *hms_reach_docker(const struct hms_reach *reach);
const char *hms_reach_credentials(const struct hms_reach *reach);

#endif
