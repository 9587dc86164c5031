/*
 * How an engine is reached: "unix:///PATH", "tcp://HOST[:PORT]" (plain, or with TLS beside it), or
 * "ssh://[USER@]HOST[:PORT][/PATH]" (see ssh_forward.h). Pure.
 */
#ifndef HMS_CORE_DOCKER_ADDRESS_H
#define HMS_CORE_DOCKER_ADDRESS_H

#include <stddef.h>

#define HMS_DOCKER_SOCKET                                                                          \
    "/var/run/docker.sock" /* where an engine listens unless told otherwise                        \
                            */

enum hms_docker_transport { HMS_DOCKER_UNIX, HMS_DOCKER_TCP, HMS_DOCKER_SSH };

struct hms_docker_address {
    enum hms_docker_transport transport;
    char *host; /* a name, IPv4, or IPv6 without brackets; NULL for UNIX */
    int port;   /* 1 to 65535; 0: none was given */
    char *user; /* SSH: or NULL if none was given */
    char *path; /* of the engine's socket: UNIX, and SSH (there HMS_DOCKER_SOCKET if none was
                 * given); NULL for TCP */
};

/*
 * Takes an address apart; "http://HOST:PORT" is tcp with port 80 if none is given. Returns 0, or
 * HMS_EINVAL with a text in error that tells what is wrong with which part (address holds nothing
 * then). A password in an address is refused: it would be shown and logged with it.
 */
int hms_docker_address_parse(struct hms_docker_address *address, const char *url, char *error,
                             size_t error_size);
void hms_docker_address_clear(struct hms_docker_address *address);

#endif
