/* Forwards to a real engine through a real ssh server, and every way in which they are refused. */
#include "engine.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "core/ssh_askpass.h"
#include "core/ssh_forward.h"

#define PORT       2222
#define PASSWORD   "hms secret"
#define PASSPHRASE "hms phrase"
#define TIMEOUT_MS 60000

struct forward {
    struct fixture *fixture;
    struct hms_ssh_forward *forward;
    int ready, ended, closed;
    int closes_when_ready;
    int error;
    char socket[128];
    char reason[1024];
};

/* The one that a test has open, for tear_down() when it fails. */
static struct hms_ssh_forward *open_forward;

static char *read_text(const char *name)
{
    static char text[4096];
    FILE *file = fopen(engine_path(the_engine, name), "r");

    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* The public key alone, without the line's end. */
static const char *host_key(const char *name)
{
    char *text = read_text(name);

    text[strcspn(text, "\n")] = '\0';
    return text;
}

static void on_closed(void *arg)
{
    ((struct forward *)arg)->closed++;
}

static void finish_later(struct forward *forward)
{
    open_forward = NULL;
    hms_ssh_forward_close(forward->forward, on_closed, forward);
}

static void on_ready(void *arg, const char *socket_path)
{
    struct forward *forward = arg;

    forward->ready++;
    snprintf(forward->socket, sizeof(forward->socket), "%s", socket_path);
    if (forward->closes_when_ready)
        finish_later(forward);
}

static void on_end(void *arg, int error, const char *reason)
{
    struct forward *forward = arg;

    forward->ended++;
    forward->error = error;
    snprintf(forward->reason, sizeof(forward->reason), "%s", reason);
}

/* To the engine's socket, as root; the caller adds what it logs in with. */
static struct hms_ssh_forward_options options_to_engine(void)
{
    return (struct hms_ssh_forward_options){.host = "127.0.0.1",
                                            .port = PORT,
                                            .user = "root",
                                            .remote_path = engine_path(the_engine, "docker.sock"),
                                            .timeout_ms = TIMEOUT_MS};
}

static int begin(struct fixture *fixture, struct forward *forward,
                 const struct hms_ssh_forward_options *options)
{
    char error[256] = "";
    int result;

    memset(forward, 0, sizeof(*forward));
    forward->fixture = fixture;
    result = hms_ssh_forward_open(&forward->forward, &fixture->loop, fixture->log, options,
                                  on_ready, on_end, forward, error, sizeof(error));
    snprintf(forward->reason, sizeof(forward->reason), "%s", error);
    open_forward = forward->forward;
    assert_int_equal(forward->ready + forward->ended, 0);
    return result;
}

static void finish(struct forward *forward)
{
    finish_later(forward);
    assert_int_equal(forward->closed, 0);
    run_until(forward->fixture, &forward->closed, 1, "close");
    if (forward->socket[0] != '\0') {
        *strrchr(forward->socket, '/') = '\0';
        assert_int_equal(access(forward->socket, F_OK), -1);
    }
}

static void require_ready(struct fixture *fixture, struct forward *forward,
                          const struct hms_ssh_forward_options *options)
{
    int64_t deadline_ms = hms_clock_mono_ms() + DEADLINE_MS;

    assert_int_equal(begin(fixture, forward, options), 0);
    while (forward->ready == 0 && forward->ended == 0 && hms_clock_mono_ms() < deadline_ms)
        uv_run(&fixture->loop, UV_RUN_ONCE);
    if (forward->ready == 0)
        fail_msg("%s", forward->reason);
}

static void require_end(struct fixture *fixture, const struct hms_ssh_forward_options *options,
                        int error, const char *part)
{
    struct forward forward;

    assert_int_equal(begin(fixture, &forward, options), 0);
    run_until(fixture, &forward.ended, 1, part);
    if (forward.error != error || strstr(forward.reason, part) == NULL)
        fail_msg("instead of '%s': error %d, %s", part, forward.error, forward.reason);
    assert_int_equal(forward.ready, 0);
    assert_null(strstr(forward.reason, PASSWORD));
    finish(&forward);
    assert_int_equal(forward.ended, 1);
}

struct outcome {
    int done;
    int error;
};

static void on_done(void *arg, const struct hms_docker_answer *answer)
{
    struct outcome *outcome = arg;

    outcome->done++;
    outcome->error = answer->error;
}

/* Talks to the engine through the forward; gives the call's error. */
static int ask_engine(struct fixture *fixture, const struct forward *forward)
{
    char *url = hms_asprintf("unix://%s", forward->socket);
    struct outcome outcome = {0};
    char error[256];

    assert_int_equal(
        hms_docker_open(&fixture->docker, &fixture->loop, fixture->log, url, error, sizeof(error)),
        0);
    free(url);
    hms_docker_negotiate(fixture->docker, on_done, &outcome);
    run_until(fixture, &outcome.done, 1, "version");
    hms_docker_close(fixture->docker, NULL, NULL);
    return outcome.error;
}

static void wait_for_sessions(int wanted)
{
    int64_t deadline_ms = hms_clock_mono_ms() + DEADLINE_MS;

    while (atoi(engine_do(the_engine, "sessions")) != wanted) {
        if (hms_clock_mono_ms() > deadline_ms)
            fail_msg("there are not %d sessions", wanted);
        usleep(10000);
    }
}

/* --- frame ---------------------------------------------------------------------------------- */

static void wait_for_server(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int64_t deadline_ms = hms_clock_mono_ms() + DEADLINE_MS;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    while (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        if (hms_clock_mono_ms() > deadline_ms)
            fail_msg("sshd does not come: %s", read_text("ssh/log"));
        usleep(10000);
    }
    close(fd);
    wait_for_sessions(0);
}

static int set_up_server(void **state)
{
    open_the_engine(state);
    if (the_engine == NULL)
        return 0;
    enter_engine_network(the_engine);
    engine_do(the_engine, "sshd");
    wait_for_server();
    return 0;
}

static int set_up(void **state)
{
    if (the_engine != NULL)
        *state = fixture_new(the_engine);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    if (fixture == NULL)
        return 0;
    if (open_forward != NULL)
        hms_ssh_forward_close(open_forward, NULL, NULL);
    open_forward = NULL;
    fixture_connect(fixture, "docker.sock"); /* for fixture_free() to close */
    fixture_free(fixture);
    wait_for_sessions(0);
    return 0;
}

/* --- logins --------------------------------------------------------------------------------- */

static void test_key_file(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options options = options_to_engine();
    struct forward forward;

    options.private_key = engine_path(the_engine, "ssh/key");
    options.host_key = host_key("ssh/host.pub");
    require_ready(fixture, &forward, &options);
    assert_int_equal(ask_engine(fixture, &forward), 0);
    assert_string_equal(hms_ssh_forward_complaint(forward.forward), "");
    finish(&forward);
    assert_int_equal(forward.ended, 0);
}

static void test_key_text(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options options = options_to_engine();
    char *key = hms_strdup(read_text("ssh/key"));
    struct forward forward;

    key[strlen(key) - 1] = '\0'; /* the last line's end is lost easily, and put back */
    options.private_key = key;
    options.host_key = host_key("ssh/host.pub");
    require_ready(fixture, &forward, &options);
    free(key);
    assert_int_equal(ask_engine(fixture, &forward), 0);
    finish(&forward);
}

static void test_key_with_passphrase(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options options = options_to_engine();
    struct forward forward;

    options.private_key = engine_path(the_engine, "ssh/locked-key");
    options.host_key = host_key("ssh/host.pub");
    options.password = PASSPHRASE;
    require_ready(fixture, &forward, &options);
    finish(&forward);
    options.password = "another"; /* of which ssh says nothing */
    require_end(fixture, &options, HMS_EPERM, "the host refused the login");
    options.password = NULL;
    require_end(fixture, &options, HMS_EPERM, "the host refused the login");
}

/* Whether a process whose parent we are has what the pattern matches among its arguments or in its
 * environment; the pattern must not match itself, for the shell here is one of them. */
static int is_told(const char *pattern)
{
    char *command = hms_asprintf("for d in /proc/[0-9]*; do "
                                 "grep -qs '^PPid:[[:space:]]%d$' $d/status && "
                                 "grep -qsa '%s' $d/cmdline $d/environ && exit 0; done; exit 1",
                                 (int)getpid(), pattern);
    int status = system(command);

    free(command);
    return WEXITSTATUS(status) == 0;
}

static void test_password(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options options = options_to_engine();
    struct forward forward;

    options.host_key = host_key("ssh/host.pub");
    options.password = PASSWORD;
    require_ready(fixture, &forward, &options);
    assert_int_equal(ask_engine(fixture, &forward), 0);
    assert_true(is_told("[S]SH_ASKPASS")); /* so the look finds ssh */
    assert_false(is_told("[h]ms secret"));
    finish(&forward);
    options.password = "wrong";
    require_end(fixture, &options, HMS_EPERM, "the host refused the login");
}

static void test_refusals(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options options = options_to_engine();

    options.private_key = engine_path(the_engine, "ssh/key");
    require_end(fixture, &options, HMS_EPERM, "the host's key is not known: give it");
    options.host_key = host_key("ssh/other.pub");
    require_end(fixture, &options, HMS_EPERM, "the host's key is not the one that is known");
    options.host_key = host_key("ssh/host.pub");
    options.private_key = engine_path(the_engine, "ssh/stranger-key");
    require_end(fixture, &options, HMS_EPERM, "the host refused the login");
    options.private_key = "-----BEGIN OPENSSH PRIVATE KEY-----\nno\n";
    require_end(fixture, &options, HMS_EPERM, "the private key cannot be used");
    options.private_key = engine_path(the_engine, "ssh/key");
    options.port = PORT + 1;
    require_end(fixture, &options, HMS_ECONNECT, "no ssh server listens there");
    options.host = "no-such-host.invalid";
    require_end(fixture, &options, HMS_ECONNECT, "there is no host of that name");
}

/* A server that takes the connection and says nothing. */
static void test_silent_server(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options options = options_to_engine();
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(PORT + 2),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    options.port = PORT + 2;
    options.timeout_ms = 1000;
    require_end(fixture, &options, HMS_ETIMEDOUT, "");
    close(fd);
}

static void test_bad_options(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options good = options_to_engine(), bad[9];
    static const char *const names[] = {"host:", "host:",     "port:",       "user:",    "path:",
                                        "path:", "host_key:", "private_key", "password:"};
    struct forward forward;
    size_t i;

    for (i = 0; i < 9; i++)
        bad[i] = good;
    bad[0].host = "-oProxyCommand=x";
    bad[1].host = "";
    bad[2].port = 65536;
    bad[3].user = "a b";
    bad[4].remote_path = "docker.sock";
    bad[5].remote_path = "/a:b";
    bad[6].host_key = "ssh-ed25519";
    bad[7].private_key = "";
    bad[8].password = "two\nlines";
    for (i = 0; i < 9; i++) {
        assert_int_equal(begin(fixture, &forward, &bad[i]), HMS_EINVAL);
        assert_true(strncmp(forward.reason, names[i], strlen(names[i])) == 0);
    }
    good.timeout_ms = 0;
    assert_int_equal(begin(fixture, &forward, &good), HMS_EINVAL);
}

/* --- afterwards ----------------------------------------------------------------------------- */

/* The image has neither of the two programs, and a machine may lack them. */
static void test_missing_programs(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options options = options_to_engine();
    char *path = hms_strdup(getenv("PATH"));
    char folder[] = "/tmp/hms-test-path-XXXXXX";
    struct forward without_setpriv, without_ssh;
    int result;
    char *program;

    assert_non_null(mkdtemp(folder));
    program = hms_asprintf("%s/setpriv", folder);
    setenv("PATH", folder, 1);
    result = begin(fixture, &without_setpriv, &options);
    assert_int_equal(symlink("/usr/bin/setpriv", program), 0);
    begin(fixture, &without_ssh, &options);
    setenv("PATH", path, 1);
    unlink(program);
    rmdir(folder);
    free(program);
    free(path);
    assert_int_equal(result, HMS_EIO);
    assert_non_null(strstr(without_setpriv.reason, "setpriv (util-linux)"));
    run_until(fixture, &without_ssh.ended, 1, "the end of setpriv");
    assert_int_equal(without_ssh.error, HMS_EIO);
    assert_non_null(strstr(without_ssh.reason, "no OpenSSH client"));
    finish(&without_ssh);
}

static void test_no_engine_behind(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options options = options_to_engine();
    struct forward forward;

    options.private_key = engine_path(the_engine, "ssh/key");
    options.host_key = host_key("ssh/host.pub");
    options.remote_path = "/nonexistent/docker.sock";
    require_ready(fixture, &forward, &options);
    assert_true(ask_engine(fixture, &forward) != 0);
    assert_non_null(strstr(hms_ssh_forward_complaint(forward.forward),
                           "cannot connect to the engine's socket"));
    assert_int_equal(forward.ended, 0);
    finish(&forward);
}

static void test_server_hangs_up(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options options = options_to_engine();
    struct forward forward;

    options.private_key = engine_path(the_engine, "ssh/key");
    options.host_key = host_key("ssh/host.pub");
    require_ready(fixture, &forward, &options);
    engine_do(the_engine, "hangup");
    run_until(fixture, &forward.ended, 1, "end");
    if (forward.error != HMS_ECONNECT)
        fail_msg("error %d, %s", forward.error, forward.reason);
    finish(&forward);
}

static void test_close_early(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options options = options_to_engine();
    struct forward forward;

    options.password = PASSWORD;
    options.host_key = host_key("ssh/host.pub");
    assert_int_equal(begin(fixture, &forward, &options), 0);
    finish(&forward); /* at once */
    assert_int_equal(forward.ready + forward.ended, 0);
    assert_int_equal(begin(fixture, &forward, &options), 0);
    forward.closes_when_ready = 1;
    run_until(fixture, &forward.closed, 1, "close within on_ready");
    assert_int_equal(forward.ended, 0);
}

/* A process that is killed takes its ssh with it. */
static void test_owner_killed(void **state)
{
    struct fixture *fixture = fixture_of(state);
    struct hms_ssh_forward_options options = options_to_engine();
    int ready[2], status;
    char socket_path[128] = "";
    pid_t pid;

    (void)fixture;
    options.private_key = engine_path(the_engine, "ssh/key");
    options.host_key = host_key("ssh/host.pub");
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        struct fixture *own = fixture_new(NULL);
        struct forward forward;

        require_ready(own, &forward, &options);
        if (write(ready[1], forward.socket, sizeof(forward.socket)) < 0)
            _exit(1);
        uv_run(&own->loop, UV_RUN_DEFAULT);
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], socket_path, sizeof(socket_path)), sizeof(socket_path));
    close(ready[0]);
    wait_for_sessions(1);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    wait_for_sessions(0);
    unlink(socket_path); /* all that it left behind */
    *strrchr(socket_path, '/') = '\0';
    assert_int_equal(rmdir(socket_path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_key_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_key_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_key_with_passphrase, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_password, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silent_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_options, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_missing_programs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_engine_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_server_hangs_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_early, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_owner_killed, set_up, tear_down),
    };

    if (hms_ssh_askpass_is_wanted())
        return hms_ssh_askpass_main();
    signal(SIGPIPE, SIG_IGN);
    hms_alloc_install();
    return cmocka_run_group_tests(tests, set_up_server, close_the_engine);
}
