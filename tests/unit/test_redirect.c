/* Which redirects are followed, and what is asked there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "definitions.h"
#include "worker/redirect.h"

#define HEAD "service: test\n"

/* What judge() says of a request to `own` that was last sent to `from`: the next url, or
 * "! why". */
static const char *way(const char *redirects, const char *own, const char *from,
                       const char *method, int status, const char *to,
                       struct rb_hop *hop) {
    static char said[RB_HOP_WHY_BYTES + 2];
    char text[600], why[RB_HOP_WHY_BYTES] = "";
    bool body = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
    snprintf(text, sizeof text, HEAD "request: {url: \"%s\"}\nredirects: %s\n", own,
             redirects);
    struct rb_definition *d = definition_of(text);
    struct rb_request request = {.method = strdup(method), .url = strdup(own)};
    const struct rb_call_order order = {.request = &request, .redirects = &d->redirects};
    static char bytes[] = "body";
    request.body = body ? bytes : NULL;
    enum rb_status result = rb_redirect_judge(&order, from, status, to, hop, why);
    if (result == RB_OK)
        snprintf(said, sizeof said, "%s", hop->url);
    else
        snprintf(said, sizeof said, "! %s", why);
    rb_hop_fini(hop);
    free(request.method);
    free(request.url);
    rb_definition_free(d);
    return said;
}

static const char *get(const char *redirects, const char *own, const char *to) {
    struct rb_hop hop = {0};
    return way(redirects, own, own, "GET", 302, to, &hop);
}

static void the_same_host(void **state) {
    (void)state;
    static const char own[] = "https://a.example/v1";
    assert_string_equal(get("{}", own, "https://a.example/v2?x=1#f"),
                        "https://a.example/v2?x=1");
    assert_string_equal(get("{}", own, "HTTPS://A.Example:443/"), "https://a.example/");
    assert_string_equal(get("{}", "http://a.example:80/x", "http://a.example/"),
                        "http://a.example/");
    assert_string_equal(get("{}", "http://[::1]:8080/x", "http://[::1]:8080/y"),
                        "http://[::1]:8080/y");
    static const char *const others[] = {
        "https://b.example/",       "https://a.example:8443/",   "https://x.a.example/",
        "https://a.example./",      "https://a.example.evil/",   "https://evila.example/",
        "https://a.example%2eevil", "https://\xc3\xa4.example/",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(get("{}", own, others[i])[0], '!');
    assert_string_equal(get("{}", own, "https://b.example/"),
                        "! redirects.allow does not name b.example:443, where the answer "
                        "leads");
}

static void hosts_in_the_list(void **state) {
    (void)state;
    static const char rules[] = "{allow: [B.example, \"c.example:8443\", \"[::1]:90\"]}";
    static const char own[] = "https://a.example/v1";
    assert_string_equal(get(rules, own, "https://b.example/x"), "https://b.example/x");
    assert_string_equal(get(rules, own, "https://C.example:8443"),
                        "https://c.example:8443/");
    assert_string_equal(get(rules, own, "https://[::1]:90/x"), "https://[::1]:90/x");
    static const char v6[] = "{allow: [\"[2001:DB8:0::1]\"]}";
    assert_string_equal(get(v6, own, "https://[2001:db8::1]/"), "https://[2001:db8::1]/");
    assert_string_equal(get(v6, own, "https://[2001:0db8::0:1]/"),
                        "https://[2001:db8::1]/");
    assert_int_equal(get(rules, own, "https://b.example:8443/")[0], '!');
    assert_int_equal(get(rules, own, "https://c.example/")[0], '!');
    /* Without a port it is the one of the scheme. */
    assert_string_equal(get(rules, "http://a.example", "http://b.example/"),
                        "http://b.example/");
    assert_string_equal(get(rules, "http://a.example", "https://b.example/"),
                        "https://b.example/");
    assert_int_equal(get(rules, "http://a.example", "https://b.example:80/")[0], '!');
}

static void never(void **state) {
    (void)state;
    static const char rules[] = "{allow: [b.example]}";
    static const char own[] = "https://a.example/v1";
    assert_string_equal(get(rules, own, "http://a.example/"),
                        "! the redirect leads from https to http");
    assert_string_equal(get(rules, own, "http://b.example/"),
                        "! the redirect leads from https to http");
    /* Nor back again from where it was led. */
    struct rb_hop hop = {0};
    assert_string_equal(way(rules, "http://a.example/", "https://b.example/", "GET", 302,
                            "http://a.example/", &hop),
                        "! the redirect leads from https to http");
    assert_string_equal(get(rules, own, "https://user:pw@a.example/"),
                        "! the redirect brings a user or a password");
    assert_string_equal(get(rules, own, "https://user@b.example/"),
                        "! the redirect brings a user or a password");
    static const char *const strange[] = {
        "ftp://a.example/",
        "file:///etc/passwd",
        "gopher://a.example:443/",
        "javascript:alert(1)",
        "https:///x",
        "https://",
        "",
        "\\\\a.example",
        "https://a.example:99999/",
        "https://a.example/\r\nX: y",
        "dict://a.example/d:x",
    };
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++)
        assert_int_equal(get(rules, own, strange[i])[0], '!');
}

static void how_often(void **state) {
    (void)state;
    static const char own[] = "http://a.example/";
    struct rb_hop hop = {0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(way("{max: 2}", own, own, "GET", 302, own, &hop)[0], 'h');
        assert_int_equal(hop.made, i + 1);
    }
    assert_string_equal(way("{max: 2}", own, own, "GET", 302, own, &hop),
                        "! more than 2 redirects");
    assert_int_equal(hop.made, 2);
}

static void methods(void **state) {
    (void)state;
    static const struct {
        const char *method;
        int status;
        bool as_get;
    } cases[] = {
        {"POST", 301, true},  {"POST", 302, true},    {"POST", 303, true},
        {"POST", 307, false}, {"POST", 308, false},   {"PUT", 301, false},
        {"PUT", 302, false},  {"PUT", 303, true},     {"DELETE", 303, true},
        {"HEAD", 303, false}, {"HEAD", 301, false},   {"GET", 303, false},
        {"GET", 308, false},  {"DELETE", 308, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rb_hop hop = {0};
        way("{}", "http://a.example", "http://a.example", cases[i].method,
            cases[i].status, "http://a.example/x", &hop);
        assert_int_equal(hop.as_get, cases[i].as_get);
        assert_true(hop.own);
    }
    /* What has become a GET stays one. */
    struct rb_hop hop = {.as_get = true, .made = 1};
    way("{}", "http://a.example", "http://a.example", "POST", 307, "http://a.example/x",
        &hop);
    assert_true(hop.as_get);
}

static void a_body_stays_at_home(void **state) {
    (void)state;
    static const char rules[] = "{allow: [b.example]}";
    static const char own[] = "http://a.example/";
    struct rb_hop hop = {0};
    assert_string_equal(way(rules, own, own, "POST", 307, "http://b.example/", &hop),
                        "! the redirect would take the body to another host");
    hop = (struct rb_hop){0};
    assert_string_equal(way(rules, own, own, "POST", 303, "http://b.example/", &hop),
                        "http://b.example/");
    assert_false(hop.own);
    hop = (struct rb_hop){0};
    assert_string_equal(way(rules, own, own, "POST", 307, "http://a.example/x", &hop),
                        "http://a.example/x");
}

static void sections(void **state) {
    (void)state;
    struct rb_definition *d = definition_of(HEAD "request: {url: \"http://x\"}\n");
    assert_int_equal(d->redirects.max, 0);
    rb_definition_free(d);
    d = definition_of(HEAD "request: {url: \"http://x\"}\nredirects: {}\n");
    assert_int_equal(d->redirects.max, 3);
    assert_int_equal(d->redirects.count, 0);
    rb_definition_free(d);
    assert_mistakes(
        HEAD
        "request: {url: \"http://x\"}\nredirects: {max: 21, allow: [\"http://b\"]}\n",
        "3:18: expected a whole number from 0 to 20, got \"21\"\n"
        "3:30: expected a port from 1 to 65535 behind the host\n");
    assert_mistakes(HEAD "request: {url: \"http://x\"}\nredirects: 3\n",
                    "3:12: expected a mapping, got a string\n");
    assert_mistakes(HEAD "calls: {a: {request: {url: \"http://x\"}}}\nredirects: {}\n",
                    "3:1: redirects stands with each of the calls\n");
    assert_mistakes(HEAD "request: {url: \"http://x\", headers: {user-agent: "
                         "\"${secret.s}\"}}\nsecrets: {s: {env: PATH}}\n"
                         "redirects: {allow: b}\n",
                    "4:13: user-agent is also sent to other hosts and must not hold a "
                    "secret\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_host), cmocka_unit_test(hosts_in_the_list),
        cmocka_unit_test(never),         cmocka_unit_test(how_often),
        cmocka_unit_test(methods),       cmocka_unit_test(a_body_stays_at_home),
        cmocka_unit_test(sections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
