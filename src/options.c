/* The table of options of all commands, and what spans several of them. */
#include "options.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/alloc.h"
#include "core/error.h"
#include "image_path.h"
#include "main_address.h"

#define SECOND_MS 1000.0
#define HOUR_MS   (3600 * SECOND_MS)
#define DAY_MS    (24 * HOUR_MS)
#define WEEK_MS   (7 * DAY_MS)

/* Of protocol.md: fixed between controllers and managers, so no option. */
#define REPLY_TIMEOUT_MS 5000

/* Which commands have an option: bits in the order of all_commands. */
#define STANDALONE  (1u << 0)
#define MANAGER     (1u << 1)
#define CONTROLLER  (1u << 2)
#define ON_HOST     (STANDALONE | MANAGER)
#define ON_PLATFORM (STANDALONE | CONTROLLER)
#define ON_BROKER   (MANAGER | CONTROLLER)
#define EVERYWHERE  (STANDALONE | MANAGER | CONTROLLER)

static const char *const all_commands[] = {"standalone", "manager", "controller", NULL};

/* The columns that every row has, and those of every row of a type. */
#define IN(group_, commands_) .group = group_, .commands = commands_
#define ROW(name_, field, type_)                                                                   \
    .name = name_, .type = type_, HMS_OPTION_FIELD(struct hms_options, field)
#define STRING(name, field, metavar_) ROW(name, field, HMS_OPTION_STRING), .metavar = metavar_
#define FLAG(name, field)             ROW(name, field, HMS_OPTION_FLAG), .fallback = "no"
#define ENUM(name, field, words_)     ROW(name, field, HMS_OPTION_ENUM), .words = words_
#define COUNT(name, field, min_, max_)                                                             \
    ROW(name, field, HMS_OPTION_INTEGER), .metavar = "N", .min = min_, .max = max_
#define MS(name, field, min_, max_)                                                                \
    ROW(name, field, HMS_OPTION_INTEGER), .metavar = "MS", .unit = "ms", .min = min_, .max = max_
#define PERCENT(name, field)                                                                       \
    ROW(name, field, HMS_OPTION_NUMBER), .metavar = "PCT", .unit = "%", .min = 0, .max = 100

/* In the order of the enums that they stand for. */
static const char *const supervise_words[] = {"seen", "all", "labelled", NULL};
static const char *const on_stop_words[] = {"start", "respect", NULL};
static const char *const sync_words[] = {"push", "pull", NULL};
static const char *const accept_words[] = {"auto", "registered", NULL};
static const char *const log_format_words[] = {"text", "json", NULL};
static const char *const log_level_words[] = {"debug", "info", "warn", "error", NULL};

static const char *environment(const char *name)
{
    const char *text = getenv(name);

    return text != NULL && text[0] != '\0' ? text : NULL;
}

static char *derive_docker(void)
{
    const char *url = environment("DOCKER_HOST");

    return hms_strdup(url ? url : "unix:///var/run/docker.sock");
}

/* systemd separates several directories of a unit with colons; relative XDG paths are invalid. */
static char *derive_state_dir(void)
{
    const char *given = environment("STATE_DIRECTORY");
    const char *xdg = environment("XDG_STATE_HOME");
    const char *home = environment("HOME");

    if (given != NULL)
        return hms_strndup(given, strcspn(given, ":"));
    if (geteuid() == 0)
        return hms_strdup("/var/lib/hms");
    if (xdg != NULL && xdg[0] == '/')
        return hms_asprintf("%s/hms", xdg);
    return home ? hms_asprintf("%s/.local/state/hms", home) : NULL;
}

static const char *check_address(const char *text)
{
    struct in_addr address;

    return inet_pton(AF_INET, text, &address) == 1 ? NULL : "an IPv4 address";
}

static const char *check_docker(const char *text)
{
    static const char *const schemes[] = {"unix:///", "tcp://", "http://"};
    size_t i;

    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0 && text[strlen(schemes[i])] != '\0')
            return NULL;
    return "unix:///PATH, tcp://HOST:PORT or http://HOST:PORT";
}

static int is_port(const char *text)
{
    size_t length = strspn(text, "0123456789");

    return length > 0 && length <= 5 && text[length] == '\0' && atoi(text) <= UINT16_MAX;
}

/* The server itself says whether it can listen there. */
static const char *check_listen(const char *text)
{
    const char *colon = strrchr(text, ':');

    if (strncmp(text, "unix:", 5) == 0 && text[5] != '\0')
        return NULL;
    if (colon != NULL && colon != text && is_port(colon + 1))
        return NULL;
    return "HOST:PORT (port 0 picks one) or unix:PATH";
}

static const struct hms_option all_options[] = {
    {
        STRING("docker", manager.docker_url, "URL"),
        IN("Host", ON_HOST),
        .help = "Docker Engine to supervise, unix:///PATH or tcp://HOST:PORT",
        .derive = derive_docker,
        .derived = "$DOCKER_HOST, else unix:///var/run/docker.sock",
        .check = check_docker,
    },
    {
        STRING("address", manager.address, "IPV4"),
        IN("Host", EVERYWHERE),
        .help = "identity of this host",
        .derive = hms_main_address,
        .derived = "its main address",
        .check = check_address,
    },
    {
        STRING("state-dir", manager.state_dir, "DIR"),
        IN("Host", EVERYWHERE),
        .help = "where state survives restarts; created if missing",
        .derive = derive_state_dir,
        .derived = "$STATE_DIRECTORY, else /var/lib/hms as root, else $XDG_STATE_HOME/hms or "
                   "~/.local/state/hms",
    },
    {
        STRING("broker", broker.url, "URL"),
        IN("Broker", ON_BROKER),
        .help = "RabbitMQ that joins managers and controller, "
                "amqp[s]://USER@HOST:PORT/VHOST; without a path the vhost is /",
        .check = hms_bus_amqp_check,
        .required = 1,
    },
    {
        STRING("broker-password-file", broker.password_file, "FILE"),
        IN("Broker", ON_BROKER),
        .help = "file with the password, read anew for each connection",
    },
    {
        STRING("broker-password", broker.password, NULL),
        IN("Broker", ON_BROKER),
        .help = "the password itself, only in the environment; the file wins over it",
        .secret = 1,
        .environment_only = 1,
    },
    {
        STRING("broker-ca", broker.ca_file, "FILE"),
        IN("Broker", ON_BROKER),
        .help = "certificates (PEM) that may vouch for an amqps broker, if not the system's",
    },
    {
        STRING("broker-cert", broker.cert_file, "FILE"),
        IN("Broker", ON_BROKER),
        .help = "client certificate (PEM) to show to it",
    },
    {
        STRING("broker-key", broker.key_file, "FILE"),
        IN("Broker", ON_BROKER),
        .help = "private key (PEM) of that certificate",
    },
    {
        ROW("broker-heartbeat-s", broker.heartbeat_s, HMS_OPTION_INTEGER),
        IN("Broker", ON_BROKER),
        .metavar = "S",
        .unit = "s",
        .min = 1,
        .max = HOUR_MS / SECOND_MS,
        .help = "AMQP heartbeat; a connection that is silent for two of them is made anew",
        .fallback = "5",
    },
    {
        ENUM("supervise", manager.supervise, supervise_words),
        IN("Supervision", ON_HOST),
        .help = "containers seen running since the start (kept across restarts of hms), all, or "
                "those with a label hms.restart, hms.threshold or hms.stop-timeout",
        .fallback = "seen",
    },
    {
        FLAG("observe", manager.observe),
        IN("Supervision", ON_HOST),
        .help = "decide and report, but touch nothing",
    },
    {
        ENUM("on-stop", manager.on_stop, on_stop_words),
        IN("Supervision", ON_HOST),
        .help = "what becomes of a container that was stopped or killed from outside: start it "
                "again, or leave it down and show it",
        .fallback = "start",
    },
    {
        MS("stop-grace-ms", manager.stop_grace_ms, 0, HOUR_MS),
        IN("Supervision", ON_HOST),
        .help = "wait before starting such a container again, so that it can be removed meanwhile",
        .fallback = "250",
    },
    {
        MS("reconcile-ms", manager.reconcile_ms, 100, HOUR_MS),
        IN("Supervision", ON_HOST),
        .help = "time between two comparisons with the engine's container list",
        .fallback = "10000",
    },
    {
        PERCENT("threshold", manager.threshold_pct),
        IN("Probing", ON_HOST),
        .help = "more packet loss than this is bad; until another one is set over REST",
        .fallback = "60",
    },
    {
        COUNT("probe-count", manager.probe_count, 1, 1000),
        IN("Probing", ON_HOST),
        .help = "echo requests to each container in a round",
        .fallback = "20",
    },
    {
        MS("probe-interval-ms", manager.probe_interval_ms, 1, 10 * SECOND_MS),
        IN("Probing", ON_HOST),
        .help = "time between two echo requests",
        .fallback = "10",
    },
    {
        MS("probe-timeout-ms", manager.probe_timeout_ms, 1, 10 * SECOND_MS),
        IN("Probing", ON_HOST),
        .help = "a reply that comes later counts as lost",
        .fallback = "100",
    },
    {
        MS("round-pause-ms", manager.round_pause_ms, 0, HOUR_MS),
        IN("Probing", ON_HOST),
        .help = "pause between two rounds",
        .fallback = "200",
    },
    {
        STRING("probe-netns", manager.probe_netns, "PATH"),
        IN("Probing", ON_HOST),
        .help = "network namespace to probe from, if not that of hms",
    },
    {
        COUNT("fall", manager.fall, 1, 100),
        IN("Probing", ON_HOST),
        .help = "bad rounds in a row until a container counts as bad",
        .fallback = "1",
    },
    {
        COUNT("rise", manager.rise, 1, 100),
        IN("Probing", ON_HOST),
        .help = "good rounds in a row until it counts as good again",
        .fallback = "1",
    },
    {
        MS("start-grace-ms", manager.start_grace_ms, 0, HOUR_MS),
        IN("Restart guard", ON_HOST),
        .help = "after a container's start its loss is not acted on for so long",
        .fallback = "1000",
    },
    {
        MS("restarted-ms", manager.restarted_ms, SECOND_MS, DAY_MS),
        IN("Restart guard", ON_HOST),
        .help =
            "a restarted container is not restarted again until it is seen to run, or for so long",
        .fallback = "20000",
    },
    {
        COUNT("concurrent-restarts", manager.concurrent_restarts, 1, 1000),
        IN("Restart guard", ON_HOST),
        .help = "restarts under way at once",
        .fallback = "8",
    },
    {
        MS("backoff-min-ms", manager.backoff_min_ms, 1, DAY_MS),
        IN("Restart guard", ON_HOST),
        .help =
            "wait before the second start of a container that fails by itself; doubles with each",
        .fallback = "1000",
    },
    {
        MS("backoff-max-ms", manager.backoff_max_ms, 1, DAY_MS),
        IN("Restart guard", ON_HOST),
        .help = "longest such wait",
        .fallback = "300000",
    },
    {
        MS("stable-ms", manager.stable_ms, 0, DAY_MS),
        IN("Restart guard", ON_HOST),
        .help = "once up for so long, a container's backoff begins anew",
        .fallback = "60000",
    },
    {
        COUNT("restart-limit", manager.restart_limit, 0, HMS_GUARD_LIMIT_MAX),
        IN("Restart guard", ON_HOST),
        .help = "starts after own failures within the window, then quarantine; 0: no limit",
        .fallback = "10",
    },
    {
        MS("restart-window-ms", manager.restart_window_ms, SECOND_MS, WEEK_MS),
        IN("Restart guard", ON_HOST),
        .help = "length of that window",
        .fallback = "600000",
    },
    {
        COUNT("loss-restart-limit", manager.loss_restart_limit, 0, HMS_GUARD_LIMIT_MAX),
        IN("Restart guard", ON_HOST),
        .help = "restarts of a container for loss within the window; 0: no limit",
        .fallback = "10",
    },
    {
        COUNT("storm-min-probed", manager.storm_min_probed, 1, 100000),
        IN("Restart guard", ON_HOST),
        .help = "storm guard: least number of probed containers for it to act",
        .fallback = "5",
    },
    {
        PERCENT("storm-pct", manager.storm_pct),
        IN("Restart guard", ON_HOST),
        .help = "storm guard: restarts for loss are held while more than this share turned bad "
                "within two rounds",
        .fallback = "60",
    },
    {
        STRING("listen", controller.listen, "WHERE"),
        IN("REST interface", ON_PLATFORM),
        .help = "HOST:PORT, or unix:PATH for a socket of mode 660; other than on loopback or a "
                "socket a token is needed",
        .fallback = "127.0.0.1:8080",
        .check = check_listen,
    },
    {
        STRING("token-file", controller.token_file, "FILE"),
        IN("REST interface", ON_PLATFORM),
        .help = "file with the bearer token that requests must carry",
    },
    {
        STRING("admin-token-file", controller.admin_token_file, "FILE"),
        IN("REST interface", ON_PLATFORM),
        .help = "file with the bearer token of who may add and remove hosts; without it that takes "
                "the unix socket as root or as the user that hms runs as",
    },
    {
        FLAG("trust-broker", controller.trusts_broker),
        IN("REST interface", CONTROLLER),
        .help = "who has the broker's account may add and remove hosts, too, with the commands of "
                "version 1; every host with a manager has it",
    },
    {
        ENUM("accept-managers", controller.accept, accept_words),
        IN("Hosts", CONTROLLER),
        .help = "managers that announce themselves: take them in, or refuse those of hosts that "
                "were not added",
        .fallback = "auto",
    },
    {
        STRING("hosts-file", controller.hosts_file, "FILE"),
        IN("Hosts", CONTROLLER),
        .help = "hosts to take over at the start, one a line: ADDRESS PASSWORD (of root, for ssh) "
                "or a JSON object as for REST",
    },
    {
        STRING("image", controller.deployer.image_path, "FILE"),
        IN("Hosts", CONTROLLER),
        .help = "archive of the container image that managers are run from",
        .derive = hms_image_path,
        .derived = "that of this program",
    },
    {
        STRING("managers-broker", controller.deployer.managers.broker, "URL"),
        IN("Hosts", CONTROLLER),
        .help = "the broker as the hosts reach it, if that is not --broker",
        .check = hms_bus_amqp_check,
    },
    {
        MS("life-timeout-ms", controller.deployer.life_timeout_ms, SECOND_MS, HOUR_MS),
        IN("Hosts", CONTROLLER),
        .help = "a manager that was deployed has to be heard of within that time",
        .fallback = "60000",
    },
    {
        MS("silence-ms", controller.deployer.silence_ms, 0, DAY_MS),
        IN("Hosts", CONTROLLER),
        .help = "a deployed manager that is offline for so long is restarted through its engine",
        .fallback = "15000",
    },
    {
        MS("aggregation-ms", controller.aggregation_ms, 1, HOUR_MS),
        IN("Reporting", EVERYWHERE),
        .help = "least time between two updates of what changed; pulling: between two gatherings",
        .fallback = "100",
    },
    {
        ENUM("sync", manager.sync, sync_words),
        IN("Reporting", EVERYWHERE),
        .help = "managers push what changed, or raise a flag and the controller pulls everything",
        .fallback = "push",
    },
    {
        PERCENT("loss-step", manager.loss_step_pct),
        IN("Reporting", ON_HOST),
        .help = "packet loss that moves by less, and not to or from nothing, is no change to tell",
        .fallback = "5",
    },
    {
        MS("expiry-ms", controller.expiry_ms, SECOND_MS, WEEK_MS),
        IN("Reporting", ON_PLATFORM),
        .help = "a host that does not tell its heartbeat is offline after so long without one",
        .fallback = "300000",
    },
    {
        MS("heartbeat-ms", manager.heartbeat_ms, 100, HOUR_MS),
        IN("Reporting", EVERYWHERE),
        .help = "time between two signs of life of the manager; for a controller: of those that it "
                "deploys",
        .fallback = "1000",
    },
    {
        ENUM("log-format", log_format, log_format_words),
        IN("Log (on standard error)", EVERYWHERE),
        .help = "lines for people or JSON lines",
        .fallback = "text",
    },
    {
        ENUM("log-level", log_level, log_level_words),
        IN("Log (on standard error)", EVERYWHERE),
        .help = "least important lines that are written",
        .fallback = "info",
    },
};

static int refuse(char *error, size_t error_size, const char *text)
{
    snprintf(error, error_size, "%s", text);
    return HMS_EINVAL;
}

static int is_tls(const char *url)
{
    static const char scheme[] = "amqps:";

    return url != NULL && strncasecmp(url, scheme, strlen(scheme)) == 0;
}

/* A certificate that is given and not used would be taken for safety that is not there. */
static int check_tls(const struct hms_bus_amqp_options *broker, char *error, size_t error_size)
{
    int has_file = broker->ca_file != NULL || broker->cert_file != NULL || broker->key_file != NULL;

    if (has_file && !is_tls(broker->url))
        return refuse(error, error_size,
                      "--broker-ca, --broker-cert and --broker-key need an amqps:// broker");
    if ((broker->cert_file == NULL) != (broker->key_file == NULL))
        return refuse(error, error_size, "--broker-cert and --broker-key need each other");
    return HMS_OK;
}

/* Managers are told of the broker what their controller was told. */
static void tell_managers(struct hms_options *options)
{
    struct hms_manager_settings *managers = &options->controller.deployer.managers;
    const struct hms_bus_amqp_options *broker = &options->broker;

    if (managers->broker == NULL)
        managers->broker = broker->url;
    managers->password = broker->password;
    managers->password_file = broker->password_file;
    managers->ca_file = is_tls(managers->broker) ? broker->ca_file : NULL;
    managers->cert_file = is_tls(managers->broker) ? broker->cert_file : NULL;
    managers->key_file = is_tls(managers->broker) ? broker->key_file : NULL;
    managers->heartbeat_ms = options->manager.heartbeat_ms;
    managers->aggregation_ms = options->controller.aggregation_ms;
}

static int finish(void *target, char *error, size_t error_size)
{
    struct hms_options *options = target;

    if (options->manager.backoff_max_ms < options->manager.backoff_min_ms) {
        snprintf(
            error, error_size, "--backoff-max-ms %lld: must be at least --backoff-min-ms, %lld",
            (long long)options->manager.backoff_max_ms, (long long)options->manager.backoff_min_ms);
        return HMS_EINVAL;
    }
    options->controller.address = options->manager.address;
    options->controller.state_dir = options->manager.state_dir;
    options->controller.sync = options->manager.sync;
    options->manager.aggregation_ms = options->controller.aggregation_ms;
    options->controller.reply_timeout_ms = REPLY_TIMEOUT_MS;
    options->broker.address = options->manager.address;
    tell_managers(options);
    return check_tls(&options->broker, error, error_size);
}

#define SPEC(command_, summary_)                                                                   \
    {                                                                                              \
        .command = command_, .summary = summary_, .all_commands = all_commands,                    \
        .options = all_options, .option_count = sizeof(all_options) / sizeof(all_options[0]),      \
        .finish = finish,                                                                          \
    }

const struct hms_config_spec hms_standalone_spec =
    SPEC("standalone",
         "Supervise the containers of one Docker host: manager and controller in one process.");

const struct hms_config_spec hms_manager_spec =
    SPEC("manager", "Supervise the containers of one Docker host for a controller elsewhere.");

const struct hms_config_spec hms_controller_spec =
    SPEC("controller", "Gather what the managers of many Docker hosts report, and serve REST.");
