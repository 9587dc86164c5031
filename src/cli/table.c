/* All cells in one array, the titles among them. */
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"

#define GAP 2

struct hms_table {
    char **cells;
    size_t cell_count;
    size_t columns;
};

struct hms_table *hms_table_new(const char *const *titles)
{
    struct hms_table *table = hms_calloc(1, sizeof(*table));
    size_t i;

    while (titles[table->columns] != NULL)
        table->columns++;
    for (i = 0; i < table->columns; i++)
        hms_table_add(table, titles[i]);
    return table;
}

void hms_table_free(struct hms_table *table)
{
    size_t i;

    for (i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

void hms_table_add(struct hms_table *table, const char *text)
{
    char *copy = hms_strdup(text != NULL ? text : "-"), *at;

    for (at = copy; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            *at = ' ';
    table->cells = hms_realloc(table->cells, (table->cell_count + 1) * sizeof(table->cells[0]));
    table->cells[table->cell_count++] = copy;
}

static size_t width_of(const struct hms_table *table, size_t column)
{
    size_t width = 0, i;

    for (i = column; i < table->cell_count; i += table->columns)
        if (strlen(table->cells[i]) > width)
            width = strlen(table->cells[i]);
    return width;
}

void hms_table_print(const struct hms_table *table, FILE *out)
{
    size_t i;

    for (i = 0; i < table->cell_count; i++) {
        size_t column = i % table->columns;

        if (column + 1 < table->columns)
            fprintf(out, "%-*s", (int)(width_of(table, column) + GAP), table->cells[i]);
        else
            fprintf(out, "%s\n", table->cells[i]);
    }
}
