/* Tokens and their keys. The first byte says what the rest is: a file of keys, a token,
 * or the header and the claims (a line each) of one that is signed well. */
#include <stdint.h>
#include <stdlib.h>

#include "jobs/base64.h"
#include "jobs/jwt.h"
#include "notifier/grant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

/* Made once: to tell a secret from an encoded key takes long. */
static const struct rb_keyring *secret_ring(void) {
    static const char secret[] = "a secret of thirty-two bytes: 32!";
    static struct rb_keyring *ring;
    if (!ring)
        require(rb_keyring_read("secret", rb_text_of(secret), &ring, NULL) == RB_OK);
    return ring;
}

static void keys(struct rb_text text) {
    struct rb_errors errors = {0};
    struct rb_keyring *ring = NULL;
    enum rb_status status = rb_keyring_read("keys", text, &ring, &errors);
    require((status == RB_OK) == (ring != NULL));
    require((status == RB_OK) == (errors.count == 0));
    require(!ring || rb_keyring_count(ring) > 0);
    rb_keyring_free(ring);
}

/* What it allows is made of names. */
static void use_claims(const json_t *claims) {
    struct rb_grant *grant = NULL;
    const char *problem = NULL;
    if (rb_grant_read(claims, RB_TEXT("s1"), &grant, &problem) == RB_OK) {
        require(!rb_grant_hears(grant, RB_TEXT("*")) ||
                rb_grant_hears(grant, RB_TEXT("any")));
        require(rb_grant_expires(grant) >= 0);
        rb_grant_enqueues(grant, RB_TEXT("service"));
    } else {
        require(problem != NULL);
    }
    rb_grant_unref(grant);
}

static enum rb_status verify(struct rb_text token) {
    const struct rb_jwt_expected expected = {"", NULL, 2000};
    const struct rb_keyring *ring = secret_ring();
    const char *problem = NULL;
    json_t *claims = NULL;
    enum rb_status status =
        rb_jwt_verify(ring, token, &expected, 1000000, &claims, &problem);
    require((status == RB_OK) == json_is_object(claims));
    if (claims)
        use_claims(claims);
    json_decref(claims);
    return status;
}

static void signed_well(struct rb_text text) {
    const struct rb_keyring *ring = secret_ring();
    struct rb_buffer token, signature;
    struct rb_text header = {NULL, 0};
    rb_buffer_init(&token, 1 << 20);
    rb_buffer_init(&signature, 64);
    rb_text_next(&text, '\n', &header);
    rb_base64url(&token, header);
    rb_buffer_char(&token, '.');
    rb_base64url(&token, text);
    require(rb_jwt_key_sign(rb_keyring_at(ring, 0), rb_buffer_view(&token), &signature) ==
            RB_OK);
    rb_buffer_char(&token, '.');
    rb_base64url(&token, rb_buffer_view(&signature));
    verify(rb_buffer_view(&token));
    rb_buffer_fini(&token);
    rb_buffer_fini(&signature);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    struct rb_text rest = rb_text((const char *)data + 1, size - 1);
    if (data[0] == 'k')
        keys(rest);
    else if (data[0] == 't')
        require(verify(rest) != RB_OK); /* nobody guesses the secret */
    else
        signed_well(rest);
    return 0;
}
