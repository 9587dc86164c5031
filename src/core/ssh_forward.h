/*
 * Reaches a unix socket on another host over ssh: the system's OpenSSH client runs as a child and
 * forwards a local socket in a private folder to it.
 *
 * It uses the user's own ssh configuration, known hosts, and (unless a key or a password is given)
 * keys and agent. A host whose key is not known is refused, never asked about nor remembered. A
 * password needs main() to serve ssh_askpass.h. The child ends with this process, however that
 * ends.
 */
#ifndef HMS_CORE_SSH_FORWARD_H
#define HMS_CORE_SSH_FORWARD_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct hms_log;
struct hms_ssh_forward;

/* All strings are copied; secrets are wiped when ssh has them. */
struct hms_ssh_forward_options {
    const char *host;        /* as in struct hms_docker_address */
    int port;                /* 1 to 65535; 0: ssh's own default */
    const char *user;        /* NULL: ssh's own default */
    const char *remote_path; /* of the socket on the host, absolute */
    const char *host_key;    /* NULL, or one that is accepted beside the user's known hosts: an
                              * OpenSSH public key line, "ssh-ed25519 AAAA..." */
    const char *private_key; /* NULL, the path of a key file, or the key itself as PEM text (it has
                              * "-----BEGIN " in it; it never touches a disk). Then no agent is
                              * used, nor other keys but those the user's configuration names */
    const char *password;    /* NULL, or the account's; with private_key the key's passphrase */
    int64_t timeout_ms;      /* until the forward is up, 1000 to 600000 */
};

/* The forward is up: a connection to the local socket at socket_path reaches the host, which then
 * connects to remote_path. Whether anybody answers there is for the caller to find out. */
typedef void (*hms_ssh_forward_ready_fn)(void *arg, const char *socket_path);

/*
 * The forward has ended, or could not be made. error: HMS_EPERM (host key unknown or changed, login
 * refused), HMS_ECONNECT (no such host, no route, refused), HMS_ETIMEDOUT, HMS_EREMOTE (what else
 * ssh complains of). reason is for people, in clear words with ssh's own last line; borrowed.
 */
typedef void (*hms_ssh_forward_end_fn)(void *arg, int error, const char *reason);

/*
 * Starts ssh. Returns 0 and a forward that must be closed in any case; on_ready runs at most once,
 * on_end exactly once unless it is closed before. Neither runs before the return, and from both it
 * may be closed. Or returns HMS_EINVAL (error names the option) or HMS_EIO (ssh cannot be started)
 * with a text in error.
 */
int hms_ssh_forward_open(struct hms_ssh_forward **forward, uv_loop_t *loop, struct hms_log *log,
                         const struct hms_ssh_forward_options *options,
                         hms_ssh_forward_ready_fn on_ready, hms_ssh_forward_end_fn on_end,
                         void *arg, char *error, size_t error_size);

/* What ssh has complained of since the forward is up, in clear words ("the host cannot connect to
 * the engine's socket ..."), "" if of nothing: tells why a connection through it ended. Borrowed
 * until the next call. */
const char *hms_ssh_forward_complaint(struct hms_ssh_forward *forward);

/* Ends ssh and removes the private folder; closed(arg) runs from the loop when the child is reaped
 * and all is released. No other callback runs from here on. */
void hms_ssh_forward_close(struct hms_ssh_forward *forward, void (*closed)(void *arg), void *arg);

#endif
