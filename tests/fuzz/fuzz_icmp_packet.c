/* Any bytes as a reply; the first one chooses the framing. */
#include "core/error.h"
#include "core/icmp_packet.h"

#define ID     0x4242
#define COOKIE UINT64_C(0x4242424242424242)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct hms_icmp_echo echo;

    if (size_bytes == 0)
        return 0;
    if (hms_icmp_packet_decode(data + 1, size_bytes - 1, (enum hms_icmp_framing)(data[0] % 3), ID,
                               COOKIE, &echo) == HMS_OK &&
        (echo.id != ID || echo.cookie != COOKIE))
        __builtin_trap();
    return 0;
}
