/*
 * FNV-1a, 64 bits (Fowler, Noll, Vo; IETF draft-eastlake-fnv): a quick hash to tell things apart.
 * Not for hash tables that an adversary fills.
 */
#ifndef HMS_CORE_HASH_H
#define HMS_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The hash of nothing: where a chain of hms_hash() begins. */
#define HMS_HASH_SEED UINT64_C(0xcbf29ce484222325)

/* The hash of what seed stands for, followed by size_bytes bytes of data. */
uint64_t hms_hash(uint64_t seed, const void *data, size_t size_bytes);

#endif
