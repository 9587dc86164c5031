/* Nearest word by optimal string alignment distance. */
#include "core/suggest.h"

#include <string.h>

#define WORD_MAX 48

/* A word may be off by a third of its letters, and by one in any case. */
#define LETTERS_PER_ERROR 3

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, substitutions and swaps of neighbours that lead from a to b. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t cost[WORD_MAX + 1][WORD_MAX + 1];
    size_t i, j;

    for (i = 0; i <= a_length; i++)
        cost[i][0] = i;
    for (j = 0; j <= b_length; j++)
        cost[0][j] = j;
    for (i = 1; i <= a_length; i++) {
        for (j = 1; j <= b_length; j++) {
            size_t other = a[i - 1] != b[j - 1];

            cost[i][j] =
                least(least(cost[i - 1][j], cost[i][j - 1]) + 1, cost[i - 1][j - 1] + other);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a_length][b_length];
}

void hms_suggest_begin(struct hms_suggest *suggest, const char *word)
{
    size_t length = strlen(word);

    suggest->word = word;
    suggest->best = NULL;
    suggest->best_distance = length > LETTERS_PER_ERROR ? length / LETTERS_PER_ERROR : 1;
}

void hms_suggest_offer(struct hms_suggest *suggest, const char *candidate)
{
    size_t word_length = strlen(suggest->word);
    size_t length = strlen(candidate);
    size_t steps;

    if (word_length == 0 || word_length > WORD_MAX || length > WORD_MAX)
        return;
    if (word_length >= 3 && strncmp(suggest->word, candidate, word_length) == 0)
        steps = 0; /* an abbreviation */
    else
        steps = distance(suggest->word, word_length, candidate, length);
    if (steps < suggest->best_distance ||
        (suggest->best == NULL && steps == suggest->best_distance)) {
        suggest->best = candidate;
        suggest->best_distance = steps;
    }
}
