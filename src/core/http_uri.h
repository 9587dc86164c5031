/*
 * The target of an HTTP request (RFC 9112, section 3.2): split and percent-decoded. Pure.
 */
#ifndef HMS_CORE_HTTP_URI_H
#define HMS_CORE_HTTP_URI_H

/* Parameters of one query string; more are refused. */
#define HMS_HTTP_QUERY_MAX 32

struct hms_http_parameter {
    const char *name;
    const char *value;
};

/* Everything decoded and 0-terminated; no decoded text contains a 0 byte. */
struct hms_http_uri {
    const char *authority; /* "host:port" of the absolute form, not decoded; else NULL */
    const char *path;      /* begins with '/', or is "*" */
    int query_count;
    struct hms_http_parameter query[HMS_HTTP_QUERY_MAX];
};

/*
 * Splits a target in origin, absolute (http only) or asterisk form. Works in place: `target` is
 * overwritten, uri points into it and is valid as long as it is. Returns 0, or HMS_EINVAL with a
 * static text in *reason.
 */
int hms_http_uri_parse(struct hms_http_uri *uri, char *target, const char **reason);

/* The value of the first parameter of that name ("" if it came without '='), or NULL. */
const char *hms_http_uri_query(const struct hms_http_uri *uri, const char *name);

/* Whether text is `host [":" port]` as a Host field has it, with a host that is not empty. */
int hms_http_authority_is_valid(const char *text);

#endif
