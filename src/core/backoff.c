#include "core/backoff.h"

#include <uv.h>

int64_t hms_backoff_ms(int failures, int64_t min_ms, int64_t max_ms)
{
    int64_t wait_ms = min_ms;
    unsigned int chance = 0;

    while (--failures > 0 && wait_ms < max_ms)
        wait_ms *= 2;
    if (wait_ms > max_ms)
        wait_ms = max_ms;
    uv_random(NULL, NULL, &chance, sizeof(chance), 0, NULL);
    return wait_ms - wait_ms / 2 + (int64_t)(chance % (unsigned int)(wait_ms / 2 + 1));
}
