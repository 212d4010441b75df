/* Digests of requests and of what they publish. */
#include "notifier/fingerprint.h"

#include <openssl/evp.h>
#include <stdint.h>

static bool add(EVP_MD_CTX *hash, struct rb_text part) {
    uint64_t len = part.len;
    return EVP_DigestUpdate(hash, &len, sizeof len) == 1 &&
           (part.len == 0 || EVP_DigestUpdate(hash, part.at, part.len) == 1);
}

enum rb_status rb_fingerprint(size_t count, const struct rb_text *parts,
                              char hex[RB_FINGERPRINT + 1]) {
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool good = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; good && i < count; i++)
        good = add(hash, parts[i]);
    good = good && EVP_DigestFinal_ex(hash, bytes, NULL) == 1;
    EVP_MD_CTX_free(hash);
    if (!good)
        return RB_NOMEM;
    for (size_t i = 0; i < RB_FINGERPRINT / 2; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[RB_FINGERPRINT] = '\0';
    return RB_OK;
}
