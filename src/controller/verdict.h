/*
 * How a command ended, and what that is called on the bus (error type) and over REST (status).
 */
#ifndef HMS_CONTROLLER_VERDICT_H
#define HMS_CONTROLLER_VERDICT_H

enum hms_verdict {
    HMS_VERDICT_OK,
    HMS_VERDICT_CREATED,      /* OK, and something is there that was not */
    HMS_VERDICT_ACCEPTED,     /* begun */
    HMS_VERDICT_PARTIAL,      /* some of several managers did it */
    HMS_VERDICT_MISSING,      /* a parameter is missing */
    HMS_VERDICT_INVALID,      /* a parameter is wrong */
    HMS_VERDICT_UNKNOWN,      /* no such command */
    HMS_VERDICT_NO_HOST,      /* no such host */
    HMS_VERDICT_NO_CONTAINER, /* no such container */
    HMS_VERDICT_AMBIGUOUS,    /* several containers are meant */
    HMS_VERDICT_CONFLICT,     /* not in this state */
    HMS_VERDICT_SILENT,       /* the manager does not answer */
    HMS_VERDICT_BROKEN,       /* the manager answered with a failure of its own, or nonsense */
    HMS_VERDICT_BUSY,         /* too much under way */
    HMS_VERDICT_STOPPING,     /* the controller is going away */
};

/* The error type of protocol.md; NULL for OK, CREATED, ACCEPTED and PARTIAL. */
const char *hms_verdict_type(enum hms_verdict verdict);

/* The HTTP status. */
int hms_verdict_status(enum hms_verdict verdict);

/* The verdict on a manager's error reply of that type; an unknown one or NULL counts as BROKEN. */
enum hms_verdict hms_verdict_of_type(const char *type);

#endif
