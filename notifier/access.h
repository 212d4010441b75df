/* What the settings say about who may come: the keys of tokens, what a token must say.
 * Made as a whole, at start and at reload, or not at all. */
#ifndef RB_NOTIFIER_ACCESS_H
#define RB_NOTIFIER_ACCESS_H

#include "config/network.h"
#include "config/settings.h"
#include "jobs/jwt.h"

#define RB_ADMIN_TOKENS 32
#define RB_DIGEST 32

/* A plain value, never changed. */
struct rb_access {
    enum rb_auth_mode mode;
    struct rb_keyring *keys;         /* NULL unless the mode is token */
    struct rb_jwt_expected expected; /* borrows from the settings */
    struct rb_network *admin_allow;  /* NULL: from everywhere */
    struct rb_network *proxies;      /* NULL: nobody is believed */
    size_t admin_token_count;
    unsigned char admin_tokens[RB_ADMIN_TOKENS][RB_DIGEST]; /* SHA-256 */
};

/* Reads what the settings name. RB_INVALID, RB_SYSTEM or RB_NOMEM; mistakes are added to
 * `errors`. Borrows the settings. */
RB_MUST_CHECK enum rb_status rb_access_new(const struct rb_settings *settings,
                                           struct rb_access **access,
                                           struct rb_errors *errors);
/* Is this one of the admin listener's tokens? True when it asks for none. */
bool rb_access_admin_token(const struct rb_access *access, struct rb_text token);
/* Unix sockets are guarded by their mode. */
bool rb_access_admin_from(const struct rb_access *access, const struct sockaddr *peer);
/* Is the peer a proxy whose word on its clients is believed? */
bool rb_access_trusts(const struct rb_access *access, const struct sockaddr *peer);

void rb_access_free(struct rb_access *access); /* NULL is legal */

#endif
