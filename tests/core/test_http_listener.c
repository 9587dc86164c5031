/* Addresses and socket files. */
#include "http_fixture.h"

#include <sys/stat.h>

#include "core/http_listener.h"

static void opens_addresses(void **state)
{
    static const struct {
        const char *where;
        int code;
        const char *result; /* how what it listens on begins */
    } cases[] = {
        {"127.0.0.1:0", HMS_OK, "127.0.0.1:"},
        {"localhost:0", HMS_OK, "127.0.0.1:"},
        {"0.0.0.0:0", HMS_OK, "0.0.0.0:"},
        {"[::1]:0", HMS_OK, "[::1]:"},
        {"", HMS_EINVAL, ""},
        {":80", HMS_EINVAL, ""},
        {"127.0.0.1", HMS_EINVAL, ""},
        {"127.0.0.1:", HMS_EINVAL, ""},
        {"127.0.0.1:x", HMS_EINVAL, ""},
        {"127.0.0.1:-1", HMS_EINVAL, ""},
        {"127.0.0.1:65536", HMS_EINVAL, ""},
        {"127.0.0.1:999999999999", HMS_EINVAL, ""},
        {"127.0.0.1:80 ", HMS_EINVAL, ""},
        {"256.0.0.1:0", HMS_EINVAL, ""},
        {"::1:0", HMS_EINVAL, ""},
        {"[::1]", HMS_EINVAL, ""},
        {"[", HMS_EINVAL, ""},
        {"[:0", HMS_EINVAL, ""},
        {"[]:0", HMS_EINVAL, ""},
        {"example.org:80", HMS_EINVAL, ""},
        {"192.0.2.1:0", HMS_EIO, ""},
        {"unix:", HMS_EINVAL, ""},
        {"unix:/no/such/folder/hms.sock", HMS_EIO, ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hms_http_listener listener;
        char error[256] = "";
        int code = hms_http_listener_open(&listener, cases[i].where, error, sizeof(error));

        if (code != cases[i].code)
            fail_msg("%s: %s (%s)", cases[i].where, hms_strerror(code), error);
        if (code != HMS_OK) {
            assert_non_null(strstr(error, cases[i].where));
            continue;
        }
        assert_int_equal(strncmp(listener.where, cases[i].result, strlen(cases[i].result)), 0);
        assert_int_not_equal(atoi(strrchr(listener.where, ':') + 1), 0);
        hms_http_listener_close(&listener);
    }
}

static void says_when_an_address_is_taken(void **state)
{
    struct hms_http_listener first, second;
    char error[256];

    assert_int_equal(hms_http_listener_open(&first, "127.0.0.1:0", error, sizeof(error)), HMS_OK);
    assert_int_equal(hms_http_listener_open(&second, first.where, error, sizeof(error)), HMS_EBUSY);
    hms_http_listener_close(&first);
}

/* A folder of its own for socket files. */
struct folder {
    char path[64];
    char where[128];
    const char *file;
};

static void folder_make(struct folder *folder)
{
    strcpy(folder->path, "/tmp/hms_listener_XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    snprintf(folder->where, sizeof(folder->where), "unix:%s/socket", folder->path);
    folder->file = folder->where + strlen("unix:");
}

static void folder_remove(struct folder *folder)
{
    assert_int_equal(rmdir(folder->path), 0); /* it is empty: the file was removed */
}

static void gives_the_socket_its_mode(void **state)
{
    static const mode_t umasks[] = {0, 022, 077};

    for (size_t i = 0; i < sizeof(umasks) / sizeof(umasks[0]); i++) {
        struct hms_http_listener listener;
        struct folder folder;
        struct stat file;
        char error[256];
        mode_t before;

        folder_make(&folder);
        before = umask(umasks[i]);
        assert_int_equal(hms_http_listener_open(&listener, folder.where, error, sizeof(error)),
                         HMS_OK);
        umask(before);
        assert_int_equal(stat(folder.file, &file), 0);
        assert_int_equal(file.st_mode & 07777, 0660);
        assert_string_equal(listener.where, folder.where);
        hms_http_listener_close(&listener);
        folder_remove(&folder);
    }
}

static void replaces_only_what_nobody_listens_on(void **state)
{
    struct hms_http_listener listener, other;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct folder folder;
    struct stat file;
    char error[256];
    int fd;

    folder_make(&folder);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", folder.file);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* its owner dies without unlink() */
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    assert_int_equal(hms_http_listener_open(&listener, folder.where, error, sizeof(error)), HMS_OK);
    assert_int_equal(hms_http_listener_open(&other, folder.where, error, sizeof(error)), HMS_EBUSY);
    assert_int_equal(stat(folder.file, &file), 0);
    hms_http_listener_close(&listener);
    assert_int_not_equal(stat(folder.file, &file), 0);

    fd = open(folder.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600); /* no socket at all */
    close(fd);
    assert_int_equal(hms_http_listener_open(&other, folder.where, error, sizeof(error)), HMS_EBUSY);
    assert_int_equal(stat(folder.file, &file), 0);
    assert_true(S_ISREG(file.st_mode));
    unlink(folder.file);
    folder_remove(&folder);
}

static void removes_only_its_own_file(void **state)
{
    struct hms_http_listener listener;
    struct folder folder;
    struct stat file;
    char error[256];

    folder_make(&folder);
    assert_int_equal(hms_http_listener_open(&listener, folder.where, error, sizeof(error)), HMS_OK);
    unlink(folder.file);
    close(open(folder.file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    hms_http_listener_close(&listener);
    assert_int_equal(stat(folder.file, &file), 0);
    unlink(folder.file);
    folder_remove(&folder);
}

static void serves_on_a_unix_socket(void **state)
{
    struct fixture fixture;
    struct folder folder;
    struct client client;

    folder_make(&folder);
    fixture_open(&fixture, folder.where, NULL);
    assert_string_equal(hms_http_server_where(fixture.server), folder.where);
    check_alive(&fixture);
    client_connect(&client, &fixture);
    client_send(&client, &fixture, "GET /park HTTP/1.1\r\n" H "\r\nGET /big HTTP/1.1\r\n" H "\r\n");
    fixture_until(&fixture, &client, fixture.parked_count == 1);
    assert_true(hms_http_is_local_socket(fixture.parked[0]));
    fixture_answer(&fixture, 0, "[parked]");
    client_send(&client, &fixture, "nonsense\r\n");
    fixture_until(&fixture, &client, client_count(&client, "400 Bad Request") == 1);
    assert_true(client.in.size_bytes > BIG_BYTES);
    client_close(&client);
    fixture_close(&fixture);
    folder_remove(&folder);
}

static void knows_who_is_not_local(void **state)
{
    struct fixture fixture;
    struct client client;

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    client_connect(&client, &fixture);
    client_send(&client, &fixture, "GET /park HTTP/1.1\r\n" H "X-Test: 1\r\n\r\n");
    fixture_until(&fixture, &client, fixture.parked_count == 1);
    assert_false(hms_http_is_local_socket(fixture.parked[0]));
    assert_string_equal(hms_http_header(fixture.parked[0], "x-test"), "1");
    client_close(&client);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_addresses),
        cmocka_unit_test(says_when_an_address_is_taken),
        cmocka_unit_test(gives_the_socket_its_mode),
        cmocka_unit_test(replaces_only_what_nobody_listens_on),
        cmocka_unit_test(removes_only_its_own_file),
        cmocka_unit_test(serves_on_a_unix_socket),
        cmocka_unit_test(knows_who_is_not_local),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
