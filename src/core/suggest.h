/*
 * "Did you mean": the candidate nearest to a mistyped word.
 */
#ifndef HMS_CORE_SUGGEST_H
#define HMS_CORE_SUGGEST_H

#include <stddef.h>

struct hms_suggest {
    const char *word;
    const char *best; /* the nearest candidate so far, or NULL: none is near enough */
    size_t best_distance;
};

/* Both strings are borrowed for as long as the struct is used. */
void hms_suggest_begin(struct hms_suggest *suggest, const char *word);
void hms_suggest_offer(struct hms_suggest *suggest, const char *candidate);

#endif
