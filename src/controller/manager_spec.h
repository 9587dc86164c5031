/*
 * The container that a manager runs in on its host: the body of POST /containers/create, and the
 * files that are put into it. Pure.
 *
 * It has what it needs and nothing else: the host's network, one capability (NET_RAW, for ICMP), a
 * file system that nobody writes to, the folder of the engine's socket. The folder rather than the
 * socket, since an engine that starts anew makes a new socket, and a mounted file would stay the
 * old one. Its state has a named volume. Secrets have an anonymous one that goes with the
 * container: they must outlive its restarts, and an environment would show them in `docker
 * inspect`.
 */
#ifndef HMS_CONTROLLER_MANAGER_SPEC_H
#define HMS_CONTROLLER_MANAGER_SPEC_H

#include <jansson.h>
#include <stdint.h>

#define HMS_MANAGER_CONTAINER "hms-manager"          /* its name on every host */
#define HMS_MANAGER_PREVIOUS  "hms-manager-previous" /* the one that is being replaced */
#define HMS_MANAGER_VOLUME    "hms-manager"
#define HMS_MANAGER_SECRETS   "/etc/hms" /* in the container */

/* No container of a manager is given more memory, and no engine has too little for it. */
#define HMS_MANAGER_MEMORY_MAX_BYTES (256LL << 20)
#define HMS_MANAGER_MEMORY_MIN_BYTES (64LL << 20)

struct hms_buffer;
struct hms_manager_image;

/* What managers are told by their controller. NULL where there is none. */
struct hms_manager_settings {
    const char *broker;        /* URL, as the hosts see it */
    const char *password;      /* of the broker's account */
    const char *password_file; /* wins over password; read when it is needed */
    const char *ca_file;       /* PEM files for amqps:// */
    const char *cert_file;
    const char *key_file;
    int64_t heartbeat_ms;
    int64_t aggregation_ms;
};

/* A new reference. socket is the engine's on its host, an absolute path. remaps_users: as in
 * docker_deploy.h. */
json_t *hms_manager_spec_make(const struct hms_manager_settings *settings,
                              const struct hms_manager_image *image, const char *address,
                              const char *socket, int remaps_users);

/* Whether a container, as `inspect` tells it, is a manager of ours, and whether one of that very
 * specification. */
int hms_manager_spec_is_ours(const json_t *inspected);
int hms_manager_spec_fits(const json_t *spec, const json_t *inspected);

/* The value of an option ("address", "broker") that such a container was made with; NULL: none.
 * Borrowed. */
const char *hms_manager_spec_option(const json_t *inspected, const char *name);

/*
 * Reads the secrets and appends a tar archive of them, to be unpacked at HMS_MANAGER_SECRETS.
 * Returns 0; or HMS_EIO or HMS_ELIMIT with a text in error that names the option of the file.
 */
int hms_manager_secrets(const struct hms_manager_settings *settings, struct hms_buffer *tar,
                        char *error, size_t error_size);

#endif
