/* Options to a request, the answer to lines for people. */
#include "cli/hosts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/table.h"
#include "core/alloc.h"
#include "core/buffer.h"
#include "core/config.h"
#include "core/error.h"
#include "core/file.h"
#include "core/json.h"

#define ERROR_SIZE     512
#define FILE_MAX_BYTES (256 * 1024)
#define LINE_MAX_BYTES 4096

struct options {
    const char *url;
    const char *token_file;
    int json;
    const char *docker;
    const char *tls_ca;
    const char *tls_cert;
    const char *tls_key;
    const char *host_key;
    const char *host_key_file;
    const char *key;
    const char *password_file;
    const char *socket;
    int antagonist;
    int replace;
    int wait;
    int force;
};

/* ---- the table of options ---- */

#define ROW(name_, field, type_)                                                                   \
    .name = name_, .type = type_, HMS_OPTION_FIELD(struct options, field)
#define STRING(name, field, metavar_) ROW(name, field, HMS_OPTION_STRING), .metavar = metavar_
#define FLAG(name, field)             ROW(name, field, HMS_OPTION_FLAG)

static const struct hms_option rows[] = {
    {STRING("url", url, "URL"), .group = "Controller", .fallback = HMS_CLIENT_URL,
     .help = "where its REST interface is, http://HOST:PORT or unix:PATH; also as HMS_URL",
     .check = hms_client_check_url},
    {STRING("token-file", token_file, "FILE"), .group = "Controller",
     .help = "file with the bearer token; adding and removing takes the administrator's, or the "
             "unix socket as root; also as HMS_TOKEN_FILE"},
    {FLAG("json", json), .group = "Controller", .fallback = "no", .flag_only = 1,
     .help = "print the controller's answer as it is"},
    {STRING("docker", docker, "URL"), .group = "For add", .flag_only = 1,
     .help = "the host's Docker Engine: unix:///PATH, tcp://HOST:PORT, ssh://[USER@]HOST[:PORT] "
             "[/PATH]; or none, if its manager is run by other means"},
    {STRING("tls-ca", tls_ca, "FILE"), .group = "For add", .flag_only = 1,
     .help = "tcp: certificates (PEM) that may vouch for the engine"},
    {STRING("tls-cert", tls_cert, "FILE"), .group = "For add", .flag_only = 1,
     .help = "tcp: client certificate (PEM) to show to it"},
    {STRING("tls-key", tls_key, "FILE"), .group = "For add", .flag_only = 1,
     .help = "tcp: private key (PEM) of that certificate"},
    {STRING("host-key", host_key, "KEY"), .group = "For add", .flag_only = 1,
     .help = "ssh: the host's public key, \"ssh-ed25519 AAAA...\"; a host whose key is not known "
             "is refused"},
    {STRING("host-key-file", host_key_file, "FILE"), .group = "For add", .flag_only = 1,
     .help = "ssh: file with that key, such as the host's /etc/ssh/ssh_host_ed25519_key.pub"},
    {STRING("key", key, "FILE"), .group = "For add", .flag_only = 1,
     .help = "ssh: private key to log in with; the controller keeps it"},
    {STRING("password-file", password_file, "FILE"), .group = "For add", .flag_only = 1,
     .help = "ssh: file with the password, or - to be asked for it; the controller keeps it in "
             "memory alone"},
    {STRING("socket", socket, "PATH"), .group = "For add", .flag_only = 1,
     .help = "where the engine listens on its host, if --docker does not tell and it is not "
             "/var/run/docker.sock"},
    {FLAG("antagonist", antagonist), .group = "For add", .fallback = "no", .flag_only = 1,
     .help = "an antagonist is wanted there, too"},
    {FLAG("replace", replace), .group = "For add", .fallback = "no", .flag_only = 1,
     .help = "take the place of a manager that another platform brought there, or that is run by "
             "other means"},
    {FLAG("wait", wait), .group = "For add", .fallback = "yes", .flag_only = 1,
     .help = "return at the end; otherwise the controller tries until it succeeds"},
    {FLAG("force", force), .group = "For remove", .fallback = "no", .flag_only = 1,
     .help = "forget the host without going there: its manager stays"},
};

static int finish(void *target, char *error, size_t error_size)
{
    const struct options *options = target;

    if (options->host_key != NULL && options->host_key_file != NULL) {
        snprintf(error, error_size, "--host-key and --host-key-file exclude each other");
        return HMS_EINVAL;
    }
    return HMS_OK;
}

static const char *const all_commands[] = {"hosts", NULL};

static const struct hms_config_spec spec = {
    .command = "hosts",
    .summary = "List the hosts that a controller is responsible for, bring a manager to one, or "
               "take it away.",
    .all_commands = all_commands,
    .options = rows,
    .option_count = sizeof(rows) / sizeof(rows[0]),
    .operands = "[list | add ADDRESS | remove ADDRESS]",
    .has_no_file = 1,
    .finish = finish,
};

/* ---- what is sent ---- */

static int complain(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int complain(int status, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "hms hosts: ");
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return status;
}

/* A file's text becomes a field, whole or its first line only. Returns 0 or HMS_EIO. */
static int add_file(json_t *object, const char *field, const char *path, int is_line)
{
    struct hms_buffer text;
    char error[ERROR_SIZE];
    int result;

    if (path == NULL)
        return HMS_OK;
    hms_buffer_init(&text, FILE_MAX_BYTES);
    result = hms_file_read(path, &text, error, sizeof(error));
    if (result != HMS_OK)
        complain(result, "%s", error);
    if (result == HMS_OK && text.data != NULL) {
        if (is_line)
            text.data[strcspn(text.data, "\r\n")] = '\0';
        json_object_set_new(object, field, hms_json_text(text.data));
    }
    hms_buffer_wipe(&text);
    return result == HMS_OK ? HMS_OK : HMS_EIO;
}

/* From standard input; on a terminal it is asked for and does not show. */
static int ask_password(json_t *object)
{
    struct termios shown, hidden;
    int is_terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
    char line[LINE_MAX_BYTES] = "";
    int result;

    if (is_terminal) {
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(stderr, "Password: ");
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    }
    result = fgets(line, sizeof(line), stdin) != NULL ? HMS_OK : HMS_EIO;
    if (is_terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
        fputc('\n', stderr);
    }
    line[strcspn(line, "\r\n")] = '\0';
    if (result == HMS_OK)
        json_object_set_new(object, "password", hms_json_text(line));
    else
        complain(result, "no password on standard input");
    explicit_bzero(line, sizeof(line));
    return result;
}

static void add_text(json_t *object, const char *field, const char *text)
{
    if (text != NULL)
        json_object_set_new(object, field, hms_json_text(text));
}

/* Files are read here: the controller may be on another machine. NULL: that failed, and was told.
 */
static json_t *add_body(const struct options *options)
{
    json_t *body = json_object(), *tls = json_object();
    int is_asked = options->password_file != NULL && strcmp(options->password_file, "-") == 0;
    int bad = add_file(tls, "ca", options->tls_ca, 0) != HMS_OK ||
              add_file(tls, "cert", options->tls_cert, 0) != HMS_OK ||
              add_file(tls, "key", options->tls_key, 0) != HMS_OK ||
              add_file(body, "host_key", options->host_key_file, 1) != HMS_OK ||
              add_file(body, "key", options->key, 0) != HMS_OK ||
              (is_asked ? ask_password(body)
                        : add_file(body, "password", options->password_file, 1)) != HMS_OK;

    add_text(body, "docker", options->docker);
    add_text(body, "host_key", options->host_key);
    add_text(body, "socket", options->socket);
    json_object_set_new(body, "antagonist", json_boolean(options->antagonist));
    json_object_set_new(body, "replace", json_boolean(options->replace));
    json_object_set_new(body, "async", json_boolean(!options->wait));
    if (json_object_size(tls) > 0)
        json_object_set(body, "tls", tls);
    json_decref(tls);
    if (bad)
        json_decref(body);
    return bad ? NULL : body;
}

/* ---- what is told ---- */

/* What goes on there: the step under way, else what failed last. */
static char *news_of(const json_t *host)
{
    const json_t *task = json_object_get(host, "task"), *error = json_object_get(host, "error");

    if (json_is_object(task))
        return hms_asprintf("%s: %s", hms_json_string(task, "goal"), hms_json_string(task, "step"));
    if (json_is_object(error))
        return hms_asprintf("%s failed: %s", hms_json_string(error, "step"),
                            hms_json_string(error, "description"));
    return hms_strdup("-");
}

static void print_list(const json_t *description)
{
    static const char *const titles[] = {"ADDRESS", "STATE",   "MEMBERSHIP", "CREDENTIALS",
                                         "DOCKER",  "REVIVED", "NOW",        NULL};
    static const char *const fields[] = {"address",     "host_state", "membership",
                                         "credentials", "docker",     NULL};
    const json_t *hosts = json_object_get(description, "hosts"), *host;
    struct hms_table *table = hms_table_new(titles);
    char number[24], *news;
    size_t i, k;

    json_array_foreach(hosts, i, host)
    {
        for (k = 0; fields[k] != NULL; k++)
            hms_table_add(table, hms_json_string(host, fields[k]));
        snprintf(number, sizeof(number), "%lld", (long long)hms_json_int(host, "revivals", 0));
        hms_table_add(table, number);
        news = news_of(host);
        hms_table_add(table, news);
        free(news);
    }
    hms_table_print(table, stdout);
    hms_table_free(table);
    if (hms_json_int(description, "messages_refused", 0) > 0)
        printf("%lld messages of %zu hosts that are not registered were refused; --json lists "
               "them\n",
               (long long)hms_json_int(description, "messages_refused", 0),
               json_array_size(json_object_get(description, "refused")));
}

static int tell(const struct options *options, const struct hms_client_answer *answer)
{
    const json_t *description = json_object_get(answer->body, "description");
    const char *step = hms_json_string(answer->body, "step");
    int is_done = answer->status >= 200 && answer->status <= 299;

    if (options->json) {
        json_dumpf(answer->body, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (!is_done) {
        complain(HMS_CLI_FAILED, "%s%s%s", step ? step : "", step ? ": " : "",
                 json_is_string(description) ? json_string_value(description) : "refused");
    } else if (json_is_object(description)) {
        print_list(description);
    } else {
        printf("%s: %s\n", hms_json_string(answer->body, "address"),
               json_string_value(description));
    }
    return is_done ? HMS_CLI_DONE : HMS_CLI_FAILED;
}

/* ---- the commands ---- */

/* Takes over body. */
static int ask(const struct options *options, const char *method, const char *path, json_t *body)
{
    struct hms_client_request request = {.url = options->url,
                                         .token_file = options->token_file,
                                         .method = method,
                                         .path = path,
                                         .body = body};
    struct hms_client_answer answer;
    char error[ERROR_SIZE];
    int result = hms_client_ask(&request, &answer, error, sizeof(error));
    int status;

    json_decref(body);
    if (result != HMS_OK)
        return complain(HMS_CLI_NO_ANSWER, "%s: %s", options->url, error);
    status = tell(options, &answer);
    json_decref(answer.body);
    return status;
}

static int ask_about(const struct options *options, const char *method, const char *address,
                     json_t *body)
{
    char *path;
    int status;

    if (body == NULL)
        return HMS_CLI_WRONG_USE;
    path = hms_asprintf("/containers/%s", address);
    status = ask(options, method, path, body);
    free(path);
    return status;
}

static int is_word(const char *text)
{
    return text[strspn(text, "0123456789.")] == '\0';
}

static int run(const struct options *options, const char *const *words, size_t count)
{
    const char *verb = count > 0 ? words[0] : "list";

    if (strcmp(verb, "list") == 0 && count <= 1)
        return ask(options, "GET", "/hosts", NULL);
    if (count == 2 && !is_word(words[1]))
        return complain(HMS_CLI_WRONG_USE, "%s is no IPv4 address", words[1]);
    if (strcmp(verb, "add") == 0 && count == 2)
        return ask_about(options, "PUT", words[1], add_body(options));
    if (strcmp(verb, "remove") == 0 && count == 2)
        return ask_about(options, "DELETE", words[1], json_pack("{s:b}", "force", options->force));
    return complain(HMS_CLI_WRONG_USE, "what to do with '%s'? Try 'hms hosts --help'.", verb);
}

int hms_cli_hosts(int argc, char **argv)
{
    struct options options = {0};
    struct hms_config *config;
    const char *const *words;
    size_t count;
    int status;

    if (!hms_config_load(&config, &spec, argc, argv, &options, stdout, stderr, &status))
        return status;
    words = hms_config_operands(config, &count);
    status = run(&options, words, count);
    hms_config_free(config);
    return status;
}
