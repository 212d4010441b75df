/* What stands in files of certificates and keys; this one alone sees libcrypto for it. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

#include "jobs/definition_tls.h"

static const char out_of_memory[] = "out of memory";

/* A daemon has nobody to ask; that it was asked is noted. */
static int no_passphrase(char *out, int room, int writing, void *ctx) {
    bool *asked = ctx;
    (void)out, (void)room, (void)writing;
    *asked = true;
    return -1;
}

static BIO *open_text(struct rb_text pem) {
    return BIO_new_mem_buf(pem.at ? pem.at : "", (int)pem.len);
}

const char *rb_tls_pem_authorities(struct rb_text pem, size_t *count) {
    bool asked = false;
    BIO *bio = open_text(pem);
    if (!bio)
        return out_of_memory;
    STACK_OF(X509_INFO) *found = PEM_X509_INFO_read_bio(bio, NULL, no_passphrase, &asked);
    *count = 0;
    for (int i = 0; i < sk_X509_INFO_num(found); i++)
        *count += sk_X509_INFO_value(found, i)->x509 != NULL;
    const char *wrong = NULL;
    if (!found)
        wrong = "one of the certificates is broken";
    else if (*count == 0)
        wrong = "expected certificates in PEM (-----BEGIN CERTIFICATE-----)";
    sk_X509_INFO_pop_free(found, X509_INFO_free);
    BIO_free(bio);
    ERR_clear_error();
    return wrong;
}

/* Why the last read gave nothing: there is none, or one that can't be read. */
static bool at_end(void) {
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM &&
           ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static int64_t end_of(const X509 *certificate) {
    struct tm at;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &at) != 1)
        return 0;
    return timegm(&at);
}

const char *rb_tls_pem_chain(struct rb_text pem, int64_t *valid_until) {
    const char *wrong = NULL;
    bool asked = false;
    BIO *bio = open_text(pem);
    if (!bio)
        return out_of_memory;
    ERR_clear_error();
    X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, &asked);
    if (certificate)
        *valid_until = end_of(certificate);
    else if (asked)
        wrong = "the certificate is encrypted; nobody is here to type its password";
    else if (at_end())
        wrong = "expected a certificate in PEM (-----BEGIN CERTIFICATE-----)";
    else
        wrong = "the certificate is broken";
    while (certificate) {
        X509_free(certificate);
        certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, &asked);
        if (!certificate && !at_end())
            wrong = "one of the certificates is broken";
    }
    BIO_free(bio);
    ERR_clear_error();
    return wrong;
}

/* Readers of keys try so much that their last error says little. */
static bool holds_key(struct rb_text pem) {
    static const char ending[] = "PRIVATE KEY-----";
    return pem.len > 0 && memmem(pem.at, pem.len, ending, sizeof ending - 1);
}

const char *rb_tls_pem_key(struct rb_text pem, struct rb_text chain) {
    const char *wrong = NULL;
    bool asked = false;
    X509 *certificate = NULL;
    EVP_PKEY *key = NULL;
    BIO *key_bio = open_text(pem), *chain_bio = open_text(chain);
    ERR_clear_error();
    if (chain_bio)
        certificate = PEM_read_bio_X509_AUX(chain_bio, NULL, no_passphrase, &asked);
    if (key_bio && certificate)
        key = PEM_read_bio_PrivateKey(key_bio, NULL, no_passphrase, &asked);
    if (!key_bio || !certificate)
        wrong = out_of_memory;
    else if (asked)
        wrong = "the key is encrypted; nobody is here to type its password";
    else if (!key && !holds_key(pem))
        wrong = "expected a private key in PEM (-----BEGIN PRIVATE KEY-----)";
    else if (!key)
        wrong = "the private key is broken";
    else if (X509_check_private_key(certificate, key) != 1)
        wrong = "the key is not the certificate's";
    EVP_PKEY_free(key);
    X509_free(certificate);
    BIO_free(key_bio);
    BIO_free(chain_bio);
    ERR_clear_error();
    return wrong;
}
