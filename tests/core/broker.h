/*
 * A real broker for a test (broker.py does the work), and a loop to run buses on. For one test
 * program; everything is static.
 */
#ifndef HMS_TESTS_CORE_BROKER_H
#define HMS_TESTS_CORE_BROKER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/log.h"

struct broker {
    pid_t pid;
    FILE *commands;
    FILE *answers;
    char folder[256];
};

/* The broker of a test program, opened and closed with its group; NULL unless it runs as root. */
static struct broker *the_broker;

static void read_answer(struct broker *broker, char *line, int size)
{
    if (fgets(line, size, broker->answers) == NULL)
        fail_msg("the broker's script has ended");
    line[strcspn(line, "\n")] = '\0';
}

/* Gives a command to broker.py, without waiting for its answer. */
static void broker_begin(const char *command)
{
    fprintf(the_broker->commands, "%s\n", command);
    fflush(the_broker->commands);
}

/* Its text is valid until the next one. */
static const char *broker_end(void)
{
    static char answer[8192];

    read_answer(the_broker, answer, sizeof(answer));
    if (strncmp(answer, "ok", 2) != 0)
        fail_msg("the broker's script: %s", answer);
    return answer[2] == ' ' ? answer + 3 : "";
}

static const char *broker_do(const char *command)
{
    broker_begin(command);
    return broker_end();
}

/* From here on this process is in the broker's network namespace. */
static void enter_namespace(pid_t pid)
{
    char *path = hms_asprintf("/proc/%d/ns/net", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    free(path);
    assert_true(fd >= 0);
    assert_int_equal(setns(fd, CLONE_NEWNET), 0);
    close(fd);
}

static int open_the_broker(void **state)
{
    const char *slash = strrchr(__FILE__, '/');
    char *script = hms_asprintf("%.*s/broker.py", (int)(slash - __FILE__), __FILE__);
    struct broker *broker = hms_calloc(1, sizeof(*broker));
    char line[64];
    int in[2], out[2];

    *state = NULL;
    if (geteuid() != 0) {
        free(script);
        free(broker);
        return 0;
    }
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    broker->pid = fork();
    if (broker->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execl("/usr/bin/env", "env", "python3", script, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    broker->commands = fdopen(in[1], "w");
    broker->answers = fdopen(out[0], "r");
    free(script);
    read_answer(broker, line, sizeof(line));
    read_answer(broker, broker->folder, sizeof(broker->folder));
    enter_namespace((pid_t)atoi(line));
    the_broker = broker;
    return 0;
}

static int close_the_broker(void **state)
{
    int status;

    if (the_broker == NULL)
        return 0;
    fclose(the_broker->commands); /* which the script takes as the end */
    waitpid(the_broker->pid, &status, 0);
    fclose(the_broker->answers);
    free(the_broker);
    assert_int_equal(status, 0);
    return 0;
}

#endif
