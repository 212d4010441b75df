/* The keys that tokens are verified with, read from files; several, so that one can be
 * replaced without a break. A file is one of
 *
 *     PEM      public or private keys, or certificates, one or several (RSA, P-256)
 *     JWKS     RFC 7517, or one JWK: begins with "{"
 *     secret   anything else: its bytes, without one line end at the end, are for HS256
 *
 * An encoded key (DER, OpenSSH) is refused rather than taken for a secret. */
#ifndef RB_JOBS_KEYRING_H
#define RB_JOBS_KEYRING_H

#include "config/settings.h"
#include "jobs/jwt_key.h"

#define RB_KEYRING_MAX 32
#define RB_KEYRING_FILE_BYTES ((size_t)256 * 1024)

struct rb_keyring; /* never changed once made: another one is made and takes its place */

/* All or nothing: every mistake is added to `errors`, with the file. RB_INVALID,
 * RB_SYSTEM (a file can't be read), RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_keyring_load(const struct rb_list *files,
                                             struct rb_keyring **ring,
                                             struct rb_errors *errors);
/* The same from text, for one file. */
RB_MUST_CHECK enum rb_status rb_keyring_read(const char *name, struct rb_text text,
                                             struct rb_keyring **ring,
                                             struct rb_errors *errors);
void rb_keyring_free(struct rb_keyring *ring); /* NULL is legal */

size_t rb_keyring_count(const struct rb_keyring *ring);
const struct rb_jwt_key *rb_keyring_at(const struct rb_keyring *ring, size_t i);

#endif
