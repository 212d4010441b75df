/* What OpenSSL knows of a handshake that libcurl made, and libcurl does not tell. */
#include "worker/identity.h"

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <string.h>

/* The same OpenSSL, to the version: its objects are not for others to touch. */
static bool is_ours(void) {
    static const char name[] = "OpenSSL/";
    const char *theirs = curl_version_info(CURLVERSION_NOW)->ssl_version;
    return theirs && strncmp(theirs, name, sizeof name - 1) == 0 &&
           strcmp(theirs + sizeof name - 1, OpenSSL_version(OPENSSL_VERSION_STRING)) == 0;
}

/* A server names the signatures that it takes only where it asks for a certificate
 * (RFC 5246 §7.4.4, RFC 8446 §4.3.2). */
bool rb_identity_missed(CURL *easy) {
    const struct curl_tlssessioninfo *session = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK || !session ||
        session->backend != CURLSSLBACKEND_OPENSSL || !session->internals || !is_ours())
        return false;
    SSL *ssl = session->internals;
    return SSL_get_certificate(ssl) == NULL &&
           SSL_get_sigalgs(ssl, 0, NULL, NULL, NULL, NULL, NULL) > 0;
}
