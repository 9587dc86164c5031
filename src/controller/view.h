/*
 * The answer to a read: all hosts, one host or one container, as JSON for the bus and as text for
 * REST. The text is put together from what the registry keeps, so that a read of hundreds of
 * containers that have not changed encodes none of them.
 */
#ifndef HMS_CONTROLLER_VIEW_H
#define HMS_CONTROLLER_VIEW_H

#include <jansson.h>

struct hms_buffer;
struct hms_host;
struct hms_registry;

/* Everything is borrowed from the registry and holds until it changes. */
struct hms_view {
    const struct hms_registry *registry;
    struct hms_host *host; /* NULL: all */
    const char *key;       /* of one container of the host; NULL: all of them */
    json_t *entry;         /* that container */
};

/* The reply body; a new reference that shares the registry's content. */
json_t *hms_view_json(const struct hms_view *view);

/* The same as text, appended. Returns 0 or HMS_ELIMIT. */
int hms_view_text(const struct hms_view *view, struct hms_buffer *buffer);

#endif
