/* Two tables: our verdicts outwards, the managers' error types inwards. */
#include "controller/verdict.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *type;
    int status;
} verdicts[] = {
    [HMS_VERDICT_OK] = {NULL, 200},
    [HMS_VERDICT_CREATED] = {NULL, 201},
    [HMS_VERDICT_ACCEPTED] = {NULL, 202},
    [HMS_VERDICT_PARTIAL] = {NULL, 207},
    [HMS_VERDICT_MISSING] = {"missing_par", 400},
    [HMS_VERDICT_INVALID] = {"invalid_param", 400},
    [HMS_VERDICT_UNKNOWN] = {"INVALID_REQUEST", 400},
    [HMS_VERDICT_NO_HOST] = {"invalid_param", 404},
    [HMS_VERDICT_NO_CONTAINER] = {"CONTAINER_NOT_PRESENT", 404},
    [HMS_VERDICT_AMBIGUOUS] = {"invalid_param", 409},
    [HMS_VERDICT_CONFLICT] = {"invalid_op", 409},
    [HMS_VERDICT_SILENT] = {"unreachable", 504},
    [HMS_VERDICT_BROKEN] = {"connection_error", 502},
    [HMS_VERDICT_BUSY] = {"INTERNAL_ERROR", 503},
    [HMS_VERDICT_STOPPING] = {"INTERNAL_ERROR", 503},
};

/* What we send is checked before, so a manager that finds our request wrong is a failure (502). */
static const struct {
    const char *type;
    enum hms_verdict verdict;
} types[] = {
    {"invalid_param", HMS_VERDICT_INVALID},
    {"invalid_op", HMS_VERDICT_CONFLICT},
    {"CONTAINER_NOT_PRESENT", HMS_VERDICT_NO_CONTAINER},
    {"unreachable", HMS_VERDICT_SILENT},
};

const char *hms_verdict_type(enum hms_verdict verdict)
{
    return verdicts[verdict].type;
}

int hms_verdict_status(enum hms_verdict verdict)
{
    return verdicts[verdict].status;
}

enum hms_verdict hms_verdict_of_type(const char *type)
{
    size_t i;

    for (i = 0; type != NULL && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].type, type) == 0)
            return types[i].verdict;
    return HMS_VERDICT_BROKEN;
}
