/* What the settings say about who may come: the keys of tokens, what a token must say.
 * Made as a whole, at start and at reload, or not at all. */
#ifndef RB_NOTIFIER_ACCESS_H
#define RB_NOTIFIER_ACCESS_H

#include "config/settings.h"
#include "jobs/jwt.h"

/* A plain value, never changed. */
struct rb_access {
    enum rb_auth_mode mode;
    struct rb_keyring *keys;         /* NULL unless the mode is token */
    struct rb_jwt_expected expected; /* borrows from the settings */
};

/* Reads what the settings name. RB_INVALID, RB_SYSTEM or RB_NOMEM; mistakes are added to
 * `errors`. Borrows the settings. */
RB_MUST_CHECK enum rb_status rb_access_new(const struct rb_settings *settings,
                                           struct rb_access **access,
                                           struct rb_errors *errors);
void rb_access_free(struct rb_access *access); /* NULL is legal */

#endif
