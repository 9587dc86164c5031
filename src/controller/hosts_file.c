/* Line by line; what a line means is the deployer's matter. */
#include "controller/hosts_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "controller/roster.h"
#include "core/error.h"
#include "core/json.h"

#define BLANKS " \t\r\n"

/* An object of add_host. Returns NULL with a text in error. */
static json_t *read_object(const char *line, char error[HMS_JSON_ERROR_SIZE])
{
    json_t *host = hms_json_parse(line, strlen(line), error);

    if (host == NULL || hms_json_string(host, "address") != NULL)
        return host;
    snprintf(error, HMS_JSON_ERROR_SIZE, "address is missing or no text");
    json_decref(host);
    return NULL;
}

static json_t *read_words(const char *line, char error[HMS_JSON_ERROR_SIZE])
{
    size_t length = strcspn(line, BLANKS);
    const char *password = line + length + strspn(line + length, BLANKS);

    if (*password != '\0')
        return json_pack("{s:s%, s:o}", "address", line, length, "password",
                         hms_json_text(password));
    snprintf(error, HMS_JSON_ERROR_SIZE,
             "a line is ADDRESS PASSWORD, or an object with the fields of a host");
    return NULL;
}

/* Returns 0 also for a line that says nothing. */
static int read_line(char *line, json_t *hosts, char error[HMS_JSON_ERROR_SIZE])
{
    json_t *host;

    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, BLANKS);
    if (*line == '\0' || *line == '#')
        return HMS_OK;
    if (json_array_size(hosts) >= HMS_ROSTER_HOSTS_MAX) {
        snprintf(error, HMS_JSON_ERROR_SIZE, "more than %d hosts", HMS_ROSTER_HOSTS_MAX);
        return HMS_ELIMIT;
    }
    host = *line == '{' ? read_object(line, error) : read_words(line, error);
    if (host == NULL)
        return HMS_EINVAL;
    json_object_set_new(host, "async", json_true());
    json_array_append_new(hosts, host);
    return HMS_OK;
}

static int read_lines(FILE *file, const char *path, json_t *hosts, char *error, size_t error_size)
{
    char why[HMS_JSON_ERROR_SIZE];
    size_t capacity = 0, number = 0;
    char *line = NULL;
    int result = HMS_OK;

    while (result == HMS_OK && getline(&line, &capacity, file) >= 0) {
        number++;
        result = capacity <= HMS_HOSTS_FILE_LINE_MAX ? read_line(line, hosts, why) : HMS_ELIMIT;
        if (capacity > HMS_HOSTS_FILE_LINE_MAX)
            snprintf(why, sizeof(why), "too long");
    }
    if (result != HMS_OK)
        snprintf(error, error_size, "%s, line %zu: %s", path, number, why);
    if (line != NULL)
        explicit_bzero(line, capacity);
    free(line);
    return result;
}

int hms_hosts_file_read(const char *path, json_t **hosts, int *is_exposed, char *error,
                        size_t error_size)
{
    FILE *file = fopen(path, "re");
    struct stat status;
    int result;

    if (file == NULL || fstat(fileno(file), &status) != 0) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        if (file != NULL)
            fclose(file);
        return HMS_EIO;
    }
    *is_exposed = (status.st_mode & (S_IRGRP | S_IROTH)) != 0;
    *hosts = json_array();
    result = read_lines(file, path, *hosts, error, error_size);
    if (result != HMS_OK)
        json_decref(*hosts);
    fclose(file);
    return result;
}
