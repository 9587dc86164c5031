/*
 * Docker Engine API: the calls that bring a container onto an engine and take it away. They follow
 * the rules of docker.h: done runs exactly once, never before the call's own return;
 * hms_docker_cancel() and hms_docker_close() end them.
 */
#ifndef HMS_CORE_DOCKER_DEPLOY_H
#define HMS_CORE_DOCKER_DEPLOY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "core/docker.h"

#define HMS_DOCKER_LOAD_STALL_MS     120000 /* an upload that moves no byte for so long has failed */
#define HMS_DOCKER_LOG_MAX_BYTES     (16 * 1024)
#define HMS_DOCKER_ARCHIVE_MAX_BYTES (1024 * 1024)

/* What GET /info tells of an engine and its host. The Engine API does not tell free memory. */
struct hms_docker_info {
    int64_t memory_total_bytes; /* 0 if unknown */
    int cpus;                   /* 0 if unknown */
    char *version;              /* of the engine, "20.10.24"; "" if unknown, so the three below */
    char *os_type;              /* "linux", "windows" */
    char *architecture;         /* "x86_64", "aarch64" */
    char *name;                 /* of the host */
    int remaps_users;           /* containers have users of their own (userns-remap) */
};

/* Reads the body of GET /info. Returns 0, or HMS_EPROTO if the shape is not Docker's. */
int hms_docker_read_info(const json_t *body, struct hms_docker_info *info);
void hms_docker_info_clear(struct hms_docker_info *info);

/* GET /info, for hms_docker_read_info(). Deadline 30 s. */
void hms_docker_info(struct hms_docker *docker, hms_docker_done_fn done, void *arg);

/* An image by name ("hms:0.1.0") or id; HMS_ENOENT if the engine has none. The body is Docker's:
 * "Id", "RepoTags", "Architecture", "Config", ... Deadline 30 s. */
void hms_docker_image_inspect(struct hms_docker *docker, const char *name, hms_docker_done_fn done,
                              void *arg);

/* Takes a name from an image, or removes it by its id; with the last name the image goes.
 * HMS_EREMOTE with status 409: a container needs it, or an id has several names. Deadline 120 s. */
void hms_docker_image_remove(struct hms_docker *docker, const char *name, hms_docker_done_fn done,
                             void *arg);

/*
 * Loads the images of an archive (`docker save`, also compressed) from the file at path. It is read
 * on libuv's pool and sent in pieces of at most 256 KiB. The body is an array with the names (or
 * ids) of the images loaded, as the engine tells them. Errors beside those of docker.h: HMS_EREMOTE
 * too for a refusal within a 200 answer, HMS_EIO if the file cannot be read, HMS_ETIMEDOUT if
 * nothing moves for HMS_DOCKER_LOAD_STALL_MS. There is no other deadline: a slow link may take
 * long.
 */
void hms_docker_image_load(struct hms_docker *docker, const char *path, hms_docker_done_fn done,
                           void *arg);

/* Creates a container of that name from Docker's own specification (the body of POST
 * /containers/create: "Image", "Cmd", "HostConfig", ...; borrowed during the call). The body has
 * "Id" and "Warnings". HMS_ENOENT: no such image. HMS_EREMOTE with status 409: the name is taken.
 * Deadline 120 s. */
void hms_docker_create(struct hms_docker *docker, const char *name, const json_t *spec,
                       hms_docker_done_fn done, void *arg);

/* Unpacks a tar archive (tar.h; copied; at most HMS_DOCKER_ARCHIVE_MAX_BYTES, else HMS_ELIMIT) into
 * the folder at path, absolute, which must exist in the container. The container need not run.
 * Deadline 120 s. */
void hms_docker_put_archive(struct hms_docker *docker, const char *id, const char *path,
                            const void *tar, size_t tar_bytes, hms_docker_done_fn done, void *arg);

/* Removes a container with its anonymous volumes; with force a running one is killed first.
 * HMS_ENOENT: there is none. Deadline 120 s. */
void hms_docker_remove(struct hms_docker *docker, const char *id, int force,
                       hms_docker_done_fn done, void *arg);

/* Gives a container another name. HMS_EREMOTE with status 409: it is taken. Deadline 120 s. */
void hms_docker_rename(struct hms_docker *docker, const char *id, const char *name,
                       hms_docker_done_fn done, void *arg);

/* A volume by its name; HMS_ENOENT if there is none. Removing one that a container uses gives
 * HMS_EREMOTE with status 409. Deadlines 30 s and 120 s. */
void hms_docker_volume_inspect(struct hms_docker *docker, const char *name, hms_docker_done_fn done,
                               void *arg);
void hms_docker_volume_remove(struct hms_docker *docker, const char *name, hms_docker_done_fn done,
                              void *arg);

/* The last `lines` lines (1 to 1000) that a container without a terminal wrote to standard output
 * and error. The body is one JSON string, the last HMS_DOCKER_LOG_MAX_BYTES of them at most.
 * Deadline 30 s. */
void hms_docker_logs(struct hms_docker *docker, const char *id, int lines, hms_docker_done_fn done,
                     void *arg);

#endif
