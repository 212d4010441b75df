/* The `redirects:` of a request: whether an answer that leads elsewhere is followed, and
 * where to. worker/redirect.c goes the way. */
#ifndef RB_JOBS_DEFINITION_REDIRECTS_H
#define RB_JOBS_DEFINITION_REDIRECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/text.h"

struct rb_redirect_host {
    char *name; /* lower case; IPv6 in brackets, as RFC 5952 has it */
    int port;   /* 0: the one that the scheme means */
};

/* The request's own scheme, host and port are always allowed. */
struct rb_redirects {
    int64_t max; /* of one call; 0: none is followed */
    struct rb_redirect_host *hosts;
    size_t count;
};

void rb_redirects_fini(struct rb_redirects *redirects);

/* Is a header of the request also sent to another host? It says what kind of answer is
 * wanted, and never who asks. */
bool rb_redirects_carry(struct rb_text name);

#endif
