/* The program as ssh's helper for passwords. */
#include "core/ssh_askpass.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int hms_ssh_askpass_is_wanted(void)
{
    return getenv(HMS_SSH_ASKPASS_MARK) != NULL;
}

int hms_ssh_askpass_main(void)
{
    char line[HMS_SSH_PASSWORD_MAX + 1]; /* with its '\n' */
    size_t size = 0;
    ssize_t got = 1;
    int is_told;

    /* Byte by byte: what follows the line is for the next question. */
    while (size < sizeof(line) && got == 1 && (size == 0 || line[size - 1] != '\n')) {
        got = read(STDIN_FILENO, line + size, 1);
        size += got == 1;
    }
    is_told = size > 0 && write(STDOUT_FILENO, line, size) == (ssize_t)size;
    OPENSSL_cleanse(line, sizeof(line));
    return is_told ? EXIT_SUCCESS : EXIT_FAILURE;
}
