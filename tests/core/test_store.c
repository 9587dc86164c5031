/* The store: round trips, what a crash or a full disk leaves, locks, joined writes, closing. */
#include "core/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/log.h"

#define DEADLINE_MS 30000
#define ERROR_SIZE  512

struct fixture {
    char directory[64];
    char log_path[80];
    int log_fd;
    struct hms_log *log;
    uv_loop_t loop;
    struct hms_store *store;
    json_t *document;
    char error[ERROR_SIZE];
    int snapshots;
    int value; /* what the snapshot says */
    int closed;
    int settled;
    int settled_error;
};

static void remove_all(const char *directory)
{
    DIR *all = opendir(directory);
    struct dirent *entry;

    while (all != NULL && (entry = readdir(all)) != NULL) {
        char *path = hms_asprintf("%s/%s", directory, entry->d_name);

        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlink(path) != 0)
            remove_all(path);
        free(path);
    }
    if (all != NULL)
        closedir(all);
    rmdir(directory);
}

static int set_up(void **state)
{
    struct fixture *fixture = hms_calloc(1, sizeof(*fixture));

    strcpy(fixture->directory, "/tmp/hms-test-store-XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    snprintf(fixture->log_path, sizeof(fixture->log_path), "%s.log", fixture->directory);
    fixture->log_fd = open(fixture->log_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    fixture->log = hms_log_new(fixture->log_fd, HMS_LOG_TEXT, HMS_LOG_DEBUG);
    uv_loop_init(&fixture->loop);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    int left = uv_loop_close(&fixture->loop);

    json_decref(fixture->document);
    hms_log_free(fixture->log);
    close(fixture->log_fd);
    unlink(fixture->log_path);
    remove_all(fixture->directory);
    free(fixture);
    return left;
}

static int open_store(struct fixture *fixture)
{
    json_decref(fixture->document);
    return hms_store_open(&fixture->store, &fixture->loop, fixture->log, fixture->directory,
                          "state", &fixture->document, fixture->error, sizeof(fixture->error));
}

static json_t *snapshot(void *arg)
{
    struct fixture *fixture = arg;

    fixture->snapshots++;
    return json_pack("{s:i}", "value", fixture->value);
}

static void on_closed(void *arg)
{
    struct fixture *fixture = arg;

    fixture->store = NULL;
    fixture->closed++;
}

static void close_store(struct fixture *fixture)
{
    fixture->closed = 0;
    hms_store_close(fixture->store, on_closed, fixture);
    assert_int_equal(fixture->closed, 0);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture->closed, 1);
}

static void write_value(struct fixture *fixture, int value, int64_t delay_ms)
{
    fixture->value = value;
    hms_store_write(fixture->store, delay_ms, snapshot, fixture);
}

static void on_deadline(uv_timer_t *timer)
{
    fail_msg("nothing happened for %d ms", DEADLINE_MS);
}

/* Turns the loop until done(fixture) holds. */
static void run_until(struct fixture *fixture, int (*done)(struct fixture *fixture))
{
    uv_timer_t deadline;

    uv_timer_init(&fixture->loop, &deadline);
    uv_timer_start(&deadline, on_deadline, DEADLINE_MS, 0);
    while (!done(fixture))
        uv_run(&fixture->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
}

static char *path_of(const struct fixture *fixture, const char *name)
{
    return hms_asprintf("%s/%s", fixture->directory, name);
}

static void put_file(const struct fixture *fixture, const char *name, const char *text)
{
    char *path = path_of(fixture, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(path);
}

static int exists(const struct fixture *fixture, const char *name)
{
    char *path = path_of(fixture, name);
    int found = access(path, F_OK) == 0;

    free(path);
    return found;
}

/* The value in the file, or -1 if there is none. */
static int stored(struct fixture *fixture)
{
    char *path = path_of(fixture, "state.json");
    json_t *document = json_load_file(path, 0, NULL);
    int value = document ? (int)json_integer_value(json_object_get(document, "value")) : -1;

    json_decref(document);
    free(path);
    return value;
}

static int has_snapshot(struct fixture *fixture)
{
    return fixture->snapshots > 0;
}

static int is_written(struct fixture *fixture)
{
    return stored(fixture) == fixture->value;
}

static int has_failed(struct fixture *fixture)
{
    return hms_store_failures(fixture->store) > 0;
}

/* Everything logged so far; the caller frees it. */
static char *logged(const struct fixture *fixture)
{
    char *text = hms_calloc(1, 65536);

    assert_true(pread(fixture->log_fd, text, 65535, 0) >= 0);
    return text;
}

static void assert_logged(const struct fixture *fixture, const char *piece)
{
    char *text = logged(fixture);

    if (strstr(text, piece) == NULL)
        fail_msg("not in the log: %s\n%s", piece, text);
    free(text);
}

static void test_round_trip(void **state)
{
    struct fixture *fixture = *state;
    struct stat info;
    char *path = path_of(fixture, "state.json");

    assert_int_equal(open_store(fixture), HMS_OK);
    assert_null(fixture->document);
    write_value(fixture, 7, 0);
    run_until(fixture, is_written);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    close_store(fixture);
    assert_false(exists(fixture, "state.json.tmp"));
    assert_int_equal(open_store(fixture), HMS_OK);
    assert_int_equal(json_integer_value(json_object_get(fixture->document, "value")), 7);
    close_store(fixture);
    assert_int_equal(fixture->snapshots, 1);
    free(path);
}

static void test_close_without_write(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(open_store(fixture), HMS_OK);
    close_store(fixture);
    assert_false(exists(fixture, "state.json"));
}

static void test_close_writes_what_waits(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(open_store(fixture), HMS_OK);
    write_value(fixture, 8, 3600000);
    close_store(fixture);
    assert_int_equal(stored(fixture), 8);
    assert_int_equal(fixture->snapshots, 1);
}

/* A change that comes while a write is on the pool is written after it, also when closing. */
static void test_change_during_a_write(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(open_store(fixture), HMS_OK);
    write_value(fixture, 1, 0);
    run_until(fixture, has_snapshot);
    write_value(fixture, 2, 3600000);
    close_store(fixture);
    assert_int_equal(stored(fixture), 2);
    assert_int_equal(fixture->snapshots, 2);
}

static void test_requests_join(void **state)
{
    struct fixture *fixture = *state;
    int i;

    assert_int_equal(open_store(fixture), HMS_OK);
    for (i = 0; i < 1000; i++)
        write_value(fixture, i, 50);
    run_until(fixture, is_written);
    assert_int_equal(stored(fixture), 999);
    assert_int_equal(fixture->snapshots, 1);
    close_store(fixture);
    assert_int_equal(fixture->snapshots, 1);
}

static void on_settled(void *arg, int error)
{
    struct fixture *fixture = arg;

    fixture->settled++;
    fixture->settled_error = error;
    if (error == HMS_OK) /* what was promised is there */
        assert_int_equal(stored(fixture), fixture->value);
}

static int is_settled(struct fixture *fixture)
{
    return fixture->settled > 0;
}

static void test_sync_waits_for_the_write_that_includes_the_change(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(open_store(fixture), HMS_OK);
    write_value(fixture, 1, 0);
    run_until(fixture, has_snapshot);
    write_value(fixture, 2, 0); /* while the first is on the pool */
    hms_store_sync(fixture->store, on_settled, fixture);
    run_until(fixture, is_settled);
    assert_int_equal(fixture->settled_error, HMS_OK);
    write_value(fixture, 3, 3600000);
    hms_store_sync(fixture->store, on_settled, fixture);
    close_store(fixture);
    assert_int_equal(fixture->settled, 2);
}

static void test_the_shortest_delay_holds(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(open_store(fixture), HMS_OK);
    write_value(fixture, 1, 3600000);
    write_value(fixture, 2, 0);
    write_value(fixture, 3, 3600000);
    run_until(fixture, is_written);
    close_store(fixture);
    assert_int_equal(stored(fixture), 3);
}

static void test_directory_is_made(void **state)
{
    struct fixture *fixture = *state;
    char *deep = path_of(fixture, "a/b");
    struct stat info;

    assert_int_equal(hms_store_open(&fixture->store, &fixture->loop, fixture->log, deep, "state",
                                    &fixture->document, fixture->error, ERROR_SIZE),
                     HMS_OK);
    assert_int_equal(stat(deep, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    close_store(fixture);
    free(deep);
}

static void assert_cannot_open(struct fixture *fixture, const char *name, int result,
                               const char *what)
{
    char *directory = name[0] == '\0' ? hms_strdup("") : path_of(fixture, name);

    assert_int_equal(hms_store_open(&fixture->store, &fixture->loop, fixture->log, directory,
                                    "state", &fixture->document, fixture->error, ERROR_SIZE),
                     result);
    assert_null(fixture->store);
    assert_null(fixture->document);
    if (strstr(fixture->error, what) == NULL)
        fail_msg("not in the error: %s\n%s", what, fixture->error);
    free(directory);
}

static void test_no_directory(void **state)
{
    struct fixture *fixture = *state;

    put_file(fixture, "file", "");
    assert_cannot_open(fixture, "file", HMS_ENOENT, "cannot open directory /tmp/");
    assert_cannot_open(fixture, "file/a/b", HMS_ENOENT, "/file/a/b: Not a directory");
    assert_cannot_open(fixture, "", HMS_ENOENT, "cannot create directory");
}

/* Permissions do not bind root: the child takes another user's place. */
static void test_directory_of_another_user(void **state)
{
    struct fixture *fixture = *state;
    int status;
    pid_t child;

    if (geteuid() != 0)
        skip();
    child = fork();
    if (child == 0)
        _exit(setuid(65534) == 0 && open_store(fixture) == HMS_EPERM &&
                      strstr(fixture->error, "Permission denied") != NULL
                  ? 0
                  : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_lock(void **state)
{
    struct fixture *fixture = *state;
    struct hms_store *other;
    json_t *document;

    assert_int_equal(open_store(fixture), HMS_OK);
    assert_int_equal(hms_store_open(&other, &fixture->loop, fixture->log, fixture->directory,
                                    "state", &document, fixture->error, ERROR_SIZE),
                     HMS_EBUSY);
    assert_non_null(strstr(fixture->error, "/state.lock: another process holds this lock"));
    close_store(fixture);
    assert_int_equal(open_store(fixture), HMS_OK);
    close_store(fixture);
}

static void test_crash_before_the_rename(void **state)
{
    struct fixture *fixture = *state;

    put_file(fixture, "state.json", "{\"value\": 5}");
    put_file(fixture, "state.json.tmp", "{\"val");
    assert_int_equal(open_store(fixture), HMS_OK);
    assert_int_equal(json_integer_value(json_object_get(fixture->document, "value")), 5);
    assert_false(exists(fixture, "state.json.tmp"));
    close_store(fixture);
    assert_int_equal(stored(fixture), 5);
}

/* Kills a writing child again and again: each time the document is whole, and never goes back. */
static void test_kill_while_writing(void **state)
{
    struct fixture *fixture = *state;
    int last = 0;
    int round;

    for (round = 0; round < 20; round++) {
        int snapshots = 1 + round % 3; /* before the kill: all but the last are surely written */
        int i;
        int ready[2];
        char byte;
        pid_t child;

        assert_int_equal(pipe(ready), 0);
        child = fork();
        if (child == 0) {
            uv_loop_t loop;
            int value;

            uv_loop_init(&loop);
            if (hms_store_open(&fixture->store, &loop, fixture->log, fixture->directory, "state",
                               &fixture->document, fixture->error, ERROR_SIZE) != HMS_OK)
                _exit(1);
            for (value = last + 1;; value++) {
                write_value(fixture, value, 0);
                fixture->snapshots = 0;
                while (fixture->snapshots == 0)
                    uv_run(&loop, UV_RUN_ONCE);
                if (write(ready[1], "", 1) != 1)
                    _exit(1);
            }
        }
        close(ready[1]);
        for (i = 0; i < snapshots; i++)
            assert_int_equal(read(ready[0], &byte, 1), 1);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(ready[0]);
        assert_int_equal(open_store(fixture), HMS_OK);
        if (fixture->document != NULL) {
            int value = (int)json_integer_value(json_object_get(fixture->document, "value"));

            assert_true(value >= last + snapshots - 1);
            last = value;
        }
        close_store(fixture);
    }
    assert_true(last > 0);
}

/* The one file whose name begins with state.json.damaged-, with this text. */
static void assert_set_aside(struct fixture *fixture, const char *text)
{
    DIR *all = opendir(fixture->directory);
    struct dirent *entry;
    int found = 0;

    while ((entry = readdir(all)) != NULL) {
        char *path = path_of(fixture, entry->d_name);

        if (strncmp(entry->d_name, "state.json.damaged-2", 20) == 0) {
            char kept[64] = "";
            FILE *file = fopen(path, "r");

            found++;
            assert_non_null(file);
            assert_int_equal(fread(kept, 1, sizeof(kept) - 1, file), strlen(text));
            assert_string_equal(kept, text);
            fclose(file);
            assert_logged(fixture, entry->d_name);
            unlink(path);
        }
        free(path);
    }
    closedir(all);
    assert_int_equal(found, 1);
}

static void test_damaged_file(void **state)
{
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "it is empty"},
        {"{\"value\": 5", "invalid JSON at line 1"},
        {"{\"value\": 5} {}", "invalid JSON at line 1"},
        {"[5]", "it is not a JSON object"},
        {"\xff\xfe\x01", "invalid JSON at line 1"},
    };
    struct fixture *fixture = *state;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_file(fixture, "state.json", cases[i].text);
        assert_int_equal(open_store(fixture), HMS_OK);
        assert_null(fixture->document);
        assert_false(exists(fixture, "state.json"));
        assert_logged(fixture, cases[i].why);
        assert_logged(fixture, "error store: ");
        assert_set_aside(fixture, cases[i].text);
        close_store(fixture);
    }
}

static void test_oversized_file(void **state)
{
    struct fixture *fixture = *state;
    char *path = path_of(fixture, "state.json");

    put_file(fixture, "state.json", "{");
    assert_int_equal(truncate(path, 16 * 1024 * 1024 + 1), 0);
    assert_int_equal(open_store(fixture), HMS_OK);
    assert_null(fixture->document);
    assert_logged(fixture, "it is larger than 16777216 bytes");
    close_store(fixture);
    free(path);
}

static void test_unreadable_file(void **state)
{
    struct fixture *fixture = *state;
    char *path = path_of(fixture, "state.json");

    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(open_store(fixture), HMS_EIO);
    assert_non_null(strstr(fixture->error, "state.json: Is a directory"));
    free(path);
}

static int has_mount_namespace;

/* A file system of four pages, seen by this process only; it goes with the mount namespace. */
static int mount_small(const struct fixture *fixture)
{
    if (!has_mount_namespace)
        return -1;
    return mount("hms-test", fixture->directory, "tmpfs", 0, "size=16k,mode=700");
}

static void fill(const struct fixture *fixture)
{
    char *path = path_of(fixture, "filler");
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    char page[4096] = "";

    while (write(fd, page, sizeof(page)) > 0)
        continue;
    assert_int_equal(errno, ENOSPC);
    close(fd);
    free(path);
}

static void test_full_disk(void **state)
{
    struct fixture *fixture = *state;
    char *filler;

    if (mount_small(fixture) != 0)
        skip();
    filler = path_of(fixture, "filler");
    assert_int_equal(open_store(fixture), HMS_OK);
    write_value(fixture, 1, 0);
    run_until(fixture, is_written);
    fill(fixture);
    write_value(fixture, 2, 0);
    hms_store_sync(fixture->store, on_settled, fixture);
    run_until(fixture, has_failed);
    assert_int_equal(fixture->settled, 1);
    assert_int_equal(fixture->settled_error, HMS_EIO);
    assert_int_equal(stored(fixture), 1);
    assert_logged(fixture, "state.json: No space left on device; will try again");
    write_value(fixture, 3, 0);
    unlink(filler);
    run_until(fixture, is_written);
    assert_int_equal(stored(fixture), 3);
    close_store(fixture);
    assert_logged(fixture, "state.json is written again");
    assert_false(exists(fixture, "state.json.tmp"));
    assert_int_equal(umount(fixture->directory), 0);
    free(filler);
}

/* Closing does not wait for a disk that stays full, whatever the store is doing. */
static void test_close_on_a_full_disk(void **state)
{
    struct fixture *fixture = *state;

    if (mount_small(fixture) != 0)
        skip();
    assert_int_equal(open_store(fixture), HMS_OK);
    write_value(fixture, 1, 0);
    run_until(fixture, is_written);
    fill(fixture);
    write_value(fixture, 2, 0);
    run_until(fixture, has_failed);
    close_store(fixture);
    assert_int_equal(stored(fixture), 1);
    assert_logged(fixture, "its last changes are lost");
    assert_int_equal(umount(fixture->directory), 0);
}

static void test_read_only_disk(void **state)
{
    struct fixture *fixture = *state;

    if (mount_small(fixture) != 0)
        skip();
    assert_int_equal(mount(NULL, fixture->directory, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(open_store(fixture), HMS_EPERM);
    assert_non_null(strstr(fixture->error, "Read-only file system"));
    assert_int_equal(umount(fixture->directory), 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),
        TEST(test_close_without_write),
        TEST(test_close_writes_what_waits),
        TEST(test_change_during_a_write),
        TEST(test_requests_join),
        TEST(test_sync_waits_for_the_write_that_includes_the_change),
        TEST(test_the_shortest_delay_holds),
        TEST(test_directory_is_made),
        TEST(test_no_directory),
        TEST(test_directory_of_another_user),
        TEST(test_lock),
        TEST(test_crash_before_the_rename),
        TEST(test_kill_while_writing),
        TEST(test_damaged_file),
        TEST(test_oversized_file),
        TEST(test_unreadable_file),
        TEST(test_full_disk),
        TEST(test_close_on_a_full_disk),
        TEST(test_read_only_disk),
    };

    /* Where this is not permitted, the tests that mount are skipped. */
    has_mount_namespace =
        unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
