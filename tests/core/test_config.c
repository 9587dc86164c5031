/* Configuration: every type, its bounds, the sources and their precedence, and what users read. */
#include "core/config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/alloc.h"

enum mode { MODE_SEEN, MODE_ALL };

struct target {
    const char *name;
    const char *const *peers;
    const char *token;
    const char *key;
    const char *home;
    const char *shared;
    const char *foreign;
    int count;
    int64_t wait_ms;
    double share_pct;
    int observe;
    enum mode mode;
    int finished;
};

static const char *const mode_words[] = {"seen", "all", NULL};
static const char *const all_commands[] = {"try", "other", NULL};
enum { TRY = 1, OTHER = 2 };
static int home_is_known = 1;

static char *derive_home(void)
{
    return home_is_known ? hms_strdup("/found") : NULL;
}

static const char *check_slash(const char *text)
{
    return text[0] == '/' ? NULL : "an absolute path";
}

#define FIELD(field) HMS_OPTION_FIELD(struct target, field)

static const struct hms_option options[] = {
    {.name = "name",
     .type = HMS_OPTION_STRING,
     FIELD(name),
     .group = "Names",
     .metavar = "NAME",
     .help = "what it is called"},
    {.name = "peers",
     .type = HMS_OPTION_LIST,
     FIELD(peers),
     .group = "Names",
     .metavar = "NAME,...",
     .help = "whom it knows"},
    {.name = "token",
     .type = HMS_OPTION_STRING,
     FIELD(token),
     .group = "Names",
     .metavar = "TEXT",
     .help = "a secret",
     .secret = 1,
     .check = check_slash},
    {.name = "key",
     .type = HMS_OPTION_STRING,
     FIELD(key),
     .group = "Names",
     .help = "a secret for the environment alone",
     .secret = 1,
     .environment_only = 1},
    {.name = "home",
     .type = HMS_OPTION_STRING,
     FIELD(home),
     .group = "Names",
     .metavar = "DIR",
     .help = "where it lives",
     .check = check_slash,
     .derive = derive_home,
     .derived = "its home"},
    {.name = "count",
     .type = HMS_OPTION_INTEGER,
     FIELD(count),
     .group = "Numbers",
     .metavar = "N",
     .help = "how many of the things that this text, long enough to be wrapped, is about",
     .min = 1,
     .max = 100,
     .fallback = "20"},
    {.name = "stop-wait-ms",
     .type = HMS_OPTION_INTEGER,
     FIELD(wait_ms),
     .group = "Numbers",
     .metavar = "MS",
     .help = "how long",
     .unit = "ms",
     .min = -5,
     .max = 5e9,
     .fallback = "250"},
    {.name = "share",
     .type = HMS_OPTION_NUMBER,
     FIELD(share_pct),
     .group = "Numbers",
     .metavar = "PCT",
     .help = "how much",
     .unit = "%",
     .min = 0,
     .max = 100,
     .fallback = "60"},
    {.name = "observe",
     .type = HMS_OPTION_FLAG,
     FIELD(observe),
     .group = "Words",
     .help = "only look",
     .fallback = "no"},
    {.name = "mode",
     .type = HMS_OPTION_ENUM,
     FIELD(mode),
     .group = "Words",
     .help = "which",
     .words = mode_words,
     .fallback = "seen"},
    {.name = "shared",
     .type = HMS_OPTION_STRING,
     FIELD(shared),
     .group = "Others",
     .metavar = "TEXT",
     .help = "of two commands",
     .commands = TRY | OTHER},
    {.name = "foreign",
     .type = HMS_OPTION_STRING,
     FIELD(foreign),
     .group = "Others",
     .metavar = "TEXT",
     .help = "of the other command",
     .check = check_slash,
     .commands = OTHER,
     .required = 1},
};

static int finish(void *target, char *error, size_t error_size)
{
    struct target *all = target;

    if (all->mode == MODE_ALL && all->observe) {
        snprintf(error, error_size, "--mode all: not together with --observe");
        return -1;
    }
    all->finished = 1;
    return 0;
}

static const struct hms_config_spec spec = {
    .command = "try",
    .summary = "Try it.",
    .all_commands = all_commands,
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .finish = finish,
};

static const struct hms_config_spec other_spec = {
    .command = "other",
    .summary = "Try something else.",
    .all_commands = all_commands,
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
};

/* One load and what came of it. */
struct run {
    struct target target;
    struct hms_config *config;
    int go_on;
    int status;
    char *out;
    char *err;
};

#define ARGS_MAX 8

static struct run load(const struct hms_config_spec *command, const char *const *args)
{
    char *argv[ARGS_MAX + 2] = {(char *)command->command};
    struct run run = {.status = -1};
    size_t out_size, err_size;
    FILE *out = open_memstream(&run.out, &out_size);
    FILE *err = open_memstream(&run.err, &err_size);
    int argc = 1;

    for (; *args != NULL; args++)
        argv[argc++] = (char *)*args;
    run.go_on =
        hms_config_load(&run.config, command, argc, argv, &run.target, out, err, &run.status);
    fclose(out);
    fclose(err);
    assert_int_equal(run.go_on, run.config != NULL);
    return run;
}

#define LOAD(...)       load(&spec, (const char *const[]){__VA_ARGS__, NULL})
#define LOAD_NOTHING()  load(&spec, (const char *const[]){NULL})
#define LOAD_OTHER(...) load(&other_spec, (const char *const[]){__VA_ARGS__, NULL})

static void end(struct run *run)
{
    hms_config_free(run->config);
    free(run->out);
    free(run->err);
}

/* `arguments`, one word or two, are refused with exactly this error. */
static void assert_refused(const char *first, const char *second, const char *error)
{
    struct run run = LOAD(first, second);
    char *whole = hms_asprintf("hms try: %s\nTry 'hms try --help'.\n", error);

    assert_string_equal(run.err, whole);
    assert_string_equal(run.out, "");
    assert_int_equal(run.go_on, 0);
    assert_int_equal(run.status, 2);
    free(whole);
    end(&run);
}

static char file_path[] = "/tmp/hms-test-config-XXXXXX";

static void write_bytes(const char *text, size_t size)
{
    int fd = open(file_path, O_WRONLY | O_TRUNC);

    assert_int_equal(write(fd, text, size), size);
    close(fd);
}

static void write_file(const char *text)
{
    write_bytes(text, strlen(text));
}

/* A file with this text is refused with "PATH" followed by `error`. */
static void assert_file_refused(const char *text, const char *error)
{
    char *whole = hms_asprintf("%s%s", file_path, error);

    write_file(text);
    assert_refused("--config", file_path, whole);
    free(whole);
}

static int set_up(void **state)
{
    int fd = mkstemp(file_path);

    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    return unlink(file_path);
}

static int clear_environment(void **state)
{
    static const char *const names[] = {"HMS_NAME",    "HMS_PEERS",        "HMS_COUNT", "HMS_SHARE",
                                        "HMS_CONFIG",  "HMS_STOP_WAIT_MS", "HMS_MODE",  "HMS_TOKEN",
                                        "HMS_OBSERVE", "HMS_FOREIGN",      "HMS_KEY"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    home_is_known = 1;
    return 0;
}

static void test_defaults(void **state)
{
    struct run run = LOAD_NOTHING();

    assert_int_equal(run.go_on, 1);
    assert_null(run.target.name);
    assert_null(run.target.peers);
    assert_null(run.target.token);
    assert_string_equal(run.target.home, "/found");
    assert_int_equal(run.target.count, 20);
    assert_int_equal(run.target.wait_ms, 250);
    assert_true(run.target.share_pct == 60);
    assert_int_equal(run.target.observe, 0);
    assert_int_equal(run.target.mode, MODE_SEEN);
    assert_int_equal(run.target.finished, 1);
    end(&run);
}

static void test_every_type_from_flags(void **state)
{
    struct run run = LOAD("--name", "n 1", "--peers=a,b", "--stop-wait-ms=-5", "--share", "1.5e1",
                          "--mode=all", "--count=100");

    assert_int_equal(run.go_on, 1);
    assert_string_equal(run.target.name, "n 1");
    assert_string_equal(run.target.peers[0], "a");
    assert_string_equal(run.target.peers[1], "b");
    assert_null(run.target.peers[2]);
    assert_int_equal(run.target.wait_ms, -5);
    assert_true(run.target.share_pct == 15);
    assert_int_equal(run.target.mode, MODE_ALL);
    assert_int_equal(run.target.count, 100);
    end(&run);
}

static void test_wide_integer(void **state)
{
    struct run run = LOAD("--stop-wait-ms", "5000000000");

    assert_true(run.target.wait_ms == INT64_C(5000000000));
    end(&run);
}

static void test_last_flag_holds(void **state)
{
    struct run run =
        LOAD("--observe", "--count=1", "--no-observe", "--count=2", "--peers=a,b", "--peers=c");

    assert_int_equal(run.go_on, 1);
    assert_int_equal(run.target.observe, 0);
    assert_int_equal(run.target.count, 2);
    assert_string_equal(run.target.peers[0], "c");
    assert_null(run.target.peers[1]);
    end(&run);
}

static void test_bad_values(void **state)
{
    static const struct {
        const char *flag;
        const char *value;
        const char *must;
    } cases[] = {
        {"--count", "0", "a whole number from 1 to 100"},
        {"--count", "101", "a whole number from 1 to 100"},
        {"--count", "7x", "a whole number from 1 to 100"},
        {"--count", " 7", "a whole number from 1 to 100"},
        {"--count", "+7", "a whole number from 1 to 100"},
        {"--count", "1e1", "a whole number from 1 to 100"},
        {"--count", "", "a whole number from 1 to 100"},
        {"--count", "-", "a whole number from 1 to 100"},
        {"--count", "99999999999999999999", "a whole number from 1 to 100"},
        {"--stop-wait-ms", "-6", "a whole number from -5 to 5000000000 ms"},
        {"--share", "100.01", "a number from 0 to 100 %"},
        {"--share", "-1", "a number from 0 to 100 %"},
        {"--share", "nan", "a number from 0 to 100 %"},
        {"--share", "inf", "a number from 0 to 100 %"},
        {"--share", "0x10", "a number from 0 to 100 %"},
        {"--share", "1e999", "a number from 0 to 100 %"},
        {"--share", "60%", "a number from 0 to 100 %"},
        {"--share", "", "a number from 0 to 100 %"},
        {"--mode", "al", "one of seen, all"},
        {"--mode", "ALL", "one of seen, all"},
        {"--name", "", "1 to 4095 bytes long"},
        {"--home", "there", "an absolute path"},
        {"--peers", "a,,b", "1 to 4095 bytes long"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *error =
            hms_asprintf("%s '%s': must be %s", cases[i].flag, cases[i].value, cases[i].must);

        assert_refused(cases[i].flag, cases[i].value, error);
        free(error);
    }
}

static void test_hostile_text(void **state)
{
    char text[5000];
    struct run run;

    assert_refused("--name", "a\nb\033[2J", "--name 'a?b?[2J': must be free of control characters");
    memset(text, 'x', sizeof(text));
    text[4096] = '\0';
    run = LOAD("--name", text);
    assert_non_null(strstr(run.err, "xxx...': must be 1 to 4095 bytes long\n"));
    assert_true(strlen(run.err) < 200);
    end(&run);
    text[4095] = '\0';
    run = LOAD("--name", text);
    assert_int_equal(run.go_on, 1);
    end(&run);
    memset(text, ',', 64);
    text[64] = '\0';
    run = LOAD("--peers", text);
    assert_non_null(strstr(run.err, ": must be a list of at most 64\n"));
    end(&run);
}

static void test_bad_command_lines(void **state)
{
    static const struct {
        const char *first;
        const char *second;
        const char *error;
    } cases[] = {
        {"--cuont", "1", "unknown option '--cuont'; did you mean '--count'?"},
        {"--cuont=1", NULL, "unknown option '--cuont'; did you mean '--count'?"},
        {"--stop-wait", "1", "unknown option '--stop-wait'; did you mean '--stop-wait-ms'?"},
        {"--no-obsrve", NULL, "unknown option '--no-obsrve'; did you mean '--no-observe'?"},
        {"--no-count", NULL, "unknown option '--no-count'"},
        {"--zzzzzz", NULL, "unknown option '--zzzzzz'"},
        {"--hel", NULL, "unknown option '--hel'; did you mean '--help'?"},
        {"-c", "1", "unknown option '-c'"},
        {"--foreign", "/x", "unknown option '--foreign'"},
        {"--key", "/x", "unknown option '--key'"},
        {"--count", NULL, "option '--count' needs a value"},
        {"--observe=1", NULL, "option '--observe' takes no value"},
        {"--help=1", NULL, "option '--help' takes no value"},
        {"--observe", "here", "unexpected argument 'here'"},
        {"--", "--observe", "unexpected argument '--observe'"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(cases[i].first, cases[i].second, cases[i].error);
}

/* A command of people: words beside flags, and no file. */
static void test_operands(void **state)
{
    static const struct hms_option rows[] = {
        {.name = "name",
         .type = HMS_OPTION_STRING,
         FIELD(name),
         .group = "Names",
         .metavar = "NAME",
         .help = "what it is called",
         .flag_only = 1},
        {.name = "shared",
         .type = HMS_OPTION_STRING,
         FIELD(shared),
         .group = "Names",
         .metavar = "NAME",
         .help = "what is set once"},
    };
    static const struct hms_config_spec people = {.command = "try",
                                                  .summary = "Tries.",
                                                  .all_commands = all_commands,
                                                  .options = rows,
                                                  .option_count = 2,
                                                  .operands = "[WORD]...",
                                                  .has_no_file = 1};
    char *argv[] = {"try", "add", "--name", "n", "thing", "--", "--name", NULL};
    char *with_file[] = {"try", "--config", "/nonexistent", NULL};
    struct target target = {0};
    struct hms_config *config;
    const char *const *words;
    FILE *nowhere = fopen("/dev/null", "w");
    size_t count;
    int status;

    setenv("HMS_NAME", "from the environment", 1);
    setenv("HMS_SHARED", "from the environment", 1);
    setenv("HMS_CONFIG", "/nonexistent", 1);
    assert_int_equal(hms_config_load(&config, &people, 7, argv, &target, nowhere, nowhere, &status),
                     1);
    words = hms_config_operands(config, &count);
    assert_int_equal(count, 3);
    assert_string_equal(words[0], "add");
    assert_string_equal(words[1], "thing");
    assert_string_equal(words[2], "--name");
    assert_string_equal(target.name, "n");
    assert_string_equal(target.shared, "from the environment");
    hms_config_free(config);
    assert_int_equal(hms_config_load(&config, &people, 1, argv, &target, nowhere, nowhere, &status),
                     1);
    hms_config_free(config);
    assert_int_equal(
        hms_config_load(&config, &people, 3, with_file, &target, nowhere, nowhere, &status), 0);
    assert_int_equal(status, 2);
    unsetenv("HMS_NAME");
    unsetenv("HMS_SHARED");
    unsetenv("HMS_CONFIG");
    fclose(nowhere);
}

static void test_precedence(void **state)
{
    struct run run;

    write_file("count = 31\nshare = 31\nname = file\n");
    setenv("HMS_COUNT", "32", 1);
    setenv("HMS_SHARE", "32", 1);
    run = LOAD("--share", "33", "--config", file_path);
    assert_int_equal(run.go_on, 1);
    assert_string_equal(run.target.name, "file");
    assert_int_equal(run.target.count, 32);
    assert_true(run.target.share_pct == 33);
    assert_int_equal(run.target.wait_ms, 250);
    end(&run);
}

static void test_losing_value_is_checked(void **state)
{
    setenv("HMS_COUNT", "many", 1);
    assert_refused("--count", "5", "HMS_COUNT 'many': must be a whole number from 1 to 100");
}

static void test_environment(void **state)
{
    struct run run;

    setenv("HMS_STOP_WAIT_MS", "7", 1);
    setenv("HMS_COUNT", "", 1);
    setenv("HMS_OBSERVE", "On", 1);
    run = LOAD_NOTHING();
    assert_int_equal(run.go_on, 1);
    assert_int_equal(run.target.wait_ms, 7);
    assert_int_equal(run.target.count, 20);
    assert_int_equal(run.target.observe, 1);
    end(&run);
    setenv("HMS_OBSERVE", "maybe", 1);
    assert_refused("--count", "5", "HMS_OBSERVE 'maybe': must be yes or no");
}

static void test_file(void **state)
{
    struct run run;

    write_file("\xef\xbb\xbf# of all commands\n"
               "count = 3 ; of the day\r\n"
               "\n"
               "[other]\n"
               "no-such-key = 1\n"
               "[try]\n"
               "    ; indented\n"
               "  name = a # b;c\n"
               "\tobserve: yes\n"
               "peers = x,y");
    setenv("HMS_CONFIG", file_path, 1);
    run = LOAD_NOTHING();
    assert_string_equal(run.err, "");
    assert_int_equal(run.target.count, 3);
    assert_string_equal(run.target.name, "a # b;c");
    assert_int_equal(run.target.observe, 1);
    assert_string_equal(run.target.peers[1], "y");
    end(&run);
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"\ncuont = 1\n", ":2: unknown key 'cuont'; did you mean 'count'?"},
        {"[try]\nzzz = 1\n", ":2: unknown key 'zzz'"},
        {"config = /etc/x\n", ":1: unknown key 'config'"},
        {"[tyr]\ncount = 1\n", ":2: unknown section 'tyr'; did you mean 'try'?"},
        {"count = 1\n[try]\ncount = 2\n", ":3: 'count' was set before, on line 1"},
        {"# all\ncount = 200\n", ":2: count '200': must be a whole number from 1 to 100"},
        {"count =\n", ":1: count '': must be a whole number from 1 to 100"},
        {"token = me\n", ":1: token (hidden): must be an absolute path"},
        {"count = 5\n  6\n", ":2: neither 'name = value' nor '[section]'"},
        {"count\nshare = 200\n", ":1: neither 'name = value' nor '[section]'"},
        {"share = 200\ncount\n", ":1: share '200': must be a number from 0 to 100 %"},
        {"[try\ncount = 1\n", ":1: neither 'name = value' nor '[section]'"},
        {"= 4\n", ":1: unknown key ''"},
        {"[try]\nforeign = /x\n", ":2: 'hms try' has no option 'foreign'"},
        {"frgn = /x\n", ":1: unknown key 'frgn'"},
        {"key = x\n", ":1: 'key' cannot be set in a file, only as HMS_KEY in the environment"},
    };
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_file_refused(cases[i].text, cases[i].error);
}

static void test_file_bounds(void **state)
{
    char *text = hms_malloc(70000);
    struct run run;
    char *error;

    memset(text, 'x', 70000);
    memcpy(text, "count = 7\nname = ", 17);
    text[400] = '\0';
    write_file(text);
    run = LOAD("--config", file_path);
    assert_non_null(strstr(run.err, ":2: the line is longer than "));
    end(&run);

    memset(text, '\n', 70000);
    text[65537] = '\0';
    assert_file_refused(text, " is larger than 65536 bytes");
    text[65536] = '\0';
    write_file(text);
    run = LOAD("--config", file_path);
    assert_int_equal(run.go_on, 1);
    end(&run);
    free(text);

    write_bytes("count = 7\0\n", 11);
    error = hms_asprintf("%s is not a text file", file_path);
    assert_refused("--config", file_path, error);
    free(error);
    assert_refused("--config", "/nowhere/x", "cannot open /nowhere/x: No such file or directory");
    assert_refused("--config", "/tmp", "cannot read /tmp: Is a directory");
    assert_file_refused("count = 1\n[try]\nname = \001\n",
                        ":3: name '?': must be free of control characters");
}

static void test_required(void **state)
{
    struct run run;

    home_is_known = 0;
    assert_refused(NULL, NULL, "--home must be given: there is no default here (its home)");
    run = LOAD("--home", "/h");
    assert_string_equal(run.target.home, "/h");
    end(&run);
}

static void test_option_of_another_command(void **state)
{
    struct run run;

    write_file("foreign = /file\ncount = 2\nshared = both\n");
    setenv("HMS_FOREIGN", "bad", 1);
    run = LOAD("--config", file_path);
    assert_string_equal(run.err, "");
    assert_null(run.target.foreign);
    assert_string_equal(run.target.shared, "both");
    assert_int_equal(run.target.count, 2);
    end(&run);
    run = LOAD_OTHER("--config", file_path);
    assert_string_equal(run.err, "hms other: HMS_FOREIGN 'bad': must be an absolute path\n"
                                 "Try 'hms other --help'.\n");
    end(&run);
    unsetenv("HMS_FOREIGN");
    run = LOAD_OTHER("--config", file_path);
    assert_string_equal(run.err, "");
    assert_string_equal(run.target.foreign, "/file");
    assert_string_equal(run.target.shared, "both");
    end(&run);
    run = LOAD_OTHER("--shared=this");
    assert_string_equal(run.err, "hms other: --foreign must be given\nTry 'hms other --help'.\n");
    end(&run);
}

static void test_secret_of_the_environment(void **state)
{
    struct run run;

    setenv("HMS_KEY", "4711", 1);
    run = LOAD_NOTHING();
    assert_string_equal(run.target.key, "4711");
    end(&run);
    run = LOAD("--check-config");
    assert_non_null(strstr(run.out, "\n; key = (hidden) ; environment HMS_KEY\n"));
    assert_null(strstr(run.out, "4711"));
    end(&run);
    run = LOAD("--help");
    assert_non_null(strstr(run.out, "\n  $HMS_KEY                a secret for the environment alone"
                                    "\n"));
    end(&run);
    setenv("HMS_KEY", "47\n11", 1);
    assert_refused(NULL, NULL, "HMS_KEY (hidden): must be free of control characters");
}

static void test_finish_refuses(void **state)
{
    assert_refused("--observe", "--mode=all", "--mode all: not together with --observe");
}

static void test_check_config(void **state)
{
    char *whole;
    struct run run;

    write_file("count = 31\n[try]\ntoken = /secret\n");
    setenv("HMS_SHARE", "32", 1);
    run = LOAD("--check-config", "--no-observe", "--config", file_path);
    whole = hms_asprintf("[try]\n"
                         "; name is not set\n"
                         "; peers is not set\n"
                         "; token = (hidden) ; file %s:3\n"
                         "; key is not set\n"
                         "home = /found ; default\n"
                         "count = 31 ; file %s:1\n"
                         "stop-wait-ms = 250 ; default\n"
                         "share = 32 ; environment HMS_SHARE\n"
                         "observe = no ; flag --no-observe\n"
                         "mode = seen ; default\n"
                         "; shared is not set\n",
                         file_path, file_path);
    assert_string_equal(run.out, whole);
    assert_int_equal(run.go_on, 0);
    assert_int_equal(run.status, 0);
    free(whole);
    /* What it prints can be read again. */
    write_file(run.out);
    end(&run);
    run = LOAD("--config", file_path);
    assert_int_equal(run.go_on, 1);
    assert_int_equal(run.target.count, 31);
    end(&run);
}

static void test_check_config_fails(void **state)
{
    struct run run = LOAD("--check-config", "--count=0");

    assert_string_equal(run.err, "hms try: --count '0': must be a whole number from 1 to 100\n"
                                 "Try 'hms try --help'.\n");
    assert_int_equal(run.go_on, 0);
    assert_int_equal(run.status, 1);
    end(&run);
}

static void test_help(void **state)
{
    static const char *const pieces[] = {
        "Usage: hms try [OPTION]...\n\nTry it.\n\nNames:\n  --name NAME             what it is "
        "called\n",
        "  --home DIR              where it lives (default: its home)\n\nNumbers:\n",
        "  --count N               how many of the things that this text, long enough to\n"
        "                          be wrapped, is about (1 to 100; default: 20)\n",
        "  --stop-wait-ms MS       how long (-5 to 5000000000 ms; default: 250)\n",
        "  --[no-]observe          only look (default: no)\n",
        "  --mode seen|all         which (default: seen)\n",
        "  -h, --help              print this and exit\n",
        "as HMS_STATE_DIR",
    };
    struct run run = LOAD("--help", "--no-such");
    const char *line;
    size_t i;

    assert_int_equal(run.go_on, 0);
    assert_int_equal(run.status, 0);
    for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
        if (strstr(run.out, pieces[i]) == NULL)
            fail_msg("not in the help: %s\n%s", pieces[i], run.out);
    for (line = run.out; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") < 80);
    assert_null(strstr(run.out, "--foreign"));
    end(&run);
    run = LOAD_OTHER("--help");
    assert_non_null(
        strstr(run.out, "\n  --foreign TEXT          of the other command (required)\n"));
    end(&run);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup(function, clear_environment)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_every_type_from_flags),
        TEST(test_wide_integer),
        TEST(test_last_flag_holds),
        TEST(test_bad_values),
        TEST(test_hostile_text),
        TEST(test_bad_command_lines),
        TEST(test_operands),
        TEST(test_precedence),
        TEST(test_losing_value_is_checked),
        TEST(test_environment),
        TEST(test_file),
        TEST(test_bad_files),
        TEST(test_file_bounds),
        TEST(test_required),
        TEST(test_option_of_another_command),
        TEST(test_secret_of_the_environment),
        TEST(test_finish_refuses),
        TEST(test_check_config),
        TEST(test_check_config_fails),
        TEST(test_help),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
