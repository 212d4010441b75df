/* Tokens: the vectors of the RFCs, every way of forging one, and the claims. */
#include "jobs/jwt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "jobs/base64.h"
#include "keys.h"

#define CLAIMS                                                                           \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19y"   \
    "b290Ijp0cnVlfQ"
#define EXPIRES INT64_C(1300819380000) /* of these */

static const struct rb_jwt_expected anything = {NULL, NULL, 0};

static struct rb_keyring *ring_of(const char *text) {
    struct rb_errors errors = {0};
    struct rb_keyring *ring = NULL;
    enum rb_status status = rb_keyring_read("keys", rb_text_of(text), &ring, &errors);
    if (status != RB_OK)
        fail_msg("%s", errors.kept[0].text);
    return ring;
}

static enum rb_status verify_at(const char *keys, const char *token, int64_t now,
                                const struct rb_jwt_expected *expected) {
    struct rb_keyring *ring = ring_of(keys);
    const char *problem = NULL;
    json_t *claims = NULL;
    enum rb_status status =
        rb_jwt_verify(ring, rb_text_of(token), expected, now, &claims, &problem);
    assert_int_equal(status == RB_OK, claims != NULL);
    if (status != RB_OK)
        assert_non_null(problem);
    json_decref(claims);
    rb_keyring_free(ring);
    return status;
}

static enum rb_status verify(const char *keys, const char *token) {
    return verify_at(keys, token, EXPIRES - 1, &anything);
}

/* header and payload as JSON, signed with the first key; the caller frees. */
static char *token_of(const char *keys, const char *header, const char *payload) {
    struct rb_keyring *ring = ring_of(keys);
    struct rb_buffer token, signature;
    rb_buffer_init(&token, 65536);
    rb_buffer_init(&signature, 4096);
    rb_base64url(&token, rb_text_of(header));
    rb_buffer_char(&token, '.');
    rb_base64url(&token, rb_text_of(payload));
    assert_int_equal(
        rb_jwt_key_sign(rb_keyring_at(ring, 0), rb_buffer_view(&token), &signature),
        RB_OK);
    rb_buffer_char(&token, '.');
    rb_base64url(&token, rb_buffer_view(&signature));
    rb_buffer_fini(&signature);
    rb_keyring_free(ring);
    return rb_buffer_detach(&token, NULL);
}

static enum rb_status verify_made(const char *header, const char *payload) {
    char *token = token_of(SECRET, header, payload);
    enum rb_status status = verify_at(SECRET, token, 1000000, &anything);
    free(token);
    return status;
}

#define HS256 "{\"alg\":\"HS256\"}"

static void vectors(void **unused) {
    (void)unused;
    assert_int_equal(verify(OCT_JWK, RFC7515_A1), RB_OK);
    assert_int_equal(verify(RSA_JWK, RFC7515_A2), RB_OK);
    assert_int_equal(verify(EC_JWK, RFC7515_A3), RB_OK);
    assert_int_equal(verify(KEYS_JWKS, RFC7515_A1), RB_OK);
    assert_int_equal(verify(KEYS_JWKS, RFC7515_A2), RB_OK);
    assert_int_equal(verify(KEYS_JWKS, RFC7515_A3), RB_OK);
    assert_int_equal(verify(EC_JWK, RFC7515_A1), RB_REFUSED);
    assert_int_equal(verify(OCT_JWK, RFC7515_A2), RB_REFUSED);
    assert_int_equal(verify(RSA_JWK, RFC7515_A3), RB_REFUSED);
    assert_int_equal(verify(EC_PUBLIC_PEM, RFC7515_A3), RB_REFUSED); /* another key */
}

static void each_changed_bit_is_seen(void **unused) {
    (void)unused;
    static const char *const tokens[][2] = {
        {OCT_JWK, RFC7515_A1}, {RSA_JWK, RFC7515_A2}, {EC_JWK, RFC7515_A3}};
    for (size_t t = 0; t < 3; t++) {
        struct rb_keyring *ring = ring_of(tokens[t][0]);
        char *token = rb_text_copy(rb_text_of(tokens[t][1]));
        for (size_t i = 0; token[i]; i++) {
            json_t *claims;
            const char *problem;
            char kept = token[i];
            token[i] = kept == 'A' ? 'B' : 'A';
            assert_int_not_equal(
                rb_jwt_verify(ring, rb_text_of(token), &anything, 0, &claims, &problem),
                RB_OK);
            token[i] = kept;
        }
        for (size_t len = 0; len < strlen(token); len++) {
            json_t *claims;
            const char *problem;
            assert_int_not_equal(
                rb_jwt_verify(ring, rb_text(token, len), &anything, 0, &claims, &problem),
                RB_OK);
        }
        free(token);
        rb_keyring_free(ring);
    }
}

/* RFC 8725 §2.1: what a header says chooses nothing. */
static void algorithms_are_the_keys_own(void **unused) {
    (void)unused;
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",  "{\"alg\":\"None\"}",  "{\"alg\":\"\"}",
        "{\"alg\":\"hs256\"}", "{\"alg\":\"HS384\"}", "{\"alg\":\"HS512\"}",
        "{\"alg\":\"RS256\"}", "{\"alg\":\"ES256\"}", "{\"alg\":\"PS256\"}",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_int_equal(verify_made(headers[i], "{}"), RB_REFUSED);
    assert_int_equal(verify_made("{}", "{}"), RB_INVALID);
    assert_int_equal(verify_made("{\"alg\":null}", "{}"), RB_INVALID);
    assert_int_equal(verify_made("{\"alg\":[\"HS256\"]}", "{}"), RB_INVALID);
    assert_int_equal(verify_made(HS256, "{}"), RB_OK);
    assert_int_equal(verify(OCT_JWK, "eyJhbGciOiJub25lIn0." CLAIMS "."), RB_INVALID);
    assert_int_equal(verify(OCT_JWK, "eyJhbGciOiJub25lIn0." CLAIMS ".AA"), RB_REFUSED);
}

/* HS256 with the text of an RSA public key as its secret: nobody takes it for one. */
static void public_keys_are_no_secrets(void **unused) {
    (void)unused;
    struct rb_buffer secret;
    rb_buffer_init(&secret, 4096);
    rb_buffer_string(&secret, RSA_PUBLIC_PEM);
    struct rb_jwt_key *key;
    assert_int_equal(rb_jwt_key_secret(rb_buffer_view(&secret), &key, NULL), RB_INVALID);
    rb_buffer_clear(&secret);
    assert_int_equal(rb_base64url_read(RB_TEXT(EC_PUBLIC_DER), &secret), RB_OK);
    assert_int_equal(rb_jwt_key_secret(rb_buffer_view(&secret), &key, NULL), RB_INVALID);
    assert_int_equal(
        rb_jwt_key_secret(RB_TEXT("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ"), &key, NULL),
        RB_INVALID);
    assert_int_equal(rb_jwt_key_secret(RB_TEXT("short"), &key, NULL), RB_INVALID);
    rb_buffer_fini(&secret);
}

static void headers(void **unused) {
    (void)unused;
    assert_int_equal(verify_made("{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "{}"),
                     RB_INVALID);
    assert_int_equal(verify_made("{\"alg\":\"HS256\",\"crit\":[\"b64\"]}", "{}"),
                     RB_REFUSED);
    assert_int_equal(verify_made("{\"alg\":\"HS256\",\"kid\":7}", "{}"), RB_INVALID);
    assert_int_equal(verify_made("{\"alg\":\"HS256\",\"kid\":\"x\"}", "{}"), RB_OK);
    assert_int_equal(verify_made("{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\"}}", "{}"),
                     RB_OK); /* it is not looked at */
    assert_int_equal(verify_made("[\"HS256\"]", "{}"), RB_INVALID);
    assert_int_equal(verify_made("{\"alg\":\"HS256\"} ", "{}"), RB_OK);
    assert_int_equal(verify_made("{\"alg\":\"HS256\"}x", "{}"), RB_INVALID);
}

static void payloads(void **unused) {
    (void)unused;
    assert_int_equal(verify_made(HS256, "[]"), RB_INVALID);
    assert_int_equal(verify_made(HS256, ""), RB_INVALID);
    assert_int_equal(verify_made(HS256, "{\"a\":1,\"a\":2}"), RB_INVALID);
    assert_int_equal(verify_made(HS256, "{\"a\":{\"b\":1,\"b\":2}}"), RB_INVALID);
    assert_int_equal(verify_made(HS256, "{\"a\":\"\xff\"}"), RB_INVALID);
    assert_int_equal(verify_made(HS256, "{\"a\":\"\\u0000\"}"), RB_INVALID);
}

static void sizes(void **unused) {
    (void)unused;
    struct rb_buffer payload;
    rb_buffer_init(&payload, 65536);
    rb_buffer_string(&payload, "{\"a\":\"");
    for (int i = 0; i < 5900; i++)
        rb_buffer_char(&payload, 'x');
    rb_buffer_string(&payload, "\"}");
    assert_int_equal(verify_made(HS256, payload.at), RB_OK);
    rb_buffer_consume(&payload, 7);
    payload.len -= 2;
    for (int i = 0; i < 400; i++)
        rb_buffer_char(&payload, 'x');
    assert_int_equal(verify_made(HS256, payload.at), RB_INVALID);
    rb_buffer_fini(&payload);
}

static void parts(void **unused) {
    (void)unused;
    static const char *const broken[] = {
        "",
        ".",
        "..",
        "...",
        "a",
        "a.b",
        "a.b.c.d",
        "a.b.c",
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJhbGciOiJIUzI1NiJ9.e30",
        "eyJhbGciOiJIUzI1NiJ9=.e30.AA",
        " " RFC7515_A1,
        RFC7515_A1 " ",
        RFC7515_A1 "=",
        RFC7515_A1 ".",
        RFC7515_A1 "\n",
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(verify(OCT_JWK, broken[i]), RB_INVALID);
}

static void times(void **unused) {
    (void)unused;
    static const struct {
        const char *claims;
        int64_t now, leeway;
        enum rb_status status;
    } cases[] = {
        {"{\"exp\":1000}", 999999, 0, RB_OK},
        {"{\"exp\":1000}", 1000000, 0, RB_REFUSED},
        {"{\"exp\":1000}", 1001999, 2000, RB_OK},
        {"{\"exp\":1000}", 1002000, 2000, RB_REFUSED},
        {"{\"exp\":1000.5}", 1000499, 0, RB_OK},
        {"{\"exp\":1000.5}", 1000500, 0, RB_REFUSED},
        {"{\"exp\":0}", 1, 0, RB_REFUSED},
        {"{\"exp\":\"2000\"}", 0, 0, RB_INVALID},
        {"{\"exp\":null}", 0, 0, RB_INVALID},
        {"{\"exp\":-1}", 0, 0, RB_INVALID},
        {"{\"exp\":1e300}", 0, 0, RB_INVALID},
        {"{\"exp\":9223372036854775807}", 0, 0, RB_INVALID},
        {"{\"nbf\":1000}", 999999, 0, RB_REFUSED},
        {"{\"nbf\":1000}", 1000000, 0, RB_OK},
        {"{\"nbf\":1000}", 998000, 2000, RB_OK},
        {"{\"nbf\":1000}", 997999, 2000, RB_REFUSED},
        {"{\"nbf\":true}", 0, 0, RB_INVALID},
        {"{\"iat\":5000}", 1, 0, RB_OK},
        {"{\"iat\":\"x\"}", 1, 0, RB_INVALID},
        {"{}", 1, 0, RB_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct rb_jwt_expected expected = {NULL, "", cases[i].leeway};
        char *token = token_of(SECRET, HS256, cases[i].claims);
        enum rb_status status = verify_at(SECRET, token, cases[i].now, &expected);
        if (status != cases[i].status)
            fail_msg("%s at %lld: %s", cases[i].claims, (long long)cases[i].now,
                     rb_status_text(status));
        free(token);
    }
}

static void issuer_and_audience(void **unused) {
    (void)unused;
    static const struct {
        const char *claims;
        enum rb_status status;
    } cases[] = {
        {"{\"iss\":\"shop\",\"aud\":\"ringback\"}", RB_OK},
        {"{\"iss\":\"shop\",\"aud\":[\"x\",\"ringback\"]}", RB_OK},
        {"{\"iss\":\"shop\",\"aud\":[\"x\",7]}", RB_REFUSED},
        {"{\"iss\":\"shop\",\"aud\":[]}", RB_REFUSED},
        {"{\"iss\":\"shop\",\"aud\":{\"ringback\":1}}", RB_REFUSED},
        {"{\"iss\":\"shop\"}", RB_REFUSED},
        {"{\"aud\":\"ringback\"}", RB_REFUSED},
        {"{\"iss\":\"Shop\",\"aud\":\"ringback\"}", RB_REFUSED},
        {"{\"iss\":[\"shop\"],\"aud\":\"ringback\"}", RB_REFUSED},
    };
    const struct rb_jwt_expected expected = {"shop", "ringback", 0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *token = token_of(SECRET, HS256, cases[i].claims);
        assert_int_equal(verify_at(SECRET, token, 0, &expected), cases[i].status);
        free(token);
    }
}

static void kids(void **unused) {
    (void)unused;
    static const char two[] =
        "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"new\",\"k\":\"" SECRET_B64 "\"},"
        "{\"kty\":\"oct\",\"kid\":\"old\",\"k\":\"" OTHER_SECRET_B64 "\"}]}";
    char *named = token_of(SECRET, "{\"alg\":\"HS256\",\"kid\":\"new\"}", "{}");
    char *wrong = token_of(SECRET, "{\"alg\":\"HS256\",\"kid\":\"old\"}", "{}");
    char *unknown = token_of(SECRET, "{\"alg\":\"HS256\",\"kid\":\"x\"}", "{}");
    char *plain = token_of(OTHER_SECRET, HS256, "{}");
    assert_int_equal(verify(two, named), RB_OK);
    assert_int_equal(verify(two, wrong), RB_REFUSED);
    assert_int_equal(verify(two, unknown), RB_REFUSED);
    assert_int_equal(verify(two, plain), RB_OK);
    free(named);
    free(wrong);
    free(unknown);
    free(plain);
}

static void signing(void **unused) {
    (void)unused;
    static const char *const pairs[][2] = {{SECRET, SECRET},
                                           {RSA_PRIVATE_PEM, RSA_PUBLIC_PEM},
                                           {EC_PRIVATE_PEM, EC_PUBLIC_PEM}};
    json_t *claims = json_pack("{s:[s], s:i}", "channels", "a:*", "exp", 2000);
    for (size_t i = 0; i < 3; i++) {
        struct rb_keyring *ring = ring_of(pairs[i][0]);
        struct rb_buffer token;
        rb_buffer_init(&token, RB_JWT_MAX_BYTES);
        assert_true(rb_jwt_key_signs(rb_keyring_at(ring, 0)));
        assert_int_equal(rb_jwt_sign(rb_keyring_at(ring, 0), claims, &token), RB_OK);
        assert_int_equal(verify_at(pairs[i][1], token.at, 1000, &anything), RB_OK);
        assert_int_equal(verify_at(pairs[(i + 1) % 3][1], token.at, 1000, &anything),
                         RB_REFUSED);
        rb_buffer_fini(&token);
        rb_keyring_free(ring);
    }
    struct rb_keyring *ring = ring_of(RSA_PUBLIC_PEM);
    struct rb_buffer token;
    rb_buffer_init(&token, RB_JWT_MAX_BYTES);
    assert_false(rb_jwt_key_signs(rb_keyring_at(ring, 0)));
    assert_int_equal(rb_jwt_sign(rb_keyring_at(ring, 0), claims, &token), RB_INVALID);
    assert_int_equal(token.len, 0);
    rb_keyring_free(ring);
    json_decref(claims);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(each_changed_bit_is_seen),
        cmocka_unit_test(algorithms_are_the_keys_own),
        cmocka_unit_test(public_keys_are_no_secrets),
        cmocka_unit_test(headers),
        cmocka_unit_test(payloads),
        cmocka_unit_test(sizes),
        cmocka_unit_test(parts),
        cmocka_unit_test(times),
        cmocka_unit_test(issuer_and_audience),
        cmocka_unit_test(kids),
        cmocka_unit_test(signing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
