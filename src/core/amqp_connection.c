/*
 * The protocol as a state machine on top of a stream. A connection owns its stream, its timer (a
 * deadline until all is confirmed, then the heartbeat's tick, then the deadline of leaving)
 * and the contents that are coming in.
 */
#include "core/amqp_connection.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/amqp_stream.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"

#define SETTLE_MS    10000 /* from the look-up to the last confirmation */
#define LEAVE_MS     1000
#define TURN_NS      2000000 /* for what came in, in one turn of the loop */
#define SILENT_TICKS 4       /* half heartbeat periods without a byte: the broker is dead */

/* Unsent bytes up to which messages are handed to the stream. */
#define ROOM_BYTES (256u << 10)

enum state {
    CONNECTING,
    WANTS_START,
    WANTS_TUNE,
    WANTS_OPEN,
    WANTS_CHANNELS,
    OPEN,
    SETTLED,
    LOST,
    LEAVING, /* has said goodbye */
    CLOSING,
};

struct hms_amqp_connection {
    uv_loop_t *loop;
    struct hms_log *log;
    const struct hms_amqp_connection_handlers *handlers;
    void *arg;
    const struct hms_amqp_url *url;
    char *password;
    char *name;
    enum state state;
    struct hms_amqp_stream *stream;
    uv_timer_t timer;
    int open_parts; /* stream and timer */

    struct hms_amqp_decoder decoder;
    struct hms_amqp_content deliveries;
    struct hms_amqp_content returns;
    struct hms_amqp_content unwanted; /* what comes on the channel HMS_AMQP_HOLD */
    struct hms_buffer frame;          /* for encoding */

    int heartbeat_s;
    size_t frame_max_bytes;
    int unconfirmed; /* declarations and channels that were asked for */
    int is_blocked;
    int is_heard; /* bytes have come since the last tick, ... */
    int is_said;  /* ... or were written */
    int silent_ticks;

    void (*closed)(void *arg);
    void *closed_arg;
};

static void on_timer(uv_timer_t *timer);
static void finish_closing(struct hms_amqp_connection *connection);

/* The states only go forward. */
static void set_state(struct hms_amqp_connection *connection, enum state next)
{
    static const char *const names[] = {"connecting",
                                        "waiting for connection.start",
                                        "waiting for connection.tune",
                                        "waiting for connection.open-ok",
                                        "waiting for its channels",
                                        "open",
                                        "settled",
                                        "lost",
                                        "leaving",
                                        "closing"};

    assert(next > connection->state);
    hms_log(connection->log, HMS_LOG_DEBUG, "amqp", "connection %p: %s, now %s", (void *)connection,
            names[connection->state], names[next]);
    connection->state = next;
}

static void lose(struct hms_amqp_connection *connection, const char *why)
{
    if (connection->state >= LOST)
        return;
    set_state(connection, LOST);
    uv_timer_stop(&connection->timer);
    connection->handlers->on_lost(connection->arg, why);
}

/* ---- sending ---- */

static void write_frame(struct hms_amqp_connection *connection)
{
    connection->is_said = 1;
    hms_amqp_stream_write(connection->stream, connection->frame.data, connection->frame.size_bytes);
    hms_buffer_clear(&connection->frame);
}

static void send_method(struct hms_amqp_connection *connection, uint16_t channel,
                        amqp_method_number_t method, void *fields)
{
    hms_log(connection->log, HMS_LOG_DEBUG, "amqp", "connection %p: %s on channel %d",
            (void *)connection, amqp_method_name(method), channel);
    hms_amqp_encode_method(&connection->frame, channel, method, fields);
    write_frame(connection);
}

/* A method that the broker confirms. */
static void ask(struct hms_amqp_connection *connection, uint16_t channel,
                amqp_method_number_t method, void *fields)
{
    connection->unconfirmed++;
    send_method(connection, channel, method, fields);
}

static amqp_table_entry_t text_entry(const char *key, const char *text)
{
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(key), .value.kind = AMQP_FIELD_KIND_UTF8};

    entry.value.value.bytes = amqp_cstring_bytes(text);
    return entry;
}

static amqp_table_entry_t true_entry(const char *key)
{
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(key),
                                .value.kind = AMQP_FIELD_KIND_BOOLEAN};

    entry.value.value.boolean = 1;
    return entry;
}

static void send_start_ok(struct hms_amqp_connection *connection)
{
    amqp_table_entry_t abilities[] = {
        true_entry("authentication_failure_close"),
        true_entry("connection.blocked"),
        true_entry("consumer_cancel_notify"),
    };
    amqp_table_entry_t properties[] = {
        text_entry("product", "HMS"),
        text_entry("version", HMS_VERSION),
        text_entry("connection_name", connection->name),
        {.key = amqp_cstring_bytes("capabilities"), .value.kind = AMQP_FIELD_KIND_TABLE},
    };
    amqp_connection_start_ok_t fields = {
        .client_properties = {.num_entries = 4, .entries = properties},
        .mechanism = amqp_cstring_bytes("PLAIN"),
        .locale = amqp_cstring_bytes("en_US"),
    };
    size_t user_size = strlen(connection->url->user), password_size = strlen(connection->password);
    char *secret = hms_calloc(1, user_size + password_size + 2);

    properties[3].value.value.table = (amqp_table_t){.num_entries = 3, .entries = abilities};
    memcpy(secret + 1, connection->url->user, user_size);
    memcpy(secret + user_size + 2, connection->password, password_size);
    fields.response = (amqp_bytes_t){.len = user_size + password_size + 2, .bytes = secret};
    send_method(connection, 0, AMQP_CONNECTION_START_OK_METHOD, &fields);
    OPENSSL_cleanse(secret, fields.response.len);
    free(secret);
}

static void declare_exchange(struct hms_amqp_connection *connection)
{
    amqp_table_entry_t ttl = {.key = amqp_cstring_bytes("x-message-ttl"),
                              .value.kind = AMQP_FIELD_KIND_I32};
    amqp_exchange_declare_t fields = {
        .exchange = amqp_cstring_bytes(HMS_AMQP_EXCHANGE),
        .type = amqp_cstring_bytes("direct"),
        .arguments = {.num_entries = 1, .entries = &ttl},
    };

    ask(connection, HMS_AMQP_CONTROL, AMQP_EXCHANGE_DECLARE_METHOD, &fields);
}

/* Where a queue's name is left empty, the channel's latest queue is meant. */
void hms_amqp_connection_consume(struct hms_amqp_connection *connection, const char *tag,
                                 const char *const *keys, size_t count)
{
    amqp_queue_declare_t declare = {.exclusive = 1, .auto_delete = 1};
    amqp_basic_consume_t consume = {.consumer_tag = amqp_cstring_bytes(tag), .no_ack = 1};
    size_t i;

    ask(connection, HMS_AMQP_CONTROL, AMQP_QUEUE_DECLARE_METHOD, &declare);
    for (i = 0; i < count; i++) {
        amqp_queue_bind_t bind = {.exchange = amqp_cstring_bytes(HMS_AMQP_EXCHANGE),
                                  .routing_key = amqp_cstring_bytes(keys[i])};

        ask(connection, HMS_AMQP_CONTROL, AMQP_QUEUE_BIND_METHOD, &bind);
    }
    ask(connection, HMS_AMQP_CONTROL, AMQP_BASIC_CONSUME_METHOD, &consume);
}

/* An auto-delete queue goes with its last consumer. */
void hms_amqp_connection_ignore(struct hms_amqp_connection *connection, const char *tag)
{
    amqp_basic_cancel_t fields = {.consumer_tag = amqp_cstring_bytes(tag)};

    ask(connection, HMS_AMQP_CONTROL, AMQP_BASIC_CANCEL_METHOD, &fields);
}

void hms_amqp_connection_hold_send(struct hms_amqp_connection *connection,
                                   amqp_method_number_t method, void *fields)
{
    send_method(connection, HMS_AMQP_HOLD, method, fields);
}

/* ---- publishing ---- */

int hms_amqp_connection_is_blocked(const struct hms_amqp_connection *connection)
{
    return connection->is_blocked;
}

int hms_amqp_connection_has_room(const struct hms_amqp_connection *connection)
{
    return (connection->state == OPEN || connection->state == SETTLED) && !connection->is_blocked &&
           hms_amqp_stream_unsent_bytes(connection->stream) < ROOM_BYTES;
}

static void begin_message(struct hms_amqp_connection *connection,
                          const struct hms_amqp_parcel *parcel)
{
    amqp_basic_publish_t method = {
        .exchange = amqp_cstring_bytes(HMS_AMQP_EXCHANGE),
        .routing_key = amqp_cstring_bytes(parcel->routing_key),
        .mandatory = parcel->kind == HMS_AMQP_REQUEST,
    };
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG,
        .content_type = amqp_cstring_bytes("application/json"),
    };

    if (parcel->correlation_id != NULL) {
        properties._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
        properties.correlation_id = amqp_cstring_bytes(parcel->correlation_id);
    }
    hms_amqp_encode_method(&connection->frame, HMS_AMQP_PUBLISH, AMQP_BASIC_PUBLISH_METHOD,
                           &method);
    hms_amqp_encode_header(&connection->frame, HMS_AMQP_PUBLISH, parcel->size_bytes, &properties);
}

int hms_amqp_connection_publish(struct hms_amqp_connection *connection,
                                struct hms_amqp_parcel *parcel)
{
    size_t piece_max = connection->frame_max_bytes - HMS_AMQP_FRAME_OVERHEAD;

    if (!hms_amqp_connection_has_room(connection))
        return 0;
    if (parcel->wire_bytes == 0) {
        begin_message(connection, parcel);
        parcel->wire_bytes = connection->frame.size_bytes;
        write_frame(connection);
    }
    while (parcel->sent_bytes < parcel->size_bytes) {
        size_t piece = parcel->size_bytes - parcel->sent_bytes;

        if (!hms_amqp_connection_has_room(connection))
            return 0;
        if (piece > piece_max)
            piece = piece_max;
        hms_amqp_encode_body(&connection->frame, HMS_AMQP_PUBLISH,
                             parcel->body + parcel->sent_bytes, piece);
        parcel->sent_bytes += piece;
        parcel->wire_bytes += connection->frame.size_bytes;
        write_frame(connection);
    }
    return 1;
}

/* ---- what the broker says ---- */

static void lose_protocol(struct hms_amqp_connection *connection, const char *what)
{
    char why[128];

    snprintf(why, sizeof(why), "the broker broke the protocol: %s", what);
    lose(connection, why);
}

static void lose_closed(struct hms_amqp_connection *connection, const char *what, int code,
                        amqp_bytes_t text)
{
    char why[HMS_AMQP_SHORT_MAX_BYTES + 64];

    snprintf(why, sizeof(why), "the broker closed the %s: %d %.*s", what, code, (int)text.len,
             (const char *)text.bytes);
    lose(connection, why);
}

static int offers(amqp_bytes_t mechanisms, const char *wanted)
{
    char *list = hms_strndup(mechanisms.bytes, mechanisms.len);
    char *rest = list, *word;
    int found = 0;

    while (!found && (word = strsep(&rest, " ")) != NULL)
        found = strcmp(word, wanted) == 0;
    free(list);
    return found;
}

static void on_start(struct hms_amqp_connection *connection, const amqp_connection_start_t *start)
{
    if (!offers(start->mechanisms, "PLAIN")) {
        lose(connection, "the broker does not offer the mechanism PLAIN");
        return;
    }
    send_start_ok(connection);
    set_state(connection, WANTS_TUNE);
}

static void on_tune(struct hms_amqp_connection *connection, const amqp_connection_tune_t *tune)
{
    amqp_connection_tune_ok_t answer = {.channel_max = tune->channel_max};
    amqp_connection_open_t open = {.virtual_host = amqp_cstring_bytes(connection->url->vhost)};

    if ((tune->channel_max != 0 && tune->channel_max < HMS_AMQP_HOLD) ||
        (tune->frame_max != 0 && tune->frame_max < HMS_AMQP_FRAME_MIN_BYTES)) {
        lose(connection, "the broker's limits are too low: at least 3 channels and frames of 4096 "
                         "bytes are needed");
        return;
    }
    connection->frame_max_bytes = HMS_AMQP_FRAME_MAX_BYTES;
    if (tune->frame_max != 0 && tune->frame_max < HMS_AMQP_FRAME_MAX_BYTES)
        connection->frame_max_bytes = tune->frame_max;
    if (tune->heartbeat != 0 && tune->heartbeat < connection->heartbeat_s)
        connection->heartbeat_s = tune->heartbeat;
    answer.frame_max = (uint32_t)connection->frame_max_bytes;
    answer.heartbeat = (uint16_t)connection->heartbeat_s;
    send_method(connection, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &answer);
    send_method(connection, 0, AMQP_CONNECTION_OPEN_METHOD, &open);
    set_state(connection, WANTS_OPEN);
}

static void open_channels(struct hms_amqp_connection *connection)
{
    amqp_channel_open_t fields = {.out_of_band = amqp_empty_bytes};

    set_state(connection, WANTS_CHANNELS);
    ask(connection, HMS_AMQP_CONTROL, AMQP_CHANNEL_OPEN_METHOD, &fields);
    ask(connection, HMS_AMQP_PUBLISH, AMQP_CHANNEL_OPEN_METHOD, &fields);
}

static void begin_heartbeat(struct hms_amqp_connection *connection)
{
    uint64_t tick_ms = (uint64_t)connection->heartbeat_s * 500;

    uv_timer_start(&connection->timer, on_timer, tick_ms, tick_ms);
}

static void on_confirmed(struct hms_amqp_connection *connection)
{
    if (connection->unconfirmed == 0) {
        lose_protocol(connection, "it confirms what nobody asked for");
        return;
    }
    if (--connection->unconfirmed > 0)
        return;
    if (connection->state == WANTS_CHANNELS) {
        set_state(connection, OPEN);
        declare_exchange(connection);
        connection->handlers->on_open(connection->arg);
    } else if (connection->state == OPEN) {
        set_state(connection, SETTLED);
        begin_heartbeat(connection);
        connection->handlers->on_settled(connection->arg);
    }
}

static void on_blocked(struct hms_amqp_connection *connection,
                       const amqp_connection_blocked_t *blocked)
{
    char *reason = hms_strndup(blocked->reason.bytes, blocked->reason.len);

    connection->is_blocked = 1;
    connection->handlers->on_blocked(connection->arg, reason);
    free(reason);
}

static void on_unblocked(struct hms_amqp_connection *connection)
{
    connection->is_blocked = 0;
    connection->handlers->on_blocked(connection->arg, NULL);
}

static void on_close(struct hms_amqp_connection *connection, const amqp_connection_close_t *close)
{
    amqp_connection_close_ok_t fields = {0};

    send_method(connection, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &fields);
    lose_closed(connection, "connection", close->reply_code, close->reply_text);
}

static void on_connection_method(struct hms_amqp_connection *connection,
                                 const struct hms_amqp_frame *frame)
{
    enum state state = connection->state;

    if (frame->method == AMQP_CONNECTION_CLOSE_METHOD)
        on_close(connection, frame->fields);
    else if (frame->method == AMQP_CONNECTION_START_METHOD && state == WANTS_START)
        on_start(connection, frame->fields);
    else if (frame->method == AMQP_CONNECTION_TUNE_METHOD && state == WANTS_TUNE)
        on_tune(connection, frame->fields);
    else if (frame->method == AMQP_CONNECTION_OPEN_OK_METHOD && state == WANTS_OPEN)
        open_channels(connection);
    else if (frame->method == AMQP_CONNECTION_BLOCKED_METHOD && state > WANTS_OPEN)
        on_blocked(connection, frame->fields);
    else if (frame->method == AMQP_CONNECTION_UNBLOCKED_METHOD && state > WANTS_OPEN)
        on_unblocked(connection);
    else
        lose_protocol(connection, "a method that does not belong here");
}

static struct hms_amqp_content *content_of(struct hms_amqp_connection *connection, int channel)
{
    switch (channel) {
    case HMS_AMQP_CONTROL:
        return &connection->deliveries;
    case HMS_AMQP_PUBLISH:
        return &connection->returns;
    default:
        return &connection->unwanted;
    }
}

static void on_content_frame(struct hms_amqp_connection *connection,
                             const struct hms_amqp_frame *frame)
{
    struct hms_amqp_content *content = content_of(connection, frame->channel);
    int result = hms_amqp_content_add(content, frame);

    if (result < 0)
        lose_protocol(connection, "a part of a message that does not belong here");
    else if (result > 0 && content != &connection->unwanted)
        connection->handlers->on_content(connection->arg, content);
}

static void on_flow(struct hms_amqp_connection *connection, uint16_t channel,
                    const amqp_channel_flow_t *flow)
{
    amqp_channel_flow_ok_t answer = {.active = flow->active};

    send_method(connection, channel, AMQP_CHANNEL_FLOW_OK_METHOD, &answer);
}

static void on_channel_method(struct hms_amqp_connection *connection,
                              const struct hms_amqp_frame *frame)
{
    const amqp_channel_close_t *close;

    switch (frame->method) {
    case AMQP_BASIC_DELIVER_METHOD:
    case AMQP_BASIC_RETURN_METHOD:
        on_content_frame(connection, frame);
        return;
    case AMQP_CHANNEL_FLOW_METHOD:
        on_flow(connection, frame->channel, frame->fields);
        return;
    }
    if (frame->channel == HMS_AMQP_HOLD) {
        connection->handlers->on_hold(connection->arg, frame->method, frame->fields);
        return;
    }
    switch (frame->method) {
    case AMQP_CHANNEL_OPEN_OK_METHOD:
    case AMQP_EXCHANGE_DECLARE_OK_METHOD:
    case AMQP_QUEUE_DECLARE_OK_METHOD:
    case AMQP_QUEUE_BIND_OK_METHOD:
    case AMQP_BASIC_CONSUME_OK_METHOD:
    case AMQP_BASIC_CANCEL_OK_METHOD:
        on_confirmed(connection);
        return;
    case AMQP_CHANNEL_CLOSE_METHOD:
        close = frame->fields;
        lose_closed(connection, "channel", close->reply_code, close->reply_text);
        return;
    case AMQP_BASIC_CANCEL_METHOD:
        lose(connection, "the broker cancelled a consumer: its queue is gone");
        return;
    default:
        lose_protocol(connection, "a method that does not belong here");
    }
}

static void on_frame(struct hms_amqp_connection *connection, const struct hms_amqp_frame *frame)
{
    if (connection->state == LEAVING) {
        if (frame->kind == HMS_AMQP_METHOD && frame->method == AMQP_CONNECTION_CLOSE_OK_METHOD)
            finish_closing(connection);
        return;
    }
    if (frame->kind == HMS_AMQP_HEARTBEAT)
        return;
    if (frame->channel == 0 && frame->kind == HMS_AMQP_METHOD)
        on_connection_method(connection, frame);
    else if (frame->channel == 0 || frame->channel > HMS_AMQP_HOLD ||
             connection->state < WANTS_CHANNELS)
        lose_protocol(connection, "a frame on a channel that is not open");
    else if (frame->kind == HMS_AMQP_METHOD)
        on_channel_method(connection, frame);
    else
        on_content_frame(connection, frame);
}

/* ---- the stream's side ---- */

static void on_stream_open(void *arg)
{
    static const char protocol_header[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
    struct hms_amqp_connection *connection = arg;

    set_state(connection, WANTS_START);
    hms_amqp_stream_write(connection->stream, protocol_header, sizeof(protocol_header));
}

static size_t on_stream_data(void *arg, const char *data, size_t size_bytes)
{
    struct hms_amqp_connection *connection = arg;
    int64_t until_ns = hms_clock_mono_ns() + TURN_NS;
    const char *begin = data, *why = NULL;
    struct hms_amqp_frame frame;
    int result = 1;

    connection->is_heard = 1;
    while (result > 0 && connection->state != LOST && connection->state != CLOSING) {
        result = hms_amqp_decoder_next(&connection->decoder, &data, &size_bytes, &frame, &why);
        if (result > 0)
            on_frame(connection, &frame);
        if (hms_clock_mono_ns() > until_ns)
            break;
    }
    if (result < 0)
        lose_protocol(connection, why);
    return (size_t)(data - begin);
}

static void on_stream_sent(void *arg)
{
    struct hms_amqp_connection *connection = arg;

    if (hms_amqp_connection_has_room(connection))
        connection->handlers->on_room(connection->arg);
}

static void on_stream_failed(void *arg, const char *why)
{
    struct hms_amqp_connection *connection = arg;

    if (connection->state == LEAVING)
        finish_closing(connection);
    else
        lose(connection, why);
}

static const struct hms_amqp_stream_handlers stream_handlers = {
    on_stream_open,
    on_stream_data,
    on_stream_sent,
    on_stream_failed,
};

/* ---- time ---- */

/*
 * Silence is counted in ticks rather than by the clock: a process that was stopped for a while has
 * heard nothing, but that is not the broker's fault.
 */
static void on_tick(struct hms_amqp_connection *connection)
{
    connection->silent_ticks = connection->is_heard ? 0 : connection->silent_ticks + 1;
    connection->is_heard = 0;
    if (connection->silent_ticks >= SILENT_TICKS) {
        lose(connection, "the broker has been silent for two heartbeats");
        return;
    }
    if (!connection->is_said && hms_amqp_stream_unsent_bytes(connection->stream) == 0) {
        hms_amqp_encode_heartbeat(&connection->frame);
        write_frame(connection);
    }
    connection->is_said = 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct hms_amqp_connection *connection = timer->data;

    switch (connection->state) {
    case CONNECTING:
        lose(connection, "cannot connect: no answer in time");
        break;
    case OPEN:
        lose(connection, "the broker does not confirm the declarations");
        break;
    case SETTLED:
        on_tick(connection);
        break;
    case LEAVING:
        finish_closing(connection);
        break;
    default:
        lose(connection, "the broker does not answer in the handshake");
    }
}

/* ---- life ---- */

struct hms_amqp_connection *
hms_amqp_connection_open(uv_loop_t *loop, struct hms_log *log,
                         const struct hms_amqp_connection_options *options,
                         const struct hms_amqp_connection_handlers *handlers, void *arg)
{
    struct hms_amqp_connection *connection = hms_calloc(1, sizeof(*connection));

    connection->loop = loop;
    connection->log = log;
    connection->handlers = handlers;
    connection->arg = arg;
    connection->url = options->url;
    connection->password = hms_strdup(options->password);
    connection->name = hms_strdup(options->name);
    connection->heartbeat_s = options->heartbeat_s;
    hms_amqp_decoder_init(&connection->decoder);
    hms_amqp_content_init(&connection->deliveries, options->body_max_bytes);
    hms_amqp_content_init(&connection->returns, 0);
    hms_amqp_content_init(&connection->unwanted, 0);
    hms_buffer_init(&connection->frame, HMS_AMQP_FRAME_MAX_BYTES);
    uv_timer_init(loop, &connection->timer);
    connection->timer.data = connection;
    uv_timer_start(&connection->timer, on_timer, SETTLE_MS, 0);
    connection->stream = hms_amqp_stream_open(loop, options->url->host, options->url->port,
                                              options->tls_context, &stream_handlers, connection);
    connection->open_parts = 2;
    return connection;
}

static void on_part_closed(struct hms_amqp_connection *connection)
{
    if (--connection->open_parts > 0)
        return;
    hms_amqp_decoder_free(&connection->decoder);
    hms_amqp_content_free(&connection->deliveries);
    hms_amqp_content_free(&connection->returns);
    hms_amqp_content_free(&connection->unwanted);
    hms_buffer_free(&connection->frame);
    OPENSSL_cleanse(connection->password, strlen(connection->password));
    free(connection->password);
    free(connection->name);
    connection->closed(connection->closed_arg);
    free(connection);
}

static void on_stream_closed(void *arg)
{
    on_part_closed(arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void finish_closing(struct hms_amqp_connection *connection)
{
    set_state(connection, CLOSING);
    uv_close((uv_handle_t *)&connection->timer, on_timer_closed);
    hms_amqp_stream_close(connection->stream, on_stream_closed, connection);
}

void hms_amqp_connection_close(struct hms_amqp_connection *connection, void (*closed)(void *arg),
                               void *arg)
{
    amqp_connection_close_t fields = {.reply_code = AMQP_REPLY_SUCCESS,
                                      .reply_text = amqp_cstring_bytes("goodbye")};

    assert(connection->state < LEAVING);
    connection->closed = closed;
    connection->closed_arg = arg;
    if (connection->state != OPEN && connection->state != SETTLED) {
        finish_closing(connection);
        return;
    }
    send_method(connection, 0, AMQP_CONNECTION_CLOSE_METHOD, &fields);
    set_state(connection, LEAVING);
    uv_timer_start(&connection->timer, on_timer, LEAVE_MS, 0);
}
