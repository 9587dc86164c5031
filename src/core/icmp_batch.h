/*
 * Many ICMP packets per system call: a batch out with sendmmsg, a batch in with recvmmsg, and the
 * times at which they left and arrived. Both are plain buffers, made once and used for every call.
 */
#ifndef HMS_CORE_ICMP_BATCH_H
#define HMS_CORE_ICMP_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "core/icmp.h"
#include "core/icmp_packet.h"
#include "core/icmp_socket.h"

/* Larger ones cost the same per packet and delay the reading (RTT p99 under load: 100 times). */
#define HMS_ICMP_OUTBOX_MAX 8
#define HMS_ICMP_INBOX_MAX  32

struct hms_icmp_outbox;
struct hms_icmp_inbox;

/* Never return NULL. Free with free(). */
struct hms_icmp_outbox *hms_icmp_outbox_new(void);
struct hms_icmp_inbox *hms_icmp_inbox_new(void);

/*
 * Puts a request at place i, below HMS_ICMP_OUTBOX_MAX; the address is borrowed until it is sent.
 * All of one batch are of the socket's family.
 */
void hms_icmp_outbox_put(struct hms_icmp_outbox *outbox, size_t i,
                         const union hms_icmp_address *address, const struct hms_icmp_echo *echo);

/*
 * Sends the first `count` requests without waiting. Returns how many left, at least 1, and between
 * which times (monotonic) they did, one after the other; or the negative errno of the first.
 */
int hms_icmp_outbox_send(struct hms_icmp_outbox *outbox, const struct hms_icmp_socket *sock,
                         unsigned count, int64_t *begin_ns, int64_t *end_ns);

/* Reads what has arrived, up to HMS_ICMP_INBOX_MAX packets. Returns how many, or negative errno. */
int hms_icmp_inbox_read(struct hms_icmp_inbox *inbox, const struct hms_icmp_socket *sock);

struct hms_icmp_arrival {
    struct hms_icmp_echo echo;
    const union hms_icmp_address *source; /* borrowed until the next read */
    int64_t at_ns;                        /* when the kernel received it, monotonic */
};

/* Packet i of the last read. Returns 0, or HMS_EPROTO if it is no reply to a request of ours. */
int hms_icmp_inbox_get(const struct hms_icmp_inbox *inbox, const struct hms_icmp_socket *sock,
                       size_t i, uint64_t cookie, struct hms_icmp_arrival *arrival);

#endif
