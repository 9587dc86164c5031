/*
 * ICMP and ICMPv6 echo packets, to and from bytes. Pure: no socket, no clock, no allocation.
 */
#ifndef HMS_CORE_ICMP_PACKET_H
#define HMS_CORE_ICMP_PACKET_H

#include <stddef.h>
#include <stdint.h>

/* Echo header (8 bytes) and our payload: cookie, round, target. */
#define HMS_ICMP_PACKET_BYTES 24

/* How a reply comes out of its socket. */
enum hms_icmp_framing {
    HMS_ICMP_FRAMING_IPV4, /* raw IPv4: behind its IP header */
    HMS_ICMP_FRAMING_NONE, /* dgram IPv4: from the ICMP header on */
    HMS_ICMP_FRAMING_V6    /* raw and dgram IPv6: from the ICMPv6 header on */
};

struct hms_icmp_echo {
    uint16_t id; /* of the socket; the kernel sets it itself on dgram sockets */
    uint16_t sequence;
    uint64_t cookie; /* random, of this prober */
    uint32_t round;
    uint32_t target;
};

/*
 * Writes an echo request. The IPv4 form carries its checksum; for IPv6 the kernel fills it in, as
 * it covers the addresses too.
 */
void hms_icmp_packet_encode(uint8_t packet[HMS_ICMP_PACKET_BYTES], int ipv6,
                            const struct hms_icmp_echo *echo);

/*
 * Reads an echo reply to one of our requests. Returns 0; or HMS_EPROTO if it is anything else: cut
 * short, another type, a wrong checksum (IPv4; the kernel has checked IPv6), an id or a cookie
 * that differs from ours. *echo is then undefined.
 */
int hms_icmp_packet_decode(const uint8_t *data, size_t size_bytes, enum hms_icmp_framing framing,
                           uint16_t id, uint64_t cookie, struct hms_icmp_echo *echo);

/* The Internet checksum (RFC 1071), in host order; 0 over data that holds its own checksum. */
uint16_t hms_icmp_checksum(const uint8_t *data, size_t size_bytes);

#endif
