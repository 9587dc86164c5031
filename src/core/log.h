/*
 * Log to a file descriptor, as text or as JSON lines.
 *
 * A line is written whole or, when the reader does not keep up, dropped and counted: the loop never
 * waits for whoever reads the log. Not thread safe: the loop's thread alone logs.
 */
#ifndef HMS_CORE_LOG_H
#define HMS_CORE_LOG_H

#include <jansson.h>
#include <stdint.h>

enum hms_log_level { HMS_LOG_DEBUG, HMS_LOG_INFO, HMS_LOG_WARN, HMS_LOG_ERROR };
enum hms_log_format { HMS_LOG_TEXT, HMS_LOG_JSON };

struct hms_log;

/* fd stays the caller's. Lines below `level` are not written. Free with hms_log_free(). */
struct hms_log *hms_log_new(int fd, enum hms_log_format format, enum hms_log_level level);
void hms_log_free(struct hms_log *log);

/*
 * One line. `module` names the part of the program ("manager", "docker"); `message` says what
 * happened. Control characters are escaped, so that no input can forge a line.
 */
void hms_log(struct hms_log *log, enum hms_log_level level, const char *module, const char *message,
             ...) __attribute__((format(printf, 4, 5)));

/*
 * The same with an object of further fields for programs, whose reference is taken over; NULL is
 * allowed. JSON lines have them; text lines are for people and have the message alone, which must
 * therefore say everything that matters.
 */
void hms_log_fields(struct hms_log *log, enum hms_log_level level, const char *module,
                    json_t *fields, const char *message, ...) __attribute__((format(printf, 5, 6)));

/* Whether lines of this level are written: guards the cost of preparing one. */
int hms_log_enabled(const struct hms_log *log, enum hms_log_level level);

/* Lines dropped so far because the descriptor was not ready. */
uint64_t hms_log_dropped(const struct hms_log *log);

/* A brake for messages that a peer can provoke: at most `burst` in each period. */
struct hms_log_limit {
    int64_t period_ms;
    int burst;
    int64_t window_start_ms;
    int in_window;
    uint64_t suppressed; /* since the last line that was let through */
};

/*
 * Whether a message may be logged at now_ms (monotonic, ms); counts it either way. Who wants to
 * tell how many were suppressed reads that before the call.
 */
int hms_log_limit_pass(struct hms_log_limit *limit, int64_t now_ms);

#endif
