/* From settings to what is asked at each request. */
#include "notifier/access.h"

#include <stdlib.h>

static enum rb_status read_auth(const struct rb_settings *settings,
                                struct rb_access *access, struct rb_errors *errors) {
    access->mode = (enum rb_auth_mode)settings->notifier.auth_mode;
    if (access->mode == RB_AUTH_HOOK && settings->notifier.auth_hook[0] == '\0') {
        rb_errors_add(errors, settings->file, 0, 0,
                      "notifier.auth.hook: expected http://… or https://…, since "
                      "notifier.auth.mode is hook");
        return RB_INVALID;
    }
    if (access->mode != RB_AUTH_TOKEN)
        return RB_OK;
    if (settings->notifier.auth_keys.count == 0) {
        rb_errors_add(errors, settings->file, 0, 0,
                      "notifier.auth.keys: expected at least one file, since "
                      "notifier.auth.mode is token");
        return RB_INVALID;
    }
    access->expected =
        (struct rb_jwt_expected){.issuer = settings->notifier.auth_issuer,
                                 .audience = settings->notifier.auth_audience,
                                 .leeway_ms = settings->notifier.auth_leeway};
    return rb_keyring_load(&settings->notifier.auth_keys, &access->keys, errors);
}

enum rb_status rb_access_new(const struct rb_settings *settings,
                             struct rb_access **access, struct rb_errors *errors) {
    *access = calloc(1, sizeof **access);
    if (!*access)
        return RB_NOMEM;
    enum rb_status status = read_auth(settings, *access, errors);
    if (status != RB_OK) {
        rb_access_free(*access);
        *access = NULL;
    }
    return status;
}

void rb_access_free(struct rb_access *access) {
    if (!access)
        return;
    rb_keyring_free(access->keys);
    free(access);
}
