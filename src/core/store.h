/*
 * A small JSON object on disk that survives crashes: written to a temporary file, synced, renamed,
 * and the directory synced. Written on libuv's pool, never on the loop.
 */
#ifndef HMS_CORE_STORE_H
#define HMS_CORE_STORE_H

#include <jansson.h>
#include <stdint.h>
#include <uv.h>

struct hms_log;
struct hms_store;

/*
 * Opens DIRECTORY/NAME.json, creating the directory and its parents (mode 700) if needed, and reads
 * it; called before the loop runs. *document is a new reference to what was there, or NULL if there
 * was nothing. A file that is not one JSON object of at most 16 MiB is renamed to
 * NAME.json.damaged-TIME and logged as an error; the document is then NULL. Two processes must not
 * share a document: HMS_EBUSY if another one holds its lock (on NAME.lock, which stays there).
 * Returns 0; or HMS_EPERM, HMS_ENOENT, HMS_EBUSY or HMS_EIO with a text in error, and then there is
 * nothing to close.
 */
int hms_store_open(struct hms_store **store, uv_loop_t *loop, struct hms_log *log,
                   const char *directory, const char *name, json_t **document, char *error,
                   size_t error_size);

/*
 * Asks for a write. After at most delay_ms the store calls snapshot(arg) for the document (a new
 * reference to an object) and writes it; requests meanwhile join, and the last snapshot function
 * holds. A failed write is logged, counted and repeated with backoff (0.5 s, doubling up to 30 s).
 * Not after hms_store_close().
 */
void hms_store_write(struct hms_store *store, int64_t delay_ms, json_t *(*snapshot)(void *arg),
                     void *arg);

/*
 * Tells when everything asked for so far is on disk: settled(arg, 0) from the loop, or HMS_EIO once
 * its write has failed (it is still repeated then). Call it after hms_store_write(); a backoff
 * under way is cut short.
 */
void hms_store_sync(struct hms_store *store, void (*settled)(void *arg, int error), void *arg);

/* Writes that failed so far. */
uint64_t hms_store_failures(const struct hms_store *store);

/*
 * Writes what was asked for and waits for it, then closes; closed(arg) runs from the loop. Until
 * then, also before the return, the snapshot may be called. If that last write fails it is logged
 * and not repeated.
 */
void hms_store_close(struct hms_store *store, void (*closed)(void *arg), void *arg);

#endif
