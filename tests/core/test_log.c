/* The log: lines that nothing can forge, and that are never waited for. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/json.h"
#include "core/log.h"

/* A log on a pipe, and what has come out of it. */
struct pipe_log {
    int fds[2];
    struct hms_log *log;
    char text[1 << 20];
};

static struct pipe_log *open_log(enum hms_log_format format, enum hms_log_level level)
{
    struct pipe_log *piped = hms_calloc(1, sizeof(*piped));

    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(piped->fds, O_CLOEXEC), 0); /* blocking: the log must not care */
    fcntl(piped->fds[0], F_SETFL, O_NONBLOCK);
    piped->log = hms_log_new(piped->fds[1], format, level);
    return piped;
}

static char *read_log(struct pipe_log *piped)
{
    ssize_t size = read(piped->fds[0], piped->text, sizeof(piped->text) - 1);

    piped->text[size > 0 ? size : 0] = '\0';
    return piped->text;
}

static void close_log(struct pipe_log *piped)
{
    hms_log_free(piped->log);
    close(piped->fds[0]);
    close(piped->fds[1]);
    free(piped);
}

static int count_of(const char *text, char byte)
{
    int count = 0;

    for (; *text != '\0'; text++)
        count += *text == byte;
    return count;
}

static void writes_text(void **state)
{
    static const struct {
        const char *message;
        const char *line; /* after the time */
    } cases[] = {
        {"hello", " info  test: hello\n"},
        {"", " info  test: \n"},
        {"a\nb", " info  test: a\\x0ab\n"},
        {"\r\x1b[2J\x7f\t", " info  test: \\x0d\\x1b[2J\\x7f\\x09\n"},
        {"\xc3\xa9", " info  test: \xc3\xa9\n"},
        {"\xc2\x9b[2J", " info  test: \\u009b[2J\n"},
        {"\xc2\xa9", " info  test: \xc2\xa9\n"},
        {"\xc2", " info  test: \xc2\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pipe_log *piped = open_log(HMS_LOG_TEXT, HMS_LOG_INFO);

        hms_log(piped->log, HMS_LOG_INFO, "test", "%s", cases[i].message);
        assert_string_equal(read_log(piped) + strlen("2026-01-31T23:59:59.123Z"), cases[i].line);
        close_log(piped);
    }
}

static void text_lines_are_the_message_alone(void **state)
{
    struct pipe_log *piped = open_log(HMS_LOG_TEXT, HMS_LOG_INFO);

    hms_log_fields(piped->log, HMS_LOG_WARN, "test", json_pack("{s:s}", "name", "a"), "said %d", 1);
    assert_string_equal(read_log(piped) + strlen("2026-01-31T23:59:59.123Z"),
                        " warn  test: said 1\n");
    hms_log_fields(piped->log, HMS_LOG_WARN, "test", NULL, "no fields");
    assert_non_null(strstr(read_log(piped), "test: no fields\n"));
    close_log(piped);
}

static void writes_json(void **state)
{
    static const char *const messages[] = {
        "plain",    "",          "quote \" slash \\ /",    "line\nbreak\r\t\x01\x7f",
        "\xc3\xa9", "</script>", "{\"level\":\"forged\"}",
    };

    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct pipe_log *piped = open_log(HMS_LOG_JSON, HMS_LOG_INFO);
        json_t *line;
        char *text;

        /* A field cannot replace what the log says itself. */
        hms_log_fields(piped->log, HMS_LOG_ERROR, "test",
                       json_pack("{s:s, s:s, s:i}", "level", "forged", "name", messages[i], "n", 1),
                       "%s", messages[i]);
        text = read_log(piped);
        assert_int_equal(count_of(text, '\n'), 1);
        line = json_loads(text, 0, NULL);
        assert_non_null(line);
        assert_string_equal(json_string_value(json_object_get(line, "message")), messages[i]);
        assert_string_equal(json_string_value(json_object_get(line, "name")), messages[i]);
        assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
        assert_string_equal(json_string_value(json_object_get(line, "module")), "test");
        assert_int_equal(json_integer_value(json_object_get(line, "n")), 1);
        assert_int_equal(strlen(json_string_value(json_object_get(line, "time"))), 27);
        json_decref(line);
        close_log(piped);
    }
}

/* Whatever the bytes and however many: one line that fits, and JSON that parses. */
static void bounds_lines(void **state)
{
    static const char bytes[] = {'a', '\n', '"', '\\', '\xff', '\xc3', '\x01'};
    static const size_t sizes[] = {1, 100, 600, 1000, 2000, 3000, 100000};

    for (int format = HMS_LOG_TEXT; format <= HMS_LOG_JSON; format++) {
        for (size_t i = 0; i < sizeof(bytes) * (sizeof(sizes) / sizeof(sizes[0])); i++) {
            struct pipe_log *piped = open_log((enum hms_log_format)format, HMS_LOG_INFO);
            size_t size = sizes[i / sizeof(bytes)];
            char *message = hms_malloc(size + 1);
            char *text;

            memset(message, bytes[i % sizeof(bytes)], size);
            message[size] = '\0';
            hms_log_fields(piped->log, HMS_LOG_INFO, "test",
                           json_pack("{s:o}", "field", hms_json_text(message)), "%s", message);
            text = read_log(piped);
            assert_int_equal(count_of(text, '\n'), 1);
            assert_true(strlen(text) <= PIPE_BUF);
            assert_int_equal(text[strlen(text) - 1], '\n');
            if (format == HMS_LOG_JSON) {
                json_t *line = json_loads(text, 0, NULL);

                assert_non_null(line);
                assert_true(json_string_length(json_object_get(line, "message")) > 0);
                assert_non_null(json_object_get(line, "time"));
                json_decref(line);
            }
            free(message);
            close_log(piped);
        }
    }
}

static void writes_from_its_level_on(void **state)
{
    for (int level = HMS_LOG_DEBUG; level <= HMS_LOG_ERROR; level++) {
        struct pipe_log *piped = open_log(HMS_LOG_TEXT, (enum hms_log_level)level);

        for (int line = HMS_LOG_DEBUG; line <= HMS_LOG_ERROR; line++) {
            hms_log(piped->log, (enum hms_log_level)line, "test", "line");
            hms_log_fields(piped->log, (enum hms_log_level)line, "test", json_object(), "line");
            assert_int_equal(count_of(read_log(piped), '\n'), line >= level ? 2 : 0);
            assert_int_equal(hms_log_enabled(piped->log, (enum hms_log_level)line), line >= level);
        }
        close_log(piped);
    }
}

static void drops_what_is_not_read_and_says_so(void **state)
{
    for (int format = HMS_LOG_TEXT; format <= HMS_LOG_JSON; format++) {
        struct pipe_log *piped = open_log((enum hms_log_format)format, HMS_LOG_INFO);
        int written = 0;
        char *text;

        while (hms_log_dropped(piped->log) < 3) { /* never blocks, though the pipe would */
            hms_log(piped->log, HMS_LOG_INFO, "test", "line %d", written++);
            assert_true(written < 1000000);
        }
        text = read_log(piped);
        assert_int_equal(count_of(text, '\n'), written - 3);
        assert_int_equal(text[strlen(text) - 1], '\n');
        hms_log(piped->log, HMS_LOG_INFO, "test", "after");
        text = read_log(piped);
        assert_int_equal(count_of(text, '\n'), 2);
        assert_non_null(strstr(text, "3 lines dropped"));
        assert_true(strstr(text, "after") > strstr(text, "dropped"));
        hms_log(piped->log, HMS_LOG_INFO, "test", "later");
        assert_null(strstr(read_log(piped), "dropped"));
        assert_int_equal(hms_log_dropped(piped->log), 3);
        close_log(piped);
    }
}

static void survives_a_reader_that_left(void **state)
{
    struct pipe_log *piped = open_log(HMS_LOG_TEXT, HMS_LOG_INFO);

    close(piped->fds[0]);
    for (int i = 0; i < 10; i++)
        hms_log(piped->log, HMS_LOG_INFO, "test", "to nobody");
    assert_int_equal(hms_log_dropped(piped->log), 10);
    piped->fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close_log(piped);
}

static void limits_repeated_messages(void **state)
{
    static const struct {
        int64_t now_ms;
        int passes;
        uint64_t suppressed; /* afterwards */
    } cases[] = {
        {5000, 1, 0}, {5001, 1, 0}, {5002, 0, 1}, {5999, 0, 2}, {6000, 1, 0},
        {6000, 1, 0}, {6000, 0, 1}, {9000, 1, 0}, {9999, 1, 0}, {10000, 1, 0},
    };
    struct hms_log_limit limit = {.period_ms = 1000, .burst = 2};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(hms_log_limit_pass(&limit, cases[i].now_ms), cases[i].passes);
        assert_int_equal(limit.suppressed, cases[i].suppressed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_text),
        cmocka_unit_test(text_lines_are_the_message_alone),
        cmocka_unit_test(writes_json),
        cmocka_unit_test(bounds_lines),
        cmocka_unit_test(writes_from_its_level_on),
        cmocka_unit_test(drops_what_is_not_read_and_says_so),
        cmocka_unit_test(survives_a_reader_that_left),
        cmocka_unit_test(limits_repeated_messages),
    };

    hms_alloc_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
