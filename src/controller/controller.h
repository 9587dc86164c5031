/*
 * The controller: gathers what the managers report and offers it over REST.
 */
#ifndef HMS_CONTROLLER_CONTROLLER_H
#define HMS_CONTROLLER_CONTROLLER_H

#include <stddef.h>
#include <stdint.h>

#include "controller/deployer.h"
#include "controller/gather.h"
#include "core/sync_mode.h"

struct hms_bus;
struct hms_controller;
struct hms_log;
struct hms_loop;

struct hms_controller_options {
    const char *listen;           /* "HOST:PORT" or "unix:PATH" (http_server.h) */
    const char *token_file;       /* bearer token of the REST interface, or NULL; the same ... */
    const char *admin_token_file; /* ... of who may add and remove hosts */
    int trusts_broker;            /* who has its account may do so, too, over the bus */
    const char *address;          /* this controller's own address on the bus, IPv4 text */
    int64_t aggregation_ms;       /* between two gatherings of pending updates; 1 to 3600000 */
    int64_t reply_timeout_ms;     /* of a manager's reply; the contract says 5000 */
    int64_t expiry_ms;       /* without a sign of life a host is offline; the peer has 300000 */
    enum hms_sync_mode sync; /* pulling: what managers push counts as a flag only */
    enum hms_accept accept;  /* of managers that announce themselves */
    const char *state_dir;   /* where the roster is kept; NULL: nowhere */
    const char *hosts_file;  /* of hosts to be taken over (hosts_file.h), or NULL */
    struct hms_deployer_options deployer;
};

/*
 * Begins to serve the bus and to listen. loop, log and bus are borrowed and outlive it. Returns 0,
 * or a negative error with a text in error that names the option.
 */
int hms_controller_open(struct hms_controller **controller, struct hms_loop *loop,
                        struct hms_log *log, struct hms_bus *bus,
                        const struct hms_controller_options *options, char *error,
                        size_t error_size);

/* Where REST listens; borrowed. */
const char *hms_controller_where(const struct hms_controller *controller);

void hms_controller_close(struct hms_controller *controller, void (*closed)(void *arg), void *arg);

#endif
