/* FNV-1a. */
#include "core/hash.h"

#define PRIME UINT64_C(0x100000001b3)

uint64_t hms_hash(uint64_t seed, const void *data, size_t size_bytes)
{
    const unsigned char *byte = data;

    for (; size_bytes > 0; size_bytes--, byte++)
        seed = (seed ^ *byte) * PRIME;
    return seed;
}
