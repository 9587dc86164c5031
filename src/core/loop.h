/*
 * The process's one libuv loop: signals, lag gauge, and the proof at the end that nothing was left.
 */
#ifndef HMS_CORE_LOOP_H
#define HMS_CORE_LOOP_H

#include <stdint.h>
#include <uv.h>

struct hms_log;
struct hms_loop;

/* Never returns NULL. Free with hms_loop_free(), after everything on it has been closed. */
struct hms_loop *hms_loop_new(struct hms_log *log);

/* The libuv loop; borrowed. */
uv_loop_t *hms_loop_uv(struct hms_loop *loop);

/*
 * Runs until nothing is left on the loop. on_stop(arg) is called once, at the first SIGINT or
 * SIGTERM, and has to begin closing everything; a second signal ends the
 * process at once with status 130. SIGPIPE is ignored from here on.
 */
void hms_loop_run(struct hms_loop *loop, void (*on_stop)(void *arg), void *arg);

/*
 * How long at most whatever came had to wait for one turn of the loop to end, in milliseconds,
 * within the last ten minutes (HMS_PEAK_MINUTES). Reading it changes nothing.
 */
double hms_loop_lag_max_ms(const struct hms_loop *loop);

/* Releases the loop. Returns the number of handles that were still open: 0 unless there is a bug.
 */
int hms_loop_free(struct hms_loop *loop);

#endif
