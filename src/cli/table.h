/*
 * Rows in columns as wide as their longest cell, for people.
 */
#ifndef HMS_CLI_TABLE_H
#define HMS_CLI_TABLE_H

#include <stdio.h>

struct hms_table;

/* titles is NULL-terminated and copied. Never returns NULL. */
struct hms_table *hms_table_new(const char *const *titles);
void hms_table_free(struct hms_table *table);

/* The next cell, from left to right and row by row (copied); NULL is "-". Control characters become
 * blanks: what others wrote cannot steer the terminal. */
void hms_table_add(struct hms_table *table, const char *text);

void hms_table_print(const struct hms_table *table, FILE *out);

#endif
