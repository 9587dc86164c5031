/* The outbox: order, replacement of notifications, bounds, expiry of replies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/amqp_outbox.h"
#include "core/error.h"

#define MAX_COUNT 4
#define MAX_BYTES 20

static struct hms_amqp_parcel *parcel(enum hms_amqp_parcel_kind kind, const char *body)
{
    struct hms_amqp_parcel *made = hms_calloc(1, sizeof(*made));

    made->kind = kind;
    made->routing_key = hms_strdup("controller");
    made->body = hms_strdup(body);
    made->size_bytes = strlen(body);
    made->expires_ms = 100;
    return made;
}

static int push(struct hms_amqp_outbox *outbox, enum hms_amqp_parcel_kind kind, const char *body,
                const char *command)
{
    struct hms_amqp_parcel *made = parcel(kind, body);
    int result = hms_amqp_outbox_push(outbox, made, command);

    if (result != HMS_OK)
        hms_amqp_parcel_free(made);
    return result;
}

static int notify(struct hms_amqp_outbox *outbox, const char *body, const char *command)
{
    return push(outbox, HMS_AMQP_NOTIFICATION, body, command);
}

/* Empties the box; the bodies in their order. */
static const char *drained(struct hms_amqp_outbox *outbox)
{
    static char bodies[256];
    struct hms_amqp_parcel *first;

    bodies[0] = '\0';
    while ((first = hms_amqp_outbox_first(outbox)) != NULL) {
        strcat(strcat(bodies, first->body), " ");
        hms_amqp_outbox_remove(outbox, first);
        hms_amqp_parcel_free(first);
    }
    assert_int_equal(outbox->count + outbox->size_bytes, 0);
    return bodies;
}

static int setup(void **state)
{
    static struct hms_amqp_outbox outbox;

    hms_amqp_outbox_init(&outbox, MAX_COUNT, MAX_BYTES);
    *state = &outbox;
    return 0;
}

static int teardown(void **state)
{
    hms_amqp_outbox_clear(*state);
    return 0;
}

static void a_newer_notification_takes_the_place(void **state)
{
    struct hms_amqp_outbox *outbox = *state;

    notify(outbox, "1", "live");
    notify(outbox, "2", "update");
    push(outbox, HMS_AMQP_REQUEST, "3", NULL);
    notify(outbox, "4444", "live");
    assert_int_equal(outbox->count, 3);
    assert_int_equal(outbox->size_bytes, 6);
    assert_string_equal(drained(outbox), "4444 2 3 ");
    notify(outbox, "5", "live");
    assert_string_equal(drained(outbox), "5 ");
}

static void what_has_begun_is_not_replaced(void **state)
{
    struct hms_amqp_outbox *outbox = *state;

    notify(outbox, "1", "live");
    hms_amqp_outbox_begin(outbox, hms_amqp_outbox_first(outbox));
    notify(outbox, "2", "live");
    notify(outbox, "3", "live");
    assert_string_equal(drained(outbox), "1 3 ");
}

static void bounds_hold(void **state)
{
    struct hms_amqp_outbox *outbox = *state;

    assert_int_equal(notify(outbox, "123456789012345678901", "a"), HMS_ELIMIT);
    assert_int_equal(notify(outbox, "12345678901234567890", "a"), HMS_OK);
    assert_int_equal(push(outbox, HMS_AMQP_REPLY, "1", NULL), HMS_ELIMIT);
    assert_int_equal(notify(outbox, "1", "a"), HMS_OK); /* it has room for what it replaces */
    assert_int_equal(notify(outbox, "2", "b"), HMS_OK);
    assert_int_equal(notify(outbox, "3", "c"), HMS_OK);
    assert_int_equal(notify(outbox, "4", "d"), HMS_OK);
    assert_int_equal(notify(outbox, "5", "e"), HMS_ELIMIT);
    assert_int_equal(notify(outbox, "6", "d"), HMS_OK);
    assert_string_equal(drained(outbox), "1 2 3 6 ");
}

static void late_replies_are_dropped(void **state)
{
    struct hms_amqp_outbox *outbox = *state;

    push(outbox, HMS_AMQP_REPLY, "1", NULL);
    hms_amqp_outbox_begin(outbox, hms_amqp_outbox_first(outbox));
    push(outbox, HMS_AMQP_REPLY, "2", NULL);
    push(outbox, HMS_AMQP_REQUEST, "3", NULL);
    assert_int_equal(hms_amqp_outbox_expire(outbox, 99), 0);
    assert_int_equal(hms_amqp_outbox_expire(outbox, 100), 1);
    assert_string_equal(drained(outbox), "1 3 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_newer_notification_takes_the_place, setup, teardown),
        cmocka_unit_test_setup_teardown(what_has_begun_is_not_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(late_replies_are_dropped, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
