/*
 * A real engine for a test (engine.py does the work), and a loop to run a client of it on.
 * For one test program; everything is static.
 */
#ifndef HMS_TESTS_CORE_ENGINE_H
#define HMS_TESTS_CORE_ENGINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/docker.h"
#include "core/error.h"
#include "core/log.h"

#define DEADLINE_MS 60000
#define TICK_MS     10

struct engine {
    pid_t pid;
    FILE *commands;
    FILE *answers;
    char folder[256];
};

struct fixture {
    struct engine *engine; /* NULL where a test needs none */
    uv_loop_t loop;
    uv_timer_t tick; /* wakes run_until() when nothing else happens */
    struct hms_log *log;
    struct hms_docker *docker;
    int is_closed;
};

static void read_answer(struct engine *engine, char *line, int size)
{
    if (fgets(line, size, engine->answers) == NULL)
        fail_msg("the engine's script has ended");
    line[strcspn(line, "\n")] = '\0';
}

/* Gives a command to engine.py; its text is valid until the next one. */
static const char *engine_do(struct engine *engine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static const char *engine_do(struct engine *engine, const char *format, ...)
{
    static char answer[4096];
    char command[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    fprintf(engine->commands, "%s\n", command);
    fflush(engine->commands);
    read_answer(engine, answer, sizeof(answer));
    if (strncmp(answer, "ok", 2) != 0)
        fail_msg("%s: %s", command, answer);
    return answer[2] == ' ' ? answer + 3 : "";
}

static struct engine *engine_open(void)
{
    struct engine *engine = hms_calloc(1, sizeof(*engine));
    const char *slash = strrchr(__FILE__, '/');
    char *script = hms_asprintf("%.*s/engine.py", (int)(slash - __FILE__), __FILE__);
    int in[2], out[2];

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    engine->pid = fork();
    if (engine->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execl("/usr/bin/env", "env", "python3", "-B", script, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    engine->commands = fdopen(in[1], "w");
    engine->answers = fdopen(out[0], "r");
    free(script);
    read_answer(engine, engine->folder, sizeof(engine->folder));
    return engine;
}

static void engine_close(struct engine *engine)
{
    int status;

    fclose(engine->commands); /* which the script takes as the end */
    waitpid(engine->pid, &status, 0);
    fclose(engine->answers);
    free(engine);
    assert_int_equal(status, 0);
}

/* The engine of a test program, opened and closed with its group; NULL unless it runs as root. */
static struct engine *the_engine;

static int open_the_engine(void **state)
{
    *state = NULL;
    if (geteuid() == 0)
        the_engine = engine_open();
    return 0;
}

static int close_the_engine(void **state)
{
    if (the_engine != NULL)
        engine_close(the_engine);
    return 0;
}

/* The path of a file in the engine's folder; valid until the next call but three. */
__attribute__((unused)) static const char *engine_path(const struct engine *engine,
                                                       const char *name)
{
    static char paths[4][sizeof(engine->folder) + 64];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", engine->folder, name);
    return path;
}

/* Moves this process to where the engine's own ports are: 127.0.0.1 is the engine's then. */
__attribute__((unused)) static void enter_engine_network(struct engine *engine)
{
    FILE *file = fopen(engine_path(engine, "network"), "r");
    char *path;
    int pid, fd;

    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    path = hms_asprintf("/proc/%d/ns/net", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(setns(fd, CLONE_NEWNET), 0);
    close(fd);
    free(path);
}

/* --- loop ----------------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer)
{
}

static struct fixture *fixture_new(struct engine *engine)
{
    struct fixture *fixture = hms_calloc(1, sizeof(*fixture));

    fixture->engine = engine;
    fixture->log = hms_log_new(2, HMS_LOG_TEXT,
                               getenv("HMS_TEST_LOG") != NULL ? HMS_LOG_DEBUG : HMS_LOG_ERROR);
    uv_loop_init(&fixture->loop);
    uv_timer_init(&fixture->loop, &fixture->tick);
    uv_timer_start(&fixture->tick, on_tick, TICK_MS, TICK_MS);
    return fixture;
}

/* A client of the engine's own socket, or of the proxy before it. */
static void fixture_connect(struct fixture *fixture, const char *socket_name)
{
    char *url = hms_asprintf("unix://%s/%s", fixture->engine->folder, socket_name);
    char error[256];

    assert_int_equal(
        hms_docker_open(&fixture->docker, &fixture->loop, fixture->log, url, error, sizeof(error)),
        0);
    free(url);
}

static void on_docker_closed(void *arg)
{
    ((struct fixture *)arg)->is_closed = 1;
}

/* Also proves that nothing is left on the loop. */
static void fixture_free(struct fixture *fixture)
{
    hms_docker_close(fixture->docker, on_docker_closed, fixture);
    uv_close((uv_handle_t *)&fixture->tick, NULL);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_true(fixture->is_closed);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    hms_log_free(fixture->log);
    free(fixture);
}

/* Runs the loop until *count is `wanted` at least; `what` is told when that takes too long. */
static void run_until(struct fixture *fixture, const int *count, int wanted, const char *what)
{
    int64_t deadline_ms = hms_clock_mono_ms() + DEADLINE_MS;

    while (*count < wanted) {
        if (hms_clock_mono_ms() > deadline_ms)
            fail_msg("%s: %d of %d", what, *count, wanted);
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
}

/* For tests of a group around the_engine: a fixture with a client at that socket, and its end. */
__attribute__((unused)) static int set_up_fixture(void **state, const char *socket)
{
    struct fixture *fixture;

    if (the_engine == NULL)
        return 0;
    engine_do(the_engine, "clear");
    fixture = fixture_new(the_engine);
    fixture_connect(fixture, socket);
    *state = fixture;
    return 0;
}

__attribute__((unused)) static int tear_down_fixture(void **state)
{
    if (*state != NULL)
        fixture_free(*state);
    return 0;
}

__attribute__((unused)) static struct fixture *fixture_of(void **state)
{
    if (*state == NULL)
        skip(); /* engines need root */
    return *state;
}

#endif
