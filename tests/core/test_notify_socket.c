/* What a service manager hears, on a socket of the test's. */
#include "core/notify_socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/log.h"

struct fixture {
    uv_loop_t loop;
    struct hms_log *log;
    int log_fds[2];
    int fd; /* the service manager's, with a name that the kernel chose */
};

static void set_number(const char *name, long value)
{
    char text[32];

    snprintf(text, sizeof(text), "%ld", value);
    setenv(name, text, 1);
}

static int set_up(void **state)
{
    struct fixture *fixture = hms_calloc(1, sizeof(*fixture));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof(address.sun_family);

    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    assert_int_equal(pipe(fixture->log_fds), 0);
    fixture->log = hms_log_new(fixture->log_fds[1], HMS_LOG_TEXT, HMS_LOG_DEBUG);
    fixture->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fixture->fd, (struct sockaddr *)&address, size), 0);
    size = sizeof(address);
    assert_int_equal(getsockname(fixture->fd, (struct sockaddr *)&address, &size), 0);
    address.sun_path[0] = '@';
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    hms_log_free(fixture->log);
    close(fixture->log_fds[0]);
    close(fixture->log_fds[1]);
    close(fixture->fd);
    free(fixture);
    return 0;
}

/* The next datagram, "" if there is none. */
static const char *heard(struct fixture *fixture)
{
    static char text[256];
    ssize_t size = recv(fixture->fd, text, sizeof(text) - 1, 0);

    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void close_all(struct fixture *fixture, struct hms_notify_socket *notify)
{
    hms_notify_socket_close(notify);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
}

/* What was logged since the start, up to the size of the array. */
static void assert_logged(struct fixture *fixture, const char *piece)
{
    char text[512];
    ssize_t size;

    hms_log(fixture->log, HMS_LOG_INFO, "test", "end");
    size = read(fixture->log_fds[0], text, sizeof(text) - 1);
    assert_true(size > 0);
    text[size] = '\0';
    assert_non_null(strstr(text, piece));
}

static void test_messages(void **state)
{
    struct fixture *fixture = *state;
    struct hms_notify_socket *notify = hms_notify_socket_open(&fixture->loop, fixture->log);

    hms_notify_socket_send(notify, "READY=1");
    hms_notify_socket_send(notify, "STATUS=fine");
    assert_string_equal(heard(fixture), "READY=1");
    assert_string_equal(heard(fixture), "STATUS=fine");
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    assert_string_equal(heard(fixture), "");
    close_all(fixture, notify);
}

static void test_path(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct hms_notify_socket *notify;

    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/hms-test-notify-%d", (int)getpid());
    close(fixture->fd);
    fixture->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fixture->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    notify = hms_notify_socket_open(&fixture->loop, fixture->log);
    hms_notify_socket_send(notify, "STOPPING=1");
    assert_string_equal(heard(fixture), "STOPPING=1");
    unlink(address.sun_path);
    close_all(fixture, notify);
}

static void test_nobody_listens(void **state)
{
    struct fixture *fixture = *state;
    struct hms_notify_socket *notify;

    unsetenv("NOTIFY_SOCKET");
    set_number("WATCHDOG_USEC", 10000);
    notify = hms_notify_socket_open(&fixture->loop, fixture->log);
    hms_notify_socket_send(notify, "READY=1");
    close_all(fixture, notify);
    assert_string_equal(heard(fixture), "");
}

static void test_listener_that_is_gone(void **state)
{
    struct fixture *fixture = *state;
    struct hms_notify_socket *notify;

    setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
    notify = hms_notify_socket_open(&fixture->loop, fixture->log);
    hms_notify_socket_send(notify, "READY=1");
    hms_notify_socket_send(notify, "READY=1");
    close_all(fixture, notify);
    assert_logged(fixture, "cannot notify the service manager: No such file or directory\n");
}

static void test_bad_address(void **state)
{
    struct fixture *fixture = *state;
    char too_long[200];
    const char *const names[] = {"notify", "/", too_long};
    size_t i;

    memset(too_long, 'x', sizeof(too_long));
    too_long[0] = '/';
    too_long[sizeof(too_long) - 1] = '\0';
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct hms_notify_socket *notify;

        setenv("NOTIFY_SOCKET", names[i], 1);
        notify = hms_notify_socket_open(&fixture->loop, fixture->log);
        hms_notify_socket_send(notify, "READY=1");
        close_all(fixture, notify);
        assert_logged(fixture, "NOTIFY_SOCKET is neither ");
    }
}

static void on_enough(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
}

/* Runs the loop for ten of the watchdog's periods and counts the signs of life. */
static int count_beats(struct fixture *fixture)
{
    struct hms_notify_socket *notify = hms_notify_socket_open(&fixture->loop, fixture->log);
    uv_timer_t enough;
    int beats = 0;

    uv_timer_init(&fixture->loop, &enough);
    uv_timer_start(&enough, on_enough, 100, 0);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    while (strcmp(heard(fixture), "WATCHDOG=1") == 0)
        beats++;
    close_all(fixture, notify);
    return beats;
}

static void test_watchdog(void **state)
{
    struct fixture *fixture = *state;

    set_number("WATCHDOG_USEC", 20000);
    assert_true(count_beats(fixture) >= 2);
    set_number("WATCHDOG_PID", getpid());
    assert_true(count_beats(fixture) >= 2);
    set_number("WATCHDOG_PID", 1);
    assert_int_equal(count_beats(fixture), 0);
}

static void test_bad_watchdog(void **state)
{
    static const char *const texts[] = {"0", "1999", "-1", "often"};
    struct fixture *fixture = *state;
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        setenv("WATCHDOG_USEC", texts[i], 1);
        assert_int_equal(count_beats(fixture), 0);
        assert_logged(fixture, "WATCHDOG_USEC must be ");
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_messages),       TEST(test_path),
        TEST(test_nobody_listens), TEST(test_listener_that_is_gone),
        TEST(test_bad_address),    TEST(test_watchdog),
        TEST(test_bad_watchdog),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
