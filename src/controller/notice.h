/*
 * A manager's notification (docs/wire.md), checked field by field before anything is done with it.
 * Pure.
 */
#ifndef HMS_CONTROLLER_NOTICE_H
#define HMS_CONTROLLER_NOTICE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/sync.h"
#include "core/json.h"

#define HMS_NOTICE_CONTAINERS_MAX 65536 /* of one host, as in the list of an engine */
#define HMS_NOTICE_KEY_MAX        64    /* digits of a full id */

enum hms_notice_kind { HMS_NOTICE_LIVE, HMS_NOTICE_UPDATE };

/* All borrowed from the message; NULL or 0: the message does not tell it. */
struct hms_notice {
    enum hms_notice_kind kind;
    const char *address; /* IPv4 text */
    int64_t period_ms;
    struct hms_sync_point point;
    int64_t base;           /* of a `live` the version itself */
    const json_t *changed;  /* objects by key */
    const json_t *removed;  /* array of keys */
    const json_t *host;     /* object */
    const json_t *measures; /* by key, arrays of loss_pct and least, mean and most rtt_ms */
};

/*
 * Returns 0; HMS_ENOENT if the command is none of these, HMS_EPROTO if a field is missing or wrong,
 * with a text in error.
 */
int hms_notice_read(struct hms_notice *notice, const json_t *message,
                    char error[HMS_JSON_ERROR_SIZE]);

/*
 * Reads epoch and version, which come together or not at all. Returns 0, or HMS_EPROTO with a text
 * in error.
 */
int hms_notice_read_point(const json_t *message, struct hms_sync_point *point,
                          char error[HMS_JSON_ERROR_SIZE]);

/*
 * Checks a content: an object of at most HMS_NOTICE_CONTAINERS_MAX objects with keys of 1 to
 * HMS_NOTICE_KEY_MAX bytes, in which version 1's fields and those we read have the right type;
 * `name` is that of the field. Returns 0, or HMS_EPROTO with a text in error.
 */
int hms_notice_check_content(const json_t *content, const char *name,
                             char error[HMS_JSON_ERROR_SIZE]);

#endif
