/* Where the many clients connect to. */
#ifndef RB_JOBS_CLI_LOAD_TARGET_H
#define RB_JOBS_CLI_LOAD_TARGET_H

#include <sys/socket.h>

#include "config/settings.h"
#include "config/text.h"

#define RB_LOAD_HOST 256

struct rb_load_target {
    char host[RB_LOAD_HOST + 16]; /* as in a Host field: with its port */
    char prefix[256];             /* of the path, without a slash at its end */
    struct sockaddr_storage address;
    socklen_t address_len;
};

/* http://host[:port][/prefix], or NULL: the first TCP address of notifier.listen.
 * Connects once, to learn which of the host's addresses answers. RB_OK; RB_INVALID or
 * RB_UNAVAILABLE with a sentence in error->text. */
RB_MUST_CHECK enum rb_status rb_load_target_find(const char *url,
                                                 const struct rb_settings *settings,
                                                 struct rb_load_target *target,
                                                 struct rb_error *error);

#endif
