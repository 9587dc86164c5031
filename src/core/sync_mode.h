/*
 * How what changed at a manager gets to the controller (docs/wire.md). Both sides have the option.
 */
#ifndef HMS_CORE_SYNC_MODE_H
#define HMS_CORE_SYNC_MODE_H

enum hms_sync_mode {
    HMS_SYNC_PUSH, /* an update carries what changed */
    HMS_SYNC_PULL, /* it is a flag, and the controller asks for everything: version 1 */
};

#endif
