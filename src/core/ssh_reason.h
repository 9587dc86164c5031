/*
 * What ssh's complaints mean, in clear words. Pure.
 */
#ifndef HMS_CORE_SSH_REASON_H
#define HMS_CORE_SSH_REASON_H

#include <stddef.h>

#define HMS_SSH_REASON_SIZE 512 /* room for hms_ssh_reason_text() */

/* The most telling line so far. Starts zeroed. */
struct hms_ssh_reason {
    size_t rank; /* of the line's meaning, 0: none came yet */
    int error;
    const char *meaning; /* NULL: unknown */
    char line[256];
};

/* Takes a line that ssh wrote to standard error. */
void hms_ssh_reason_note(struct hms_ssh_reason *reason, const char *line);

/* Writes the meaning with the line, or the line alone; "" if none came. */
void hms_ssh_reason_text(const struct hms_ssh_reason *reason, char text[HMS_SSH_REASON_SIZE]);

#endif
