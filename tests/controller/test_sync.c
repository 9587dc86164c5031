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

/* ---- managers that tell the version of their log ---- */

enum told { T_END, T_UPDATE, T_LIVE, T_ASKED, T_TAKEN, T_OLDER, T_FAILED, T_CHANGED, T_SILENCE };

#define FLAGGED  HMS_SYNC_FLAGGED
#define KNOWN    HMS_SYNC_KNOWN
#define FOLLOWS  HMS_SYNC_FOLLOWS
#define GAP      HMS_SYNC_GAP
#define NEW_LIFE HMS_SYNC_NEW_LIFE

/* T_UPDATE tells epoch, base and version, T_LIVE epoch and version; so do the answers T_TAKEN,
 * whose content is to be taken, and T_OLDER, whose is not. */
struct told_entry {
    enum told event;
    int64_t epoch, base, version;
    /* expected */
    enum hms_sync_step step; /* of what was heard */
    enum hms_manager_status status;
    int64_t content_epoch, content_version;
};

struct told_history {
    const char *name;
    struct told_entry entries[12];
};

/* How every one of them begins: content of life 1 at version 3. */
#define BEGIN                                                                                      \
    {T_LIVE, 1, 0, 3, NEW_LIFE, PRESENT, 0, 0}, {T_ASKED, 0, 0, 0, 0, PRESENT, 0, 0},              \
    {                                                                                              \
        T_TAKEN, 1, 0, 3, 0, UPDATED, 1, 3                                                         \
    }

static const struct told_history told_histories[] = {
    {"updates that follow are applied at once",
     {BEGIN,
      {T_UPDATE, 1, 3, 4, FOLLOWS, UPDATED, 1, 4},
      {T_UPDATE, 1, 4, 9, FOLLOWS, UPDATED, 1, 9},
      {T_LIVE, 1, 0, 9, KNOWN, UPDATED, 1, 9}}},
    {"one that overlaps follows too", {BEGIN, {T_UPDATE, 1, 1, 4, FOLLOWS, UPDATED, 1, 4}}},
    {"repetitions change nothing",
     {BEGIN,
      {T_UPDATE, 1, 3, 4, FOLLOWS, UPDATED, 1, 4},
      {T_UPDATE, 1, 3, 4, KNOWN, UPDATED, 1, 4},
      {T_UPDATE, 1, 0, 2, KNOWN, UPDATED, 1, 4},
      {T_LIVE, 1, 0, 3, KNOWN, UPDATED, 1, 4}}},
    {"a gap is asked for",
     {BEGIN,
      {T_UPDATE, 1, 4, 5, GAP, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_TAKEN, 1, 0, 5, 0, UPDATED, 1, 5},
      {T_UPDATE, 1, 5, 6, FOLLOWS, UPDATED, 1, 6}}},
    {"an update that does not say since when is a gap",
     {BEGIN, {T_UPDATE, 1, 5, 5, GAP, PRESENT, 1, 3}}},
    {"the missing one may still come, but the later is lacking",
     {BEGIN, {T_UPDATE, 1, 4, 5, GAP, PRESENT, 1, 3}, {T_UPDATE, 1, 3, 4, FOLLOWS, PRESENT, 1, 4}}},
    {"a live of a later version tells of a lost update",
     {BEGIN, {T_LIVE, 1, 0, 4, GAP, PRESENT, 1, 3}}},
    {"a manager that has begun anew is asked",
     {BEGIN,
      {T_UPDATE, 2, 0, 1, NEW_LIFE, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_TAKEN, 2, 0, 1, 0, UPDATED, 2, 1},
      {T_UPDATE, 2, 1, 2, FOLLOWS, UPDATED, 2, 2}}},
    {"even with a lower version, or by a clock set back",
     {BEGIN,
      {T_LIVE, 2, 0, 0, NEW_LIFE, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_TAKEN, 2, 0, 0, 0, UPDATED, 2, 0},
      {T_LIVE, 1, 0, 7, NEW_LIFE, PRESENT, 2, 0},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 2, 0},
      {T_TAKEN, 1, 0, 7, 0, UPDATED, 1, 7}}},
    {"a straggler of an earlier life costs one question",
     {BEGIN,
      {T_UPDATE, 2, 0, 1, NEW_LIFE, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_UPDATE, 1, 4, 5, GAP, PRESENT, 1, 3},
      {T_TAKEN, 2, 0, 1, 0, PRESENT, 2, 1},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 2, 1},
      {T_TAKEN, 2, 0, 1, 0, UPDATED, 2, 1}}},
    {"an update that follows is applied while asking, and overtakes the answer",
     {BEGIN,
      {T_CHANGED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_UPDATE, 1, 3, 4, FOLLOWS, PRESENT, 1, 4},
      {T_OLDER, 1, 0, 3, 0, UPDATED, 1, 4},
      {T_UPDATE, 1, 4, 5, FOLLOWS, UPDATED, 1, 5}}},
    {"the answer covers a gap that was seen while asking",
     {BEGIN,
      {T_UPDATE, 1, 4, 5, GAP, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_UPDATE, 1, 5, 7, GAP, PRESENT, 1, 3},
      {T_UPDATE, 1, 4, 5, GAP, PRESENT, 1, 3},
      {T_TAKEN, 1, 0, 7, 0, UPDATED, 1, 7}}},
    {"or does not, and it is asked once more",
     {BEGIN,
      {T_UPDATE, 1, 4, 5, GAP, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_UPDATE, 1, 6, 7, GAP, PRESENT, 1, 3},
      {T_TAKEN, 1, 0, 6, 0, PRESENT, 1, 6},
      {T_UPDATE, 1, 6, 7, FOLLOWS, PRESENT, 1, 7},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 7},
      {T_TAKEN, 1, 0, 7, 0, UPDATED, 1, 7}}},
    {"a command of ours while asking is not covered by any version",
     {BEGIN,
      {T_CHANGED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_CHANGED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_TAKEN, 1, 0, 9, 0, PRESENT, 1, 9}}},
    {"a failed question leaves the content and its version",
     {BEGIN,
      {T_UPDATE, 1, 4, 5, GAP, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_FAILED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_UPDATE, 1, 3, 6, FOLLOWS, PRESENT, 1, 6}}},
    {"who returns from silence is asked in full",
     {BEGIN,
      {T_SILENCE, 0, 0, 0, 0, OFFLINE, 1, 3},
      {T_LIVE, 1, 0, 3, KNOWN, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_TAKEN, 1, 0, 3, 0, UPDATED, 1, 3}}},
    {"a flag is a flag, whatever came before",
     {BEGIN,
      {T_UPDATE, 0, 0, 0, FLAGGED, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_UPDATE, 0, 0, 0, FLAGGED, PRESENT, 1, 3},
      {T_TAKEN, 1, 0, 4, 0, PRESENT, 1, 4}}},
    {"an answer that tells no version is taken, and nothing follows it",
     {BEGIN,
      {T_CHANGED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_ASKED, 0, 0, 0, 0, PRESENT, 1, 3},
      {T_TAKEN, 0, 0, 0, 0, UPDATED, 0, 0},
      {T_UPDATE, 1, 3, 4, NEW_LIFE, PRESENT, 0, 0}}},
};

static void apply_told(struct hms_sync *sync, const struct told_entry *entry)
{
    const struct hms_sync_point point = {entry->epoch, entry->version};

    switch (entry->event) {
    case T_END:
        break;
    case T_UPDATE:
        assert_int_equal(hms_sync_heard(sync, 0, 1000, point, entry->base), entry->step);
        break;
    case T_LIVE:
        assert_int_equal(hms_sync_heard(sync, 0, 1000, point, entry->version), entry->step);
        break;
    case T_ASKED:
        hms_sync_asked(sync);
        break;
    case T_TAKEN:
    case T_OLDER:
        assert_int_equal(hms_sync_answered(sync, 0, point), entry->event == T_TAKEN);
        break;
    case T_FAILED:
        hms_sync_failed(sync);
        break;
    case T_CHANGED:
        hms_sync_changed(sync);
        break;
    case T_SILENCE:
        assert_int_equal(hms_sync_check(sync, 3001, 0, EXPIRY_MS), HMS_CONTACT_OFFLINE);
        break;
    }
}

static void versions_decide(void **state)
{
    size_t i, step;

    (void)state;
    for (i = 0; i < sizeof(told_histories) / sizeof(told_histories[0]); i++) {
        struct hms_sync sync = {0};

        for (step = 0; told_histories[i].entries[step].event != T_END; step++) {
            const struct told_entry *entry = &told_histories[i].entries[step];

            print_message("%s, step %zu\n", told_histories[i].name, step);
            apply_told(&sync, entry);
            assert_int_equal(sync.status, entry->status);
            assert_int_equal(sync.content.epoch, entry->content_epoch);
            assert_int_equal(sync.content.version, entry->content_version);
        }
    }
}

/* One manager after the other is usual, one after the other after the first is not. */
static void lives_that_return_are_counted(void **state)
{
    static const struct {
        int64_t epoch;
        uint64_t returns;
    } told[] = {{1, 0}, {0, 0}, {1, 0}, {2, 0}, {3, 0}, {3, 0}, {2, 1}, {2, 1}, {3, 2}, {4, 2}};
    struct hms_sync sync = {0};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        hms_sync_heard(&sync, 0, 1000, (struct hms_sync_point){told[i].epoch, 0}, 0);
        assert_int_equal(sync.returns, told[i].returns);
    }
}

/* ---- what the bus lets through ---- */

static void a_deaf_controller_blames_nobody(void **state)
{
    struct hms_sync sync = {0};

    (void)state;
    assert_int_equal(hms_sync_check(&sync, 50, HMS_SYNC_DEAF, EXPIRY_MS), HMS_CONTACT_OFFLINE);
    hms_sync_heard(&sync, 100, 1000, unversioned, 0);
    assert_int_equal(hms_sync_check(&sync, 200, 0, EXPIRY_MS), HMS_CONTACT_ONLINE);
    assert_int_equal(hms_sync_check(&sync, 201, HMS_SYNC_DEAF, EXPIRY_MS), HMS_CONTACT_STALE);
    assert_int_equal(hms_sync_check(&sync, 90000, HMS_SYNC_DEAF, EXPIRY_MS), HMS_CONTACT_STALE);
    assert_int_equal(hms_sync_check(&sync, 93000, 90000, EXPIRY_MS), HMS_CONTACT_STALE);
    assert_int_equal(hms_sync_check(&sync, 93001, 90000, EXPIRY_MS), HMS_CONTACT_OFFLINE);
    hms_sync_heard(&sync, 93002, 1000, unversioned, 0);
    assert_int_equal(hms_sync_check(&sync, 93003, 90000, EXPIRY_MS), HMS_CONTACT_ONLINE);
}

static void deadlines_are_when_the_contact_changes(void **state)
{
    static const int64_t hearing_ms[] = {0, 5000};
    int64_t at_ms;
    size_t i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct hms_sync sync = {0};

        assert_true(hms_sync_deadline(&sync, 0, hearing_ms[i], EXPIRY_MS) == INT64_MAX);
        hms_sync_heard(&sync, 10, 100, unversioned, 0);
        at_ms = hms_sync_deadline(&sync, 11, hearing_ms[i], EXPIRY_MS);
        assert_int_equal(at_ms, (i == 0 ? 10 : 5000) + 201);
        assert_int_equal(hms_sync_check(&sync, at_ms, hearing_ms[i], EXPIRY_MS), HMS_CONTACT_STALE);
        at_ms = hms_sync_deadline(&sync, at_ms, hearing_ms[i], EXPIRY_MS);
        assert_int_not_equal(hms_sync_check(&sync, at_ms - 1, hearing_ms[i], EXPIRY_MS),
                             HMS_CONTACT_OFFLINE);
        assert_int_equal(hms_sync_check(&sync, at_ms, hearing_ms[i], EXPIRY_MS),
                         HMS_CONTACT_OFFLINE);
        assert_true(hms_sync_deadline(&sync, at_ms, hearing_ms[i], EXPIRY_MS) == INT64_MAX);
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
        cmocka_unit_test(versions_decide),
        cmocka_unit_test(lives_that_return_are_counted),
        cmocka_unit_test(a_deaf_controller_blames_nobody),
        cmocka_unit_test(deadlines_are_when_the_contact_changes),
        cmocka_unit_test(periods_are_bounded),
        cmocka_unit_test(words_of_the_protocol),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
