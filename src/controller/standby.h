/*
 * Which of several controllers on one broker this one is: active, or standing by for the active one
 * (docs/wire.md, "Between controllers"). The broker lets one of them hold the name "controller":
 * that one serves the role, and lets the others hear what it hears. The others keep their registry
 * from that, and ask it where they have missed something. On the local bus, which nobody else can
 * be on, this is always the active one.
 */
#ifndef HMS_CONTROLLER_STANDBY_H
#define HMS_CONTROLLER_STANDBY_H

#include <jansson.h>
#include <uv.h>

#include "core/bus.h"

struct hms_gather;
struct hms_log;
struct hms_roster;
struct hms_standby;

/* The address is copied, the others are borrowed and outlive it; so do handlers. */
struct hms_standby_parts {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_bus *bus;
    struct hms_gather *gather;       /* is told whom to ask */
    const struct hms_roster *roster; /* what the others have to know of, too */
    const char *address;             /* of this controller, IPv4 text */
};

struct hms_standby_handlers {
    hms_bus_serve_fn serve;                    /* of the role `controller`, while active */
    void (*on_turn)(void *arg, int is_active); /* from now on active, or no longer */
    /* Standing by: the active one's roster, as hms_roster_public() tells it, and its origin (NULL:
     * none); borrowed. */
    void (*on_roster)(void *arg, const char *origin, const json_t *hosts);
};

/*
 * Standing by at first; nothing happens until hms_standby_start(), from then on it is freed by
 * hms_standby_close(), before by hms_standby_free(). Never returns NULL.
 */
struct hms_standby *hms_standby_new(const struct hms_standby_parts *parts,
                                    const struct hms_standby_handlers *handlers, void *arg);
void hms_standby_free(struct hms_standby *standby);

/* url: where others reach this controller's REST interface (copied), or NULL. */
void hms_standby_start(struct hms_standby *standby, const char *url);

int hms_standby_is_active(const struct hms_standby *standby);

/* The active controller's address, and where its REST interface is reached; borrowed, NULL if that
 * is not known. */
const char *hms_standby_active(const struct hms_standby *standby);
const char *hms_standby_active_url(const struct hms_standby *standby);

/*
 * A notification came while this one is active. Returns 1 if it was a controller's that stands by,
 * and nobody else's matter.
 */
int hms_standby_heard(struct hms_standby *standby, const json_t *message);

/* Lets controllers that stand by hear a message that was sent to us. */
void hms_standby_relay(struct hms_standby *standby, const json_t *message);

/* Serves no more; closed(arg) runs from the loop. */
void hms_standby_close(struct hms_standby *standby, void (*closed)(void *arg), void *arg);

#endif
