/* One key of tokens, pinned to one algorithm: what a token's header says never chooses
 * how it is verified. The only header over libcrypto; none of its types show. */
#ifndef RB_JOBS_JWT_KEY_H
#define RB_JOBS_JWT_KEY_H

#include <jansson.h>
#include <stdbool.h>

#include "config/buffer.h"
#include "config/status.h"
#include "config/text.h"

enum rb_jwt_algorithm {
    RB_JWT_HS256, /* RFC 7518 §3.2; a secret of at least 32 bytes */
    RB_JWT_RS256, /* §3.3; 2048 to 8192 bits */
    RB_JWT_ES256, /* §3.4; P-256 */
    RB_JWT_ALGORITHMS
};

struct rb_jwt_key;

#define RB_JWT_SECRET_MIN 32
#define RB_JWT_SECRET_MAX 4096
#define RB_JWT_KID_MAX 256

/* Each gives a key that the caller frees, or a sentence in *error (its text alone; may be
 * NULL): RB_INVALID, RB_NOMEM. */
RB_MUST_CHECK enum rb_status
rb_jwt_key_secret(struct rb_text secret, struct rb_jwt_key **key, struct rb_error *error);
/* The first key in the PEM text (a public or private key, or a certificate); *rest is
 * what follows it. RB_NOT_FOUND: there is no further key. */
RB_MUST_CHECK enum rb_status rb_jwt_key_pem(struct rb_text pem, struct rb_text *rest,
                                            struct rb_jwt_key **key,
                                            struct rb_error *error);
/* A JWK (RFC 7517; oct, RSA or EC with P-256; public members alone are read).
 * RB_NOT_FOUND with a sentence: a key of another kind or for another use, to be passed
 * over (§5). */
RB_MUST_CHECK enum rb_status rb_jwt_key_jwk(const json_t *jwk, struct rb_jwt_key **key,
                                            struct rb_error *error);
void rb_jwt_key_free(struct rb_jwt_key *key); /* NULL is legal */

/* DER, PEM or OpenSSH text of a key: never to be taken for a secret, since everybody
 * knows a public key. */
bool rb_jwt_key_is_encoded(struct rb_text bytes);

enum rb_jwt_algorithm rb_jwt_key_algorithm(const struct rb_jwt_key *key);
const char *rb_jwt_algorithm_name(enum rb_jwt_algorithm algorithm); /* "HS256" */
const char *rb_jwt_key_id(const struct rb_jwt_key *key);            /* "" = none */
RB_MUST_CHECK enum rb_status rb_jwt_key_set_id(struct rb_jwt_key *key, const char *id);
bool rb_jwt_key_signs(const struct rb_jwt_key *key); /* has its private part */

/* The signature as JWS has it (ES256: r and s, 32 bytes each). RB_REFUSED: it is not this
 * key's. RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_jwt_key_verify(const struct rb_jwt_key *key,
                                               struct rb_text input,
                                               struct rb_text signature);
/* Appends it. RB_INVALID: the key can't sign. RB_NOMEM, RB_TOO_LARGE. */
RB_MUST_CHECK enum rb_status rb_jwt_key_sign(const struct rb_jwt_key *key,
                                             struct rb_text input,
                                             struct rb_buffer *signature);

#endif
