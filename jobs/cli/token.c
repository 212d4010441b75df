/* ringback token: a JWT that says what its bearer may hear; and whether one is good. */
#include <stdio.h>
#include <stdlib.h>

#include "config/clock.h"
#include "jobs/cli/cli.h"
#include "jobs/jwt.h"
#include "jobs/name.h"

/* What the command line says; NULL where it says nothing. */
struct wish {
    const char *key, *kid, *ttl, *subject, *enqueue, *issuer, *audience, *check;
    char **channels;
};

static bool is_channel(struct rb_text text) {
    if (text.len > 0 && text.at[text.len - 1] == '*')
        return text.len == 1 || rb_name_is_channel(rb_text(text.at, text.len - 1));
    return rb_name_is_channel(text);
}

static json_t *channels_of(const struct rb_cli *cli, const struct wish *wish) {
    json_t *list = json_array();
    for (char **channel = wish->channels; *channel; channel++) {
        if (!is_channel(rb_text_of(*channel)))
            rb_cli_misuse(cli, "\"%s\" is no channel's name, nor one with * at its end",
                          *channel);
        json_array_append_new(list, json_string(*channel));
    }
    return list;
}

static json_t *services_of(const struct rb_cli *cli, const struct wish *wish) {
    struct rb_text rest = rb_text_of(wish->enqueue), service;
    json_t *list = json_array();
    while (rb_text_next(&rest, ',', &service)) {
        if (!rb_text_is(service, "*") && !rb_name_is_service(service))
            rb_cli_misuse(cli, "--enqueue: \"" RB_TEXT_FMT "\" is no service's name",
                          RB_TEXT_ARG(service));
        json_array_append_new(list, json_stringn(service.at, service.len));
    }
    return list;
}

/* A claim that can't be written must not be left out: the token would say more. */
static void set_text(const struct rb_cli *cli, json_t *claims, const char *name,
                     const char *own, const char *standard) {
    const char *value = own ? own : standard;
    if (value && !rb_text_utf8(rb_text_of(value)))
        rb_cli_misuse(cli, "%s: the text is not UTF-8", name);
    if (value && value[0])
        json_object_set_new(claims, name, json_string(value));
}

static json_t *claims_of(const struct rb_cli *cli, const struct wish *wish) {
    int64_t now = rb_clock_unix_ms();
    int64_t ttl = rb_cli_duration(cli, "--ttl", wish->ttl, INT64_C(3600000));
    json_t *claims = json_object();
    set_text(cli, claims, "iss", wish->issuer, cli->settings->notifier.auth_issuer);
    set_text(cli, claims, "aud", wish->audience, cli->settings->notifier.auth_audience);
    set_text(cli, claims, "sub", wish->subject, NULL);
    json_object_set_new(claims, "channels", channels_of(cli, wish));
    if (wish->enqueue)
        json_object_set_new(claims, "enqueue", services_of(cli, wish));
    json_object_set_new(claims, "iat", json_integer(now / 1000));
    if (ttl > 0)
        json_object_set_new(claims, "exp", json_integer((now + ttl) / 1000));
    return claims;
}

/* The first key that can sign and has the id that was asked for. */
static const struct rb_jwt_key *choose(const struct rb_keyring *ring, const char *kid) {
    for (size_t i = 0; i < rb_keyring_count(ring); i++) {
        const struct rb_jwt_key *key = rb_keyring_at(ring, i);
        if (rb_jwt_key_signs(key) && (!kid || strcmp(kid, rb_jwt_key_id(key)) == 0))
            return key;
    }
    rb_cli_say("no key %s%s can sign: a secret or a private key is needed",
               kid ? "with the id " : "among them", kid ? kid : "");
    return NULL;
}

static int sign(const struct rb_cli *cli, const struct wish *wish,
                const struct rb_keyring *ring) {
    const struct rb_jwt_key *key = choose(ring, wish->kid);
    struct rb_buffer token;
    if (!key)
        return RB_EXIT_FAILURE;
    json_t *claims = claims_of(cli, wish);
    rb_buffer_init(&token, RB_JWT_MAX_BYTES);
    enum rb_status status = rb_jwt_sign(key, claims, &token);
    if (status == RB_OK)
        printf("%s\n", token.at);
    else
        rb_cli_say("the token can't be made: %s", rb_status_text(status));
    rb_buffer_fini(&token);
    json_decref(claims);
    return status == RB_OK ? RB_EXIT_OK : RB_EXIT_FAILURE;
}

static int check(const struct rb_cli *cli, const struct wish *wish,
                 const struct rb_keyring *ring) {
    const struct rb_jwt_expected expected = {
        .issuer = wish->issuer ? wish->issuer : cli->settings->notifier.auth_issuer,
        .audience =
            wish->audience ? wish->audience : cli->settings->notifier.auth_audience,
        .leeway_ms = cli->settings->notifier.auth_leeway};
    const char *problem = "";
    json_t *claims;
    if (rb_jwt_verify(ring, rb_text_of(wish->check), &expected, rb_clock_unix_ms(),
                      &claims, &problem) != RB_OK) {
        rb_cli_say("%s", problem);
        return RB_EXIT_FAILURE;
    }
    json_dumpf(claims, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(claims);
    return RB_EXIT_OK;
}

static int run(struct rb_cli *cli, char **argv) {
    struct wish wish = {.channels = argv};
    const struct rb_cli_option options[] = {{"--key", &wish.key, NULL},
                                            {"--kid", &wish.kid, NULL},
                                            {"--ttl", &wish.ttl, NULL},
                                            {"--subject", &wish.subject, NULL},
                                            {"--enqueue", &wish.enqueue, NULL},
                                            {"--issuer", &wish.issuer, NULL},
                                            {"--check", &wish.check, NULL},
                                            {"--audience", &wish.audience, NULL},
                                            {NULL, NULL, NULL}};
    size_t count = rb_cli_read(cli, options, argv);
    int code = rb_cli_settings(cli);
    if (code != 0)
        return code;
    if (count == 0 && !wish.enqueue && !wish.check)
        rb_cli_misuse(cli, "expected channels, --enqueue or --check");
    char *file = (char *)(uintptr_t)wish.key; /* rb_list owns nothing here */
    const struct rb_list own = {&file, 1};
    const struct rb_list *files = wish.key ? &own : &cli->settings->notifier.auth_keys;
    struct rb_errors errors = {0};
    struct rb_keyring *ring;
    if (files->count == 0)
        rb_cli_misuse(cli, "expected --key, since notifier.auth.keys names none");
    if (rb_keyring_load(files, &ring, &errors) != RB_OK) {
        rb_errors_print(&errors);
        return RB_EXIT_CONFIG;
    }
    code = wish.check ? check(cli, &wish, ring) : sign(cli, &wish, ring);
    rb_keyring_free(ring);
    return code;
}

const struct rb_verb rb_verb_token = {
    .name = "token",
    .usage = "CHANNEL… [--key FILE] [--ttl TIME] [--subject WHO] [--enqueue SERVICE,…]",
    .summary = "Makes or checks a token for notifier.auth.mode: token.",
    .help =
        "Prints a signed JWT whose bearer may hear these channels; a * at the end of "
        "one\n"
        "stands for any rest.\n"
        "\n"
        "  --key FILE       a secret (HS256) or a private key in PEM (RS256, ES256);\n"
        "                   default: the first of notifier.auth.keys that can sign\n"
        "  --kid ID         the one with this id, of several in a JWKS\n"
        "  --ttl TIME       until then it is good, 1h; 0: for ever\n"
        "  --subject WHO    sub: for DELETE /subscriptions?subject=WHO\n"
        "  --enqueue LIST   services that the bearer may ask\n"
        "  --issuer TEXT    iss and aud; default: what notifier.auth asks for\n"
        "  --audience TEXT\n"
        "  --check TOKEN    says instead what a token says, or why it is not good\n",
    .run = run,
};
