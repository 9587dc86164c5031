/*
 * Tells a service manager how the process fares: sd_notify(3)'s protocol, one datagram for each
 * message to the socket in $NOTIFY_SOCKET. Where that is not set nobody wants to know, and every
 * call does nothing.
 */
#ifndef HMS_CORE_NOTIFY_SOCKET_H
#define HMS_CORE_NOTIFY_SOCKET_H

#include <uv.h>

struct hms_log;
struct hms_notify_socket;

/*
 * Never returns NULL; what cannot be used of the environment is logged. If $WATCHDOG_USEC asks for
 * signs of life they are sent twice in that time for as long as the loop turns, which they do not
 * keep alive: a loop that hangs is noticed.
 */
struct hms_notify_socket *hms_notify_socket_open(uv_loop_t *loop, struct hms_log *log);

/* `state` is one or more lines such as "READY=1" or "STATUS=in contact". Never waits. */
void hms_notify_socket_send(struct hms_notify_socket *notify, const char *state);

/* Released from the loop. */
void hms_notify_socket_close(struct hms_notify_socket *notify);

#endif
