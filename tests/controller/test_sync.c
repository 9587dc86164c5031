/* The life cycle of a host, as histories of what was heard, asked and answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "controller/sync.h"

#define EXPIRY_MS 300000

static const struct hms_sync_point unversioned;

enum event { END, LIVE, LIVE_PEER, CHANGED, ASKED, OK, FAILED, CHECK };

struct entry {
    enum event event;
    int64_t at_ms;
    /* expected afterwards */
    enum hms_manager_status status;
    int due;
    enum hms_contact contact; /* of a CHECK */
};

struct history {
    const char *name;
    struct entry entries[12];
};

#define OFFLINE HMS_STATUS_OFFLINE
#define PRESENT HMS_STATUS_UPDATE_PRESENT
#define UPDATED HMS_STATUS_UPDATED

static const struct history histories[] = {
    {"never heard of", {{CHECK, 0, OFFLINE, 0, HMS_CONTACT_OFFLINE}}},
    {"heard, asked, answered",
     {{LIVE, 10, PRESENT, 1, 0},
      {ASKED, 20, PRESENT, 0, 0},
      {OK, 30, UPDATED, 0, 0},
      {CHECK, 40, UPDATED, 0, HMS_CONTACT_ONLINE}}},
    {"an update while asking is asked for again",
     {{LIVE, 10, PRESENT, 1, 0},
      {ASKED, 20, PRESENT, 0, 0},
      {LIVE, 25, PRESENT, 0, 0},
      {OK, 30, PRESENT, 1, 0},
      {ASKED, 40, PRESENT, 0, 0},
      {OK, 50, UPDATED, 0, 0}}},
    {"a failed one stays pending and makes it stale until one succeeds",
     {{LIVE, 10, PRESENT, 1, 0},
      {ASKED, 20, PRESENT, 0, 0},
      {FAILED, 30, PRESENT, 1, 0},
      {CHECK, 40, PRESENT, 1, HMS_CONTACT_STALE},
      {ASKED, 50, PRESENT, 0, 0},
      {OK, 60, UPDATED, 0, 0},
      {CHECK, 70, UPDATED, 0, HMS_CONTACT_ONLINE}}},
    {"three missed heartbeats",
     {{LIVE, 0, PRESENT, 1, 0},
      {ASKED, 0, PRESENT, 0, 0},
      {OK, 0, UPDATED, 0, 0},
      {CHECK, 19999, UPDATED, 0, HMS_CONTACT_ONLINE},
      {CHECK, 20001, UPDATED, 0, HMS_CONTACT_STALE},
      {CHECK, 30000, UPDATED, 0, HMS_CONTACT_STALE},
      {CHECK, 30001, OFFLINE, 0, HMS_CONTACT_OFFLINE},
      {LIVE, 30002, PRESENT, 1, 0},
      {CHECK, 30003, PRESENT, 1, HMS_CONTACT_ONLINE}}},
    {"a peer that tells no period has the expiry time",
     {{LIVE_PEER, 0, PRESENT, 1, 0},
      {CHECK, 200000, PRESENT, 1, HMS_CONTACT_ONLINE},
      {CHECK, 200001, PRESENT, 1, HMS_CONTACT_STALE},
      {CHECK, 300001, OFFLINE, 0, HMS_CONTACT_OFFLINE}}},
    {"an answer is a sign of life",
     {{LIVE, 0, PRESENT, 1, 0},
      {ASKED, 29000, PRESENT, 0, 0},
      {CHECK, 30001, OFFLINE, 0, HMS_CONTACT_OFFLINE},
      {OK, 30002, UPDATED, 0, 0},
      {CHECK, 30003, UPDATED, 0, HMS_CONTACT_ONLINE}}},
    {"a failure does not bring back an expired host",
     {{LIVE, 0, PRESENT, 1, 0},
      {ASKED, 29000, PRESENT, 0, 0},
      {CHECK, 30001, OFFLINE, 0, HMS_CONTACT_OFFLINE},
      {FAILED, 34000, OFFLINE, 0, 0}}},
    {"our own command makes the content old",
     {{LIVE, 0, PRESENT, 1, 0},
      {ASKED, 1, PRESENT, 0, 0},
      {CHANGED, 2, PRESENT, 0, 0},
      {OK, 3, PRESENT, 1, 0},
      {ASKED, 4, PRESENT, 0, 0},
      {OK, 5, UPDATED, 0, 0},
      {CHANGED, 6, PRESENT, 1, 0}}},
    {"but does not bring back a silent host", {{CHANGED, 1, OFFLINE, 0, 0}}},
};

static void apply(struct hms_sync *sync, const struct entry *entry)
{
    switch (entry->event) {
    case END:
        break;
    case LIVE:
        hms_sync_heard(sync, entry->at_ms, 10000, unversioned, 0);
        break;
    case LIVE_PEER:
        hms_sync_heard(sync, entry->at_ms, 0, unversioned, 0);
        break;
    case CHANGED:
        hms_sync_changed(sync);
        break;
    case ASKED:
        hms_sync_asked(sync);
        break;
    case OK:
        assert_true(hms_sync_answered(sync, entry->at_ms, unversioned));
        break;
    case FAILED:
        hms_sync_failed(sync);
        break;
    case CHECK:
        assert_int_equal(hms_sync_check(sync, entry->at_ms, 0, EXPIRY_MS), entry->contact);
        break;
    }
}

static void histories_hold(void **state)
{
    size_t i, step;

    (void)state;
    for (i = 0; i < sizeof(histories) / sizeof(histories[0]); i++) {
        struct hms_sync sync = {0};

        for (step = 0; histories[i].entries[step].event != END; step++) {
            const struct entry *entry = &histories[i].entries[step];

            print_message("%s, step %zu\n", histories[i].name, step);
            apply(&sync, entry);
            assert_int_equal(sync.status, entry->status);
            assert_int_equal(hms_sync_is_due(&sync), entry->due);
        }
    }
}

static void periods_are_bounded(void **state)
{
    static const int64_t told_kept[][2] = {
        {-5, 0},
        {0, 0},
        {1, HMS_SYNC_PERIOD_MIN_MS},
        {10000, 10000},
        {INT64_MAX, HMS_SYNC_PERIOD_MAX_MS},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(told_kept) / sizeof(told_kept[0]); i++) {
        struct hms_sync sync = {0};

        hms_sync_heard(&sync, 0, told_kept[i][0], unversioned, 0);
        assert_int_equal(sync.period_ms, told_kept[i][1]);
    }
}

static void words_of_the_protocol(void **state)
{
    (void)state;
    assert_string_equal(hms_sync_status_name(OFFLINE), "offline");
    assert_string_equal(hms_sync_status_name(PRESENT), "update_present");
    assert_string_equal(hms_sync_status_name(UPDATED), "updated");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histories_hold),
        cmocka_unit_test(periods_are_bounded),
        cmocka_unit_test(words_of_the_protocol),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
