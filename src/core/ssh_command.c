/* The command line of the ssh child. */
#include "core/ssh_command.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/ssh_askpass.h"
#include "core/ssh_forward.h"

/* setpriv lets the kernel end ssh when this process dies, however it does. */
static const char *const program[] = {"setpriv", "--pdeathsig", "TERM", "--", "ssh",
                                      "-N",      "-T",          "-a",   "-x", NULL};

/* Nobody is asked, nothing is remembered or shared, and what is lost is noticed. */
static const char *const fixed_options[] = {"StrictHostKeyChecking=yes",
                                            "UpdateHostKeys=no",
                                            "ControlMaster=no",
                                            "ControlPath=none",
                                            "ExitOnForwardFailure=yes",
                                            "PermitLocalCommand=no",
                                            "NumberOfPasswordPrompts=1",
                                            "ServerAliveInterval=10",
                                            "ServerAliveCountMax=3",
                                            "LogLevel=INFO",
                                            NULL};

static const char *const key_options[] = {"IdentitiesOnly=yes", "IdentityAgent=none",
                                          "PreferredAuthentications=publickey", NULL};

static const char *const password_options[] = {
    "PubkeyAuthentication=no", "PreferredAuthentications=password,keyboard-interactive", NULL};

/* Our own environment may hold secrets: ssh gets of it what it needs. */
static const char *const inherited[] = {"PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", NULL};

/* Takes word over. */
static void add(struct hms_ssh_words *words, char *word)
{
    assert(words->count < HMS_SSH_COMMAND_MAX);
    words->list[words->count++] = word;
}

/* "-o NAME=VALUE"; takes option over. */
static void add_option(struct hms_ssh_words *words, char *option)
{
    add(words, hms_strdup("-o"));
    add(words, option);
}

static void add_options(struct hms_ssh_words *words, const char *const *options)
{
    for (; *options != NULL; options++)
        add_option(words, hms_strdup(*options));
}

static char *held_path(int fd)
{
    return hms_asprintf("/proc/%ld/fd/%d", (long)getpid(), fd);
}

/* How ssh shall log in: with the user's own keys unless it is given something else. */
static void add_login(struct hms_ssh_words *words, const struct hms_ssh_forward_options *options,
                      int key_fd)
{
    add_option(words, hms_strdup(options->password != NULL ? "BatchMode=no" : "BatchMode=yes"));
    if (options->private_key != NULL) {
        add(words, hms_strdup("-i"));
        add(words, key_fd >= 0 ? held_path(key_fd) : hms_strdup(options->private_key));
        add_options(words, key_options);
    } else if (options->password != NULL) {
        add_options(words, password_options);
    }
}

static void add_host(struct hms_ssh_words *words, const struct hms_ssh_forward_options *options,
                     int known_fd)
{
    if (known_fd >= 0) {
        char *path = held_path(known_fd);

        add_option(words, hms_asprintf("UserKnownHostsFile=%s ~/.ssh/known_hosts "
                                       "~/.ssh/known_hosts2",
                                       path));
        free(path);
    }
    add_option(words, hms_asprintf("ConnectTimeout=%d", (int)(options->timeout_ms / 1000)));
    if (options->port != 0)
        add_option(words, hms_asprintf("Port=%d", options->port));
    if (options->user != NULL)
        add_option(words, hms_asprintf("User=%s", options->user));
}

static void make_environment(struct hms_ssh_words *words, int has_password)
{
    const char *const *name;

    for (name = inherited; *name != NULL; name++)
        if (getenv(*name) != NULL)
            add(words, hms_asprintf("%s=%s", *name, getenv(*name)));
    if (!has_password)
        return;
    add(words, hms_asprintf("SSH_ASKPASS=/proc/%ld/exe", (long)getpid()));
    add(words, hms_strdup("SSH_ASKPASS_REQUIRE=force"));
    add(words, hms_strdup(HMS_SSH_ASKPASS_MARK "=1"));
}

void hms_ssh_command_make(struct hms_ssh_command *command,
                          const struct hms_ssh_forward_options *options, const char *local_path,
                          int key_fd, int known_fd)
{
    struct hms_ssh_words *words = &command->arguments;
    const char *const *word;

    memset(command, 0, sizeof(*command));
    for (word = program; *word != NULL; word++)
        add(words, hms_strdup(*word));
    add_options(words, fixed_options);
    add_login(words, options, key_fd);
    add_host(words, options, known_fd);
    add(words, hms_strdup("-L"));
    add(words, hms_asprintf("%s:%s", local_path, options->remote_path));
    add(words, hms_strdup("--"));
    add(words, hms_strdup(options->host));
    make_environment(&command->environment, options->password != NULL);
}

static void free_words(struct hms_ssh_words *words)
{
    size_t i;

    for (i = 0; i < words->count; i++)
        free(words->list[i]);
}

void hms_ssh_command_free(struct hms_ssh_command *command)
{
    free_words(&command->arguments);
    free_words(&command->environment);
}
