/*
 * What else was done from outside around the stop of a container.
 */
#ifndef HMS_MANAGER_STOP_H
#define HMS_MANAGER_STOP_H

#include <stdint.h>

/*
 * The acts that belong together with the stop of one container: on itself, on the other containers
 * of its compose project, on those asked to stop within a moment of it (one `docker stop a b c`),
 * and removals.
 */
struct hms_stop {
    int64_t touched_ms; /* monotonic; the last one; INT64_MAX while such a stop is under way */
    int is_of_group;    /* a compose project's, or one of several */
};

#endif
