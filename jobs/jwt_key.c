/* A key with its algorithm: signing and verifying bytes with libcrypto. */
#include "jobs/jwt_key_core.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define SHA256_BYTES 32
#define P256_BYTES 32
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

struct rb_jwt_key {
    enum rb_jwt_algorithm algorithm;
    EVP_PKEY *pair; /* NULL with a secret */
    bool is_private;
    char id[RB_JWT_KID_MAX + 1];
    size_t secret_len;
    unsigned char secret[];
};

static const char *const names[] = {"HS256", "RS256", "ES256"};
static_assert(sizeof names / sizeof names[0] == RB_JWT_ALGORITHMS, "a name each");

const char *rb_jwt_algorithm_name(enum rb_jwt_algorithm algorithm) {
    return names[algorithm];
}

enum rb_jwt_algorithm rb_jwt_key_algorithm(const struct rb_jwt_key *key) {
    return key->algorithm;
}

const char *rb_jwt_key_id(const struct rb_jwt_key *key) { return key->id; }

enum rb_status rb_jwt_key_set_id(struct rb_jwt_key *key, const char *id) {
    size_t len = strlen(id);
    if (len > RB_JWT_KID_MAX)
        return RB_TOO_LARGE;
    memcpy(key->id, id, len + 1);
    return RB_OK;
}

bool rb_jwt_key_signs(const struct rb_jwt_key *key) {
    return key->algorithm == RB_JWT_HS256 || key->is_private;
}

/* --- making one --- */

static struct rb_jwt_key *key_new(enum rb_jwt_algorithm algorithm,
                                  struct rb_text secret) {
    struct rb_jwt_key *key = calloc(1, sizeof *key + secret.len);
    if (!key)
        return NULL;
    key->algorithm = algorithm;
    key->secret_len = secret.len;
    if (secret.len > 0)
        memcpy(key->secret, secret.at, secret.len);
    return key;
}

enum rb_status rb_jwt_key_secret(struct rb_text secret, struct rb_jwt_key **key,
                                 struct rb_error *error) {
    *key = NULL;
    if (rb_jwt_key_is_encoded(secret))
        return rb_error_set(error, NULL, 0, 0,
                            "this is an encoded key, not a secret; write it as PEM");
    if (secret.len < RB_JWT_SECRET_MIN)
        return rb_error_set(error, NULL, 0, 0,
                            "a secret has at least %d bytes, this one has %zu",
                            RB_JWT_SECRET_MIN, secret.len);
    if (secret.len > RB_JWT_SECRET_MAX)
        return rb_error_set(error, NULL, 0, 0, "a secret has at most %d bytes",
                            RB_JWT_SECRET_MAX);
    *key = key_new(RB_JWT_HS256, secret);
    return *key ? RB_OK : RB_NOMEM;
}

/* The one algorithm that this key is for; RB_INVALID with a sentence. */
static enum rb_status algorithm_of(const EVP_PKEY *pair, enum rb_jwt_algorithm *algorithm,
                                   struct rb_error *error) {
    char group[64] = "";
    int bits = EVP_PKEY_get_bits(pair);
    if (EVP_PKEY_is_a(pair, "RSA")) {
        *algorithm = RB_JWT_RS256;
        if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
            return rb_error_set(error, NULL, 0, 0,
                                "an RSA key has %d to %d bits, this one has %d",
                                RSA_BITS_MIN, RSA_BITS_MAX, bits);
        return RB_OK;
    }
    *algorithm = RB_JWT_ES256;
    if (EVP_PKEY_is_a(pair, "EC") &&
        EVP_PKEY_get_group_name(pair, group, sizeof group, NULL) == 1 &&
        strcmp(group, "prime256v1") == 0)
        return RB_OK;
    return rb_error_set(error, NULL, 0, 0,
                        "expected a secret, an RSA key or an EC key on P-256");
}

enum rb_status rb_jwt_key_take(EVP_PKEY *pair, bool is_private, struct rb_jwt_key **key,
                               struct rb_error *error) {
    enum rb_jwt_algorithm algorithm;
    enum rb_status status;
    *key = NULL;
    ERR_clear_error();
    if (!pair)
        return rb_error_set(error, NULL, 0, 0, "the key can't be read");
    status = algorithm_of(pair, &algorithm, error);
    if (status == RB_OK) {
        *key = key_new(algorithm, RB_TEXT(""));
        status = *key ? RB_OK : RB_NOMEM;
    }
    if (status != RB_OK) {
        EVP_PKEY_free(pair);
        return status;
    }
    (*key)->pair = pair;
    (*key)->is_private = is_private;
    return RB_OK;
}

void rb_jwt_key_free(struct rb_jwt_key *key) {
    if (!key)
        return;
    EVP_PKEY_free(key->pair);
    OPENSSL_cleanse(key->secret, key->secret_len);
    free(key);
}

/* --- verifying --- */

static bool hmac(const struct rb_jwt_key *key, struct rb_text input,
                 unsigned char out[SHA256_BYTES]) {
    unsigned len = 0;
    return HMAC(EVP_sha256(), key->secret, (int)key->secret_len,
                (const unsigned char *)input.at, input.len, out, &len) &&
           len == SHA256_BYTES;
}

static enum rb_status verify_hmac(const struct rb_jwt_key *key, struct rb_text input,
                                  struct rb_text signature) {
    unsigned char expected[SHA256_BYTES];
    if (signature.len != SHA256_BYTES)
        return RB_REFUSED;
    if (!hmac(key, input, expected))
        return RB_NOMEM;
    return CRYPTO_memcmp(expected, signature.at, SHA256_BYTES) == 0 ? RB_OK : RB_REFUSED;
}

static enum rb_status verify_pair(const struct rb_jwt_key *key, struct rb_text input,
                                  const unsigned char *signature, size_t len) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    enum rb_status status = RB_NOMEM;
    if (ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key->pair) == 1)
        status = EVP_DigestVerify(ctx, signature, len, (const unsigned char *)input.at,
                                  input.len) == 1
                     ? RB_OK
                     : RB_REFUSED;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return status;
}

/* JWS has r and s behind one another; libcrypto wants them in DER. */
static enum rb_status verify_es256(const struct rb_jwt_key *key, struct rb_text input,
                                   struct rb_text signature) {
    const unsigned char *at = (const unsigned char *)signature.at;
    unsigned char *der = NULL;
    enum rb_status status = RB_NOMEM;
    if (signature.len != 2 * (size_t)P256_BYTES)
        return RB_REFUSED;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(at, P256_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(at + P256_BYTES, P256_BYTES, NULL);
    if (!pair || !r || !s || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        goto out;
    }
    int len = i2d_ECDSA_SIG(pair, &der);
    if (len > 0)
        status = verify_pair(key, input, der, (size_t)len);
out:
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    ERR_clear_error();
    return status;
}

enum rb_status rb_jwt_key_verify(const struct rb_jwt_key *key, struct rb_text input,
                                 struct rb_text signature) {
    switch (key->algorithm) {
    case RB_JWT_HS256:
        return verify_hmac(key, input, signature);
    case RB_JWT_RS256:
        return verify_pair(key, input, (const unsigned char *)signature.at,
                           signature.len);
    case RB_JWT_ES256:
        return verify_es256(key, input, signature);
    case RB_JWT_ALGORITHMS:
        break;
    }
    return RB_REFUSED;
}

/* --- signing --- */

static enum rb_status add_rs(struct rb_buffer *out, const unsigned char *der,
                             size_t len) {
    unsigned char bytes[2 * P256_BYTES];
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    bool good = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), bytes, P256_BYTES) > 0 &&
                BN_bn2binpad(ECDSA_SIG_get0_s(pair), bytes + P256_BYTES, P256_BYTES) > 0;
    ECDSA_SIG_free(pair);
    if (!good)
        return RB_NOMEM;
    rb_buffer_add(out, bytes, sizeof bytes);
    return out->status;
}

static enum rb_status sign_pair(const struct rb_jwt_key *key, struct rb_text input,
                                struct rb_buffer *out) {
    unsigned char signature[RSA_BITS_MAX / 8];
    size_t len = sizeof signature;
    enum rb_status status = RB_NOMEM;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key->pair) == 1 &&
        EVP_DigestSign(ctx, signature, &len, (const unsigned char *)input.at,
                       input.len) == 1) {
        if (key->algorithm == RB_JWT_ES256) {
            status = add_rs(out, signature, len);
        } else {
            rb_buffer_add(out, signature, len);
            status = out->status;
        }
    }
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return status;
}

enum rb_status rb_jwt_key_sign(const struct rb_jwt_key *key, struct rb_text input,
                               struct rb_buffer *signature) {
    unsigned char bytes[SHA256_BYTES];
    if (!rb_jwt_key_signs(key))
        return RB_INVALID;
    if (key->algorithm != RB_JWT_HS256)
        return sign_pair(key, input, signature);
    if (!hmac(key, input, bytes))
        return RB_NOMEM;
    rb_buffer_add(signature, bytes, sizeof bytes);
    return signature->status;
}
