/* A token's three parts, its signature, and the claims that every token is held to. */
#include "jobs/jwt.h"

#include <math.h>
#include <string.h>

#include "jobs/base64.h"

#define TIME_MAX_S 253402300799.0 /* the year 9999 */

static enum rb_status say(enum rb_status status, const char **problem, const char *why) {
    *problem = why;
    return status;
}

/* --- reading --- */

struct parts {
    struct rb_text header, payload, signature;
    struct rb_text input; /* what is signed */
};

static enum rb_status split(struct rb_text token, struct parts *parts) {
    struct rb_text rest = token;
    if (token.len > RB_JWT_MAX_BYTES || !rb_text_next(&rest, '.', &parts->header) ||
        !rb_text_next(&rest, '.', &parts->payload) || rest.len == 0 ||
        memchr(rest.at, '.', rest.len))
        return RB_INVALID;
    parts->signature = rest;
    parts->input = rb_text(token.at, (size_t)(rest.at - token.at) - 1);
    return RB_OK;
}

/* RB_INVALID when the part is not base64url, or not an object without repeated members.
 */
static enum rb_status read_object(struct rb_text part, json_t **object) {
    struct rb_buffer bytes;
    rb_buffer_init(&bytes, RB_JWT_MAX_BYTES);
    enum rb_status status = rb_base64url_read(part, &bytes);
    *object = NULL;
    if (status == RB_OK)
        *object =
            json_loadb(bytes.at ? bytes.at : "", bytes.len, JSON_REJECT_DUPLICATES, NULL);
    rb_buffer_fini(&bytes);
    if (status == RB_NOMEM)
        return status;
    if (json_is_object(*object))
        return RB_OK;
    json_decref(*object);
    *object = NULL;
    return RB_INVALID;
}

/* --- the signature --- */

static bool fits(const struct rb_jwt_key *key, const char *algorithm) {
    return strcmp(rb_jwt_algorithm_name(rb_jwt_key_algorithm(key)), algorithm) == 0;
}

/* A key with an id is meant by tokens that name it, and by those that name none. */
static bool is_meant(const struct rb_jwt_key *key, const char *id) {
    const char *own = rb_jwt_key_id(key);
    return !id || own[0] == '\0' || strcmp(own, id) == 0;
}

static enum rb_status try_keys(const struct rb_keyring *keys, const char *algorithm,
                               const char *id, struct rb_text input,
                               struct rb_text signature, const char **problem) {
    bool fitting = false;
    for (size_t i = 0; i < rb_keyring_count(keys); i++) {
        const struct rb_jwt_key *key = rb_keyring_at(keys, i);
        if (!fits(key, algorithm) || !is_meant(key, id))
            continue;
        fitting = true;
        enum rb_status status = rb_jwt_key_verify(key, input, signature);
        if (status != RB_REFUSED)
            return status;
    }
    return say(RB_REFUSED, problem,
               fitting ? "The token's signature is not right."
                       : "The token is not signed with a key that is known here.");
}

static enum rb_status check_signature(const struct rb_keyring *keys,
                                      const struct parts *parts, const json_t *header,
                                      const char **problem) {
    const json_t *algorithm = json_object_get(header, "alg");
    const json_t *id = json_object_get(header, "kid");
    struct rb_buffer signature;
    if (!json_is_string(algorithm) || (id && !json_is_string(id)))
        return say(RB_INVALID, problem, "The token's header is not right.");
    if (json_object_get(header, "crit"))
        return say(RB_REFUSED, problem, "The token asks for what is not known here.");
    rb_buffer_init(&signature, RB_JWT_MAX_BYTES);
    enum rb_status status = rb_base64url_read(parts->signature, &signature);
    if (status == RB_OK)
        status = try_keys(keys, json_string_value(algorithm), json_string_value(id),
                          parts->input, rb_buffer_view(&signature), problem);
    else if (status != RB_NOMEM)
        status = say(RB_INVALID, problem, "The token's signature is not base64url.");
    rb_buffer_fini(&signature);
    return status;
}

/* --- the claims --- */

enum rb_status rb_jwt_time(const json_t *claims, const char *name, int64_t *unix_ms) {
    const json_t *claim = json_object_get(claims, name);
    if (!claim)
        return RB_NOT_FOUND;
    double seconds = json_number_value(claim);
    if (!json_is_number(claim) || !(seconds >= 0 && seconds <= TIME_MAX_S))
        return RB_INVALID;
    *unix_ms = (int64_t)floor(seconds * 1000);
    return RB_OK;
}

/* §4.1.3: one string or a list of them. */
static bool is_for(const json_t *audience, const char *wanted) {
    size_t i;
    const json_t *one;
    if (json_is_string(audience))
        return strcmp(json_string_value(audience), wanted) == 0;
    json_array_foreach(audience, i, one) {
        if (json_is_string(one) && strcmp(json_string_value(one), wanted) == 0)
            return true;
    }
    return false;
}

static bool is_given(const char *text) { return text && text[0] != '\0'; }

static enum rb_status check_claims(const json_t *claims,
                                   const struct rb_jwt_expected *expected,
                                   int64_t unix_ms, const char **problem) {
    const json_t *issuer = json_object_get(claims, "iss");
    int64_t expires = 0, begins = 0, issued = 0;
    enum rb_status until = rb_jwt_time(claims, "exp", &expires);
    enum rb_status from = rb_jwt_time(claims, "nbf", &begins);
    if (until == RB_INVALID || from == RB_INVALID ||
        rb_jwt_time(claims, "iat", &issued) == RB_INVALID)
        return say(RB_INVALID, problem, "A time in the token is not a number.");
    if (until == RB_OK && unix_ms >= expires + expected->leeway_ms)
        return say(RB_REFUSED, problem, "The token has expired.");
    if (from == RB_OK && unix_ms < begins - expected->leeway_ms)
        return say(RB_REFUSED, problem, "The token is not valid yet.");
    if (is_given(expected->issuer) &&
        (!json_is_string(issuer) ||
         strcmp(json_string_value(issuer), expected->issuer) != 0))
        return say(RB_REFUSED, problem, "The token is from somebody else.");
    if (is_given(expected->audience) &&
        !is_for(json_object_get(claims, "aud"), expected->audience))
        return say(RB_REFUSED, problem, "The token is for somebody else.");
    return RB_OK;
}

enum rb_status rb_jwt_verify(const struct rb_keyring *keys, struct rb_text token,
                             const struct rb_jwt_expected *expected, int64_t unix_ms,
                             json_t **claims, const char **problem) {
    struct parts parts;
    json_t *header = NULL;
    *claims = NULL;
    *problem = "Out of memory.";
    if (split(token, &parts) != RB_OK)
        return say(RB_INVALID, problem, "This is not a token.");
    enum rb_status status = read_object(parts.header, &header);
    if (status == RB_INVALID)
        return say(RB_INVALID, problem, "The token's header is not right.");
    if (status == RB_OK)
        status = check_signature(keys, &parts, header, problem);
    json_decref(header);
    if (status == RB_OK) {
        status = read_object(parts.payload, claims);
        if (status == RB_INVALID)
            return say(RB_INVALID, problem, "The token's claims are not an object.");
    }
    if (status == RB_OK)
        status = check_claims(*claims, expected, unix_ms, problem);
    if (status != RB_OK) {
        json_decref(*claims);
        *claims = NULL;
    }
    return status;
}

/* --- writing --- */

static int add_json(const char *bytes, size_t len, void *buffer) {
    rb_buffer_add(buffer, bytes, len);
    return 0;
}

static void add_part(const json_t *object, struct rb_buffer *out) {
    struct rb_buffer json;
    rb_buffer_init(&json, RB_JWT_MAX_BYTES);
    if (json_dump_callback(object, add_json, &json, JSON_COMPACT) != 0 ||
        json.status != RB_OK)
        out->status = json.status == RB_OK ? RB_NOMEM : json.status;
    else
        rb_base64url(out, rb_buffer_view(&json));
    rb_buffer_fini(&json);
}

enum rb_status rb_jwt_sign(const struct rb_jwt_key *key, const json_t *claims,
                           struct rb_buffer *out) {
    struct rb_buffer token, signature;
    const char *id = rb_jwt_key_id(key);
    json_t *header = json_pack("{s:s, s:s, s:s*}", "alg",
                               rb_jwt_algorithm_name(rb_jwt_key_algorithm(key)), "typ",
                               "JWT", "kid", id[0] ? id : NULL);
    if (!header)
        return RB_NOMEM;
    rb_buffer_init(&token, RB_JWT_MAX_BYTES);
    rb_buffer_init(&signature, RB_JWT_MAX_BYTES);
    add_part(header, &token);
    json_decref(header);
    rb_buffer_char(&token, '.');
    add_part(claims, &token);
    enum rb_status status = token.status;
    if (status == RB_OK)
        status = rb_jwt_key_sign(key, rb_buffer_view(&token), &signature);
    if (status == RB_OK) {
        rb_buffer_char(&token, '.');
        rb_base64url(&token, rb_buffer_view(&signature));
        rb_buffer_text(out, rb_buffer_view(&token));
        status = token.status != RB_OK ? token.status : out->status;
    }
    rb_buffer_fini(&token);
    rb_buffer_fini(&signature);
    return status;
}
