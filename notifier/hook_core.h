/* Between the files of the hook: hook.c keeps questions and answers, hook_call.c makes
 * the calls. */
#ifndef RB_NOTIFIER_HOOK_CORE_H
#define RB_NOTIFIER_HOOK_CORE_H

#include <sys/queue.h>

#include "config/buffer.h"
#include "notifier/hook.h"

#define RB_HOOK_KEY 32
#define RB_HOOK_BODY ((size_t)64 * 1024)

struct rb_hook_caller;
struct rb_hook_call; /* one GET on its way */

/* What came back. http_status 0: nothing did, and `why` says so. `json` when the body
 * says that it is. */
struct rb_hook_result {
    int http_status;
    const char *why;
    bool json;
    struct rb_text body;
};
typedef void rb_hook_result_fn(void *ctx, const struct rb_hook_result *result);

struct rb_hook_caller *rb_hook_caller_new(struct rb_server *server);
/* Calls on their way are dropped without a word. */
void rb_hook_caller_free(struct rb_hook_caller *caller);

/* fn is called once, from the loop. NULL when out of memory. */
struct rb_hook_call *rb_hook_call_start(struct rb_hook_caller *caller,
                                        const struct rb_hook_question *question,
                                        rb_hook_result_fn *fn, void *ctx);

/* A digest of what makes two questions one (SHA-256). False when out of memory. */
bool rb_hook_digest(const struct rb_hook_question *question,
                    unsigned char key[RB_HOOK_KEY]);

#endif
