/* Keys from files: what is taken, what is passed over, what is refused. */
#include "jobs/keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "keys.h"

/* The algorithms of the keys found, as text; the mistake's text when there is one. */
static const char *read_keys(struct rb_text text) {
    static char out[600];
    struct rb_errors errors = {0};
    struct rb_keyring *ring = NULL;
    out[0] = '\0';
    enum rb_status status = rb_keyring_read("keys", text, &ring, &errors);
    assert_int_equal(status == RB_OK, ring != NULL);
    assert_int_equal(status == RB_OK, errors.count == 0);
    if (status != RB_OK) {
        assert_string_equal(errors.kept[0].file, "keys");
        snprintf(out, sizeof out, "%s", errors.kept[0].text);
        return out;
    }
    for (size_t i = 0; i < rb_keyring_count(ring); i++) {
        const struct rb_jwt_key *key = rb_keyring_at(ring, i);
        size_t len = strlen(out);
        snprintf(out + len, sizeof out - len, "%s%s:%s%s", len > 0 ? " " : "",
                 rb_jwt_algorithm_name(rb_jwt_key_algorithm(key)), rb_jwt_key_id(key),
                 rb_jwt_key_signs(key) ? "+" : "");
    }
    rb_keyring_free(ring);
    return out;
}

static void kinds(void **unused) {
    (void)unused;
    static const struct {
        const char *text, *found;
    } cases[] = {
        {SECRET, "HS256:+"},
        {SECRET "\n", "HS256:+"},
        {"  " OCT_JWK, "HS256:+"},
        {RSA_JWK, "RS256:"},
        {EC_JWK, "ES256:"},
        {KEYS_JWKS, "HS256:a+ RS256:b ES256:c"},
        {RSA_PUBLIC_PEM, "RS256:"},
        {RSA_PRIVATE_PEM, "RS256:+"},
        {EC_PUBLIC_PEM, "ES256:"},
        {"subject=CN = shop\n" EC_PUBLIC_PEM RSA_PUBLIC_PEM, "ES256: RS256:"},
        {EC_PARAMETERS_PEM EC_PRIVATE_PEM, "ES256:+"},
        {EC_CERTIFICATE_PEM, "ES256:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(read_keys(rb_text_of(cases[i].text)), cases[i].found);
}

static void passed_over(void **unused) {
    (void)unused;
    static const char rest[] = "{\"kty\":\"oct\",\"k\":\"" SECRET_B64 "\"}]}";
    static const char *const odd[] = {
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"RSA\",\"use\":\"enc\",\"n\":\"AA\",\"e\":\"AQAB\"}",
        "{\"kty\":\"oct\",\"alg\":\"HS512\",\"k\":\"" SECRET_B64 "\"}",
        "{\"kty\":\"oct\",\"key_ops\":[\"encrypt\"],\"k\":\"" SECRET_B64 "\"}",
    };
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        char set[1024];
        snprintf(set, sizeof set, "{\"keys\":[%s,%s", odd[i], rest);
        assert_string_equal(read_keys(rb_text_of(set)), "HS256:+");
        assert_non_null(strstr(read_keys(rb_text_of(odd[i])), "the key is"));
    }
}

static void refused(void **unused) {
    (void)unused;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "at least 32 bytes"},
        {"secret\n", "at least 32 bytes"},
        {"{\"keys\":[]}", "there is no key"},
        {"{\"keys\":7}", "not a list"},
        {"{\"keys\":[", "'"},
        {"{\"keys\":[],\"keys\":[]}", "duplicate"},
        {"{\"a\":1}", "no \"kty\""},
        {"{\"keys\":[{}]}", "no \"kty\""},
        {"{\"kty\":\"oct\"}", "no \"k\""},
        {"{\"kty\":\"oct\",\"k\":\"AA\"}", "at least 32 bytes"},
        {"{\"kty\":\"oct\",\"k\":\"A+==\"}", "not base64url"},
        {"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "2048 to 8192 bits"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}", "32 bytes each"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\","
         "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}",
         "can't be read"}, /* not on the curve */
        {"-----BEGIN PUBLIC KEY-----\nMFkw\n", "broken"},
        {"-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n", "can't be read"},
        {"-----BEGIN DH PARAMETERS-----\nMFkw\n-----END DH PARAMETERS-----\n",
         "got DH PARAMETERS"},
        {EC_PUBLIC_PEM "-----BEGIN PUBLIC KEY-----\n", "broken"},
        {EC384_PUBLIC_PEM, "P-256"},
        {RSA1024_PUBLIC_PEM, "this one has 1024"},
        {ENCRYPTED_PEM, "encrypted"},
        {"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDKxyzzzzzzzzzzzz", "encoded key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (!strstr(read_keys(rb_text_of(cases[i].text)), cases[i].why))
            fail_msg("%s: %s", cases[i].text, read_keys(rb_text_of(cases[i].text)));
}

static void secrets_may_hold_any_byte(void **unused) {
    (void)unused;
    char secret[40] = {1, 0, 2};
    memset(secret + 3, 0xfe, sizeof secret - 3);
    assert_string_equal(read_keys(rb_text(secret, sizeof secret)), "HS256:+");
}

static void too_many(void **unused) {
    (void)unused;
    struct rb_buffer text;
    rb_buffer_init(&text, 65536);
    for (int i = 0; i < RB_KEYRING_MAX; i++)
        rb_buffer_string(&text, EC_PUBLIC_PEM);
    assert_int_equal(strncmp(read_keys(rb_buffer_view(&text)), "ES256: ES256:", 13), 0);
    rb_buffer_string(&text, EC_PUBLIC_PEM);
    assert_string_equal(read_keys(rb_buffer_view(&text)), "at most 32 keys are read");
    rb_buffer_fini(&text);
}

static void files(void **unused) {
    (void)unused;
    char good[] = "/tmp/rb-keys-XXXXXX", absent[] = "/nowhere/key";
    char *names[] = {good, absent};
    struct rb_list list = {names, 1};
    struct rb_errors errors = {0};
    struct rb_keyring *ring = NULL;
    int fd = mkstemp(good);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, SECRET "\n", sizeof SECRET), (ssize_t)sizeof SECRET);
    close(fd);
    assert_int_equal(rb_keyring_load(&list, &ring, &errors), RB_OK);
    assert_int_equal(rb_keyring_count(ring), 1);
    rb_keyring_free(ring);
    list.count = 2;
    assert_int_equal(rb_keyring_load(&list, &ring, &errors), RB_SYSTEM);
    assert_null(ring);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.kept[0].file, absent);
    unlink(good);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),    cmocka_unit_test(passed_over),
        cmocka_unit_test(refused),  cmocka_unit_test(secrets_may_hold_any_byte),
        cmocka_unit_test(too_many), cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
