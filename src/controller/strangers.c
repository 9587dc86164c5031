/* A short list without order. */
#include "controller/strangers.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"

static struct hms_stranger *find(struct hms_strangers *strangers, const char *address)
{
    size_t i;

    for (i = 0; i < strangers->count; i++)
        if (strcmp(strangers->list[i].address, address) == 0)
            return &strangers->list[i];
    return NULL;
}

static struct hms_stranger *room(struct hms_strangers *strangers)
{
    struct hms_stranger *oldest = &strangers->list[0];
    size_t i;

    if (strangers->count < HMS_STRANGERS_MAX)
        return &strangers->list[strangers->count++];
    for (i = 1; i < strangers->count; i++)
        if (strangers->list[i].last_ns < oldest->last_ns)
            oldest = &strangers->list[i];
    return oldest;
}

int hms_strangers_note(struct hms_strangers *strangers, const char *address, int64_t wall_ns)
{
    struct hms_stranger *stranger = find(strangers, address);
    int is_new = stranger == NULL;

    if (is_new) {
        stranger = room(strangers);
        *stranger = (struct hms_stranger){.first_ns = wall_ns};
        snprintf(stranger->address, sizeof(stranger->address), "%s", address);
    }
    stranger->messages++;
    stranger->last_ns = wall_ns;
    return is_new;
}

void hms_strangers_forget(struct hms_strangers *strangers, const char *address)
{
    struct hms_stranger *stranger = find(strangers, address);

    if (stranger != NULL)
        *stranger = strangers->list[--strangers->count];
}

json_t *hms_strangers_json(const struct hms_strangers *strangers)
{
    char first[HMS_CLOCK_TEXT_SIZE], last[HMS_CLOCK_TEXT_SIZE];
    json_t *list = json_array();
    size_t i;

    for (i = 0; i < strangers->count; i++) {
        const struct hms_stranger *stranger = &strangers->list[i];

        json_array_append_new(list, json_pack("{s:s, s:I, s:s, s:s}", "address", stranger->address,
                                              "messages", (json_int_t)stranger->messages, "first",
                                              hms_clock_format(stranger->first_ns, first), "last",
                                              hms_clock_format(stranger->last_ns, last)));
    }
    return list;
}
