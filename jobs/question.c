/* Digests of requests. */
#include "jobs/question.h"

#include <openssl/evp.h>

/* Every part goes in with its length in front, so that no two lists of parts look alike.
 */
static bool add(EVP_MD_CTX *hash, struct rb_text part) {
    uint64_t len = part.len;
    return EVP_DigestUpdate(hash, &len, sizeof len) == 1 &&
           EVP_DigestUpdate(hash, part.at, part.len) == 1;
}

static bool add_request(EVP_MD_CTX *hash, const struct rb_request *request) {
    bool good =
        add(hash, rb_text_of(request->method)) && add(hash, rb_text_of(request->url));
    for (char **header = request->headers; *header && good; header++)
        good = add(hash, rb_text_of(*header));
    return good && add(hash, rb_text(request->body, request->body_len));
}

static bool add_result(EVP_MD_CTX *hash, const struct rb_definition *d) {
    bool good = EVP_DigestUpdate(hash, d->result.success, sizeof d->result.success) == 1;
    for (size_t i = 0; i < d->result.select_count && good; i++)
        good = add(hash, rb_text_of(d->result.select[i].name)) &&
               add(hash, rb_text_of(d->result.select[i].pointer));
    return good;
}

/* {"token": "${secret.token}"}: what stands in for the secrets. */
static json_t *masks_of(const json_t *secrets) {
    json_t *masks = json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)secrets, name, value) {
        if (json_object_set_new(masks, name, json_sprintf("${secret.%s}", name)) != 0) {
            json_decref(masks);
            return NULL;
        }
    }
    return masks;
}

static enum rb_status add_call(EVP_MD_CTX *hash, const struct rb_definition *definition,
                               const struct rb_job *job, struct rb_text channel,
                               const json_t *params) {
    struct rb_definition masked = *definition;
    struct rb_request *request = NULL;
    struct rb_error error;
    masked.secrets = masks_of(definition->secrets);
    if (!masked.secrets)
        return RB_NOMEM;
    enum rb_status status =
        rb_definition_render(&masked, job, channel, params, &request, &error);
    if (status == RB_OK && (!add_request(hash, request) || !add_result(hash, definition)))
        status = RB_NOMEM;
    rb_request_free(request);
    json_decref(masked.secrets);
    return status;
}

static enum rb_status add_calls(EVP_MD_CTX *hash, const struct rb_definition *d,
                                const struct rb_job *job, struct rb_text channel,
                                const json_t *params) {
    enum rb_status status = RB_OK;
    if (!add(hash, rb_text_of(d->service)))
        return RB_NOMEM;
    if (d->calls.count == 0)
        return add_call(hash, d, job, channel, params);
    for (size_t i = 0; i < d->calls.count && status == RB_OK; i++) {
        const struct rb_leg *leg = &d->calls.legs[i];
        status = add(hash, rb_text_of(leg->name)) ? RB_OK : RB_NOMEM;
        if (status == RB_OK)
            status = add_call(hash, leg->definition, job, channel, params);
    }
    if (status == RB_OK &&
        EVP_DigestUpdate(hash, &d->calls.need, sizeof d->calls.need) != 1)
        status = RB_NOMEM;
    return status;
}

static void write_hex(const unsigned char *bytes, char digest[RB_QUESTION_DIGEST + 1]) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < RB_QUESTION_DIGEST / 2; i++) {
        digest[2 * i] = hex[bytes[i] >> 4];
        digest[2 * i + 1] = hex[bytes[i] & 15];
    }
    digest[RB_QUESTION_DIGEST] = '\0';
}

enum rb_status rb_question_digest(const struct rb_definition *definition,
                                  const struct rb_job *job, struct rb_text channel,
                                  const json_t *params,
                                  char digest[RB_QUESTION_DIGEST + 1]) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    enum rb_status status = RB_NOMEM;
    if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1)
        status = add_calls(hash, definition, job, channel, params);
    if (status == RB_OK && EVP_DigestFinal_ex(hash, bytes, NULL) != 1)
        status = RB_NOMEM;
    if (status == RB_OK)
        write_hex(bytes, digest);
    EVP_MD_CTX_free(hash);
    return status;
}
