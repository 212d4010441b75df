/* Asking the web app who may hear what: a GET with the client's cookies, headers and
 * channels. One question at a time for clients that ask the same, answers kept for a
 * while, a bounded number at a time. Anything but a clear answer means no. */
#ifndef RB_NOTIFIER_HOOK_H
#define RB_NOTIFIER_HOOK_H

#include "notifier/grant.h"

struct rb_server;
struct rb_hook;
struct rb_hook_waiter;

/* On whose behalf is asked. What is not there is "". */
enum rb_hook_field {
    RB_HOOK_CHANNELS, /* joined by commas */
    RB_HOOK_COOKIE,
    RB_HOOK_AUTHORIZATION,
    RB_HOOK_ORIGIN,
    RB_HOOK_ADDRESS,
    RB_HOOK_AGENT,
    RB_HOOK_LANGUAGE,
    RB_HOOK_SESSION, /* stands for the cookies where answers are kept */
    RB_HOOK_FIELDS
};
struct rb_hook_question {
    struct rb_text field[RB_HOOK_FIELDS];
};

/* status 0: allowed what `grant` (borrowed) says; else 401, 403, or 503 with a sentence:
 * the app did not answer. */
struct rb_hook_answer {
    int status;
    struct rb_grant *grant;
    const char *problem;
};
typedef void rb_hook_fn(void *ctx, const struct rb_hook_answer *answer);

/* Reads the server's settings at each question. NULL when out of memory. */
struct rb_hook *rb_hook_new(struct rb_server *server);
/* Nobody waits any more. NULL is legal. */
void rb_hook_free(struct rb_hook *hook);

/* fn is called exactly once: before this returns (then it gives NULL), or later. */
struct rb_hook_waiter *rb_hook_ask(struct rb_hook *hook,
                                   const struct rb_hook_question *question,
                                   rb_hook_fn *fn, void *ctx);
/* fn is not called any more. */
void rb_hook_cancel(struct rb_hook_waiter *waiter);

/* Forgets kept answers, and those that are on their way. */
void rb_hook_forget(struct rb_hook *hook);

#endif
