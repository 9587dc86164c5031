/* Words and explanations of reasons. */
#include "manager/reason.h"

const char *hms_reason_word(enum hms_reason reason)
{
    switch (reason) {
#define X(name, word, text)                                                                        \
    case HMS_REASON_##name:                                                                        \
        return word;
        HMS_REASON_MAP(X)
#undef X
    }
    return "unknown";
}

const char *hms_reason_text(enum hms_reason reason)
{
    switch (reason) {
#define X(name, word, text)                                                                        \
    case HMS_REASON_##name:                                                                        \
        return text;
        HMS_REASON_MAP(X)
#undef X
    }
    return "unknown";
}
