/*
 * One client's connection. Internal to the HTTP server: its users see http_server.h only.
 */
#ifndef HMS_CORE_HTTP_CONNECTION_H
#define HMS_CORE_HTTP_CONNECTION_H

struct hms_http_connection;
struct hms_http_service;

/*
 * Takes over fd, a connected nonblocking socket. The connection closes itself and leaves the
 * service's list when it is released. Returns NULL (fd is closed) if libuv refuses.
 */
struct hms_http_connection *hms_http_connection_open(struct hms_http_service *service, int fd);

/* Answers an open connection with an error of the server's own, and then closes it. */
void hms_http_connection_refuse(struct hms_http_connection *connection, int status,
                                const char *why);

/* All take no further request, and close when what is under way has been answered and sent. */
void hms_http_connections_drain(struct hms_http_service *service);

/* All close now; exchanges under way stay with the handler. */
void hms_http_connections_close(struct hms_http_service *service);

#endif
