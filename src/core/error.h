/*
 * Error codes: 0 is success, failures are negative. Names and texts come from one table.
 */
#ifndef HMS_CORE_ERROR_H
#define HMS_CORE_ERROR_H

#define HMS_ERROR_MAP(X)                                                                           \
    X(EINVAL, "invalid argument")                                                                  \
    X(ECANCELED, "cancelled")                                                                      \
    X(ETIMEDOUT, "timed out")                                                                      \
    X(ECONNECT, "cannot connect")                                                                  \
    X(EIO, "input or output failed")                                                               \
    X(EPROTO, "the peer broke the protocol")                                                       \
    X(ELIMIT, "a limit was reached")                                                               \
    X(EPERM, "not permitted")                                                                      \
    X(ENOENT, "not found")                                                                         \
    X(EBUSY, "busy")                                                                               \
    X(EUNREACHABLE, "the component does not answer")                                               \
    X(EREMOTE, "the remote side reported an error")

enum hms_error_ordinal {
    HMS_ERROR_ORDINAL_NONE,
#define X(name, text) HMS_ERROR_ORDINAL_##name,
    HMS_ERROR_MAP(X)
#undef X
};

enum hms_error {
    HMS_OK = 0,
#define X(name, text) HMS_##name = -(int)HMS_ERROR_ORDINAL_##name,
    HMS_ERROR_MAP(X)
#undef X
};

/* The text of an error code, never NULL; static. */
const char *hms_strerror(int error);

#endif
