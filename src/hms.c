/* Picks the command; wiring only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/hosts.h"
#include "core/alloc.h"
#include "core/ssh_askpass.h"
#include "core/suggest.h"
#include "daemon.h"

#define EXIT_REFUSED 2

struct command {
    const char *name;
    const char *summary;
    int (*main)(int argc, char **argv); /* argv[0] is the command's word */
};

static const struct command commands[] = {
    {"standalone", "supervise the containers of one Docker host", hms_daemon_standalone},
    {"manager", "supervise one Docker host of many, with a controller elsewhere",
     hms_daemon_manager},
    {"controller", "gather what the managers of many hosts tell, and offer it",
     hms_daemon_controller},
    {"hosts", "list the hosts of a controller, add and remove them", hms_cli_hosts},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
    size_t i;

    fprintf(out, "Usage: hms COMMAND [OPTION]...\n\n"
                 "Health monitor for Docker containers.\n\nCommands:\n");
    for (i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-14s%s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\nOptions:\n"
                 "  -h, --help    print this and exit\n"
                 "  --version     print the version and exit\n\n"
                 "'hms COMMAND --help' tells the options of a command.\n");
}

static int refuse(const char *word)
{
    struct hms_suggest suggest;
    size_t i;

    hms_suggest_begin(&suggest, word);
    for (i = 0; i < COMMAND_COUNT; i++)
        hms_suggest_offer(&suggest, commands[i].name);
    hms_suggest_offer(&suggest, "--help");
    hms_suggest_offer(&suggest, "--version");
    fprintf(stderr, "hms: unknown %s '%s'", word[0] == '-' ? "option" : "command", word);
    if (suggest.best != NULL)
        fprintf(stderr, "; did you mean '%s'?", suggest.best);
    fprintf(stderr, "\nTry 'hms --help'.\n");
    return EXIT_REFUSED;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    size_t i;

    if (hms_ssh_askpass_is_wanted())
        return hms_ssh_askpass_main();
    hms_alloc_install();
    if (word == NULL) {
        print_help(stderr);
        return EXIT_REFUSED;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(word, "--version") == 0) {
        printf("hms %s\n", HMS_VERSION);
        return EXIT_SUCCESS;
    }
    for (i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(word, commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    return refuse(word);
}
