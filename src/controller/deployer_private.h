/*
 * Shared by deployer.c (what runs), deployer_commands.c (what is asked for) and deployer_view.c
 * (what is told) alone.
 */
#ifndef HMS_CONTROLLER_DEPLOYER_PRIVATE_H
#define HMS_CONTROLLER_DEPLOYER_PRIVATE_H

#include <sys/queue.h>

#include "controller/deployer.h"
#include "controller/deployment.h"
#include "controller/keeper.h"
#include "controller/roster.h"

#define DEPLOYER_MODULE "deploy"

/* Somebody who waits for the outcome of a command. */
struct deployer_reply {
    TAILQ_ENTRY(deployer_reply) link; /* of those whose answer waits for the disk */
    struct hms_deployer *deployer;
    hms_deployer_done_fn done; /* NULL: has been told that we are stopping */
    void *arg;
    enum hms_verdict verdict;
    json_t *body;
};

enum post_state {
    POST_IDLE,
    POST_WAITING, /* for its turn */
    POST_RUNNING,
};

/* What happens to a host of the roster. */
struct hms_post {
    TAILQ_ENTRY(hms_post) link; /* of those that wait */
    struct hms_deployer *deployer;
    struct hms_roster_host *host;

    enum post_state state;
    enum hms_deploy_goal goal;
    struct hms_deployment *deployment;
    struct deployer_reply *reply; /* NULL: done by ourselves */
    struct hms_reach wanted;      /* becomes the host's if it succeeds; empty: the host's own */
    int wants_antagonist;         /* goes with wanted */
    int may_replace;              /* deployment.h; until it succeeds */
    int is_new;                   /* is forgotten again if it fails */
    enum hms_membership before;   /* the host's before what somebody waits for */

    /* What an operator wants instead of the deployment that is being cancelled. */
    int has_next;
    enum hms_deploy_goal next_goal;
    struct deployer_reply *next_reply;

    struct hms_keeper keeper;
    uint64_t revivals; /* restarts and replacements of a silent manager */

    enum hms_verdict failure; /* of the last attempt; OK: none */
    enum hms_deploy_step failed_step;
    char *failed_text;
    int64_t failed_ns; /* wall time */
};

TAILQ_HEAD(hms_posts, hms_post);
TAILQ_HEAD(deployer_replies, deployer_reply);

struct hms_deployer {
    uv_loop_t *loop;
    struct hms_log *log;
    struct hms_bus *bus;
    struct hms_registry *registry;
    struct hms_gather *gather;
    struct hms_roster *roster;
    struct hms_deployer_options options;
    uv_timer_t timer;
    struct hms_posts waiting;
    struct deployer_replies saving;
    int running; /* deployments under way */
    int is_active;
    int closing;
    void (*closed_fn)(void *arg);
    void *closed_arg;
};

/* deployer.c */

/* A new host on the roster and in the registry, with a post; NULL if there are too many. */
struct hms_post *hms_deployer_enlist(struct hms_deployer *deployer, const char *address);
/* Takes it off both; nothing may be under way there nor anybody wait. The post is gone then. */
void hms_deployer_forget(struct hms_post *post);
/* Begins the deployment, as soon as it is its turn. One that nobody waits for is cancelled for it;
 * the caller has made sure that nobody does. Takes over reply. */
void hms_deployer_deploy(struct hms_post *post, enum hms_deploy_goal goal,
                         struct deployer_reply *reply);
/* Whether somebody waits for the end of what is under way. */
int hms_deployer_is_busy(const struct hms_post *post);

/* Never returns NULL. */
struct deployer_reply *hms_deployer_reply_new(struct hms_deployer *deployer,
                                              hms_deployer_done_fn done, void *arg);
/* Answers once the roster is on disk. Takes over reply and body. */
void hms_deployer_answer(struct deployer_reply *reply, enum hms_verdict verdict, json_t *body);

/* deployer_view.c */

/* The error object of the post's last failure, with "address" and "step". */
json_t *hms_deployer_error(const struct hms_post *post);

#endif
