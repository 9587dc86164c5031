/* Owns the hosts and their file. */
#include "controller/roster.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/store.h"

#define MODULE  "roster"
#define NAME    "controller"
#define VERSION 1

#define ORIGIN_BYTES 8
#define ORIGIN_SIZE  (2 * ORIGIN_BYTES + 1)

struct hms_roster {
    struct hms_log *log;
    struct hms_store *store; /* NULL: nothing is kept */
    struct hms_roster_host *hosts;
    uint64_t version;
    char origin[ORIGIN_SIZE]; /* "": none */
    uv_idle_t idle;           /* tells savers when there is no store */
    struct save *saves;
    void (*closed_fn)(void *arg);
    void *closed_arg;
};

/* Somebody who waits for a save. */
struct save {
    struct save *next; /* without a store */
    void (*saved)(void *arg);
    void *arg;
};

static const char *const memberships[] = {
    [HMS_JOINING] = "joining",
    [HMS_JOINED] = "joined",
    [HMS_LEAVING] = "leaving",
};

const char *hms_membership_name(enum hms_membership membership)
{
    return memberships[membership];
}

/* ---- hosts ---- */

struct hms_roster_host *hms_roster_find(const struct hms_roster *roster, const char *address)
{
    struct hms_roster_host *host;

    HASH_FIND_STR(roster->hosts, address, host);
    return host;
}

struct hms_roster_host *hms_roster_add(struct hms_roster *roster, const char *address)
{
    struct hms_roster_host *host;

    if (hms_roster_count(roster) >= HMS_ROSTER_HOSTS_MAX)
        return NULL;
    host = hms_calloc(1, sizeof(*host));
    snprintf(host->address, sizeof(host->address), "%s", address);
    HASH_ADD_STR(roster->hosts, address, host);
    return host;
}

static void host_free(struct hms_roster_host *host)
{
    hms_reach_clear(&host->reach);
    free(host);
}

void hms_roster_remove(struct hms_roster *roster, struct hms_roster_host *host)
{
    HASH_DEL(roster->hosts, host);
    host_free(host);
}

struct hms_roster_host *hms_roster_first(const struct hms_roster *roster)
{
    return roster->hosts;
}

size_t hms_roster_count(const struct hms_roster *roster)
{
    return HASH_COUNT(roster->hosts);
}

/* ---- the document ---- */

static json_t *hosts_json(const struct hms_roster *roster,
                          json_t *(*document)(const struct hms_reach *reach))
{
    json_t *hosts = json_object();
    const struct hms_roster_host *host;

    for (host = roster->hosts; host != NULL; host = host->hh.next) {
        json_t *object = document(&host->reach);

        json_object_set_new(object, "membership", json_string(memberships[host->membership]));
        json_object_set_new(object, "antagonist", json_boolean(host->wants_antagonist));
        json_object_set_new(hosts, host->address, object);
    }
    return hosts;
}

static json_t *snapshot(void *arg)
{
    const struct hms_roster *roster = arg;

    return json_pack("{s:i, s:s, s:o}", "version", VERSION, "origin", roster->origin, "hosts",
                     hosts_json(roster, hms_reach_document));
}

json_t *hms_roster_public(const struct hms_roster *roster)
{
    return hosts_json(roster, hms_reach_public);
}

uint64_t hms_roster_version(const struct hms_roster *roster)
{
    return roster->version;
}

static int membership_of(const char *word, enum hms_membership *membership)
{
    size_t i;

    for (i = 0; word != NULL && i < sizeof(memberships) / sizeof(memberships[0]); i++) {
        if (strcmp(memberships[i], word) == 0) {
            *membership = (enum hms_membership)i;
            return HMS_OK;
        }
    }
    return HMS_EINVAL;
}

/* What an object says of a host; reach is the caller's if it returns 0. */
static int read_host(const json_t *object, const char *address, enum hms_membership *membership,
                     struct hms_reach *reach, char *error, size_t error_size)
{
    struct in_addr ignored;

    if (inet_pton(AF_INET, address, &ignored) != 1 ||
        membership_of(hms_json_string(object, "membership"), membership) != HMS_OK) {
        snprintf(error, error_size, "the address or its membership is none");
        return HMS_EINVAL;
    }
    return hms_reach_recall(reach, object, address, error, error_size);
}

static int recall_host(struct hms_roster *roster, const char *address, const json_t *object,
                       char *error, size_t error_size)
{
    enum hms_membership membership;
    struct hms_roster_host *host;
    struct hms_reach reach;
    int result = read_host(object, address, &membership, &reach, error, error_size);

    if (result != HMS_OK)
        return result;
    host = hms_roster_add(roster, address);
    if (host == NULL) {
        snprintf(error, error_size, "%d hosts are the limit", HMS_ROSTER_HOSTS_MAX);
        hms_reach_clear(&reach);
        return HMS_ELIMIT;
    }
    hms_reach_move(&host->reach, &reach);
    host->membership = membership;
    host->wants_antagonist = hms_json_bool(object, "antagonist", 0);
    return HMS_OK;
}

int hms_roster_learn(struct hms_roster_host *host, const json_t *object, char *error,
                     size_t error_size)
{
    enum hms_membership membership;
    struct hms_reach reach;
    int result = read_host(object, host->address, &membership, &reach, error, error_size);

    if (result != HMS_OK)
        return result;
    if (hms_reach_equal_public(&host->reach, &reach))
        hms_reach_clear(&reach);
    else
        hms_reach_move(&host->reach, &reach);
    host->membership = membership;
    host->wants_antagonist = hms_json_bool(object, "antagonist", 0);
    return HMS_OK;
}

/* What cannot be an origin is none. */
static void set_origin(struct hms_roster *roster, const char *origin)
{
    int is_one = origin != NULL && strlen(origin) < ORIGIN_SIZE;

    snprintf(roster->origin, sizeof(roster->origin), "%s", is_one ? origin : "");
}

static void recall(struct hms_roster *roster, const json_t *document)
{
    char error[HMS_JSON_ERROR_SIZE];
    const char *address;
    json_t *object;

    if (document != NULL && hms_json_int(document, "version", 0) != VERSION)
        hms_log(roster->log, HMS_LOG_WARN, MODULE, "%s.json is of another version", NAME);
    set_origin(roster, hms_json_string(document, "origin"));
    json_object_foreach(json_object_get(document, "hosts"), address, object)
    {
        if (recall_host(roster, address, object, error, sizeof(error)) != HMS_OK)
            hms_log(roster->log, HMS_LOG_ERROR, MODULE, "host %s is left out: %s", address, error);
    }
}

/* ---- saving ---- */

static void settle(struct save *save)
{
    save->saved(save->arg);
    free(save);
}

static void on_settled(void *arg, int error)
{
    settle(arg); /* a failed write is logged and repeated by the store */
}

static void settle_unsaved(struct hms_roster *roster)
{
    struct save *save;

    while ((save = roster->saves) != NULL) {
        roster->saves = save->next;
        settle(save);
    }
}

static void on_idle(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    settle_unsaved(idle->data);
}

void hms_roster_save(struct hms_roster *roster, void (*saved)(void *arg), void *arg)
{
    struct save *save = NULL;

    roster->version++;
    if (saved != NULL) {
        save = hms_malloc(sizeof(*save));
        *save = (struct save){.saved = saved, .arg = arg};
    }
    if (roster->store != NULL) {
        hms_store_write(roster->store, 0, snapshot, roster);
        if (save != NULL)
            hms_store_sync(roster->store, on_settled, save);
    } else if (save != NULL) {
        save->next = roster->saves;
        roster->saves = save;
        uv_idle_start(&roster->idle, on_idle);
    }
}

/* ---- origin ---- */

void hms_roster_found(struct hms_roster *roster)
{
    unsigned char bytes[ORIGIN_BYTES];
    size_t i;

    if (*roster->origin != '\0')
        return;
    if (uv_random(NULL, NULL, bytes, sizeof(bytes), 0, NULL) != 0)
        abort();
    for (i = 0; i < sizeof(bytes); i++)
        snprintf(roster->origin + 2 * i, 3, "%02x", bytes[i]);
    hms_roster_save(roster, NULL, NULL);
}

int hms_roster_share(struct hms_roster *roster, const char *origin)
{
    if (*roster->origin != '\0' && roster->hosts != NULL &&
        (origin == NULL || strcmp(roster->origin, origin) != 0))
        return 0;
    set_origin(roster, origin);
    return 1;
}

const char *hms_roster_origin(const struct hms_roster *roster)
{
    return roster->origin;
}

/* ---- life ---- */

int hms_roster_open(struct hms_roster **opened, uv_loop_t *loop, struct hms_log *log,
                    const char *state_dir, char *error, size_t error_size)
{
    struct hms_roster *roster = hms_calloc(1, sizeof(*roster));
    json_t *document = NULL;
    int result = HMS_OK;

    roster->log = log;
    if (state_dir != NULL)
        result = hms_store_open(&roster->store, loop, log, state_dir, NAME, &document, error,
                                error_size);
    if (result != HMS_OK) {
        free(roster);
        return result;
    }
    uv_idle_init(loop, &roster->idle);
    roster->idle.data = roster;
    recall(roster, document);
    json_decref(document);
    *opened = roster;
    return HMS_OK;
}

static void on_idle_closed(uv_handle_t *handle)
{
    struct hms_roster *roster = handle->data;
    struct hms_roster_host *host, *next;
    void (*closed_fn)(void *) = roster->closed_fn;
    void *closed_arg = roster->closed_arg;

    settle_unsaved(roster);
    host = roster->hosts;
    HASH_CLEAR(hh, roster->hosts); /* the table only: the hosts are still linked */
    for (; host != NULL; host = next) {
        next = host->hh.next;
        host_free(host);
    }
    free(roster);
    closed_fn(closed_arg);
}

static void on_store_closed(void *arg)
{
    struct hms_roster *roster = arg;

    uv_close((uv_handle_t *)&roster->idle, on_idle_closed);
}

void hms_roster_close(struct hms_roster *roster, void (*closed)(void *arg), void *arg)
{
    roster->closed_fn = closed;
    roster->closed_arg = arg;
    if (roster->store != NULL)
        hms_store_close(roster->store, on_store_closed, roster);
    else
        on_store_closed(roster);
}
