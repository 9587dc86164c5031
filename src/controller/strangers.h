/*
 * Managers that spoke and were refused, since they are not on the roster. Pure; bounded: when there
 * is no room the one that was silent for longest is forgotten.
 */
#ifndef HMS_CONTROLLER_STRANGERS_H
#define HMS_CONTROLLER_STRANGERS_H

#include <jansson.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define HMS_STRANGERS_MAX 64

struct hms_stranger {
    char address[INET_ADDRSTRLEN];
    uint64_t messages;
    int64_t first_ns; /* wall time */
    int64_t last_ns;
};

/* All zero at first. */
struct hms_strangers {
    struct hms_stranger list[HMS_STRANGERS_MAX];
    size_t count;
};

/* One of them spoke. Returns whether it is new on the list. */
int hms_strangers_note(struct hms_strangers *strangers, const char *address, int64_t wall_ns);

/* It is none any more. */
void hms_strangers_forget(struct hms_strangers *strangers, const char *address);

/* An array of {address, messages, first, last}; a new reference. */
json_t *hms_strangers_json(const struct hms_strangers *strangers);

#endif
