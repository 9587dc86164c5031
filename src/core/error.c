/* Texts of the error codes. */
#include "core/error.h"

const char *hms_strerror(int error)
{
    switch (error) {
    case HMS_OK:
        return "success";
#define X(name, text)                                                                              \
    case HMS_##name:                                                                               \
        return text;
        HMS_ERROR_MAP(X)
#undef X
    default:
        return "unknown error";
    }
}
