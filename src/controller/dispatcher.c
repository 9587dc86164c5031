/*
 * A command under way is one struct op with one step for each host that it concerns. First the
 * hosts whose content is known to be old are asked for it, so that a read tells the truth and a
 * container is looked up in a current list; then the managers get their orders.
 */
#include "controller/dispatcher.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "controller/deployer.h"
#include "controller/gather.h"
#include "controller/registry.h"
#include "controller/strangers.h"
#include "controller/view.h"
#include "core/alloc.h"
#include "core/bus.h"
#include "core/error.h"
#include "core/json.h"

#define THRESHOLD_MAX_PCT 100

enum { NEEDS_ADDRESS = 1, NEEDS_CONTAINER = 2, NEEDS_THRESHOLD = 4 };

struct command {
    const char *name;
    const char *order; /* what the manager is told; NULL: answered from the registry */
    unsigned needs;
    int changes; /* the host's content, if it succeeds */
};

static const struct command commands[] = {
    {"get_all_containers", NULL, 0, 0},
    {"get_host_containers", NULL, NEEDS_ADDRESS, 0},
    {"get_container", NULL, NEEDS_ADDRESS | NEEDS_CONTAINER, 0},
    {"get_decisions", "give_decisions", NEEDS_ADDRESS | NEEDS_CONTAINER, 0},
    {"add_container", "container_add", NEEDS_ADDRESS | NEEDS_CONTAINER, 1},
    {"remove_container", "container_ignore", NEEDS_ADDRESS | NEEDS_CONTAINER, 1},
    {"release_container", "container_release", NEEDS_ADDRESS | NEEDS_CONTAINER, 1},
    {"change_threshold", "container_threshold", NEEDS_ADDRESS | NEEDS_THRESHOLD, 1},
    {"change_all_threshold", "container_threshold", NEEDS_THRESHOLD, 1},
};

struct step {
    struct op *op;
    struct hms_host *host;
    struct hms_gather_wait wait;
    int error; /* of the refresh */
    enum hms_verdict verdict;
    json_t *answer;
};

enum op_state { OP_REFRESHING, OP_ORDERING };

struct op {
    TAILQ_ENTRY(op) link;
    struct hms_dispatcher *dispatcher;
    const struct command *command;
    enum op_state state;
    char *container; /* as the caller named it */
    double threshold_pct;
    hms_dispatcher_done_fn done;
    void *arg;
    size_t pending; /* steps under way, and one while steps are being started */
    size_t step_count;
    struct step steps[];
};

TAILQ_HEAD(op_list, op);

struct hms_dispatcher {
    struct hms_bus *bus;
    struct hms_registry *registry;
    struct hms_gather *gather;
    struct hms_deployer *deployer;
    int64_t reply_timeout_ms;
    struct op_list ops;
    size_t op_count;
    int stopping;
};

/* ---- ends ---- */

static void op_free(struct op *op)
{
    size_t i;

    for (i = 0; i < op->step_count; i++) {
        json_decref(op->steps[i].answer);
        hms_registry_release(op->steps[i].host);
    }
    free(op->container);
    free(op);
}

/* The one end of a command. Takes over body. */
static void finish(struct op *op, enum hms_verdict verdict, json_t *body,
                   const struct hms_view *view)
{
    struct hms_dispatcher_result result = {.verdict = verdict, .body = body, .view = view};
    hms_dispatcher_done_fn done = op->done;
    void *arg = op->arg;

    TAILQ_REMOVE(&op->dispatcher->ops, op, link);
    op->dispatcher->op_count--;
    op_free(op);
    done(arg, &result);
    json_decref(body);
}

/* The end of a command that never becomes an op. Takes over body. */
static void answer(hms_dispatcher_done_fn done, void *arg, enum hms_verdict verdict, json_t *body)
{
    struct hms_dispatcher_result result = {.verdict = verdict, .body = body};

    done(arg, &result);
    json_decref(body);
}

static enum hms_verdict verdict_of_error(int error)
{
    switch (error) {
    case HMS_EUNREACHABLE:
    case HMS_ETIMEDOUT:
        return HMS_VERDICT_SILENT;
    case HMS_ELIMIT:
        return HMS_VERDICT_BUSY;
    case HMS_ECANCELED:
        return HMS_VERDICT_STOPPING;
    default:
        return HMS_VERDICT_BROKEN;
    }
}

static json_t *error_body(enum hms_verdict verdict, const struct hms_host *host, int error)
{
    return hms_bus_error(hms_verdict_type(verdict), "manager of %s: %s", host->address,
                         hms_strerror(error));
}

static void fail(struct op *op, const struct hms_host *host, int error)
{
    enum hms_verdict verdict = verdict_of_error(error);

    finish(op, verdict, error_body(verdict, host, error), NULL);
}

/* ---- orders to managers ---- */

/* A whole number stays one, for managers that expect that. */
static json_t *number(double value)
{
    int whole = (int)value;

    return value == whole ? json_integer(whole) : json_real(value);
}

static json_t *order_message(const struct op *op, const char *key)
{
    json_t *message = json_pack("{s:s}", "command", op->command->order);

    if (key != NULL)
        json_object_set_new(message, "containerID", json_string(key));
    if (op->command->needs & NEEDS_THRESHOLD)
        json_object_set_new(message, "threshold", number(op->threshold_pct));
    return message;
}

static void take_reply(struct step *step, const json_t *reply)
{
    const char *command = hms_json_string(reply, "command");
    const char *description = hms_json_string(reply, "description");
    json_t *content = json_object_get(reply, "content");

    if (command != NULL && strcmp(command, "ok") == 0) {
        step->verdict = HMS_VERDICT_OK;
        step->answer = hms_bus_ok(description ? description : "done");
        if (content != NULL)
            json_object_set(step->answer, "description", content);
        return;
    }
    step->verdict = hms_verdict_of_type(hms_json_string(reply, "type"));
    step->answer =
        hms_bus_error(hms_verdict_type(step->verdict), "manager of %s: %s", step->host->address,
                      description ? description : "refused without a reason");
}

static void finish_orders(struct op *op);

static void on_reply(void *arg, int error, const json_t *reply)
{
    struct step *step = arg;
    struct op *op = step->op;

    if (error == HMS_OK) {
        take_reply(step, reply);
    } else {
        step->verdict = verdict_of_error(error);
        step->answer = error_body(step->verdict, step->host, error);
    }
    if (step->verdict == HMS_VERDICT_OK && op->command->changes)
        hms_gather_changed(op->dispatcher->gather, step->host);
    if (--op->pending == 0)
        finish_orders(op);
}

static void order(struct step *step, const char *key)
{
    struct hms_dispatcher *dispatcher = step->op->dispatcher;
    int error =
        hms_bus_request(dispatcher->bus, HMS_BUS_MANAGER, step->host->address,
                        order_message(step->op, key), dispatcher->reply_timeout_ms, on_reply, step);

    if (error != HMS_OK)
        on_reply(step, error, NULL);
}

/* A host that is known to be silent is not waited for when it is one of many. */
static void order_all(struct op *op)
{
    size_t i;

    op->state = OP_ORDERING;
    op->pending = op->step_count + 1;
    for (i = 0; i < op->step_count; i++) {
        struct step *step = &op->steps[i];

        if (step->host->state == HMS_HOST_OFFLINE && !(op->command->needs & NEEDS_ADDRESS))
            on_reply(step, HMS_EUNREACHABLE, NULL);
        else
            order(step, NULL);
    }
    if (--op->pending == 0)
        finish_orders(op);
}

/* protocol.md, section 2: the answer to an action on all hosts. */
static void finish_all(struct op *op)
{
    enum hms_verdict verdict = HMS_VERDICT_OK;
    json_t *list = json_array();
    size_t i, failed = 0;

    for (i = 0; i < op->step_count; i++) {
        struct step *step = &op->steps[i];

        failed += step->verdict != HMS_VERDICT_OK;
        json_object_set_new(step->answer, "address", json_string(step->host->address));
        json_array_append(list, step->answer);
    }
    if (failed > 0)
        verdict = failed < op->step_count ? HMS_VERDICT_PARTIAL : HMS_VERDICT_SILENT;
    finish(op, verdict, json_pack("{s:s, s:o}", "command", "ok", "description", list), NULL);
}

static void finish_orders(struct op *op)
{
    if (op->command->needs & NEEDS_ADDRESS)
        finish(op, op->steps[0].verdict, json_incref(op->steps[0].answer), NULL);
    else
        finish_all(op);
}

/* ---- reads and look-ups, once the content is as fresh as it gets ---- */

static void fail_resolve(struct op *op, const struct hms_host *host, int error)
{
    enum hms_verdict verdict = HMS_VERDICT_NO_CONTAINER;
    const char *what = "there is no container";

    if (error == HMS_EBUSY) {
        verdict = HMS_VERDICT_AMBIGUOUS;
        what = "several containers begin with";
    }
    finish(op, verdict,
           hms_bus_error(hms_verdict_type(verdict), "host %s: %s %s", host->address, what,
                         op->container),
           NULL);
}

static void continue_host(struct op *op)
{
    struct step *step = &op->steps[0];
    struct hms_view view = {.registry = op->dispatcher->registry, .host = step->host};
    int error;

    /* A read may show an older state and says so; an order needs the manager anyway. */
    if (step->error != HMS_OK && (op->command->order != NULL || !step->host->has_content)) {
        fail(op, step->host, step->error);
        return;
    }
    if (!step->host->has_content) {
        fail(op, step->host, HMS_EUNREACHABLE);
        return;
    }
    if (op->container != NULL) {
        error = hms_host_resolve(step->host, op->container, &view.key, &view.entry);
        if (error != HMS_OK) {
            fail_resolve(op, step->host, error);
            return;
        }
    }
    if (op->command->order == NULL) {
        finish(op, HMS_VERDICT_OK, NULL, &view);
        return;
    }
    op->state = OP_ORDERING;
    op->pending = 1;
    order(step, view.key);
}

static void continue_fresh(struct op *op)
{
    struct hms_view all = {.registry = op->dispatcher->registry};

    if (op->command->needs & NEEDS_ADDRESS)
        continue_host(op);
    else
        finish(op, HMS_VERDICT_OK, NULL, &all);
}

static void on_fresh(void *arg, int error)
{
    struct step *step = arg;

    step->error = error;
    if (--step->op->pending == 0)
        continue_fresh(step->op);
}

static void refresh_all(struct op *op)
{
    size_t i;

    op->state = OP_REFRESHING;
    op->pending = 1;
    for (i = 0; i < op->step_count; i++) {
        struct step *step = &op->steps[i];

        if (!hms_sync_is_pending(&step->host->sync))
            continue;
        op->pending++;
        step->error =
            hms_gather_refresh(op->dispatcher->gather, step->host, &step->wait, on_fresh, step);
        if (step->error != HMS_OK)
            op->pending--;
    }
    if (--op->pending == 0)
        continue_fresh(op);
}

/* ---- commands ---- */

static const struct command *find_command(const json_t *message)
{
    const char *name = hms_json_string(message, "command");
    size_t i;

    for (i = 0; name != NULL && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* A field that has to be a string that is not empty. Returns a verdict, with its body if not OK. */
static enum hms_verdict read_string(const json_t *message, const char *key, const char **text,
                                    json_t **body)
{
    enum hms_verdict verdict =
        json_object_get(message, key) ? HMS_VERDICT_INVALID : HMS_VERDICT_MISSING;

    *text = hms_json_string(message, key);
    if (*text != NULL && **text != '\0')
        return HMS_VERDICT_OK;
    *body = hms_bus_error(hms_verdict_type(verdict), "%s %s", key,
                          verdict == HMS_VERDICT_MISSING ? "is missing" : "must be a text");
    return verdict;
}

static enum hms_verdict read_host(struct hms_dispatcher *dispatcher, const json_t *message,
                                  struct hms_host **host, json_t **body)
{
    struct in_addr ignored;
    const char *address;
    enum hms_verdict verdict = read_string(message, "address", &address, body);

    if (verdict != HMS_VERDICT_OK)
        return verdict;
    *host = hms_registry_find(dispatcher->registry, address);
    if (*host != NULL)
        return HMS_VERDICT_OK;
    if (inet_pton(AF_INET, address, &ignored) != 1) {
        *body =
            hms_bus_error(hms_verdict_type(HMS_VERDICT_INVALID), "%s is no IPv4 address", address);
        return HMS_VERDICT_INVALID;
    }
    *body = hms_bus_error(hms_verdict_type(HMS_VERDICT_NO_HOST), "no host %s is known", address);
    return HMS_VERDICT_NO_HOST;
}

static enum hms_verdict read_threshold(const json_t *message, double *threshold_pct, json_t **body)
{
    char error[HMS_JSON_ERROR_SIZE];
    enum hms_verdict verdict = HMS_VERDICT_INVALID;

    switch (hms_json_number(message, "threshold", 0, THRESHOLD_MAX_PCT, threshold_pct, error)) {
    case HMS_OK:
        return HMS_VERDICT_OK;
    case HMS_ENOENT:
        verdict = HMS_VERDICT_MISSING;
        break;
    default:
        break;
    }
    *body = hms_bus_error(hms_verdict_type(verdict), "%s", error);
    return verdict;
}

/* ---- hosts as a whole ---- */

/* Whom the deployer's answer goes to. */
struct relay {
    hms_dispatcher_done_fn done;
    void *arg;
};

static void on_deployer_done(void *arg, enum hms_verdict verdict, json_t *body)
{
    struct hms_dispatcher_result result = {.verdict = verdict, .body = body};
    struct relay relay = *(struct relay *)arg;

    free(arg);
    relay.done(relay.arg, &result);
}

static struct relay *relay_new(hms_dispatcher_done_fn done, void *arg)
{
    struct relay *relay = hms_malloc(sizeof(*relay));

    *relay = (struct relay){.done = done, .arg = arg};
    return relay;
}

static void add_host(struct hms_dispatcher *dispatcher, const json_t *message,
                     hms_dispatcher_done_fn done, void *arg)
{
    hms_deployer_add(dispatcher->deployer, message, on_deployer_done, relay_new(done, arg));
}

static void remove_host(struct hms_dispatcher *dispatcher, const json_t *message,
                        hms_dispatcher_done_fn done, void *arg)
{
    hms_deployer_remove(dispatcher->deployer, message, on_deployer_done, relay_new(done, arg));
}

static void get_hosts(struct hms_dispatcher *dispatcher, const json_t *message,
                      hms_dispatcher_done_fn done, void *arg)
{
    json_t *refused = hms_strangers_json(hms_gather_strangers(dispatcher->gather));
    json_t *description = json_pack(
        "{s:o, s:o, s:I}", "hosts", hms_deployer_view(dispatcher->deployer, NULL), "refused",
        refused, "messages_refused", (json_int_t)hms_gather_drops(dispatcher->gather)->strangers);

    answer(done, arg, HMS_VERDICT_OK,
           json_pack("{s:s, s:o}", "command", "ok", "description", description));
}

static void get_host(struct hms_dispatcher *dispatcher, const json_t *message,
                     hms_dispatcher_done_fn done, void *arg)
{
    struct hms_host *host;
    json_t *body = NULL;
    enum hms_verdict verdict = read_host(dispatcher, message, &host, &body);

    if (verdict == HMS_VERDICT_OK)
        body = json_pack("{s:s, s:o}", "command", "ok", "description",
                         hms_deployer_view(dispatcher->deployer, host->address));
    answer(done, arg, verdict, body);
}

static const struct {
    const char *name;
    void (*fn)(struct hms_dispatcher *dispatcher, const json_t *message,
               hms_dispatcher_done_fn done, void *arg);
} host_commands[] = {
    {"add_host", add_host},
    {"remove_host", remove_host},
    {"get_hosts", get_hosts},
    {"get_host", get_host},
};

/* Whether the message was one of these. */
static int run_host_command(struct hms_dispatcher *dispatcher, const json_t *message,
                            hms_dispatcher_done_fn done, void *arg)
{
    const char *name = hms_json_string(message, "command");
    size_t i;

    for (i = 0; name != NULL && i < sizeof(host_commands) / sizeof(host_commands[0]); i++) {
        if (strcmp(host_commands[i].name, name) == 0) {
            host_commands[i].fn(dispatcher, message, done, arg);
            return 1;
        }
    }
    return 0;
}

/* ---- all of them ---- */

static struct op *op_new(struct hms_dispatcher *dispatcher, const struct command *command,
                         struct hms_host *host, hms_dispatcher_done_fn done, void *arg)
{
    size_t count = host ? 1 : hms_registry_count(dispatcher->registry);
    struct op *op = hms_calloc(1, sizeof(*op) + count * sizeof(op->steps[0]));
    size_t i;

    op->dispatcher = dispatcher;
    op->command = command;
    op->done = done;
    op->arg = arg;
    op->step_count = count;
    for (i = 0; i < count; i++) {
        op->steps[i].op = op;
        op->steps[i].host = host ? host : hms_registry_at(dispatcher->registry, i);
        hms_registry_hold(op->steps[i].host);
    }
    TAILQ_INSERT_TAIL(&dispatcher->ops, op, link);
    dispatcher->op_count++;
    return op;
}

void hms_dispatcher_run(struct hms_dispatcher *dispatcher, const json_t *message,
                        hms_dispatcher_done_fn done, void *arg)
{
    const struct command *command = find_command(message);
    enum hms_verdict verdict = HMS_VERDICT_OK;
    const char *container = NULL;
    struct hms_host *host = NULL;
    double threshold_pct = 0;
    json_t *body = NULL;
    struct op *op;

    if (!dispatcher->stopping && run_host_command(dispatcher, message, done, arg))
        return;
    if (dispatcher->stopping) {
        verdict = HMS_VERDICT_STOPPING;
        body = hms_bus_error(hms_verdict_type(verdict), "the controller is stopping");
    } else if (dispatcher->op_count >= HMS_DISPATCHER_COMMANDS_MAX) {
        verdict = HMS_VERDICT_BUSY;
        body = hms_bus_error(hms_verdict_type(verdict), "%d commands are under way",
                             HMS_DISPATCHER_COMMANDS_MAX);
    } else if (command == NULL) {
        verdict = HMS_VERDICT_UNKNOWN;
        body = hms_bus_error(hms_verdict_type(verdict), "unknown command");
    }
    if (verdict == HMS_VERDICT_OK && command->needs & NEEDS_ADDRESS)
        verdict = read_host(dispatcher, message, &host, &body);
    if (verdict == HMS_VERDICT_OK && command->needs & NEEDS_CONTAINER)
        verdict = read_string(message, "containerID", &container, &body);
    if (verdict == HMS_VERDICT_OK && command->needs & NEEDS_THRESHOLD)
        verdict = read_threshold(message, &threshold_pct, &body);
    if (verdict != HMS_VERDICT_OK) {
        answer(done, arg, verdict, body);
        return;
    }
    op = op_new(dispatcher, command, host, done, arg);
    op->container = container ? hms_strdup(container) : NULL;
    op->threshold_pct = threshold_pct;
    if (command->needs & NEEDS_THRESHOLD)
        order_all(op);
    else
        refresh_all(op);
}

/* ---- life ---- */

struct hms_dispatcher *hms_dispatcher_new(struct hms_bus *bus, struct hms_registry *registry,
                                          struct hms_gather *gather, struct hms_deployer *deployer,
                                          int64_t reply_timeout_ms)
{
    struct hms_dispatcher *dispatcher = hms_calloc(1, sizeof(*dispatcher));

    dispatcher->bus = bus;
    dispatcher->registry = registry;
    dispatcher->gather = gather;
    dispatcher->deployer = deployer;
    dispatcher->reply_timeout_ms = reply_timeout_ms;
    TAILQ_INIT(&dispatcher->ops);
    return dispatcher;
}

void hms_dispatcher_stop(struct hms_dispatcher *dispatcher)
{
    struct op *op, *next;
    size_t i;

    dispatcher->stopping = 1;
    for (op = TAILQ_FIRST(&dispatcher->ops); op != NULL; op = next) {
        assert(op->state == OP_ORDERING);
        op->pending++; /* keeps it until all its steps are cancelled */
        for (i = 0; i < op->step_count; i++)
            hms_bus_cancel(dispatcher->bus, &op->steps[i]);
        assert(op->pending == 1);
        op->pending = 0;
        next = TAILQ_NEXT(op, link);
        finish_orders(op);
    }
}

void hms_dispatcher_free(struct hms_dispatcher *dispatcher)
{
    assert(dispatcher->op_count == 0);
    free(dispatcher);
}
