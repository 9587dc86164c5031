/*
 * The bus over one connection to the broker, which comes and goes beneath it.
 *
 * It owns the connection while there is one, the outbox, the calls (requests whose answer it waits
 * for), the inboxes (what is served) and the visits: requests of others, in the hands of a server
 * until it answers, which may be after the bus has closed.
 */
#include "core/bus_amqp.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/backoff.h"
#include "core/bus_amqp_private.h"
#include "core/error.h"
#include "core/tls.h"

/* The longest wait leaves half of the 10 s in which all is to be well after the broker is back. */
#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 5000
#define FAILURES_MAX   32

#define PASSWORD_MAX_BYTES 1024

/* Lines about bad messages, by which a peer could fill the log. */
#define COMPLAINTS_PERIOD_MS 60000
#define COMPLAINTS_BURST     5

static void on_retry(uv_timer_t *retry);

static struct bus_amqp *of(struct hms_bus *bus)
{
    return hms_container_of(bus, struct bus_amqp, public);
}

/* ---- serving ---- */

static void consume(struct bus_amqp *bus, const struct inbox *inbox)
{
    char *key = hms_bus_amqp_key(inbox->role, inbox->address);
    const char *keys[] = {hms_bus_role_name(inbox->role), key};

    hms_amqp_connection_consume(bus->connection, inbox->tag, keys, 2);
    free(key);
}

static struct inbox *find_inbox(struct bus_amqp *bus, enum hms_bus_role role, const char *address)
{
    struct inbox *inbox;

    TAILQ_FOREACH(inbox, &bus->inboxes, link)
    if (inbox->role == role && strcmp(inbox->address, address) == 0)
        return inbox;
    return NULL;
}

static void inbox_remove(struct bus_amqp *bus, struct inbox *inbox)
{
    TAILQ_REMOVE(&bus->inboxes, inbox, link);
    assert(TAILQ_FIRST(&bus->inboxes) != inbox); /* static analysis does not see that */
    free(inbox->address);
    free(inbox->tag);
    free(inbox);
}

static int amqp_serve(struct hms_bus *public, enum hms_bus_role role, const char *address,
                      hms_bus_serve_fn fn, void *arg)
{
    struct bus_amqp *bus = of(public);
    struct inbox *inbox;

    assert(!bus->closing && strlen(address) < INET6_ADDRSTRLEN);
    if (find_inbox(bus, role, address) != NULL)
        return HMS_EBUSY;
    inbox = hms_calloc(1, sizeof(*inbox));
    inbox->role = role;
    inbox->address = hms_strdup(address);
    inbox->tag = hms_asprintf("serve-%u", ++bus->last_tag);
    inbox->fn = fn;
    inbox->arg = arg;
    TAILQ_INSERT_TAIL(&bus->inboxes, inbox, link);
    if (bus->is_open)
        consume(bus, inbox);
    return HMS_OK;
}

static void amqp_unserve(struct hms_bus *public, enum hms_bus_role role, const char *address)
{
    struct bus_amqp *bus = of(public);
    struct inbox *inbox = find_inbox(bus, role, address);

    if (inbox == NULL)
        return;
    if (bus->is_open)
        hms_amqp_connection_ignore(bus->connection, inbox->tag);
    inbox_remove(bus, inbox);
}

static void amqp_hold(struct hms_bus *public, const char *name, void (*fn)(void *arg, int is_held),
                      void *arg)
{
    hms_amqp_hold_want(&of(public)->hold, name, fn, arg);
}

static void amqp_unhold(struct hms_bus *public)
{
    hms_amqp_hold_give_up(&of(public)->hold);
}

/* ---- contact ---- */

static void update_contact(struct bus_amqp *bus)
{
    enum hms_bus_contact contact = HMS_BUS_READY;

    if (!bus->is_settled || hms_amqp_connection_is_blocked(bus->connection))
        contact = HMS_BUS_DOWN;
    else if (hms_amqp_outbox_first(&bus->outbox) != NULL ||
             !hms_amqp_connection_has_room(bus->connection))
        contact = HMS_BUS_CONGESTED;
    hms_bus_set_contact(&bus->public, contact);
}

static void on_pump(uv_idle_t *pump)
{
    struct bus_amqp *bus = pump->data;

    uv_idle_stop(pump);
    hms_bus_amqp_drain(bus);
    update_contact(bus);
}

void hms_bus_amqp_need_pump(struct bus_amqp *bus)
{
    uv_idle_start(&bus->pump, on_pump);
}

static void on_open(void *arg)
{
    struct bus_amqp *bus = arg;
    const char *reply_key = bus->reply_key;
    struct inbox *inbox;

    bus->is_open = 1;
    hms_amqp_connection_consume(bus->connection, HMS_BUS_AMQP_REPLY_TAG, &reply_key, 1);
    TAILQ_FOREACH(inbox, &bus->inboxes, link)
    consume(bus, inbox);
}

static void on_room(void *arg)
{
    struct bus_amqp *bus = arg;

    hms_bus_amqp_drain(bus);
    update_contact(bus);
}

static void on_settled(void *arg)
{
    struct bus_amqp *bus = arg;

    bus->is_settled = 1;
    bus->settled_ms = (int64_t)uv_now(bus->loop);
    free(bus->told);
    bus->told = NULL;
    hms_log(bus->log, HMS_LOG_INFO, "amqp", "contact with the broker at %s:%s", bus->url.host,
            bus->url.port);
    hms_amqp_hold_connected(&bus->hold, bus->connection);
    on_room(bus);
}

static void on_blocked(void *arg, const char *reason)
{
    struct bus_amqp *bus = arg;

    if (reason != NULL)
        hms_log(bus->log, HMS_LOG_WARN, "amqp", "the broker takes no messages for now: %s", reason);
    else
        hms_log(bus->log, HMS_LOG_INFO, "amqp", "the broker takes messages again");
    on_room(bus);
}

static void on_content(void *arg, const struct hms_amqp_content *content)
{
    hms_bus_amqp_take(arg, content);
}

static void on_hold_told(void *arg, amqp_method_number_t method, const void *fields)
{
    hms_amqp_hold_told(&((struct bus_amqp *)arg)->hold, method, fields);
}

static void tell_lost(struct bus_amqp *bus, const char *why)
{
    int is_news = bus->told == NULL || strcmp(bus->told, why) != 0;

    hms_log(bus->log, is_news ? HMS_LOG_WARN : HMS_LOG_DEBUG, "amqp",
            "no contact with the broker at %s:%s: %s", bus->url.host, bus->url.port, why);
    if (!is_news)
        return;
    free(bus->told);
    bus->told = hms_strdup(why);
}

/* The next attempt comes after a while; a contact that soon breaks is one more failure. */
static void retry_later(struct bus_amqp *bus)
{
    if (bus->failures < FAILURES_MAX)
        bus->failures++;
    uv_timer_start(&bus->retry, on_retry,
                   (uint64_t)hms_backoff_ms(bus->failures, BACKOFF_MIN_MS, BACKOFF_MAX_MS), 0);
}

static void on_part_closed(struct bus_amqp *bus);

static void on_connection_closed(void *arg)
{
    struct bus_amqp *bus = arg;

    bus->connection = NULL;
    bus->is_lost = 0;
    if (!bus->closing)
        retry_later(bus);
    on_part_closed(bus);
}

static void on_lost(void *arg, const char *why)
{
    struct bus_amqp *bus = arg;

    tell_lost(bus, why);
    if (bus->is_settled) {
        bus->public.troubles.disconnects++;
        if ((int64_t)uv_now(bus->loop) - bus->settled_ms >= BACKOFF_MAX_MS)
            bus->failures = 0;
    }
    bus->is_open = bus->is_settled = 0;
    bus->is_lost = 1;
    hms_amqp_connection_close(bus->connection, on_connection_closed, bus);
    hms_bus_amqp_rewind(bus);
    hms_amqp_hold_lost(&bus->hold);
    update_contact(bus);
}

static const struct hms_amqp_connection_handlers connection_handlers = {
    .on_open = on_open,
    .on_settled = on_settled,
    .on_blocked = on_blocked,
    .on_room = on_room,
    .on_content = on_content,
    .on_hold = on_hold_told,
    .on_lost = on_lost,
};

/* Returns whether there is a password; else why not in error. */
static int read_password(const struct bus_amqp *bus, char password[PASSWORD_MAX_BYTES + 2],
                         char *error, size_t error_size)
{
    const char *path = bus->password_file;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t size = fd >= 0 ? read(fd, password, PASSWORD_MAX_BYTES + 1) : -1;

    if (size < 0)
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (size < 0)
        return 0;
    while (size > 0 && (password[size - 1] == '\n' || password[size - 1] == '\r'))
        size--;
    if (size == 0 || size > PASSWORD_MAX_BYTES) {
        snprintf(error, error_size, "%s: it must have 1 to %d bytes", path, PASSWORD_MAX_BYTES);
        return 0;
    }
    password[size] = '\0';
    return 1;
}

static void connect_now(struct bus_amqp *bus)
{
    char password[PASSWORD_MAX_BYTES + 2], error[512];
    char *name;
    struct hms_amqp_connection_options options = {
        .url = &bus->url,
        .tls_context = bus->tls_context,
        .password = bus->password,
        .heartbeat_s = bus->heartbeat_s,
        .body_max_bytes = HMS_BUS_AMQP_BODY_MAX_BYTES,
    };

    if (bus->password_file != NULL) {
        if (!read_password(bus, password, error, sizeof(error))) {
            tell_lost(bus, error);
            retry_later(bus);
            return;
        }
        options.password = password;
    }
    name = hms_asprintf("hms %s %s", hms_bus_role_name(bus->role), bus->address);
    options.name = name;
    bus->connection =
        hms_amqp_connection_open(bus->loop, bus->log, &options, &connection_handlers, bus);
    bus->open_parts++;
    OPENSSL_cleanse(password, sizeof(password));
    free(name);
}

static void on_retry(uv_timer_t *retry)
{
    struct bus_amqp *bus = retry->data;

    hms_bus_amqp_expire(bus);
    connect_now(bus);
}

/* ---- life ---- */

void hms_bus_amqp_maybe_free(struct bus_amqp *bus)
{
    if (!bus->closed || bus->visits > 0)
        return;
    hms_bus_release(&bus->public);
    hms_amqp_url_free(&bus->url);
    hms_tls_context_free(bus->tls_context);
    free(bus->password);
    free(bus->password_file);
    free(bus->address);
    free(bus->reply_key);
    free(bus->told);
    free(bus);
}

static void on_part_closed(struct bus_amqp *bus)
{
    void (*closed_fn)(void *) = bus->closed_fn;
    void *closed_arg = bus->closed_arg;

    if (--bus->open_parts > 0)
        return;
    bus->closed = 1;
    hms_bus_amqp_maybe_free(bus);
    closed_fn(closed_arg);
}

static void on_handle_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void amqp_close(struct hms_bus *public, void (*closed)(void *arg), void *arg)
{
    struct bus_amqp *bus = of(public);

    assert(!bus->closing);
    bus->closing = 1;
    bus->closed_fn = closed;
    bus->closed_arg = arg;
    while (!TAILQ_EMPTY(&bus->inboxes))
        inbox_remove(bus, TAILQ_FIRST(&bus->inboxes));
    hms_amqp_hold_close(&bus->hold, on_handle_closed);
    hms_amqp_calls_close(&bus->calls, on_handle_closed);
    hms_amqp_outbox_clear(&bus->outbox);
    if (bus->connection != NULL && !bus->is_lost)
        hms_amqp_connection_close(bus->connection, on_connection_closed, bus);
    uv_close((uv_handle_t *)&bus->retry, on_handle_closed);
    uv_close((uv_handle_t *)&bus->pump, on_handle_closed);
}

static const struct hms_bus_ops amqp_ops = {
    .request = hms_bus_amqp_request,
    .notify = hms_bus_amqp_notify,
    .serve = amqp_serve,
    .unserve = amqp_unserve,
    .reply = hms_bus_amqp_reply,
    .cancel = hms_bus_amqp_cancel,
    .hold = amqp_hold,
    .unhold = amqp_unhold,
    .close = amqp_close,
};

const char *hms_bus_amqp_check(const char *text)
{
    struct hms_amqp_url url;
    const char *refusal = hms_amqp_url_read(text, &url);

    if (refusal == NULL)
        hms_amqp_url_free(&url);
    return refusal;
}

static int check(const struct hms_bus_amqp_options *options, char *error, size_t error_size)
{
    struct in_addr address;

    if (options->password == NULL && options->password_file == NULL)
        snprintf(error, error_size, "a password for the broker is needed");
    else if (options->password != NULL && strlen(options->password) > PASSWORD_MAX_BYTES)
        snprintf(error, error_size, "the broker's password must have at most %d bytes",
                 PASSWORD_MAX_BYTES);
    else if (inet_pton(AF_INET, options->address, &address) != 1)
        snprintf(error, error_size, "%s: the address must be an IPv4 address", options->address);
    else if (options->heartbeat_s < 1 || options->heartbeat_s > 3600)
        snprintf(error, error_size, "a heartbeat of %d s: it must be from 1 to 3600",
                 options->heartbeat_s);
    else
        return HMS_OK;
    return HMS_EINVAL;
}

static char *copy(const char *text)
{
    return text ? hms_strdup(text) : NULL;
}

int hms_bus_amqp_open(struct hms_bus **public, uv_loop_t *loop, struct hms_log *log,
                      const struct hms_bus_amqp_options *options, char *error, size_t error_size)
{
    struct hms_tls_context *tls_context = NULL;
    struct bus_amqp *bus;
    struct hms_amqp_url url;
    const char *refusal = hms_amqp_url_read(options->url, &url);
    int result;

    if (refusal != NULL) {
        snprintf(error, error_size, "the broker's URL must be %s", refusal);
        return HMS_EINVAL;
    }
    result = check(options, error, error_size);
    if (result == HMS_OK && url.is_tls)
        result = hms_tls_context_new(&tls_context, options->ca_file, options->cert_file,
                                     options->key_file, error, error_size);
    if (result != HMS_OK) {
        hms_amqp_url_free(&url);
        return result;
    }
    bus = hms_calloc(1, sizeof(*bus));
    hms_bus_init(&bus->public, &amqp_ops, HMS_BUS_DOWN);
    bus->loop = loop;
    bus->log = log;
    bus->url = url;
    bus->tls_context = tls_context;
    bus->password = copy(options->password);
    bus->password_file = copy(options->password_file);
    bus->heartbeat_s = options->heartbeat_s;
    bus->role = options->role;
    bus->address = hms_strdup(options->address);
    bus->reply_key =
        hms_asprintf("%s.callback.%s", hms_bus_role_name(options->role), options->address);
    bus->complaints =
        (struct hms_log_limit){.period_ms = COMPLAINTS_PERIOD_MS, .burst = COMPLAINTS_BURST};
    hms_amqp_outbox_init(&bus->outbox, HMS_BUS_AMQP_QUEUE_MESSAGES, HMS_BUS_AMQP_QUEUE_BYTES);
    hms_amqp_calls_init(&bus->calls, loop, hms_bus_amqp_call_ended, bus);
    bus->calls.timer.data = bus;
    TAILQ_INIT(&bus->inboxes);
    hms_amqp_hold_init(&bus->hold, loop, log);
    bus->hold.timer.data = bus;
    uv_timer_init(loop, &bus->retry);
    uv_idle_init(loop, &bus->pump);
    bus->retry.data = bus;
    bus->pump.data = bus;
    bus->open_parts = 4;
    uv_timer_start(&bus->retry, on_retry, 0, 0);
    *public = &bus->public;
    return HMS_OK;
}
