/*
 * The engine's events stream: one JSON object on each line. The stream is an operation as the
 * calls are, and owned by its client.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/clock.h"
#include "core/docker.h"
#include "core/docker_private.h"
#include "core/error.h"
#include "core/lines.h"
#include "core/log.h"

#define LINE_LIMIT_BYTES     (1024 * 1024)
#define REPLAY_TIMEOUT_MS    30000
#define NS_PER_S             INT64_C(1000000000)
#define COMPLAINTS_PERIOD_MS 60000
#define COMPLAINTS_BURST     5

struct hms_docker_stream {
    struct docker_op op;
    void (*on_open)(void *arg);
    hms_docker_event_fn on_event;
    struct hms_lines lines;
    int is_busy; /* within a callback of its user */
    int is_over; /* its end was told: free it after the callback */
    struct hms_log_limit complaints;
};

/* What the engine shall tell. It sends nothing else: the exec events of health checks would be most
 * of the stream. */
static const char filters[] =
    "{\"type\":[\"container\",\"network\"],\"event\":[\"create\",\"start\",\"restart\",\"kill\","
    "\"die\",\"stop\",\"oom\",\"pause\",\"unpause\",\"rename\",\"update\",\"destroy\",\"connect\","
    "\"disconnect\",\"remove\"]}";

static void free_stream(struct hms_docker_stream *stream)
{
    hms_lines_free(&stream->lines);
    free(stream);
}

static void release_stream(struct docker_op *op)
{
    struct hms_docker_stream *stream = hms_container_of(op, struct hms_docker_stream, op);

    if (stream->is_busy)
        stream->is_over = 1;
    else
        free_stream(stream);
}

static void complain(struct hms_docker_stream *stream, const char *line)
{
    if (hms_log_limit_pass(&stream->complaints, hms_clock_mono_ms()))
        hms_log(stream->op.docker->log, HMS_LOG_WARN, "docker",
                "skipped a line of the events stream that is no event: %.200s", line);
}

static int on_line(void *arg, const char *line, size_t size)
{
    struct hms_docker_stream *stream = arg;
    json_t *body = json_loadb(line, size, JSON_ALLOW_NUL, NULL);
    struct hms_docker_event event;
    int error = body != NULL ? hms_docker_read_event(body, &event) : HMS_EPROTO;

    if (error == HMS_OK)
        stream->on_event(stream->op.arg, &event);
    else if (error == HMS_EPROTO)
        complain(stream, line);
    json_decref(body);
    return stream->is_over;
}

static void take(struct hms_docker_stream *stream, const char *data, size_t size)
{
    int error = hms_lines_feed(&stream->lines, data, size, on_line, stream);

    if (error != HMS_OK && !stream->is_over)
        hms_docker_op_fail(&stream->op, error, "a line of the events stream is too long");
}

static void on_stream_data(void *arg, const char *data, size_t size_bytes)
{
    struct hms_docker_stream *stream =
        hms_container_of((struct docker_op *)arg, struct hms_docker_stream, op);

    stream->is_busy = 1;
    if (size_bytes > 0)
        take(stream, data, size_bytes);
    else if (stream->on_open != NULL)
        stream->on_open(stream->op.arg);
    stream->is_busy = 0;
    if (stream->is_over)
        free_stream(stream);
}

static char *stream_path(int64_t since_ns, int64_t until_ns)
{
    char *escaped = curl_easy_escape(NULL, filters, (int)sizeof(filters) - 1);
    char since[48] = "", until[48] = "";
    char *path;

    if (since_ns > 0)
        snprintf(since, sizeof(since), "&since=%lld.%09lld", (long long)(since_ns / NS_PER_S),
                 (long long)(since_ns % NS_PER_S));
    if (until_ns > 0)
        snprintf(until, sizeof(until), "&until=%lld.%09lld", (long long)(until_ns / NS_PER_S),
                 (long long)(until_ns % NS_PER_S));
    path = hms_asprintf("/events?filters=%s%s%s", escaped, since, until);
    curl_free(escaped);
    return path;
}

struct hms_docker_stream *hms_docker_events(struct hms_docker *docker, int64_t since_ns,
                                            int64_t until_ns, void (*on_open)(void *arg),
                                            hms_docker_event_fn on_event, hms_docker_done_fn done,
                                            void *arg)
{
    struct hms_docker_stream *stream = hms_calloc(1, sizeof(*stream));
    char *path = stream_path(since_ns, until_ns);

    stream->op.docker = docker;
    stream->op.done = done;
    stream->op.arg = arg;
    stream->op.release = release_stream;
    stream->on_open = on_open;
    stream->on_event = on_event;
    stream->complaints.period_ms = COMPLAINTS_PERIOD_MS;
    stream->complaints.burst = COMPLAINTS_BURST;
    hms_lines_init(&stream->lines, LINE_LIMIT_BYTES);
    hms_docker_op_begin(&stream->op, "GET", path, until_ns > 0 ? REPLAY_TIMEOUT_MS : 0,
                        on_stream_data);
    free(path);
    return stream;
}

void hms_docker_stream_cancel(struct hms_docker_stream *stream)
{
    hms_docker_op_cancel(&stream->op);
}
