/* Echo packets: header as RFC 792 and RFC 4443 have it, then cookie, round and target. */
#include "core/icmp_packet.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "core/error.h"

#define TYPE_AT     0
#define CODE_AT     1
#define CHECKSUM_AT 2
#define ID_AT       4
#define SEQUENCE_AT 6
#define COOKIE_AT   8
#define ROUND_AT    16
#define TARGET_AT   20

#define IPV4_HEADER_MIN_BYTES 20

static void put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, (uint16_t)(value >> 16));
    put16(at + 2, (uint16_t)value);
}

static void put64(uint8_t *at, uint64_t value)
{
    put32(at, (uint32_t)(value >> 32));
    put32(at + 4, (uint32_t)value);
}

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static uint64_t get64(const uint8_t *at)
{
    return (uint64_t)get32(at) << 32 | get32(at + 4);
}

uint16_t hms_icmp_checksum(const uint8_t *data, size_t size_bytes)
{
    uint32_t sum = 0;
    size_t i;

    for (i = 0; i + 1 < size_bytes; i += 2)
        sum += get16(data + i);
    if (i < size_bytes)
        sum += (uint32_t)data[i] << 8;
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

void hms_icmp_packet_encode(uint8_t packet[HMS_ICMP_PACKET_BYTES], int ipv6,
                            const struct hms_icmp_echo *echo)
{
    packet[TYPE_AT] = ipv6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO;
    packet[CODE_AT] = 0;
    put16(packet + CHECKSUM_AT, 0);
    put16(packet + ID_AT, echo->id);
    put16(packet + SEQUENCE_AT, echo->sequence);
    put64(packet + COOKIE_AT, echo->cookie);
    put32(packet + ROUND_AT, echo->round);
    put32(packet + TARGET_AT, echo->target);
    if (!ipv6)
        put16(packet + CHECKSUM_AT, hms_icmp_checksum(packet, HMS_ICMP_PACKET_BYTES));
}

/* The bytes that an IPv4 header takes, or 0 if there is no sound one. */
static size_t ipv4_header_bytes(const uint8_t *data, size_t size_bytes)
{
    size_t header_bytes;

    if (size_bytes < IPV4_HEADER_MIN_BYTES || data[0] >> 4 != 4)
        return 0;
    header_bytes = (size_t)(data[0] & 0x0f) * 4;
    if (header_bytes < IPV4_HEADER_MIN_BYTES || header_bytes > size_bytes)
        return 0;
    return header_bytes;
}

int hms_icmp_packet_decode(const uint8_t *data, size_t size_bytes, enum hms_icmp_framing framing,
                           uint16_t id, uint64_t cookie, struct hms_icmp_echo *echo)
{
    if (framing == HMS_ICMP_FRAMING_IPV4) {
        size_t header_bytes = ipv4_header_bytes(data, size_bytes);

        if (header_bytes == 0)
            return HMS_EPROTO;
        data += header_bytes;
        size_bytes -= header_bytes;
    }
    if (size_bytes != HMS_ICMP_PACKET_BYTES)
        return HMS_EPROTO;
    if (data[TYPE_AT] != (framing == HMS_ICMP_FRAMING_V6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) ||
        data[CODE_AT] != 0)
        return HMS_EPROTO;
    /* A raw socket is handed packets before the kernel has looked at their ICMP checksum. */
    if (framing != HMS_ICMP_FRAMING_V6 && hms_icmp_checksum(data, size_bytes) != 0)
        return HMS_EPROTO;
    echo->id = get16(data + ID_AT);
    echo->sequence = get16(data + SEQUENCE_AT);
    echo->cookie = get64(data + COOKIE_AT);
    echo->round = get32(data + ROUND_AT);
    echo->target = get32(data + TARGET_AT);
    return echo->id == id && echo->cookie == cookie ? HMS_OK : HMS_EPROTO;
}
