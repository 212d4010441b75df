/* Between the files of a key: how one is made of what libcrypto read. */
#ifndef RB_JOBS_JWT_KEY_CORE_H
#define RB_JOBS_JWT_KEY_CORE_H

#include "jobs/jwt_key.h"

struct evp_pkey_st;

/* Takes the key, which may be NULL, even on failure. */
RB_MUST_CHECK enum rb_status rb_jwt_key_take(struct evp_pkey_st *pair, bool is_private,
                                             struct rb_jwt_key **key,
                                             struct rb_error *error);

#endif
