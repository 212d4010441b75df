/* OpenSSL behind a few words: contexts, and bytes in and out of one connection. */
#include "notifier/tls.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/log.h"

#define TICKET_LIFE_S 7200

struct rb_tls {
    SSL_CTX *context;
};

void rb_tls_tickets_make(struct rb_tls_tickets *tickets) {
    if (RAND_priv_bytes(tickets->key, sizeof tickets->key) != 1) {
        /* Tickets that others can seal are worse than no process. */
        fprintf(stderr, "ringback-notifier: no randomness\n");
        abort();
    }
}

static bool says_tls(const struct rb_list *addresses) {
    for (size_t i = 0; i < addresses->count; i++)
        if (rb_text_starts(rb_text_of(addresses->items[i]), RB_TEXT("tls://")))
            return true;
    return false;
}

bool rb_tls_is_wanted(const struct rb_settings *settings) {
    return says_tls(&settings->notifier.listen) || says_tls(&settings->notifier.admin);
}

/* --- contexts --- */

/* The first error is the nearest to the cause. */
static enum rb_status fail(struct rb_errors *errors, const char *key, const char *file) {
    unsigned long code = ERR_peek_error();
    const char *reason = ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
                                                : ERR_reason_error_string(code);
    rb_errors_add(errors, file, 0, 0, "%s: %s", key, reason ? reason : "can't be used");
    ERR_clear_error();
    return RB_INVALID;
}

/* A daemon has nobody to ask. */
static int no_passphrase(char *out, int room, int writing, void *ctx) {
    (void)out;
    (void)room;
    (void)writing;
    (void)ctx;
    return -1;
}

/* RFC 7301: who offers protocols but not ours is told so. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *ctx) {
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl;
    (void)ctx;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_rules(SSL_CTX *context, const struct rb_settings *settings,
                      const struct rb_tls_tickets *tickets) {
    struct rb_tls_tickets keys = *tickets; /* OpenSSL's is not const */
    bool newest = settings->notifier.tls_min_version == RB_TLS_1_3;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* An idle connection has no buffers; the queue may move between two tries to write.
     */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, TICKET_LIFE_S);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    return SSL_CTX_set_min_proto_version(context,
                                         newest ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_tlsext_ticket_keys(context, keys.key, sizeof keys.key) == 1;
}

static void warn_of_end(SSL_CTX *context, const char *file) {
    const X509 *certificate = SSL_CTX_get0_certificate(context);
    if (certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        rb_log(RB_LOG_WARN, "tls.certificate_expired", RB_S("file", file));
}

static enum rb_status load(SSL_CTX *context, const struct rb_settings *settings,
                           struct rb_errors *errors) {
    const char *file = settings->notifier.tls_certificate;
    const char *key = settings->notifier.tls_key;
    if (file[0] == '\0') {
        rb_errors_add(errors, settings->file, 0, 0,
                      "notifier.tls.certificate: expected a file, since an address to "
                      "listen on says tls://");
        return RB_INVALID;
    }
    if (key[0] == '\0')
        key = file;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, file) != 1)
        return fail(errors, "notifier.tls.certificate", file);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return fail(errors, "notifier.tls.key", key);
    warn_of_end(context, file);
    return RB_OK;
}

enum rb_status rb_tls_new(const struct rb_settings *settings,
                          const struct rb_tls_tickets *tickets, struct rb_tls **tls,
                          struct rb_errors *errors) {
    enum rb_status status = RB_NOMEM;
    struct rb_tls *fresh = calloc(1, sizeof *fresh);
    if (fresh)
        fresh->context = SSL_CTX_new(TLS_server_method());
    if (fresh && fresh->context && set_rules(fresh->context, settings, tickets))
        status = load(fresh->context, settings, errors);
    if (status == RB_NOMEM)
        rb_errors_add(errors, NULL, 0, 0, "out of memory");
    if (status == RB_OK) {
        *tls = fresh;
        return RB_OK;
    }
    rb_tls_free(fresh);
    return status;
}

void rb_tls_free(struct rb_tls *tls) {
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

/* --- connections --- */

struct ssl_st *rb_tls_open(const struct rb_tls *tls, int fd) {
    SSL *ssl = SSL_new(tls->context);
    if (ssl && SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ssl = NULL;
    }
    if (ssl)
        SSL_set_accept_state(ssl);
    ERR_clear_error();
    return ssl;
}

void rb_tls_close(struct ssl_st *ssl) { SSL_free(ssl); }

/* `result` is what the call on it returned; errors stay until the next call. */
static enum rb_tls_result judge(const SSL *ssl, int result) {
    if (result > 0)
        return RB_TLS_DONE;
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return RB_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return RB_TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return RB_TLS_END;
    case SSL_ERROR_SSL:
        return ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST ? RB_TLS_PLAIN
                                                                      : RB_TLS_BROKEN;
    default:
        return RB_TLS_LOST;
    }
}

enum rb_tls_result rb_tls_read(struct ssl_st *ssl, char *bytes, size_t room,
                               size_t *got) {
    ERR_clear_error();
    return judge(ssl, SSL_read_ex(ssl, bytes, room, got));
}

enum rb_tls_result rb_tls_write(struct ssl_st *ssl, const char *bytes, size_t len,
                                size_t *written) {
    ERR_clear_error();
    return judge(ssl, SSL_write_ex(ssl, bytes, len, written));
}

enum rb_tls_result rb_tls_bye(struct ssl_st *ssl) {
    if (!SSL_is_init_finished(ssl))
        return RB_TLS_DONE;
    ERR_clear_error();
    int result = SSL_shutdown(ssl);
    return result == 0 ? RB_TLS_DONE : judge(ssl, result); /* 0: said, not answered yet */
}

bool rb_tls_is_ready(const struct ssl_st *ssl) { return SSL_is_init_finished(ssl); }

bool rb_tls_is_resumed(const struct ssl_st *ssl) { return SSL_session_reused(ssl); }

const char *rb_tls_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    return reason ? reason : "it is not TLS";
}
