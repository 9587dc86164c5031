/* Echo packets: what is written can be read back, and nothing else is taken for a reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/icmp_packet.h"

#define COOKIE       UINT64_C(0x0123456789abcdef)
#define ID           0xbeef
#define HEADER_BYTES 20

static const struct hms_icmp_echo sample = {
    .id = ID, .sequence = 19, .cookie = COOKIE, .round = 0xfffffffe, .target = 1999};

struct reply {
    uint8_t bytes[60 + HMS_ICMP_PACKET_BYTES + 8];
    size_t size_bytes;
    size_t icmp_at;
    enum hms_icmp_framing framing;
};

static void write_checksum(uint8_t *packet)
{
    uint16_t sum;

    packet[2] = packet[3] = 0;
    sum = hms_icmp_checksum(packet, HMS_ICMP_PACKET_BYTES);
    packet[2] = (uint8_t)(sum >> 8);
    packet[3] = (uint8_t)sum;
}

/* What a target sends back for the sample. */
static struct reply make_reply(enum hms_icmp_framing framing)
{
    int ipv6 = framing == HMS_ICMP_FRAMING_V6;
    struct reply reply = {.framing = framing};

    if (framing == HMS_ICMP_FRAMING_IPV4) {
        reply.icmp_at = HEADER_BYTES;
        reply.bytes[0] = 0x45;
    }
    reply.size_bytes = reply.icmp_at + HMS_ICMP_PACKET_BYTES;
    hms_icmp_packet_encode(reply.bytes + reply.icmp_at, ipv6, &sample);
    reply.bytes[reply.icmp_at] = ipv6 ? 129 : 0;
    if (!ipv6)
        write_checksum(reply.bytes + reply.icmp_at);
    return reply;
}

static int decode(const struct reply *reply, struct hms_icmp_echo *echo)
{
    return hms_icmp_packet_decode(reply->bytes, reply->size_bytes, reply->framing, ID, COOKIE,
                                  echo);
}

static void test_checksum(void **state)
{
    /* The example of RFC 1071, and an odd number of bytes. */
    static const uint8_t rfc[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    static const uint8_t odd[] = {0x12, 0x34, 0x56};
    static const uint8_t carries[] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x01};

    assert_int_equal(hms_icmp_checksum(rfc, sizeof(rfc)), (uint16_t)~0xddf2);
    assert_int_equal(hms_icmp_checksum(odd, sizeof(odd)), (uint16_t) ~(0x1234 + 0x5600));
    assert_int_equal(hms_icmp_checksum(carries, sizeof(carries)), (uint16_t)~0x0001);
    assert_int_equal(hms_icmp_checksum(rfc, 0), 0xffff);
}

static void test_encode(void **state)
{
    uint8_t packet[HMS_ICMP_PACKET_BYTES];

    hms_icmp_packet_encode(packet, 0, &sample);
    assert_int_equal(packet[0], 8);
    assert_int_equal(packet[1], 0);
    assert_int_equal(packet[4] << 8 | packet[5], ID);
    assert_int_equal(packet[6] << 8 | packet[7], sample.sequence);
    assert_int_equal(hms_icmp_checksum(packet, sizeof(packet)), 0);

    hms_icmp_packet_encode(packet, 1, &sample);
    assert_int_equal(packet[0], 128);
    assert_int_equal(packet[2] << 8 | packet[3], 0);
}

static void test_round_trip(void **state)
{
    static const enum hms_icmp_framing framings[] = {HMS_ICMP_FRAMING_IPV4, HMS_ICMP_FRAMING_NONE,
                                                     HMS_ICMP_FRAMING_V6};
    size_t i;

    for (i = 0; i < sizeof(framings) / sizeof(framings[0]); i++) {
        struct reply reply = make_reply(framings[i]);
        struct hms_icmp_echo echo;

        assert_int_equal(decode(&reply, &echo), HMS_OK);
        assert_int_equal(echo.id, sample.id);
        assert_int_equal(echo.sequence, sample.sequence);
        assert_true(echo.cookie == sample.cookie);
        assert_int_equal(echo.round, sample.round);
        assert_int_equal(echo.target, sample.target);
    }
}

static void test_ip_options(void **state)
{
    struct reply reply = make_reply(HMS_ICMP_FRAMING_IPV4);
    struct hms_icmp_echo echo;

    memmove(reply.bytes + 60, reply.bytes + HEADER_BYTES, HMS_ICMP_PACKET_BYTES);
    reply.bytes[0] = 0x4f;
    reply.size_bytes = 60 + HMS_ICMP_PACKET_BYTES;
    assert_int_equal(decode(&reply, &echo), HMS_OK);
}

static void test_every_length(void **state)
{
    static const enum hms_icmp_framing framings[] = {HMS_ICMP_FRAMING_IPV4, HMS_ICMP_FRAMING_NONE,
                                                     HMS_ICMP_FRAMING_V6};
    struct hms_icmp_echo echo;
    size_t i;

    for (i = 0; i < sizeof(framings) / sizeof(framings[0]); i++) {
        struct reply reply = make_reply(framings[i]);
        size_t whole = reply.size_bytes;

        for (reply.size_bytes = 0; reply.size_bytes < sizeof(reply.bytes); reply.size_bytes++)
            assert_int_equal(decode(&reply, &echo),
                             reply.size_bytes == whole ? HMS_OK : HMS_EPROTO);
    }
}

static void test_not_ours(void **state)
{
    static const struct {
        size_t at; /* from the ICMP header on */
        uint8_t value;
    } changes[] = {
        {0, 8},     /* a request */
        {0, 3},     /* destination unreachable */
        {1, 1},     /* a code that echo replies do not have */
        {4, 0xbf},  /* another id */
        {8, 0x02},  /* another cookie, in its first... */
        {15, 0xee}, /* ...and in its last byte */
    };
    size_t i;

    for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct reply reply = make_reply(HMS_ICMP_FRAMING_IPV4);
        struct hms_icmp_echo echo;

        reply.bytes[reply.icmp_at + changes[i].at] = changes[i].value;
        write_checksum(reply.bytes + reply.icmp_at);
        assert_int_equal(decode(&reply, &echo), HMS_EPROTO);
    }
}

static void test_damaged(void **state)
{
    struct hms_icmp_echo echo;
    size_t bit;

    for (bit = 0; bit < HMS_ICMP_PACKET_BYTES * 8; bit++) {
        struct reply reply = make_reply(HMS_ICMP_FRAMING_IPV4);

        reply.bytes[reply.icmp_at + bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(decode(&reply, &echo), HMS_EPROTO);
    }
}

static void test_bad_ip_header(void **state)
{
    static const uint8_t first_bytes[] = {0x00, 0x44, 0x65, 0x46, 0x4f};
    size_t i;

    for (i = 0; i < sizeof(first_bytes); i++) {
        struct reply reply = make_reply(HMS_ICMP_FRAMING_IPV4);
        struct hms_icmp_echo echo;

        reply.bytes[0] = first_bytes[i];
        assert_int_equal(decode(&reply, &echo), HMS_EPROTO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum),     cmocka_unit_test(test_encode),
        cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_ip_options),
        cmocka_unit_test(test_every_length), cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_damaged),      cmocka_unit_test(test_bad_ip_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
