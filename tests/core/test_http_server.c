/* The server on real sockets: answers, order, limits, timeouts, closing. */
#include "http_fixture.h"

#include <jansson.h>
#include <sys/resource.h>

static void answers(void **state)
{
    static const struct {
        const char *request;
        const char *status;
        const char *present; /* somewhere in the answer */
        const char *absent;
    } cases[] = {
        {"GET /a%20b?q=c+d HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "200 OK",
         "Content-Length: 13\r\nConnection: close\r\n\r\nGET /a b|c d|", NULL},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nConnection: close\r\n\r\nhello", "200 OK",
         "\r\n\r\nPOST /|-|hello", NULL},
        {"GET / HTTP/1.0\r\n\r\n", "200 OK", "Connection: close\r\n", NULL},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", "200 OK",
         "Connection: keep-alive\r\n", NULL},
        {"HEAD /abc HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "200 OK", "Content-Length: 12\r\n",
         "HEAD /abc"},
        {"GET /empty HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "204 No Content",
         "Date: ", "Content-Length"},
        {"GET /headers HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "405 Method Not Allowed",
         "X-Safe: a  X-Forged: b\r\nAllow: GET\r\n", "\nX-Forged"},
        {"PROPFIND / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "200 OK", "PROPFIND /|", NULL},
        {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\nGET /2 HTTP/1.1\r\n" H "\r\n", "200 OK",
         "GET /|", "GET /2|"},
        {"garbage\r\n", "400 Bad Request", "INVALID_REQUEST", NULL},
        {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "the Host field is missing", NULL},
        {"HEAD / HTTP/1.1\r\n\r\n", "400 Bad Request", "Content-Length: ", "INVALID_REQUEST"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 65537\r\n\r\n", "413 Content Too Large",
         "Connection: close\r\n", NULL},
        {"POST / HTTP/1.1\r\n" H "Expect: x\r\n\r\n", "417 Expectation Failed", "", NULL},
        {"GET / HTTP/2.0\r\n\r\n", "505 HTTP Version Not Supported", "", NULL},
    };
    struct fixture fixture;

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *answer = ask_once(&fixture, cases[i].request);

        if (strncmp(answer, "HTTP/1.1 ", 9) != 0 ||
            strncmp(answer + 9, cases[i].status, strlen(cases[i].status)) != 0 ||
            strstr(answer, cases[i].present) == NULL ||
            (cases[i].absent != NULL && strstr(answer, cases[i].absent) != NULL))
            fail_msg("case %zu: %s\ngot: %s", i, cases[i].request, answer);
        free(answer);
    }
    check_alive(&fixture);
    fixture_close(&fixture);
}

static void sends_the_error_object(void **state)
{
    struct fixture fixture;
    char *answer;
    json_t *object;

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    answer = ask_once(&fixture, "GET / HTTP/1.1\r\n" H H "\r\n");
    assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
    object = json_loads(strstr(answer, "\r\n\r\n") + 4, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(object, "command")), "error");
    assert_string_equal(json_string_value(json_object_get(object, "type")), "INVALID_REQUEST");
    assert_string_equal(json_string_value(json_object_get(object, "description")),
                        "more than one Host field");
    json_decref(object);
    free(answer);
    fixture_close(&fixture);
}

static void takes_bytes_one_at_a_time(void **state)
{
    static const char request[] =
        "POST /a?q=b HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        "5\r\nhello\r\n0\r\n\r\n";
    struct fixture fixture;
    struct client client;

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    client_connect(&client, &fixture);
    for (const char *at = request; *at != '\0'; at++) {
        uint64_t before = hms_http_server_counters(fixture.server).bytes_in;

        client_send_bytes(&client, &fixture, at, 1);
        fixture_until(&fixture, &client,
                      hms_http_server_counters(fixture.server).bytes_in == before + 1);
    }
    fixture_until(&fixture, &client, client.is_closed);
    assert_non_null(strstr(client_text(&client), "POST /a|b|hello"));
    client_close(&client);
    fixture_close(&fixture);
}

static void keeps_a_connection(void **state)
{
    struct fixture fixture;
    struct client client;
    struct hms_http_counters counters;

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    client_connect(&client, &fixture);
    for (int i = 1; i <= 5; i++) {
        client_send(&client, &fixture, "GET /x HTTP/1.1\r\n" H "\r\n");
        fixture_until(&fixture, &client, client_count(&client, "GET /x|-|") == i);
    }
    counters = hms_http_server_counters(fixture.server);
    assert_int_equal(counters.connections, 1);
    assert_int_equal(counters.open_connections, 1);
    assert_int_equal(counters.requests, 5);
    assert_int_equal(counters.rejected, 0);
    assert_int_equal(counters.bytes_out, client.in.size_bytes);
    assert_int_equal(counters.bytes_in, 5 * strlen("GET /x HTTP/1.1\r\n" H "\r\n"));
    client_close(&client);
    fixture_close(&fixture);
}

static void answers_in_the_order_of_requests(void **state)
{
    struct fixture fixture;
    struct client client;
    const char *text;

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    client_connect(&client, &fixture);
    client_send(&client, &fixture,
                "GET /park HTTP/1.1\r\n" H "\r\nGET /direct HTTP/1.1\r\n" H
                "\r\nGET /park HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    fixture_until(&fixture, &client, fixture.handled == 3);
    fixture_answer(&fixture, 1, "[third]");
    check_alive(&fixture);
    fixture_turn(&fixture, &client);
    assert_int_equal(client.in.size_bytes, 0);
    fixture_answer(&fixture, 0, "[first]");
    fixture_until(&fixture, &client, client.is_closed);
    text = client_text(&client);
    assert_int_equal(client_count(&client, "HTTP/1.1 200 OK"), 3);
    assert_int_equal(client_count(&client, "Connection: close"), 1);
    assert_true(strstr(text, "[first]") < strstr(text, "/direct"));
    assert_true(strstr(text, "/direct") < strstr(text, "[third]"));
    client_close(&client);
    fixture_close(&fixture);
}

static void bounds_pipelining(void **state)
{
    struct hms_http_limits limits = hms_http_limits_default();
    struct fixture fixture;
    struct client client;

    limits.pipelined = 4;
    fixture_open(&fixture, "127.0.0.1:0", &limits);
    client_connect(&client, &fixture);
    for (int i = 0; i < 10; i++)
        client_send(&client, &fixture, "GET /park HTTP/1.1\r\n" H "\r\n");
    fixture_until(&fixture, &client, fixture.parked_count == 4);
    check_alive(&fixture);
    assert_int_equal(fixture.parked_count, 4);
    for (int i = 1; i <= 10; i++) {
        fixture_until(&fixture, &client, fixture.parked_count > 0);
        fixture_answer(&fixture, 0, "[ok]");
        fixture_until(&fixture, &client, client_count(&client, "[ok]") == i);
        assert_true(fixture.parked_count <= 4);
    }
    client_close(&client);
    fixture_close(&fixture);
}

static void shares_the_loop_with_a_greedy_client(void **state)
{
    enum { REQUESTS = 20000 };
    static const char request[] = "GET / HTTP/1.1\r\n" H "\r\n";
    struct hms_buffer all;
    struct fixture fixture;
    struct client client;

    hms_buffer_init(&all, REQUESTS * sizeof(request));
    for (int i = 0; i < REQUESTS; i++)
        hms_buffer_append(&all, request, strlen(request));
    fixture_open(&fixture, "127.0.0.1:0", NULL);
    client_connect(&client, &fixture);
    client_send_bytes(&client, &fixture, all.data, all.size_bytes);
    check_alive(&fixture);
    fixture_until(&fixture, &client, fixture.handled == REQUESTS + 1);
    fixture_until(&fixture, &client, client_count(&client, "GET /|-|") == REQUESTS);
    client_close(&client);
    hms_buffer_free(&all);
    fixture_close(&fixture);
}

static void gives_http_its_turn_only(void **state)
{
    enum { REQUESTS = 300 }; /* 1 ms each, all in one read */
    struct fixture fixture;
    struct client client;
    int turns = 0;

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    client_connect(&client, &fixture);
    for (int i = 0; i < REQUESTS; i++)
        client_send(&client, &fixture, "GET /slow HTTP/1.1\r\n" H "\r\n");
    fixture_until(&fixture, &client,
                  (turns++, client_count(&client, "HTTP/1.1 200 OK") == REQUESTS));
    assert_true(turns > REQUESTS / 20);
    client_close(&client);
    fixture_close(&fixture);
}

static void invites_the_body(void **state)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct fixture fixture;
    struct client client;

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    client_connect(&client, &fixture);
    client_send(&client, &fixture,
                "POST /1 HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    fixture_until(&fixture, &client, client.in.size_bytes == strlen(interim));
    assert_string_equal(client_text(&client), interim);
    client_send(&client, &fixture, "ab");
    fixture_until(&fixture, &client, client_count(&client, "POST /1|-|ab") == 1);
    /* Behind a request under way the invitation waits for that one's answer. */
    client_send(&client, &fixture,
                "GET /park HTTP/1.1\r\n" H "\r\nPOST /2 HTTP/1.1\r\n" H
                "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    fixture_until(&fixture, &client, fixture.parked_count == 1);
    check_alive(&fixture);
    assert_int_equal(client_count(&client, interim), 1);
    fixture_answer(&fixture, 0, "[parked]");
    fixture_until(&fixture, &client, client_count(&client, interim) == 2);
    assert_int_equal(client_count(&client, "[parked]HTTP/1.1 100 Continue"), 1);
    client_send(&client, &fixture, "cd");
    fixture_until(&fixture, &client, client_count(&client, "POST /2|-|cd") == 1);
    /* A body that comes along needs none; one that is too large gets the refusal instead. */
    client_send(&client, &fixture,
                "POST /3 HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nef"
                "POST /4 HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 65537\r\n\r\n");
    fixture_until(&fixture, &client, client.is_closed);
    assert_int_equal(client_count(&client, interim), 2);
    assert_int_equal(client_count(&client, "413 Content Too Large"), 1);
    client_close(&client);
    fixture_close(&fixture);
}

static void refuses_at_length(void **state)
{
    /* The client goes on sending what nobody wants, and still gets to read why. */
    enum { SIZE = 4 * 1024 * 1024 };
    struct fixture fixture;
    struct client client;
    char *body = hms_calloc(1, SIZE);

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    client_connect(&client, &fixture);
    client_send(&client, &fixture, "POST / HTTP/1.1\r\n" H "Content-Length: 4194304\r\n\r\n");
    client_send_bytes(&client, &fixture, body, SIZE);
    shutdown(client.fd, SHUT_WR);
    fixture_until(&fixture, &client, client.is_closed);
    assert_int_equal(client_count(&client, "HTTP/1.1 413 "), 1);
    assert_int_equal(fixture.handled, 0);
    assert_int_equal(hms_http_server_counters(fixture.server).rejected, 1);
    client_close(&client);
    free(body);
    fixture_close(&fixture);
}

static void answers_a_client_that_closed_its_half(void **state)
{
    struct fixture fixture;
    struct client client;

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    client_connect(&client, &fixture);
    client_send(&client, &fixture, "GET /park HTTP/1.1\r\n" H "\r\nGET /cut HTT");
    shutdown(client.fd, SHUT_WR);
    fixture_until(&fixture, &client, fixture.parked_count == 1);
    check_alive(&fixture);
    fixture_answer(&fixture, 0, "[late]");
    fixture_until(&fixture, &client, client.is_closed);
    assert_int_equal(client_count(&client, "HTTP/1.1"), 1);
    assert_int_equal(client_count(&client, "[late]"), 1);
    client_close(&client);
    fixture_close(&fixture);
}

static void drops_the_answer_of_a_client_that_left(void **state)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    for (int reset = 0; reset < 2; reset++) {
        struct fixture fixture;
        struct client client;

        fixture_open(&fixture, "127.0.0.1:0", NULL);
        client_connect(&client, &fixture);
        client_send(&client, &fixture,
                    "GET /park HTTP/1.1\r\n" H "\r\nGET /park HTTP/1.1\r\n" H
                    "\r\nGET / HTTP/1.1\r\n" H "\r\n");
        fixture_until(&fixture, &client, fixture.handled == 3);
        if (reset)
            setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        client_close(&client);
        if (reset)
            fixture_until(&fixture, NULL, fixture_open_connections(&fixture) == 0);
        check_alive(&fixture);
        fixture_answer(&fixture, 1, "second");
        fixture_answer(&fixture, 0, "first");
        fixture_until(&fixture, NULL, fixture_open_connections(&fixture) == 0);
        fixture_close(&fixture);
    }
}

static void closes_slow_clients(void **state)
{
    static const struct {
        const char *sent;
        const char *answer;
    } cases[] = {
        {"", ""},
        {"\r\n", ""},
        {"G", "HTTP/1.1 408 Request Timeout\r\n"},
        {"GET / HTTP/1.1\r\nHos", "HTTP/1.1 408 Request Timeout\r\n"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nab", "HTTP/1.1 408 "},
        {"GET / HTTP/1.1\r\n" H "\r\n", "HTTP/1.1 200 OK\r\n"}, /* and then nothing */
    };
    struct hms_http_limits limits = hms_http_limits_default();

    limits.request_timeout_ms = 60;
    limits.idle_timeout_ms = 120;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture fixture;
        struct client client;

        fixture_open(&fixture, "127.0.0.1:0", &limits);
        client_connect(&client, &fixture);
        client_send(&client, &fixture, cases[i].sent);
        fixture_until(&fixture, &client, client.in.size_bytes > 0 || client.is_closed);
        shutdown(client.fd, SHUT_WR); /* or it would linger */
        fixture_until(&fixture, &client, client.is_closed);
        if (strncmp(client_text(&client), cases[i].answer, strlen(cases[i].answer)) != 0 ||
            (cases[i].answer[0] == '\0' && client.in.size_bytes > 0))
            fail_msg("case %zu: %s", i, client_text(&client));
        client_close(&client);
        fixture_close(&fixture);
    }
}

static void waits_for_the_handler(void **state)
{
    struct hms_http_limits limits = hms_http_limits_default();
    struct fixture fixture;
    struct client client, other;

    limits.request_timeout_ms = limits.idle_timeout_ms = limits.write_timeout_ms = 30;
    fixture_open(&fixture, "127.0.0.1:0", &limits);
    client_connect(&client, &fixture);
    client_send(&client, &fixture, "GET /park HTTP/1.1\r\n" H "\r\n");
    fixture_until(&fixture, &client, fixture.parked_count == 1);
    for (int i = 0; i < 3; i++) { /* three times as long as any timeout */
        client_connect(&other, &fixture);
        fixture_until(&fixture, &other, other.is_closed);
        client_close(&other);
    }
    fixture_answer(&fixture, 0, "[slow]");
    fixture_until(&fixture, &client, client.is_closed);
    assert_int_equal(client_count(&client, "[slow]"), 1);
    client_close(&client);
    fixture_close(&fixture);
}

static void bounds_a_client_that_does_not_read(void **state)
{
    struct hms_http_limits limits = hms_http_limits_default();
    struct fixture fixture;
    struct client client;

    limits.pending_bytes = 1024 * 1024;
    limits.write_timeout_ms = 100;
    fixture_open(&fixture, "127.0.0.1:0", &limits);
    client_connect(&client, &fixture);
    for (int i = 0; i < 5; i++)
        client_send(&client, &fixture, "GET /big HTTP/1.1\r\n" H "\r\n");
    fixture_until(&fixture, NULL, fixture.handled > 0);
    fixture_until(&fixture, NULL, fixture_open_connections(&fixture) == 0);
    assert_int_equal(fixture.handled, 1);
    client_close(&client);
    check_alive(&fixture);
    fixture_close(&fixture);
}

static void bounds_what_all_clients_do_not_read(void **state)
{
    enum { CLIENTS = 20, ANSWER = 90000 };
    static char body[ANSWER + 1];
    struct hms_http_limits limits = hms_http_limits_default();
    struct client clients[CLIENTS];
    struct fixture fixture;

    memset(body, 'x', ANSWER);
    limits.pending_bytes = 100000;
    fixture_open(&fixture, "127.0.0.1:0", &limits);
    for (int i = 0; i < CLIENTS; i++) { /* each has a large answer that waits for one before it */
        client_connect(&clients[i], &fixture);
        client_send(&clients[i], &fixture,
                    "GET /park HTTP/1.1\r\n" H "\r\nGET /park HTTP/1.1\r\n" H "\r\n");
        fixture_until(&fixture, &clients[i], fixture.parked_count == i + 2);
        fixture_answer(&fixture, i + 1, body);
    }
    client_send(&clients[0], &fixture, "GET /more HTTP/1.1\r\n" H "\r\n");
    check_alive(&fixture); /* a client that owes nothing is served */
    assert_int_equal(fixture.handled, 2 * CLIENTS + 1);
    while (fixture.parked_count > 0)
        fixture_answer(&fixture, 0, "[first]");
    fixture_until(&fixture, &clients[0], client_count(&clients[0], "GET /more") == 1);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
    fixture_close(&fixture);
}

static void sends_large_answers_whole(void **state)
{
    struct hms_http_limits limits = hms_http_limits_default();
    struct fixture fixture;
    struct client client;

    limits.pending_bytes = 1024 * 1024;
    fixture_open(&fixture, "127.0.0.1:0", &limits);
    client_connect(&client, &fixture);
    for (int i = 0; i < 3; i++)
        client_send(&client, &fixture, "GET /big HTTP/1.1\r\n" H "\r\n");
    client_send(&client, &fixture, "GET /end HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    fixture_until(&fixture, &client, client.is_closed);
    assert_int_equal(fixture.handled, 4);
    assert_true(client.in.size_bytes > 3u * BIG_BYTES);
    assert_int_equal(client_count(&client, "HTTP/1.1 200 OK"), 4);
    assert_string_equal(client_text(&client) + client.in.size_bytes - 11, "GET /end|-|");
    client_close(&client);
    fixture_close(&fixture);
}

static void bounds_connections(void **state)
{
    struct hms_http_limits limits = hms_http_limits_default();
    struct fixture fixture;
    struct client first, second, third;

    limits.connections = 2;
    fixture_open(&fixture, "127.0.0.1:0", &limits);
    client_connect(&first, &fixture);
    client_connect(&second, &fixture);
    client_connect(&third, &fixture);
    fixture_until(&fixture, &third, client_count(&third, "}") == 1);
    assert_int_equal(client_count(&third, "HTTP/1.1 503 Service Unavailable"), 1);
    client_close(&third);
    client_close(&first);
    fixture_until(&fixture, NULL, fixture_open_connections(&fixture) == 1);
    check_alive(&fixture);
    client_send(&second, &fixture, "GET / HTTP/1.1\r\n" H "\r\n");
    fixture_until(&fixture, &second, client_count(&second, "200 OK") == 1);
    client_close(&second);
    fixture_close(&fixture);
}

static void survives_a_flood_of_connections(void **state)
{
    enum { CLIENTS = 150 };
    struct hms_http_limits limits = hms_http_limits_default();
    struct client clients[CLIENTS];
    struct fixture fixture;
    int most = 0;

    limits.connections = 1;
    fixture_open(&fixture, "127.0.0.1:0", &limits);
    for (int i = 0; i < CLIENTS; i++)
        client_connect(&clients[i], &fixture);
    fixture_until(&fixture, NULL, hms_http_server_counters(fixture.server).rejected == CLIENTS - 1);
    most = fixture_open_connections(&fixture);
    assert_true(most > 1 && most < CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&clients[i]);
    fixture_until(&fixture, NULL, fixture_open_connections(&fixture) == 0);
    check_alive(&fixture);
    fixture_close(&fixture);
}

static void waits_while_descriptors_are_short(void **state)
{
    struct rlimit before, none_left;
    struct fixture fixture;
    struct client client, kept;
    int lowest;

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    client_connect(&kept, &fixture);
    client_send(&kept, &fixture, "GET / HTTP/1.1\r\n" H "\r\n");
    fixture_until(&fixture, &kept, client_count(&kept, "200 OK") == 1);
    client_connect(&client, &fixture);
    client_send(&client, &fixture, "GET / HTTP/1.1\r\n" H "\r\n");
    lowest = dup(fixture.null_fd);
    close(lowest);
    getrlimit(RLIMIT_NOFILE, &before);
    none_left = before;
    none_left.rlim_cur = (rlim_t)lowest;
    setrlimit(RLIMIT_NOFILE, &none_left);
    fixture_until(&fixture, NULL, hms_http_server_counters(fixture.server).rejected >= 2);
    client_send(&kept, &fixture, "GET / HTTP/1.1\r\n" H "\r\n"); /* those inside are served */
    fixture_until(&fixture, &kept, client_count(&kept, "200 OK") == 2);
    assert_true(hms_http_server_counters(fixture.server).rejected < 100);
    setrlimit(RLIMIT_NOFILE, &before);
    fixture_until(&fixture, &client, client_count(&client, "200 OK") == 1);
    client_close(&client);
    client_close(&kept);
    fixture_close(&fixture);
}

static void closes_with_grace(void **state)
{
    struct fixture fixture;
    struct client busy, idle, begun;

    fixture_open(&fixture, "127.0.0.1:0", NULL);
    client_connect(&busy, &fixture);
    client_connect(&idle, &fixture);
    client_connect(&begun, &fixture);
    client_send(&busy, &fixture, "GET /park HTTP/1.1\r\n" H "\r\nGET /park HTTP/1.1\r\n" H "\r\n");
    client_send(&begun, &fixture, "GET /par");
    fixture_until(&fixture, &busy, fixture.parked_count == 2);
    fixture_until(&fixture, NULL, fixture_open_connections(&fixture) == 3);
    fixture_begin_close(&fixture, DEADLINE_MS * 10);
    fixture_until(&fixture, &idle, idle.is_closed);
    fixture_until(&fixture, &begun, begun.is_closed);
    assert_false(fixture.is_closed);
    fixture_answer(&fixture, 0, "[one]");
    fixture_until(&fixture, &busy, client_count(&busy, "[one]") == 1);
    assert_int_equal(client_count(&busy, "Connection: close"), 0);
    fixture_answer(&fixture, 0, "[two]");
    fixture_until(&fixture, &busy, busy.is_closed);
    assert_int_equal(client_count(&busy, "Connection: close"), 1);
    assert_int_equal(client_count(&busy, "[two]"), 1);
    client_close(&busy);
    client_close(&idle);
    client_close(&begun);
    fixture_close(&fixture);
}

static void ends_when_the_grace_does(void **state)
{
    static const int64_t graces_ms[] = {0, 50};

    for (size_t i = 0; i < 2; i++) {
        struct fixture fixture;
        struct client client;

        fixture_open(&fixture, "127.0.0.1:0", NULL);
        client_connect(&client, &fixture);
        client_send(&client, &fixture,
                    "GET /park HTTP/1.1\r\n" H "\r\nPOST /park HTTP/1.1\r\n" H
                    "Content-Length: 4\r\n\r\nbody");
        fixture_until(&fixture, &client, fixture.parked_count == 2);
        fixture_begin_close(&fixture, graces_ms[i]);
        if (i == 0) /* an answer between close and its end */
            fixture_answer(&fixture, 0, "x");
        fixture_until(&fixture, &client, fixture.is_closed && client.is_closed);
        /* What was asked stays readable after the server has gone. */
        assert_string_equal(hms_http_path(fixture.parked[0]), "/park");
        client_close(&client);
        fixture_close(&fixture);
    }
}

static void closes_from_within_the_handler(void **state)
{
    for (int grace_ms = 0; grace_ms <= 1000; grace_ms += 1000) {
        struct fixture fixture;
        struct client client;

        fixture_open(&fixture, "127.0.0.1:0", NULL);
        fixture.close_grace_ms = grace_ms;
        client_connect(&client, &fixture);
        client_send(&client, &fixture,
                    "GET /close HTTP/1.1\r\n" H "\r\nGET /after HTTP/1.1\r\n" H "\r\n");
        fixture_until(&fixture, &client, fixture.is_closed && client.is_closed);
        assert_int_equal(fixture.handled, 1);
        assert_int_equal(client_count(&client, "bye"), grace_ms > 0);
        client_close(&client);
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(sends_the_error_object),
        cmocka_unit_test(takes_bytes_one_at_a_time),
        cmocka_unit_test(keeps_a_connection),
        cmocka_unit_test(answers_in_the_order_of_requests),
        cmocka_unit_test(bounds_pipelining),
        cmocka_unit_test(shares_the_loop_with_a_greedy_client),
        cmocka_unit_test(gives_http_its_turn_only),
        cmocka_unit_test(invites_the_body),
        cmocka_unit_test(refuses_at_length),
        cmocka_unit_test(answers_a_client_that_closed_its_half),
        cmocka_unit_test(drops_the_answer_of_a_client_that_left),
        cmocka_unit_test(closes_slow_clients),
        cmocka_unit_test(waits_for_the_handler),
        cmocka_unit_test(bounds_a_client_that_does_not_read),
        cmocka_unit_test(bounds_what_all_clients_do_not_read),
        cmocka_unit_test(sends_large_answers_whole),
        cmocka_unit_test(bounds_connections),
        cmocka_unit_test(survives_a_flood_of_connections),
        cmocka_unit_test(waits_while_descriptors_are_short),
        cmocka_unit_test(closes_with_grace),
        cmocka_unit_test(ends_when_the_grace_does),
        cmocka_unit_test(closes_from_within_the_handler),
    };

    hms_alloc_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
