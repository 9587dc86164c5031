/* Message headers for sendmmsg and recvmmsg, prepared once; and kernel receive stamps. */
#include "core/icmp_batch.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/error.h"

#define NS_PER_S INT64_C(1000000000)

/* The longest packet that can be a reply of ours: behind an IPv4 header full of options. */
#define REPLY_BYTES (60 + HMS_ICMP_PACKET_BYTES)

struct hms_icmp_outbox {
    struct mmsghdr messages[HMS_ICMP_OUTBOX_MAX];
    struct iovec vectors[HMS_ICMP_OUTBOX_MAX];
    uint8_t packets[HMS_ICMP_OUTBOX_MAX][HMS_ICMP_PACKET_BYTES];
};

struct hms_icmp_inbox {
    struct mmsghdr messages[HMS_ICMP_INBOX_MAX];
    struct iovec vectors[HMS_ICMP_INBOX_MAX];
    union hms_icmp_address sources[HMS_ICMP_INBOX_MAX];
    uint8_t packets[HMS_ICMP_INBOX_MAX][REPLY_BYTES];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } controls[HMS_ICMP_INBOX_MAX];
    int64_t read_ns;         /* when they were read, monotonic */
    int64_t wall_to_mono_ns; /* added to a wall time of about then gives monotonic time */
};

struct hms_icmp_outbox *hms_icmp_outbox_new(void)
{
    struct hms_icmp_outbox *outbox = hms_calloc(1, sizeof(*outbox));
    size_t i;

    for (i = 0; i < HMS_ICMP_OUTBOX_MAX; i++) {
        outbox->vectors[i] = (struct iovec){outbox->packets[i], HMS_ICMP_PACKET_BYTES};
        outbox->messages[i].msg_hdr.msg_iov = &outbox->vectors[i];
        outbox->messages[i].msg_hdr.msg_iovlen = 1;
    }
    return outbox;
}

void hms_icmp_outbox_put(struct hms_icmp_outbox *outbox, size_t i,
                         const union hms_icmp_address *address, const struct hms_icmp_echo *echo)
{
    struct msghdr *header = &outbox->messages[i].msg_hdr;
    int ipv6 = address->any.sa_family == AF_INET6;

    header->msg_name = (void *)&address->any;
    header->msg_namelen = ipv6 ? sizeof(address->v6) : sizeof(address->v4);
    hms_icmp_packet_encode(outbox->packets[i], ipv6, echo);
}

int hms_icmp_outbox_send(struct hms_icmp_outbox *outbox, const struct hms_icmp_socket *sock,
                         unsigned count, int64_t *begin_ns, int64_t *end_ns)
{
    int sent;

    *begin_ns = hms_clock_mono_ns();
    sent = sendmmsg(sock->fd, outbox->messages, count, MSG_DONTWAIT);
    if (sent < 0)
        return -errno;
    *end_ns = hms_clock_mono_ns();
    return sent;
}

/* Of message i; the kernel overwrites both with what it used. */
static void reset_lengths(struct hms_icmp_inbox *inbox, size_t i)
{
    inbox->messages[i].msg_hdr.msg_namelen = sizeof(inbox->sources[i]);
    inbox->messages[i].msg_hdr.msg_controllen = sizeof(inbox->controls[i]);
}

struct hms_icmp_inbox *hms_icmp_inbox_new(void)
{
    struct hms_icmp_inbox *inbox = hms_calloc(1, sizeof(*inbox));
    size_t i;

    for (i = 0; i < HMS_ICMP_INBOX_MAX; i++) {
        struct msghdr *header = &inbox->messages[i].msg_hdr;

        inbox->vectors[i] = (struct iovec){inbox->packets[i], REPLY_BYTES};
        header->msg_iov = &inbox->vectors[i];
        header->msg_iovlen = 1;
        header->msg_name = &inbox->sources[i];
        header->msg_control = &inbox->controls[i];
    }
    return inbox;
}

int hms_icmp_inbox_read(struct hms_icmp_inbox *inbox, const struct hms_icmp_socket *sock)
{
    int received;
    size_t i;

    for (i = 0; i < HMS_ICMP_INBOX_MAX; i++)
        reset_lengths(inbox, i);
    received = recvmmsg(sock->fd, inbox->messages, HMS_ICMP_INBOX_MAX, MSG_DONTWAIT, NULL);
    if (received < 0)
        return -errno;
    inbox->read_ns = hms_clock_mono_ns();
    inbox->wall_to_mono_ns = inbox->read_ns - hms_clock_wall_ns();
    return received;
}

/* When the kernel received a packet; the time of reading if there is no sane stamp (somebody may
 * have set the wall clock back in between). */
static int64_t arrival_ns(const struct hms_icmp_inbox *inbox, const struct msghdr *header)
{
    const struct cmsghdr *control = CMSG_FIRSTHDR(header);
    struct timespec stamp;
    int64_t at_ns;

    if (control == NULL || control->cmsg_level != SOL_SOCKET ||
        control->cmsg_type != SCM_TIMESTAMPNS)
        return inbox->read_ns;
    memcpy(&stamp, CMSG_DATA(control), sizeof(stamp));
    at_ns = (int64_t)stamp.tv_sec * NS_PER_S + stamp.tv_nsec + inbox->wall_to_mono_ns;
    return at_ns < inbox->read_ns ? at_ns : inbox->read_ns;
}

int hms_icmp_inbox_get(const struct hms_icmp_inbox *inbox, const struct hms_icmp_socket *sock,
                       size_t i, uint64_t cookie, struct hms_icmp_arrival *arrival)
{
    const struct mmsghdr *message = &inbox->messages[i];

    if ((message->msg_hdr.msg_flags & MSG_TRUNC) != 0)
        return HMS_EPROTO;
    arrival->source = &inbox->sources[i];
    arrival->at_ns = arrival_ns(inbox, &message->msg_hdr);
    return hms_icmp_packet_decode(inbox->packets[i], message->msg_len, sock->framing, sock->id,
                                  cookie, &arrival->echo);
}
