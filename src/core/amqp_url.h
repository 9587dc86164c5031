/*
 * A broker's URL: amqp[s]://[user@]host[:port][/vhost].
 */
#ifndef HMS_CORE_AMQP_URL_H
#define HMS_CORE_AMQP_URL_H

struct hms_amqp_url {
    int is_tls;
    char *user; /* "health-monitor" if the URL has none */
    char *host; /* without the brackets of an IPv6 address */
    char *port; /* 5672, with TLS 5671, if the URL has none */
    char *vhost;
};

/*
 * Reads it; parts may be percent-encoded, and an empty path means the vhost "/". Returns NULL, or a
 * static text that says what a URL must be; then nothing is to be freed.
 */
const char *hms_amqp_url_read(const char *text, struct hms_amqp_url *url);

void hms_amqp_url_free(struct hms_amqp_url *url);

#endif
