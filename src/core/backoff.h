/*
 * How long to wait before something that failed is tried again.
 */
#ifndef HMS_CORE_BACKOFF_H
#define HMS_CORE_BACKOFF_H

#include <stdint.h>

/*
 * The wait after `failures` (1 or more) in a row: min_ms, doubling up to max_ms. Half of it is by
 * chance, so that many who lost the same peer do not come back at once.
 */
int64_t hms_backoff_ms(int failures, int64_t min_ms, int64_t max_ms);

#endif
