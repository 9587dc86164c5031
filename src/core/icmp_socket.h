/*
 * ICMP sockets of one family: nonblocking, filtered by the kernel down to the answers to our own
 * requests, with kernel receive stamps and room for bursts. Knows no round.
 */
#ifndef HMS_CORE_ICMP_SOCKET_H
#define HMS_CORE_ICMP_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "core/icmp.h"
#include "core/icmp_packet.h"

struct hms_icmp_socket {
    int fd;      /* -1 if it is not open */
    uint16_t id; /* echo id of all its requests */
    enum hms_icmp_framing framing;
};

/*
 * Opens a socket per family in the network namespace at options->netns (NULL: the current one);
 * the calling thread is back in its own on return. AUTO takes raw sockets where it may, else
 * dgram ones; *backend says which. v6->fd is -1 if the system has no IPv6. cookie is the one that
 * requests will carry. Returns 0; or HMS_EPERM or HMS_EIO with a text in error, and nothing open.
 */
int hms_icmp_socket_open(struct hms_icmp_socket *v4, struct hms_icmp_socket *v6,
                         const struct hms_icmp_options *options, uint64_t cookie,
                         enum hms_icmp_backend *backend, char *error, size_t error_size);

struct hms_icmp_buffers {
    uint32_t drops; /* packets that did not fit in since it was opened (wraps around) */
    int send_pct;   /* how full the send buffer is, in percent */
};

/* The state of its buffers; all 0 if it is not open. */
struct hms_icmp_buffers hms_icmp_socket_buffers(const struct hms_icmp_socket *sock);

/* Closes it if it is open. */
void hms_icmp_socket_close(struct hms_icmp_socket *sock);

#endif
