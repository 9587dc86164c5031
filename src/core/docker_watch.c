/*
 * Contact with one engine as a state machine. It owns its timer and the calls and the stream that
 * it has under way at its client.
 *
 * Why nothing is missed: the live stream begins where the replay ended, both overlap what came
 * before, and the list is asked for after the stream has opened. Why nothing is told twice: the
 * engine keeps its last 256 events only, the ring remembers four times as many.
 */
#include "core/docker_watch.h"

#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/backoff.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/log.h"

#define LIST_PERIOD_MS    10000
#define ANSWER_TIMEOUT_MS 15000
#define BACKOFF_MIN_MS    100
#define BACKOFF_MAX_MS    5000
#define RING_SIZE         1024
#define NS_PER_MS         INT64_C(1000000)
/* Events are stamped before they are queued, so they come out of order by some of it; a stamp that
 * lies further back than this means that the engine's clock was set back. */
#define OVERLAP_NS INT64_C(1000000000)

enum state {
    WAITING,     /* for the next attempt */
    NEGOTIATING, /* version asked for */
    NETWORKS,    /* network list asked for */
    REPLAYING,   /* reading the events that were missed */
    OPENING,     /* live stream asked for */
    FOLLOWING,   /* contact */
    CLOSED,
};

struct hms_docker_watch {
    struct hms_log *log;
    struct hms_docker *docker;
    struct hms_docker_watch_options options;
    struct hms_docker_watch_handlers handlers;
    void *arg;
    enum state state;
    uv_timer_t timer; /* backoff, an answer's deadline, or the list's period */
    int attempts;     /* that failed in a row */
    int down_told;
    int64_t contact_ms;      /* when contact was made */
    int64_t alive_ms;        /* when the engine last told something; 0: never */
    int64_t replay_until_ns; /* where replay ends and the live stream begins */
    int64_t last_event_ns;
    int64_t floor_ns; /* events up to then are not asked for */
    int is_listing;
    int list_first;
    int64_t list_asked_ms;
    int networks_asked;
    int networks_again;
    uint64_t ring[RING_SIZE]; /* keys of the newest events */
    size_t ring_next;
    void (*closed)(void *arg);
    void *closed_arg;
};

static const char *const state_names[] = {"waiting", "negotiating", "networks", "replaying",
                                          "opening", "following",   "closed"};

static void negotiate(struct hms_docker_watch *watch);
static void ask_networks(struct hms_docker_watch *watch);
static void ask_list(struct hms_docker_watch *watch);
static void lose(struct hms_docker_watch *watch, const char *reason);

static void set_state(struct hms_docker_watch *watch, enum state state)
{
    hms_log(watch->log, HMS_LOG_DEBUG, "docker", "contact: %s to %s", state_names[watch->state],
            state_names[state]);
    if (watch->state == CLOSED)
        abort();
    watch->state = state;
}

/* --- time ----------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct hms_docker_watch *watch = timer->data;

    if (watch->state == WAITING)
        negotiate(watch);
    else if (watch->state == FOLLOWING && !watch->is_listing)
        ask_list(watch);
    else
        lose(watch, "the engine does not answer");
}

static void start_timer(struct hms_docker_watch *watch, int64_t ms)
{
    uv_update_time(watch->timer.loop);
    uv_timer_start(&watch->timer, on_timer, (uint64_t)ms, 0);
}

static void expect_answer(struct hms_docker_watch *watch)
{
    start_timer(watch, watch->options.answer_timeout_ms);
}

/* --- events --------------------------------------------------------------------------------- */

static uint64_t event_key(const struct hms_docker_event *event)
{
    uint64_t key = HMS_HASH_SEED;
    int action = (int)event->action;

    key = hms_hash(key, &event->time_ns, sizeof(event->time_ns));
    key = hms_hash(key, &action, sizeof(action));
    return hms_hash(key, event->id, strlen(event->id));
}

/* Whether the event was told already; remembers it. */
static int is_known(struct hms_docker_watch *watch, const struct hms_docker_event *event)
{
    uint64_t key = event_key(event);
    size_t i;

    for (i = 0; i < RING_SIZE; i++)
        if (watch->ring[i] == key)
            return 1;
    watch->ring[watch->ring_next] = key;
    watch->ring_next = (watch->ring_next + 1) % RING_SIZE;
    return 0;
}

/* The newest stamp counts, unless the engine's clock was set back. */
static void note_time(struct hms_docker_watch *watch, int64_t time_ns)
{
    if (time_ns > watch->last_event_ns || watch->last_event_ns - time_ns > OVERLAP_NS)
        watch->last_event_ns = time_ns;
}

static void on_stream_event(void *arg, const struct hms_docker_event *event)
{
    struct hms_docker_watch *watch = arg;
    int replayed = watch->state == REPLAYING;

    watch->alive_ms = hms_clock_mono_ms();
    if (is_known(watch, event))
        return;
    /* The overlap reaches back into what is not asked for. Not further: a clock may be set back. */
    if (replayed && event->time_ns <= watch->floor_ns &&
        event->time_ns > watch->floor_ns - 2 * OVERLAP_NS)
        return;
    note_time(watch, event->time_ns);
    if (event->action == HMS_DOCKER_ON_NETWORK && event->id[0] == '\0')
        ask_networks(watch);
    watch->handlers.on_event(watch->arg, event, replayed);
}

/* From where events may be missing; 0: from nowhere. */
static int64_t missing_since_ns(const struct hms_docker_watch *watch)
{
    int64_t since_ns = watch->last_event_ns;
    int64_t latest_ns = hms_docker_now_ns(watch->docker);

    if (since_ns == 0)
        since_ns = watch->options.since_ns;
    if (watch->alive_ms != 0)
        latest_ns -= (hms_clock_mono_ms() - watch->alive_ms) * NS_PER_MS;
    /* The engine's clock may have been set back after that event; it refuses a future time. */
    if ((since_ns == 0 && watch->alive_ms != 0) || since_ns > latest_ns)
        since_ns = latest_ns;
    return since_ns > OVERLAP_NS ? since_ns - OVERLAP_NS : since_ns;
}

static void on_stream_done(void *arg, const struct hms_docker_answer *answer)
{
    if (answer->error != HMS_ECANCELED)
        lose(arg, answer->error != HMS_OK ? answer->message : "the engine ended the events stream");
}

static void on_stream_open(void *arg)
{
    struct hms_docker_watch *watch = arg;

    set_state(watch, FOLLOWING);
    watch->contact_ms = watch->alive_ms = hms_clock_mono_ms();
    watch->list_first = 1;
    ask_list(watch);
}

static void open_stream(struct hms_docker_watch *watch, int64_t since_ns)
{
    set_state(watch, OPENING);
    expect_answer(watch);
    hms_docker_events(watch->docker, since_ns, 0, on_stream_open, on_stream_event, on_stream_done,
                      watch);
}

static void on_replay_done(void *arg, const struct hms_docker_answer *answer)
{
    struct hms_docker_watch *watch = arg;

    if (answer->error == HMS_ECANCELED)
        return;
    if (answer->error != HMS_OK)
        lose(watch, answer->message);
    else
        open_stream(watch, watch->replay_until_ns - OVERLAP_NS);
}

static void replay(struct hms_docker_watch *watch)
{
    int64_t since_ns = missing_since_ns(watch);

    watch->replay_until_ns = hms_docker_now_ns(watch->docker);
    if (watch->floor_ns == 0)
        watch->floor_ns = watch->replay_until_ns;
    if (since_ns == 0) {
        open_stream(watch, 0);
        return;
    }
    set_state(watch, REPLAYING);
    expect_answer(watch);
    hms_docker_events(watch->docker, since_ns, watch->replay_until_ns, NULL, on_stream_event,
                      on_replay_done, watch);
}

/* --- networks ------------------------------------------------------------------------------- */

static void on_networks(void *arg, const struct hms_docker_answer *answer)
{
    struct hms_docker_watch *watch = arg;
    struct hms_docker_network *networks;
    size_t count;

    watch->networks_asked = 0;
    if (answer->error == HMS_ECANCELED)
        return;
    if (answer->error != HMS_OK) {
        lose(watch, answer->message);
        return;
    }
    if (hms_docker_read_networks(answer->body, &networks, &count) != HMS_OK) {
        lose(watch, "the engine's network list is not understood");
        return;
    }
    watch->handlers.on_networks(watch->arg, networks, count);
    hms_docker_networks_free(networks, count);
    if (watch->state == CLOSED)
        return;
    if (watch->state == NETWORKS)
        replay(watch);
    if (watch->networks_again)
        ask_networks(watch);
}

static void ask_networks(struct hms_docker_watch *watch)
{
    watch->networks_again = watch->networks_asked;
    if (watch->networks_asked)
        return;
    watch->networks_asked = 1;
    hms_docker_networks(watch->docker, on_networks, watch);
}

/* --- list ----------------------------------------------------------------------------------- */

static void tell_list(struct hms_docker_watch *watch, const struct hms_docker_row *rows,
                      size_t count)
{
    int first = watch->list_first;

    if (first) {
        hms_log(watch->log, HMS_LOG_INFO, "docker",
                "contact with the engine, API %s, %zu containers",
                hms_docker_api_version(watch->docker), count);
        watch->down_told = 0;
    }
    watch->list_first = 0;
    watch->handlers.on_list(watch->arg, rows, count, watch->list_asked_ms, first);
}

static void on_list(void *arg, const struct hms_docker_answer *answer)
{
    struct hms_docker_watch *watch = arg;
    struct hms_docker_row *rows;
    size_t count;

    watch->is_listing = 0;
    if (answer->error == HMS_ECANCELED)
        return;
    if (answer->error != HMS_OK) {
        lose(watch, answer->message);
        return;
    }
    if (hms_docker_read_list(answer->body, &rows, &count) != HMS_OK) {
        lose(watch, "the engine's container list is not understood");
        return;
    }
    watch->alive_ms = hms_clock_mono_ms();
    start_timer(watch, watch->options.list_period_ms);
    tell_list(watch, rows, count);
    free(rows);
}

static void ask_list(struct hms_docker_watch *watch)
{
    watch->is_listing = 1;
    watch->list_asked_ms = hms_clock_mono_ms();
    expect_answer(watch);
    hms_docker_list(watch->docker, on_list, watch);
}

/* --- contact -------------------------------------------------------------------------------- */

static void on_negotiated(void *arg, const struct hms_docker_answer *answer)
{
    struct hms_docker_watch *watch = arg;

    if (answer->error == HMS_ECANCELED)
        return;
    if (answer->error != HMS_OK) {
        lose(watch, answer->message);
        return;
    }
    set_state(watch, NETWORKS);
    expect_answer(watch);
    ask_networks(watch);
}

static void negotiate(struct hms_docker_watch *watch)
{
    set_state(watch, NEGOTIATING);
    expect_answer(watch);
    hms_docker_negotiate(watch->docker, on_negotiated, watch);
}

static void lose(struct hms_docker_watch *watch, const char *reason)
{
    int64_t now_ms = hms_clock_mono_ms();

    /* A contact that soon breaks again counts as one more failure. */
    if (watch->state == FOLLOWING && now_ms - watch->contact_ms >= watch->options.backoff_max_ms)
        watch->attempts = 0;
    if (watch->attempts < 32)
        watch->attempts++;
    set_state(watch, WAITING);
    start_timer(watch, hms_backoff_ms(watch->attempts, watch->options.backoff_min_ms,
                                      watch->options.backoff_max_ms));
    hms_docker_cancel(watch->docker, watch);
    watch->networks_again = 0;
    if (watch->down_told)
        return;
    watch->down_told = 1;
    hms_log(watch->log, HMS_LOG_WARN, "docker", "no contact with the engine: %s", reason);
    watch->handlers.on_down(watch->arg, reason);
}

/* --- life ----------------------------------------------------------------------------------- */

static int64_t value_or(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

struct hms_docker_watch *hms_docker_watch_new(uv_loop_t *loop, struct hms_log *log,
                                              struct hms_docker *docker,
                                              const struct hms_docker_watch_options *options,
                                              const struct hms_docker_watch_handlers *handlers,
                                              void *arg)
{
    struct hms_docker_watch *watch = hms_calloc(1, sizeof(*watch));

    watch->log = log;
    watch->docker = docker;
    watch->handlers = *handlers;
    watch->arg = arg;
    watch->options = *options;
    watch->floor_ns = options->since_ns;
    watch->options.list_period_ms = value_or(options->list_period_ms, LIST_PERIOD_MS);
    watch->options.answer_timeout_ms = value_or(options->answer_timeout_ms, ANSWER_TIMEOUT_MS);
    watch->options.backoff_min_ms = value_or(options->backoff_min_ms, BACKOFF_MIN_MS);
    watch->options.backoff_max_ms = value_or(options->backoff_max_ms, BACKOFF_MAX_MS);
    uv_timer_init(loop, &watch->timer);
    watch->timer.data = watch;
    negotiate(watch);
    return watch;
}

int64_t hms_docker_watch_last_event_ns(const struct hms_docker_watch *watch)
{
    return watch->last_event_ns;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct hms_docker_watch *watch = handle->data;

    if (watch->closed != NULL)
        watch->closed(watch->closed_arg);
    free(watch);
}

void hms_docker_watch_close(struct hms_docker_watch *watch, void (*closed)(void *arg), void *arg)
{
    set_state(watch, CLOSED);
    watch->closed = closed;
    watch->closed_arg = arg;
    hms_docker_cancel(watch->docker, watch);
    uv_close((uv_handle_t *)&watch->timer, on_timer_closed);
}
