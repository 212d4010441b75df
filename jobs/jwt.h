/* JSON Web Tokens (RFC 7519) as signed compact serialization (RFC 7515 §7.1), read the
 * strict way (RFC 8725): the algorithm is the key's, `none` and all others are refused,
 * base64url has one spelling, members do not repeat, sizes are bounded, and no claim is
 * looked at before the signature is good. */
#ifndef RB_JOBS_JWT_H
#define RB_JOBS_JWT_H

#include "jobs/keyring.h"

#define RB_JWT_MAX_BYTES ((size_t)8192)

/* What a token must say. */
struct rb_jwt_expected {
    const char *issuer;   /* `iss`; NULL or "": any */
    const char *audience; /* among `aud`; NULL or "": any */
    int64_t leeway_ms;    /* for clocks that differ */
};

/* Gives the claims, an object that the caller drops with json_decref. RB_INVALID: not a
 * well-formed token; RB_REFUSED: one that is not acceptable (signature, time, issuer …);
 * both with a sentence in *problem (static text, nothing of the token in it). RB_NOMEM.
 *
 * A `kid` in the header chooses among keys that have one; keys without are tried too. */
RB_MUST_CHECK enum rb_status rb_jwt_verify(const struct rb_keyring *keys,
                                           struct rb_text token,
                                           const struct rb_jwt_expected *expected,
                                           int64_t unix_ms, json_t **claims,
                                           const char **problem);

/* A NumericDate claim in ms. RB_NOT_FOUND when it is absent, RB_INVALID when it is no
 * time. */
RB_MUST_CHECK enum rb_status rb_jwt_time(const json_t *claims, const char *name,
                                         int64_t *unix_ms);

/* Appends a signed token. RB_INVALID: the key can't sign. RB_NOMEM, RB_TOO_LARGE. */
RB_MUST_CHECK enum rb_status rb_jwt_sign(const struct rb_jwt_key *key,
                                         const json_t *claims, struct rb_buffer *out);

#endif
