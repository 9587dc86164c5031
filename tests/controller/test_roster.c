/* The roster and its file, on a real disk. */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "controller/roster.h"
#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"

struct world {
    uv_loop_t loop;
    struct hms_log *log;
    char folder[64];
    struct hms_roster *roster;
    int saved, closed;
};

static void open_roster(struct world *world)
{
    char error[256];

    assert_int_equal(hms_roster_open(&world->roster, &world->loop, world->log,
                                     *world->folder ? world->folder : NULL, error, sizeof(error)),
                     HMS_OK);
}

static void on_saved(void *arg)
{
    ((struct world *)arg)->saved++;
}

static void on_closed(void *arg)
{
    ((struct world *)arg)->closed++;
}

static void close_roster(struct world *world)
{
    hms_roster_close(world->roster, on_closed, world);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->closed, 1);
    world->closed = 0;
}

static int setup(void **state)
{
    struct world *world = hms_calloc(1, sizeof(*world));

    uv_loop_init(&world->loop);
    world->log = hms_log_new(STDERR_FILENO, HMS_LOG_TEXT, HMS_LOG_ERROR);
    strcpy(world->folder, "/tmp/hms-test-roster-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    *state = world;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    return remove(path);
}

static int teardown(void **state)
{
    struct world *world = *state;

    assert_int_equal(uv_loop_close(&world->loop), 0);
    nftw(world->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    hms_log_free(world->log);
    free(world);
    return 0;
}

static struct hms_roster_host *add(struct world *world, const char *address, const char *text)
{
    struct hms_roster_host *host = hms_roster_add(world->roster, address);
    json_t *request = json_loads(text, 0, NULL);
    char error[256];

    assert_int_equal(hms_reach_read(&host->reach, request, address, error, sizeof(error)), HMS_OK);
    json_decref(request);
    return host;
}

static void hosts_survive(void **state)
{
    struct world *world = *state;
    struct hms_roster_host *host;
    struct stat status;
    char *path;

    open_roster(world);
    add(world, "10.0.0.1", "{\"docker\":\"none\"}")->membership = HMS_JOINED;
    host = add(world, "10.0.0.2", "{\"password\":\"top secret\"}");
    host->membership = HMS_LEAVING;
    host->wants_antagonist = 1;
    hms_roster_save(world->roster, on_saved, world);
    close_roster(world);
    assert_int_equal(world->saved, 1);

    path = hms_asprintf("%s/controller.json", world->folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    free(path);

    open_roster(world);
    assert_int_equal(hms_roster_count(world->roster), 2);
    host = hms_roster_find(world->roster, "10.0.0.1");
    assert_int_equal(host->membership, HMS_JOINED);
    assert_null(host->reach.docker);
    host = hms_roster_find(world->roster, "10.0.0.2");
    assert_int_equal(host->membership, HMS_LEAVING);
    assert_true(host->wants_antagonist);
    assert_string_equal(hms_reach_credentials(&host->reach), "needed");
    hms_roster_remove(world->roster, host);
    assert_null(hms_roster_find(world->roster, "10.0.0.2"));
    close_roster(world);
}

static void what_is_damaged_is_left_out(void **state)
{
    struct world *world = *state;
    char *path = hms_asprintf("%s/controller.json", world->folder);
    FILE *file = fopen(path, "w");

    fputs("{\"version\":1,\"hosts\":{"
          "\"10.0.0.1\":{\"docker\":\"none\",\"membership\":\"joined\"},"
          "\"here\":{\"docker\":\"none\",\"membership\":\"joined\"},"
          "\"10.0.0.2\":{\"docker\":\"none\",\"membership\":\"gone\"},"
          "\"10.0.0.3\":{\"docker\":\"what\",\"membership\":\"joined\"},"
          "\"10.0.0.4\":7}}",
          file);
    fclose(file);
    free(path);
    open_roster(world);
    assert_int_equal(hms_roster_count(world->roster), 1);
    assert_non_null(hms_roster_find(world->roster, "10.0.0.1"));
    close_roster(world);
}

static void there_is_a_limit(void **state)
{
    struct world *world = *state;
    char address[32];
    int i;

    open_roster(world);
    for (i = 0; i < HMS_ROSTER_HOSTS_MAX; i++) {
        snprintf(address, sizeof(address), "10.0.%d.%d", i / 256, i % 256);
        assert_non_null(hms_roster_add(world->roster, address));
    }
    assert_null(hms_roster_add(world->roster, "10.1.0.0"));
    close_roster(world);
}

static void without_a_folder_nothing_is_kept(void **state)
{
    struct world *world = *state;
    char folder[sizeof(world->folder)];

    strcpy(folder, world->folder);
    *world->folder = '\0';
    open_roster(world);
    add(world, "10.0.0.1", "{\"docker\":\"none\"}");
    hms_roster_save(world->roster, on_saved, world);
    assert_int_equal(world->saved, 0);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->saved, 1);
    hms_roster_save(world->roster, on_saved, world);
    close_roster(world);
    assert_int_equal(world->saved, 2);
    strcpy(world->folder, folder);
}

static void a_roster_has_one_origin(void **state)
{
    struct world *world = *state;
    char origin[32];

    open_roster(world);
    assert_string_equal(hms_roster_origin(world->roster), "");
    assert_true(hms_roster_share(world->roster, "0123456789abcdef"));
    hms_roster_found(world->roster); /* it has one */
    assert_string_equal(hms_roster_origin(world->roster), "0123456789abcdef");
    assert_true(hms_roster_share(world->roster, NULL)); /* there is nothing to lose */
    hms_roster_found(world->roster);
    snprintf(origin, sizeof(origin), "%s", hms_roster_origin(world->roster));
    assert_int_equal(strlen(origin), 16);
    add(world, "10.0.0.1", "{\"docker\":\"none\"}")->membership = HMS_JOINED;
    hms_roster_save(world->roster, NULL, NULL);
    close_roster(world);

    open_roster(world);
    assert_string_equal(hms_roster_origin(world->roster), origin);
    assert_true(hms_roster_share(world->roster, origin));
    assert_false(hms_roster_share(world->roster, "0123456789abcdef"));
    assert_false(hms_roster_share(world->roster, NULL));
    assert_string_equal(hms_roster_origin(world->roster), origin);
    close_roster(world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hosts_survive),           TEST(what_is_damaged_is_left_out),
        TEST(there_is_a_limit),        TEST(without_a_folder_nothing_is_kept),
        TEST(a_roster_has_one_origin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
