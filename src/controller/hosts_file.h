/*
 * The file of --hosts-file: hosts that are to be taken over when the controller starts, one a line.
 * A line is either an object with the fields of add_host,
 *
 *     {"address": "10.0.0.1", "docker": "tcp://10.0.0.1:2376", "tls": {...}}
 *
 * or, as version 1 has it, an address and the password of root there, for ssh:
 *
 *     10.0.0.2 secret
 *
 * Empty lines and those that begin with # say nothing.
 */
#ifndef HMS_CONTROLLER_HOSTS_FILE_H
#define HMS_CONTROLLER_HOSTS_FILE_H

#include <jansson.h>
#include <stddef.h>

#define HMS_HOSTS_FILE_LINE_MAX (1024 * 1024) /* bytes */

/*
 * Reads it before the loop runs: *hosts becomes an array of add_host's objects, whose fields are
 * not checked yet, and *is_exposed tells whether others than the file's owner may read it. Returns
 * 0; or HMS_EIO, HMS_EINVAL or HMS_ELIMIT with a text in error that names file and line.
 */
int hms_hosts_file_read(const char *path, json_t **hosts, int *is_exposed, char *error,
                        size_t error_size);

#endif
