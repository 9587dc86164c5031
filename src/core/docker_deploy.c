/*
 * Calls that bring a container onto an engine and take it away. Each is one struct deployment: an
 * operation of docker_private.h with what it gathers while its answer arrives.
 */
#include "core/docker_deploy.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/buffer.h"
#include "core/docker_private.h"
#include "core/error.h"
#include "core/json.h"
#include "core/lines.h"

#define LOAD_LINE_LIMIT_BYTES (64 * 1024)
#define LOADED_MAX            64 /* names of images that are kept */
#define LOG_LINES_MAX         1000
#define LOG_HEADER_BYTES      8

struct deployment {
    struct docker_op op;
    char text[512]; /* of an error of ours, or that the engine tells within its answer */
    /* of a load */
    struct hms_lines lines;
    json_t *loaded;
    /* of logs */
    struct hms_buffer log;
    unsigned char log_header[LOG_HEADER_BYTES];
    size_t log_header_at;
    size_t log_frame_left;
};

static void release(struct docker_op *op)
{
    struct deployment *deployment = hms_container_of(op, struct deployment, op);

    hms_lines_free(&deployment->lines);
    hms_buffer_free(&deployment->log);
    json_decref(deployment->loaded);
    free(deployment);
}

static struct deployment *new_deployment(struct hms_docker *docker, hms_docker_done_fn done,
                                         void *arg)
{
    struct deployment *deployment = hms_calloc(1, sizeof(*deployment));

    deployment->op.docker = docker;
    deployment->op.done = done;
    deployment->op.arg = arg;
    deployment->op.release = release;
    return deployment;
}

/* Sets an end that is not the transport's. */
static void set_error(struct deployment *deployment, int error)
{
    deployment->op.error = error;
    deployment->op.reason = deployment->text;
}

/* A call whose answer needs no reading of ours; frees path. */
static void begin(struct hms_docker *docker, struct hms_http_call *call, char *path,
                  hms_docker_done_fn done, void *arg)
{
    struct deployment *deployment = new_deployment(docker, done, arg);

    hms_docker_op_send(&deployment->op, call, path, NULL);
    free(path);
}

/* --- info ----------------------------------------------------------------------------------- */

static char *copy_text(const json_t *body, const char *key)
{
    const char *text = hms_json_string(body, key);

    return hms_strdup(text != NULL ? text : "");
}

/* Options are texts such as "name=seccomp,profile=default". */
static int has_security_option(const json_t *body, const char *option)
{
    const json_t *options = json_object_get(body, "SecurityOptions");
    size_t i;

    for (i = 0; i < json_array_size(options); i++) {
        const char *text = json_string_value(json_array_get(options, i));

        if (text != NULL && strncmp(text, option, strlen(option)) == 0)
            return 1;
    }
    return 0;
}

int hms_docker_read_info(const json_t *body, struct hms_docker_info *info)
{
    memset(info, 0, sizeof(*info));
    if (!json_is_object(body))
        return HMS_EPROTO;
    info->memory_total_bytes = hms_json_int(body, "MemTotal", 0);
    info->cpus = (int)hms_json_int(body, "NCPU", 0);
    info->version = copy_text(body, "ServerVersion");
    info->os_type = copy_text(body, "OSType");
    info->architecture = copy_text(body, "Architecture");
    info->name = copy_text(body, "Name");
    info->remaps_users = has_security_option(body, "name=userns");
    return HMS_OK;
}

void hms_docker_info_clear(struct hms_docker_info *info)
{
    free(info->version);
    free(info->os_type);
    free(info->architecture);
    free(info->name);
    memset(info, 0, sizeof(*info));
}

void hms_docker_info(struct hms_docker *docker, hms_docker_done_fn done, void *arg)
{
    struct hms_http_call call = {.method = "GET", .timeout_ms = HMS_DOCKER_READ_TIMEOUT_MS};

    begin(docker, &call, hms_strdup("/info"), done, arg);
}

/* --- images --------------------------------------------------------------------------------- */

/* Whether text can be an image's name or id, and so stand in a URL as it is. */
static int is_image(const char *text)
{
    return *text != '\0' && *text != '/' && *text != '.' && strstr(text, "..") == NULL &&
           text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                             "._-:/@")] == '\0';
}

void hms_docker_image_inspect(struct hms_docker *docker, const char *name, hms_docker_done_fn done,
                              void *arg)
{
    struct hms_http_call call = {.method = "GET", .timeout_ms = HMS_DOCKER_READ_TIMEOUT_MS};

    begin(docker, &call, is_image(name) ? hms_asprintf("/images/%s/json", name) : NULL, done, arg);
}

void hms_docker_image_remove(struct hms_docker *docker, const char *name, hms_docker_done_fn done,
                             void *arg)
{
    struct hms_http_call call = {.method = "DELETE", .timeout_ms = HMS_DOCKER_WRITE_TIMEOUT_MS};

    begin(docker, &call, is_image(name) ? hms_asprintf("/images/%s", name) : NULL, done, arg);
}

/* One line of the answer to a load: progress, what was loaded, or an error. */
static int on_load_line(void *arg, const char *line, size_t size)
{
    static const char *const prefixes[] = {"Loaded image: ", "Loaded image ID: "};
    struct deployment *deployment = arg;
    json_t *body = json_loadb(line, size, JSON_ALLOW_NUL, NULL);
    const char *trouble = hms_json_string(body, "error");
    const char *text = hms_json_string(body, "stream");
    size_t i;

    if (trouble != NULL)
        snprintf(deployment->text, sizeof(deployment->text), "%s", trouble);
    for (i = 0; text != NULL && i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t length = strlen(prefixes[i]);

        if (strncmp(text, prefixes[i], length) == 0 &&
            json_array_size(deployment->loaded) < LOADED_MAX)
            json_array_append_new(deployment->loaded,
                                  json_stringn(text + length, strcspn(text + length, "\n")));
    }
    json_decref(body);
    return 0;
}

static void on_load_data(void *arg, const char *data, size_t size_bytes)
{
    struct docker_op *op = arg;
    struct deployment *deployment = hms_container_of(op, struct deployment, op);

    if (hms_lines_feed(&deployment->lines, data, size_bytes, on_load_line, deployment) != HMS_OK)
        hms_docker_op_fail(op, HMS_ELIMIT, "a line of the engine's answer is too long");
}

/* The engine answers 200 before it has read the archive: what it found stands in the body. */
static void complete_load(struct docker_op *op, const struct hms_http_answer *http)
{
    struct deployment *deployment = hms_container_of(op, struct deployment, op);

    hms_lines_feed(&deployment->lines, "\n", 1, on_load_line, deployment);
    if (deployment->text[0] == '\0' && json_array_size(deployment->loaded) == 0)
        snprintf(deployment->text, sizeof(deployment->text), "the engine found no image in it");
    if (deployment->text[0] != '\0')
        set_error(deployment, HMS_EREMOTE);
    else
        op->body = json_incref(deployment->loaded);
}

/* Opens the archive as the call's body; on failure the operation has its error. */
static void open_archive(struct deployment *deployment, const char *path,
                         struct hms_http_call *call)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status = {0};
    const char *trouble = NULL;

    if (fd < 0 || fstat(fd, &status) != 0)
        trouble = strerror(errno);
    else if (!S_ISREG(status.st_mode) || status.st_size == 0)
        trouble = "not a file with an image in it";
    if (trouble == NULL) {
        call->body_fd = fd;
        call->body_bytes = (size_t)status.st_size;
        return;
    }
    if (fd >= 0)
        close(fd);
    snprintf(deployment->text, sizeof(deployment->text), "%.300s: %s", path, trouble);
    set_error(deployment, HMS_EIO);
}

void hms_docker_image_load(struct hms_docker *docker, const char *path, hms_docker_done_fn done,
                           void *arg)
{
    struct deployment *deployment = new_deployment(docker, done, arg);
    struct hms_http_call call = {.method = "POST",
                                 .content_type = "application/x-tar",
                                 .stall_timeout_ms = HMS_DOCKER_LOAD_STALL_MS};

    deployment->loaded = json_array();
    deployment->op.complete = complete_load;
    hms_lines_init(&deployment->lines, LOAD_LINE_LIMIT_BYTES);
    open_archive(deployment, path, &call);
    hms_docker_op_send(&deployment->op, &call, "/images/load", on_load_data);
}

/* --- containers ----------------------------------------------------------------------------- */

void hms_docker_create(struct hms_docker *docker, const char *name, const json_t *spec,
                       hms_docker_done_fn done, void *arg)
{
    char *body = json_dumps(spec, HMS_JSON_DUMP);
    struct hms_http_call call = {.method = "POST",
                                 .content_type = "application/json",
                                 .body = body,
                                 .body_bytes = strlen(body),
                                 .timeout_ms = HMS_DOCKER_WRITE_TIMEOUT_MS};

    begin(docker, &call,
          hms_docker_is_word(name) ? hms_asprintf("/containers/create?name=%s", name) : NULL, done,
          arg);
    free(body);
}

void hms_docker_put_archive(struct hms_docker *docker, const char *id, const char *path,
                            const void *tar, size_t tar_bytes, hms_docker_done_fn done, void *arg)
{
    struct deployment *deployment = new_deployment(docker, done, arg);
    char *escaped = curl_easy_escape(NULL, path, 0);
    char *url_path =
        hms_docker_is_word(id) && path[0] == '/'
            ? hms_asprintf("/containers/%s/archive?noOverwriteDirNonDir=1&path=%s", id, escaped)
            : NULL;
    struct hms_http_call call = {.method = "PUT",
                                 .content_type = "application/x-tar",
                                 .body = tar,
                                 .body_bytes = tar_bytes,
                                 .timeout_ms = HMS_DOCKER_WRITE_TIMEOUT_MS};

    if (tar_bytes > HMS_DOCKER_ARCHIVE_MAX_BYTES) {
        snprintf(deployment->text, sizeof(deployment->text),
                 "the archive for the container has more than %d bytes",
                 HMS_DOCKER_ARCHIVE_MAX_BYTES);
        set_error(deployment, HMS_ELIMIT);
    }
    hms_docker_op_send(&deployment->op, &call, url_path, NULL);
    curl_free(escaped);
    free(url_path);
}

void hms_docker_remove(struct hms_docker *docker, const char *id, int force,
                       hms_docker_done_fn done, void *arg)
{
    struct hms_http_call call = {.method = "DELETE", .timeout_ms = HMS_DOCKER_WRITE_TIMEOUT_MS};

    begin(docker, &call,
          hms_docker_is_word(id) ? hms_asprintf("/containers/%s?v=1&force=%d", id, force != 0)
                                 : NULL,
          done, arg);
}

void hms_docker_rename(struct hms_docker *docker, const char *id, const char *name,
                       hms_docker_done_fn done, void *arg)
{
    struct hms_http_call call = {.method = "POST", .timeout_ms = HMS_DOCKER_WRITE_TIMEOUT_MS};
    int is_good = hms_docker_is_word(id) && hms_docker_is_word(name);

    begin(docker, &call, is_good ? hms_asprintf("/containers/%s/rename?name=%s", id, name) : NULL,
          done, arg);
}

/* --- volumes -------------------------------------------------------------------------------- */

static void call_volume(struct hms_docker *docker, const char *method, const char *name,
                        int64_t timeout_ms, hms_docker_done_fn done, void *arg)
{
    struct hms_http_call call = {.method = method, .timeout_ms = timeout_ms};

    begin(docker, &call, hms_docker_is_word(name) ? hms_asprintf("/volumes/%s", name) : NULL, done,
          arg);
}

void hms_docker_volume_inspect(struct hms_docker *docker, const char *name, hms_docker_done_fn done,
                               void *arg)
{
    call_volume(docker, "GET", name, HMS_DOCKER_READ_TIMEOUT_MS, done, arg);
}

void hms_docker_volume_remove(struct hms_docker *docker, const char *name, hms_docker_done_fn done,
                              void *arg)
{
    call_volume(docker, "DELETE", name, HMS_DOCKER_WRITE_TIMEOUT_MS, done, arg);
}

/* --- logs ----------------------------------------------------------------------------------- */

/* Appends to what is kept; the oldest goes when it becomes too much. */
static void keep_log(struct deployment *deployment, const char *data, size_t size)
{
    struct hms_buffer *log = &deployment->log;

    while (size > 0) {
        size_t piece = size < HMS_DOCKER_LOG_MAX_BYTES ? size : HMS_DOCKER_LOG_MAX_BYTES;

        if (log->size_bytes + piece > HMS_DOCKER_LOG_MAX_BYTES)
            hms_buffer_consume(log, log->size_bytes + piece - HMS_DOCKER_LOG_MAX_BYTES);
        hms_buffer_append(log, data, piece);
        data += piece;
        size -= piece;
    }
}

/* Takes the next byte of a frame's header: the stream's number, three zeros, the frame's length,
 * the highest byte first. Returns 0 or HMS_EPROTO. */
static int take_log_header(struct deployment *deployment, char byte)
{
    const unsigned char *header = deployment->log_header;

    deployment->log_header[deployment->log_header_at++] = (unsigned char)byte;
    if (deployment->log_header_at < LOG_HEADER_BYTES)
        return HMS_OK;
    deployment->log_header_at = 0;
    deployment->log_frame_left = (size_t)header[4] << 24 | (size_t)header[5] << 16 |
                                 (size_t)header[6] << 8 | (size_t)header[7];
    return header[0] <= 2 && header[1] == 0 && header[2] == 0 && header[3] == 0 ? HMS_OK
                                                                                : HMS_EPROTO;
}

static void on_log_data(void *arg, const char *data, size_t size_bytes)
{
    struct docker_op *op = arg;
    struct deployment *deployment = hms_container_of(op, struct deployment, op);

    while (size_bytes > 0) {
        size_t piece = 1;

        if (deployment->log_frame_left > 0) {
            piece =
                size_bytes < deployment->log_frame_left ? size_bytes : deployment->log_frame_left;
            keep_log(deployment, data, piece);
            deployment->log_frame_left -= piece;
        } else if (take_log_header(deployment, *data) != HMS_OK) {
            hms_docker_op_fail(op, HMS_EPROTO, "the log is not in frames: has it a terminal?");
            return;
        }
        data += piece;
        size_bytes -= piece;
    }
}

static void complete_logs(struct docker_op *op, const struct hms_http_answer *http)
{
    struct hms_buffer *log = &hms_container_of(op, struct deployment, op)->log;
    size_t i;

    for (i = 0; i < log->size_bytes; i++)
        if (log->data[i] == '\0')
            log->data[i] = ' ';
    op->body = hms_json_text(log->data != NULL ? log->data : "");
}

void hms_docker_logs(struct hms_docker *docker, const char *id, int lines, hms_docker_done_fn done,
                     void *arg)
{
    struct deployment *deployment = new_deployment(docker, done, arg);
    int is_good = hms_docker_is_word(id) && lines >= 1 && lines <= LOG_LINES_MAX;
    char *path =
        is_good ? hms_asprintf("/containers/%s/logs?stdout=1&stderr=1&tail=%d", id, lines) : NULL;

    deployment->op.complete = complete_logs;
    hms_buffer_init(&deployment->log, HMS_DOCKER_LOG_MAX_BYTES);
    hms_docker_op_begin(&deployment->op, "GET", path, HMS_DOCKER_READ_TIMEOUT_MS, on_log_data);
    free(path);
}
