/* The `tls:` of a request: what TLS with one service needs beyond the system's
 * certificates. All of it is read and checked when the definition is, so that a worker
 * opens no file for a call, and SIGHUP takes what was renewed. */
#ifndef RB_JOBS_DEFINITION_TLS_H
#define RB_JOBS_DEFINITION_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/text.h"

#define RB_TLS_FILE_MAX_BYTES (1024 * 1024)

/* PEM text as it was read, ended by a NUL that is not counted; NULL where the definition
 * says nothing. The key is there when the certificate is. */
struct rb_call_tls {
    char *ca, *certificate, *key;
    size_t ca_len, certificate_len, key_len;
    size_t authorities;  /* certificates in ca */
    int64_t valid_until; /* of the client certificate, in unix seconds */
    bool newest;         /* TLS 1.3 at least; else 1.2 */
};

void rb_call_tls_free(struct rb_call_tls *tls); /* NULL is legal; wipes the key */

/* Looking into PEM. Each gives NULL, or what was expected. */
const char *rb_tls_pem_authorities(struct rb_text pem, size_t *count);
/* One certificate and those between it and an authority. */
const char *rb_tls_pem_chain(struct rb_text pem, int64_t *valid_until);
/* The key of the first certificate in `chain`, which is right already. */
const char *rb_tls_pem_key(struct rb_text pem, struct rb_text chain);

#endif
