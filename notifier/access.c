/* From settings to what is asked at each request. */
#include "notifier/access.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "config/address.h"

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

static enum rb_status read_networks(const struct rb_list *list,
                                    struct rb_network **network) {
    enum rb_status status = RB_OK;
    if (list->count == 0)
        return RB_OK;
    *network = rb_network_new();
    if (!*network)
        return RB_NOMEM;
    for (size_t i = 0; status == RB_OK && i < list->count; i++)
        status = rb_network_add(*network, rb_text_of(list->items[i]), NULL);
    return status;
}

/* The digits were checked with the settings. */
static unsigned char read_digit(char c) {
    return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* An address that only trusted proxies may come to needs one. */
static enum rb_status check_proxies(const struct rb_settings *settings,
                                    struct rb_errors *errors) {
    const struct rb_list *lists[] = {&settings->notifier.listen,
                                     &settings->notifier.admin};
    bool wanted = false;
    for (size_t n = 0; n < 2; n++)
        for (size_t i = 0; i < lists[n]->count; i++) {
            struct rb_text text = rb_text_of(lists[n]->items[i]);
            wanted |= rb_address_take_proxy(&text);
        }
    if (!wanted || settings->notifier.trusted_proxies.count > 0)
        return RB_OK;
    rb_errors_add(errors, settings->file, 0, 0,
                  "notifier.trusted_proxies: expected at least one, since an address to "
                  "listen on has ?proxy=on");
    return RB_INVALID;
}

static void read_tokens(const struct rb_list *list, struct rb_access *access) {
    for (size_t i = 0; i < list->count && i < RB_ADMIN_TOKENS; i++) {
        const char *digits = list->items[i] + sizeof "sha256:" - 1;
        for (size_t k = 0; k < RB_DIGEST; k++)
            access->admin_tokens[i][k] = (unsigned char)(read_digit(digits[2 * k]) << 4 |
                                                         read_digit(digits[2 * k + 1]));
        access->admin_token_count++;
    }
}

enum rb_status rb_access_new(const struct rb_settings *settings,
                             struct rb_access **access, struct rb_errors *errors) {
    *access = calloc(1, sizeof **access);
    if (!*access)
        return RB_NOMEM;
    read_tokens(&settings->notifier.admin_tokens, *access);
    enum rb_status status = check_proxies(settings, errors);
    if (status == RB_OK)
        status = read_auth(settings, *access, errors);
    if (status == RB_OK)
        status = read_networks(&settings->notifier.admin_allow, &(*access)->admin_allow);
    if (status == RB_OK)
        status = read_networks(&settings->notifier.trusted_proxies, &(*access)->proxies);
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
    rb_network_free(access->admin_allow);
    rb_network_free(access->proxies);
    free(access);
}

bool rb_access_admin_token(const struct rb_access *access, struct rb_text token) {
    unsigned char digest[RB_DIGEST];
    unsigned len = 0;
    bool known = false;
    if (access->admin_token_count == 0)
        return true;
    if (token.len == 0 ||
        EVP_Digest(token.at, token.len, digest, &len, EVP_sha256(), NULL) != 1)
        return false;
    for (size_t i = 0; i < access->admin_token_count; i++)
        known |= CRYPTO_memcmp(access->admin_tokens[i], digest, RB_DIGEST) == 0;
    return known;
}

bool rb_access_admin_from(const struct rb_access *access, const struct sockaddr *peer) {
    return !access->admin_allow || peer->sa_family == AF_UNIX ||
           rb_network_contains(access->admin_allow, peer);
}

bool rb_access_trusts(const struct rb_access *access, const struct sockaddr *peer) {
    return access->proxies &&
           (peer->sa_family == AF_UNIX || rb_network_contains(access->proxies, peer));
}
