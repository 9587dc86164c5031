/*
 * The bus inside one process: joins components that stand on one loop.
 */
#ifndef HMS_CORE_BUS_LOCAL_H
#define HMS_CORE_BUS_LOCAL_H

#include <uv.h>

struct hms_bus;

/*
 * At once on one bus: requests whose server has not answered, and messages not yet delivered.
 * Past either, requests and notifications are refused with HMS_ELIMIT.
 */
#define HMS_BUS_LOCAL_CALLS_MAX    1024
#define HMS_BUS_LOCAL_MESSAGES_MAX 4096

/*
 * Never returns NULL. The loop is borrowed; the bus is freed by hms_bus_close(), or after it by the
 * last hms_bus_reply() of a server that still holds a call.
 *
 * Messages are delivered in the order in which they were sent, as they are: what was handed to the
 * bus must not be changed afterwards, and a receiver may keep references to it.
 *
 * A message without `sender` gets the one that protocol.md gives it: the controller's for messages
 * to managers and antagonists, the manager's for notifications to a controller, else the
 * interface's.
 */
struct hms_bus *hms_bus_local_new(uv_loop_t *loop);

#endif
