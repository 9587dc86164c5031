/* OpenSSH's messages and what they mean. */
#include "core/ssh_reason.h"

#include <stdio.h>
#include <string.h>

#include "core/error.h"

/* A cause comes before what follows from it: ssh tells both, one line after the other. */
static const struct meaning {
    const char *part; /* of the line */
    int error;
    const char *text;
} meanings[] = {
    {"failed to execute ssh", HMS_EIO, "there is no OpenSSH client on this machine"},
    {"has changed and you have requested", HMS_EPERM,
     "the host's key is not the one that is known for it"},
    {"host key is known for", HMS_EPERM,
     "the host's key is not known: give it with the request, or add it to known_hosts"},
    {"Host key verification failed", HMS_EPERM, "the host's key is not the one expected"},
    {"Load key ", HMS_EPERM, "the private key cannot be used"},
    {"Could not resolve hostname", HMS_ECONNECT, "there is no host of that name"},
    {": Connection refused", HMS_ECONNECT, "no ssh server listens there"},
    {": No route to host", HMS_ECONNECT, "the host cannot be reached"},
    {": Network is unreachable", HMS_ECONNECT, "the host cannot be reached"},
    {"onnection timed out", HMS_ETIMEDOUT, "the host does not answer"},
    {": Operation timed out", HMS_ETIMEDOUT, "the host does not answer"},
    {"Timeout, server ", HMS_ETIMEDOUT, "the host no longer answers"},
    {"Too many authentication failures", HMS_EPERM, "the host refused the login"},
    {": Permission denied (", HMS_EPERM, "the host refused the login"},
    {"administratively prohibited", HMS_EREMOTE, "the host's ssh server forwards no sockets"},
    {"open failed: connect failed", HMS_EREMOTE,
     "the host cannot connect to the engine's socket: there is none at that path, or this user may "
     "not use it"},
    {"kex_exchange_identification", HMS_ECONNECT, "the host closed the connection at once"},
    {"Connection closed by", HMS_ECONNECT, "the host closed the connection"},
    {"closed by remote host", HMS_ECONNECT, "the host closed the connection"},
    {"Connection reset by", HMS_ECONNECT, "the host closed the connection"},
    {"Broken pipe", HMS_ECONNECT, "the connection broke"},
};

#define MEANING_COUNT (sizeof(meanings) / sizeof(meanings[0]))

void hms_ssh_reason_note(struct hms_ssh_reason *reason, const char *line)
{
    size_t i = 0;

    while (i < MEANING_COUNT && strstr(line, meanings[i].part) == NULL)
        i++;
    if (reason->rank != 0 && i + 1 > reason->rank)
        return;
    reason->rank = i + 1;
    reason->error = i < MEANING_COUNT ? meanings[i].error : HMS_EREMOTE;
    reason->meaning = i < MEANING_COUNT ? meanings[i].text : NULL;
    snprintf(reason->line, sizeof(reason->line), "%s", line);
}

void hms_ssh_reason_text(const struct hms_ssh_reason *reason, char text[HMS_SSH_REASON_SIZE])
{
    if (reason->rank == 0)
        text[0] = '\0';
    else if (reason->meaning != NULL)
        snprintf(text, HMS_SSH_REASON_SIZE, "%s (ssh: %s)", reason->meaning, reason->line);
    else
        snprintf(text, HMS_SSH_REASON_SIZE, "ssh: %s", reason->line);
}
