/* How calls set up libcurl's easy handles: once for all of them, and for each request. */
#ifndef RB_WORKER_EASY_H
#define RB_WORKER_EASY_H

#include <curl/curl.h>
#include <stdbool.h>

#include "worker/call.h"

/* Does libcurl come with a folder of certificates in which OpenSSL finds one by its hash?
 * It is better than the bundle, which Debian's libcurl would read anew (35 ms) for each
 * connection, since it has both. */
bool rb_easy_has_trust_folder(void);

/* HTTP/1.1 to the host itself: no redirects, no proxy of the environment, nothing but
 * http and https, TLS 1.2 at least, verified by the system's certificates. */
void rb_easy_set_common(CURL *easy, bool trust_folder);

/* What a definition's `tls:` says in place of that, with its client certificate or
 * without; NULL: sets the common rules again. False when out of memory. `tls` is borrowed
 * as long as transfers of the handle run. Connections are shared by those alone that say
 * the same. */
bool rb_easy_set_tls(CURL *easy, const struct rb_call_tls *tls, bool identity,
                     bool trust_folder);

/* The header lines as curl wants them; keeps its memory from call to call. The texts are
 * borrowed from the order. */
struct rb_header_list {
    struct curl_slist *at;
    size_t room;
};

/* What is asked: a path with its query of this origin, or (NULL) the URL `target`. The
 * first costs libcurl a tenth less work for a call, since it does not parse the URL; but
 * where redirects are followed, it has to know all of it. The origin is borrowed as long
 * as transfers of the handle run. False when out of memory. */
bool rb_easy_set_url(CURL *easy, CURLU *origin, const char *target);

/* Sets every option but that which a request may have changed before. False when out of
 * memory or when there are too many headers. */
bool rb_easy_set_request(CURL *easy, struct rb_header_list *headers,
                         const struct rb_call_order *order);

#endif
