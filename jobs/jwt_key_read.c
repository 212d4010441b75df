/* Keys from PEM text and from JWKs. */
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "jobs/base64.h"
#include "jobs/jwt_key_core.h"

#define RSA_BYTES_MAX 1024

/* --- PEM --- */

static bool holds(struct rb_text text, const char *word) {
    return memmem(text.at ? text.at : "", text.len, word, strlen(word)) != NULL;
}

bool rb_jwt_key_is_encoded(struct rb_text bytes) {
    const unsigned char *at = (const unsigned char *)bytes.at;
    if (holds(bytes, "-----BEGIN ") || rb_text_starts(bytes, RB_TEXT("ssh-")) ||
        rb_text_starts(bytes, RB_TEXT("ecdsa-sha2-")))
        return true;
    if (bytes.len < RB_JWT_SECRET_MIN || bytes.len > LONG_MAX)
        return false;
    const unsigned char *public_at = at, *private_at = at, *certificate_at = at;
    EVP_PKEY *public_key = d2i_PUBKEY(NULL, &public_at, (long)bytes.len);
    EVP_PKEY *private_key = d2i_AutoPrivateKey(NULL, &private_at, (long)bytes.len);
    X509 *certificate = d2i_X509(NULL, &certificate_at, (long)bytes.len);
    bool encoded = public_key || private_key || certificate;
    EVP_PKEY_free(public_key);
    EVP_PKEY_free(private_key);
    X509_free(certificate);
    ERR_clear_error();
    return encoded;
}

static EVP_PKEY *key_of_certificate(const unsigned char *der, long len) {
    X509 *certificate = d2i_X509(NULL, &der, len);
    EVP_PKEY *pair = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    return pair;
}

static enum rb_status read_block(const char *name, const char *header,
                                 const unsigned char *der, long len,
                                 struct rb_jwt_key **key, struct rb_error *error) {
    if (strcmp(name, "ENCRYPTED PRIVATE KEY") == 0 || strstr(header, "ENCRYPTED"))
        return rb_error_set(error, NULL, 0, 0,
                            "the key is encrypted; nobody is here to type its password");
    if (strcmp(name, "PUBLIC KEY") == 0)
        return rb_jwt_key_take(d2i_PUBKEY(NULL, &der, len), false, key, error);
    if (strcmp(name, "CERTIFICATE") == 0)
        return rb_jwt_key_take(key_of_certificate(der, len), false, key, error);
    if (strcmp(name, "PRIVATE KEY") == 0 || strcmp(name, "RSA PRIVATE KEY") == 0 ||
        strcmp(name, "EC PRIVATE KEY") == 0)
        return rb_jwt_key_take(d2i_AutoPrivateKey(NULL, &der, len), true, key, error);
    return rb_error_set(error, NULL, 0, 0,
                        "expected PUBLIC KEY, PRIVATE KEY or CERTIFICATE, got %s", name);
}

enum rb_status rb_jwt_key_pem(struct rb_text pem, struct rb_text *rest,
                              struct rb_jwt_key **key, struct rb_error *error) {
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long len = 0;
    enum rb_status status;
    *key = NULL;
    BIO *bio = BIO_new_mem_buf(pem.at ? pem.at : "", (int)pem.len);
    if (!bio)
        return RB_NOMEM;
    if (PEM_read_bio(bio, &name, &header, &der, &len) != 1) {
        bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        status = end && !holds(pem, "-----BEGIN ")
                     ? RB_NOT_FOUND
                     : rb_error_set(error, NULL, 0, 0, "the PEM text is broken");
        goto out;
    }
    long left = BIO_get_mem_data(bio, NULL);
    *rest = rb_text(pem.at + pem.len - left, (size_t)left);
    /* What `openssl ecparam` writes ahead of a key. */
    status = strcmp(name, "EC PARAMETERS") == 0
                 ? rb_jwt_key_pem(*rest, rest, key, error)
                 : read_block(name, header, der, len, key, error);
out:
    OPENSSL_free(name);
    OPENSSL_free(header);
    if (der)
        OPENSSL_clear_free(der, (size_t)len);
    BIO_free(bio);
    ERR_clear_error();
    return status;
}

/* --- JWK --- */

static const char *member(const json_t *jwk, const char *name) {
    return json_string_value(json_object_get(jwk, name));
}

/* The bytes of a base64url member. */
static enum rb_status read_bytes(const json_t *jwk, const char *name, size_t max,
                                 struct rb_buffer *out, struct rb_error *error) {
    const char *text = member(jwk, name);
    rb_buffer_init(out, max);
    if (!text)
        return rb_error_set(error, NULL, 0, 0, "the key has no \"%s\"", name);
    enum rb_status status = rb_base64url_read(rb_text_of(text), out);
    if (status == RB_NOMEM)
        return status;
    if (status != RB_OK || out->len == 0)
        return rb_error_set(error, NULL, 0, 0,
                            "\"%s\" is not base64url of at most %zu bytes", name, max);
    return RB_OK;
}

static EVP_PKEY *key_from(const char *type, OSSL_PARAM *parameters) {
    EVP_PKEY *pair = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pair, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        pair = NULL;
    EVP_PKEY_CTX_free(ctx);
    return pair;
}

static EVP_PKEY *rsa_from(const struct rb_buffer *n, const struct rb_buffer *e) {
    EVP_PKEY *pair = NULL;
    OSSL_PARAM *parameters = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n->at, (int)n->len, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e->at, (int)e->len, NULL);
    if (build && modulus && exponent &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        parameters = OSSL_PARAM_BLD_to_param(build);
    if (parameters)
        pair = key_from("RSA", parameters);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    return pair;
}

static enum rb_status read_rsa(const json_t *jwk, struct rb_jwt_key **key,
                               struct rb_error *error) {
    struct rb_buffer n, e;
    rb_buffer_init(&e, 8);
    enum rb_status status = read_bytes(jwk, "n", RSA_BYTES_MAX, &n, error);
    if (status == RB_OK)
        status = read_bytes(jwk, "e", 8, &e, error);
    if (status == RB_OK)
        status = rb_jwt_key_take(rsa_from(&n, &e), false, key, error);
    rb_buffer_fini(&n);
    rb_buffer_fini(&e);
    return status;
}

/* An uncompressed point; libcrypto refuses one that is not on the curve. */
static enum rb_status read_ec(const json_t *jwk, struct rb_jwt_key **key,
                              struct rb_error *error) {
    unsigned char point[65] = {4};
    char group[] = "prime256v1";
    struct rb_buffer x, y;
    rb_buffer_init(&y, 32);
    enum rb_status status = read_bytes(jwk, "x", 32, &x, error);
    if (status == RB_OK)
        status = read_bytes(jwk, "y", 32, &y, error);
    if (status == RB_OK && (x.len != 32 || y.len != 32))
        status = rb_error_set(error, NULL, 0, 0, "\"x\" and \"y\" have 32 bytes each");
    if (status == RB_OK) {
        memcpy(point + 1, x.at, 32);
        memcpy(point + 33, y.at, 32);
        OSSL_PARAM parameters[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
                                              sizeof point),
            OSSL_PARAM_construct_end()};
        status = rb_jwt_key_take(key_from("EC", parameters), false, key, error);
    }
    rb_buffer_fini(&x);
    rb_buffer_fini(&y);
    return status;
}

static enum rb_status read_oct(const json_t *jwk, struct rb_jwt_key **key,
                               struct rb_error *error) {
    struct rb_buffer k;
    enum rb_status status = read_bytes(jwk, "k", RB_JWT_SECRET_MAX, &k, error);
    if (status == RB_OK)
        status = rb_jwt_key_secret(rb_buffer_view(&k), key, error);
    if (k.at)
        OPENSSL_cleanse(k.at, k.len);
    rb_buffer_fini(&k);
    return status;
}

static enum rb_status pass_over(struct rb_error *error, const char *why) {
    rb_error_set(error, NULL, 0, 0, "%s", why);
    return RB_NOT_FOUND;
}

/* §4.3: what the key may be used for. */
static bool may_verify(const json_t *operations) {
    size_t i;
    const json_t *operation;
    if (!operations)
        return true;
    json_array_foreach(operations, i, operation) {
        const char *name = json_string_value(operation);
        if (name && (strcmp(name, "verify") == 0 || strcmp(name, "sign") == 0))
            return true;
    }
    return false;
}

enum rb_status rb_jwt_key_jwk(const json_t *jwk, struct rb_jwt_key **key,
                              struct rb_error *error) {
    static const struct {
        const char *type, *algorithm, *curve;
        enum rb_status (*read)(const json_t *, struct rb_jwt_key **, struct rb_error *);
    } kinds[] = {{"oct", "HS256", NULL, read_oct},
                 {"RSA", "RS256", NULL, read_rsa},
                 {"EC", "ES256", "P-256", read_ec}};
    const char *type = member(jwk, "kty"), *algorithm = member(jwk, "alg");
    const char *use = member(jwk, "use"), *curve = member(jwk, "crv");
    const char *id = member(jwk, "kid");
    size_t i = 0;
    *key = NULL;
    if (!type)
        return rb_error_set(error, NULL, 0, 0, "the key has no \"kty\"");
    if ((use && strcmp(use, "sig") != 0) || !may_verify(json_object_get(jwk, "key_ops")))
        return pass_over(error, "the key is not for signatures");
    while (i < 3 && strcmp(type, kinds[i].type) != 0)
        i++;
    if (i == 3 || (kinds[i].curve && (!curve || strcmp(curve, kinds[i].curve) != 0)))
        return pass_over(error, "the key is neither oct, RSA nor EC on P-256");
    if (algorithm && strcmp(algorithm, kinds[i].algorithm) != 0)
        return pass_over(error, "the key is for none of HS256, RS256 and ES256");
    enum rb_status status = kinds[i].read(jwk, key, error);
    if (status == RB_OK && id && rb_jwt_key_set_id(*key, id) != RB_OK) {
        rb_jwt_key_free(*key);
        *key = NULL;
        return rb_error_set(error, NULL, 0, 0, "\"kid\" has at most %d bytes",
                            RB_JWT_KID_MAX);
    }
    return status;
}
