/*
 * Carries facts into the rules and rulings out to the engine: starts and restarts containers, keeps
 * their number at once bounded, and writes the decision records.
 */
#ifndef HMS_MANAGER_HEALER_H
#define HMS_MANAGER_HEALER_H

#include <stdint.h>
#include <uv.h>

#include "manager/inventory.h"
#include "manager/options.h"

struct hms_docker;
struct hms_healer;
struct hms_log;

struct hms_healer_handlers {
    /* What is shown of a container has changed. */
    void (*on_changed)(void *arg, struct hms_container *container);
    /* The engine has done what its events do not tell yet: it has to be asked. */
    void (*on_doubt)(void *arg, struct hms_container *container);
    /* What has to survive a restart has changed. */
    void (*on_remember)(void *arg);
};

/* Everything is borrowed and outlives the healer. Never NULL. */
struct hms_healer *hms_healer_new(uv_loop_t *loop, struct hms_log *log, struct hms_docker *docker,
                                  struct hms_inventory *inventory,
                                  const struct hms_manager_options *options,
                                  const struct hms_healer_handlers *handlers, void *arg);

/* Nothing is decided before the engine is in sync. */
void hms_healer_set_synced(struct hms_healer *healer, int is_synced);

/* While the storm guard is active no container is restarted for loss. */
void hms_healer_set_storm(struct hms_healer *healer, int is_active);

/* Looks at a container anew: after an event, a round, a command. */
void hms_healer_consider(struct hms_healer *healer, struct hms_container *container);

/* Tells a complete round's verdict on a container: did the restart before it help? */
void hms_healer_prove(struct hms_healer *healer, struct hms_container *container, int is_good);

/* Decides nothing any more; closed(arg) runs from the loop once no call is under way. */
void hms_healer_close(struct hms_healer *healer, void (*closed)(void *arg), void *arg);

#endif
