/* Requests: what is sent for a job, byte for byte, and what is refused to be sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "definitions.h"

#define PARAMS                                                                           \
    "service: test\nparams:\n  s: {}\n  n: {type: number}\n  b: {type: boolean}\n"       \
    "  l: {type: array}\n  o: {type: object}\n"                                          \
    "secrets: {k: {env: RB_TEST_SECRET}}\n"

/* Renders and writes it down as "METHOD url\nheader\n…\n\nbody". */
static enum rb_status render(const char *request, const char *params,
                             struct rb_buffer *out, struct rb_error *error) {
    struct rb_buffer text;
    rb_buffer_init(&text, 1 << 16);
    rb_buffer_printf(&text, PARAMS "request:\n%s", request);
    struct rb_definition *d = definition_of(text.at);
    rb_buffer_fini(&text);
    json_t *given = json_of(params), *checked = NULL;
    struct rb_job job = {.id = (char *)(uintptr_t) "j-1", .params = given};
    struct rb_request *r;
    assert_int_equal(rb_definition_check(d, &job, &checked, error), RB_OK);
    enum rb_status status =
        rb_definition_render(d, &job, RB_TEXT("ch:1"), checked, &r, error);
    rb_buffer_clear(out);
    if (status == RB_OK) {
        rb_buffer_printf(out, "%s %s\n", r->method, r->url);
        for (char **h = r->headers; *h; h++)
            rb_buffer_printf(out, "%s\n", *h);
        if (r->body) {
            rb_buffer_char(out, '\n');
            rb_buffer_add(out, r->body, r->body_len);
        }
    } else {
        assert_null(r);
    }
    rb_request_free(r);
    json_decref(checked);
    json_decref(given);
    rb_definition_free(d);
    return status;
}

static void assert_sent(const char *request, const char *params, const char *expected) {
    struct rb_buffer out;
    struct rb_error error;
    rb_buffer_init(&out, 1 << 22);
    if (render(request, params, &out, &error) != RB_OK)
        fail_msg("%s with %s: %s", request, params, error.text);
    assert_string_equal(out.at, expected);
    rb_buffer_fini(&out);
}

static void assert_refused(const char *request, const char *params, enum rb_status status,
                           const char *sentence) {
    struct rb_buffer out;
    struct rb_error error;
    rb_buffer_init(&out, 1 << 22);
    assert_int_equal(render(request, params, &out, &error), status);
    assert_string_equal(error.text, sentence);
    rb_buffer_fini(&out);
}

#define AGENT "User-Agent: ringback/" RINGBACK_VERSION "\n"

static void urls(void **state) {
    (void)state;
    assert_sent("  url: http://x\n", "{}", "GET http://x/\n" AGENT);
    assert_sent("  url: https://a.b-c_d:8443/v1/${s}/${n}\n",
                "{\"s\":\"a/b ?#%\",\"n\":0.1}",
                "GET https://a.b-c_d:8443/v1/a%2Fb%20%3F%23%25/0.1\n" AGENT);
    assert_sent("  url: \"http://[2001:db8::1]:80?q=${s}&x=1\"\n", "{\"s\":\"a&b=c\"}",
                "GET http://[2001:db8::1]:80/?q=a%26b%3Dc&x=1\n" AGENT);
    assert_sent("  url: http://x/a?\n", "{}", "GET http://x/a\n" AGENT);
    assert_sent("  url: http://10.0.0.1/${job.id}/${job.service}/${job.channel}\n", "{}",
                "GET http://10.0.0.1/j-1/test/ch%3A1\n" AGENT);
    assert_sent("  url: http://x/${secret.k}\n", "{}",
                "GET http://x/hush%20%C3%A4\n" AGENT);
    assert_sent("  url: http://x/a;b=1,2/%7Ec\n", "{}",
                "GET http://x/a;b=1,2/%7Ec\n" AGENT);
    assert_refused("  url: http://x/a/${s}/b\n", "{\"s\":\"..\"}", RB_INVALID,
                   "a segment of the path would be \".\" or \"..\"");
    assert_refused("  url: http://x/a/${s}\n", "{\"s\":\"\"}", RB_INVALID,
                   "\"s\" is empty, and so would be a segment of the path");
    assert_refused("  url: http://x/a/${l}\n", "{\"l\":[]}", RB_INVALID,
                   "\"l\" is an array and can't stand within text");
}

static void queries(void **state) {
    (void)state;
    assert_sent(
        "  url: http://x/a\n  query: {a b: \"c,d e\", s: \"${s}\", n: \"<${n}>\"}\n",
        "{\"s\":\"\xc3\xa4&\",\"n\":1}",
        "GET http://x/a?a%20b=c%2Cd%20e&s=%C3%A4%26&n=%3C1%3E\n" AGENT);
    assert_sent("  url: http://x/a?z=1\n  query: {s: \"${s}\", t: 5}\n", "{\"s\":\"\"}",
                "GET http://x/a?z=1&s=&t=5\n" AGENT);
    /* Absent: left out; all absent: not even a question mark. */
    assert_sent("  url: http://x/a\n  query: {s: \"${s}\", n: \"n${n}\"}\n", "{}",
                "GET http://x/a?n=n\n" AGENT);
    assert_sent("  url: http://x/a\n  query: {s: \"${s}\"}\n", "{}",
                "GET http://x/a\n" AGENT);
    /* Repeated: as a list in the definition, or as a list in the job. */
    assert_sent("  url: http://x\n  query: {t: [a, \"${s}\", \"${n}\", b]}\n",
                "{\"s\":\"x\"}", "GET http://x/?t=a&t=x&t=b\n" AGENT);
    assert_sent("  url: http://x\n  query: {t: \"${l}\"}\n", "{\"l\":[\"a b\",2,true]}",
                "GET http://x/?t=a%20b&t=2&t=true\n" AGENT);
    assert_sent("  url: http://x\n  query: {t: \"${l}\"}\n", "{\"l\":[]}",
                "GET http://x/\n" AGENT);
    assert_refused("  url: http://x\n  query: {t: \"${l}\"}\n", "{\"l\":[[1]]}",
                   RB_INVALID, "\"t\" is an array and can't stand within text");
    assert_refused("  url: http://x\n  query: {t: \"x${l}\"}\n", "{\"l\":[1]}",
                   RB_INVALID, "\"l\" is an array and can't stand within text");
}

static void headers(void **state) {
    (void)state;
    assert_sent(
        "  url: http://x\n  headers: {Authorization: \"Bearer ${secret.k}\", X-S: "
        "\"${s}\", X-N: \"${n}\", user-agent: me, X-E: \"\"}\n",
        "{\"s\":\" a, b\"}",
        "GET http://x/\nAuthorization: Bearer hush \xc3\xa4\nX-S:  a, b\n"
        "user-agent: me\n");
    assert_sent("  url: http://x\n  headers: {X-S: \"${s}\"}\n", "{\"s\":\"\"}",
                "GET http://x/\n" AGENT);
    static const char *const splits[] = {"a\\r\\nX: y", "a\\nX: y", "\\r", "\\u001b"};
    for (size_t i = 0; i < 4; i++) {
        char params[64];
        snprintf(params, sizeof params, "{\"s\":\"%s\"}", splits[i]);
        assert_refused(
            "  url: http://x\n  headers: {X-S: \"${s}\"}\n", params, RB_INVALID,
            "\"s\" must not hold a control character (line ends too) in a header");
    }
}

#define JSON_TYPE "Content-Type: application/json\n"

static void json_bodies(void **state) {
    (void)state;
    assert_sent(
        "  url: http://x\n  json: {a: \"${s}\", n: \"${n}\", b: \"${b}\", l: "
        "\"${l}\", o: \"${o}\", t: \"<${s}>\", c: [1, \"2\", true, ~, {}, []]}\n",
        "{\"s\":\"\\\"x\\\"\",\"n\":0.1,\"b\":false,\"l\":[1.10,\"a\"],\"o\":{\"k\":"
        "null}}",
        "POST http://x/\n" JSON_TYPE AGENT
        "\n{\"a\":\"\\\"x\\\"\",\"n\":0.1,\"b\":false,\"l\":[1.1,\"a\"],\"o\":{\"k\":"
        "null},\"t\":\"<\\\"x\\\">\",\"c\":[1,\"2\",true,null,{},[]]}");
    /* Absent: members go, elements keep their place. */
    assert_sent(
        "  url: http://x\n  json: {a: \"${s}\", b: [\"${s}\", 1], c: {d: \"${n}\"}, "
        "e: \"-${s}\"}\n",
        "{}",
        "POST http://x/\n" JSON_TYPE AGENT "\n{\"b\":[null,1],\"c\":{},\"e\":\"-\"}");
    assert_sent("  url: http://x\n  json: ${l}\n", "{\"l\":[1]}",
                "POST http://x/\n" JSON_TYPE AGENT "\n[1]");
    assert_sent("  url: http://x\n  json: ${l}\n", "{}",
                "POST http://x/\n" JSON_TYPE AGENT "\nnull");
    /* A filter makes it text. */
    assert_sent("  url: http://x\n  json: [\"${n|raw}\", \"${s|url}\", \"${secret.k}\", "
                "\"$${s}\"]\n",
                "{\"n\":5,\"s\":\"a b\"}",
                "POST http://x/\n" JSON_TYPE AGENT
                "\n[\"5\",\"a%20b\",\"hush \xc3\xa4\",\"${s}\"]");
    assert_sent("  url: http://x\n  method: PUT\n  headers: {content-type: a/b+json}\n  "
                "json: {\"\\\"\": 1}\n",
                "{}", "PUT http://x/\ncontent-type: a/b+json\n" AGENT "\n{\"\\\"\":1}");
    assert_refused("  url: http://x\n  json: {a: \"x${l}\"}\n", "{\"l\":[1]}", RB_INVALID,
                   "\"l\" is an array and can't stand within text");
}

static void form_bodies(void **state) {
    (void)state;
    assert_sent("  url: http://x\n  form: {a b: \"c d&\", s: \"${s}\", n: \"${n}\", l: "
                "\"${l}\"}\n",
                "{\"s\":\"\xc3\xa4+~*\",\"l\":[1,\"x y\"]}",
                "POST http://x/\nContent-Type: application/x-www-form-urlencoded\n" AGENT
                "\na+b=c+d%26&s=%C3%A4%2B%7E*&l=1&l=x+y");
    assert_sent("  url: http://x\n  form: {s: \"${s}\"}\n", "{}",
                "POST http://x/\nContent-Type: application/x-www-form-urlencoded\n" AGENT
                "\n");
}

static void text_bodies(void **state) {
    (void)state;
    static const char value[] = "{\"s\":\"<\\\"&\\n\"}";
    assert_sent("  url: http://x\n  body: \"[${s}]\"\n", value,
                "POST http://x/\nContent-Type: text/plain; charset=utf-8\n" AGENT
                "\n[<\"&\n]");
    assert_sent("  url: http://x\n  headers: {Content-Type: Text/XML; charset=utf-8}\n"
                "  body: \"<a>${s}</a>${s|raw}\"\n",
                value,
                "POST http://x/\nContent-Type: Text/XML; charset=utf-8\n" AGENT
                "\n<a>&lt;&quot;&amp;&#10;</a><\"&\n");
    assert_sent("  url: http://x\n  headers: {Content-Type: application/soap+xml}\n"
                "  body: \"${s}\"\n",
                value,
                "POST http://x/\nContent-Type: application/soap+xml\n" AGENT
                "\n&lt;&quot;&amp;&#10;");
    assert_sent("  url: http://x\n  headers: {Content-Type: application/json}\n"
                "  body: '{\"q\":\"${s}\"}'\n",
                value,
                "POST http://x/\nContent-Type: application/json\n" AGENT
                "\n{\"q\":\"<\\\"&\\n\"}");
    assert_sent("  url: http://x\n  headers: {Content-Type: application/"
                "x-www-form-urlencoded}\n  body: a=${s}\n",
                value,
                "POST http://x/\nContent-Type: application/x-www-form-urlencoded\n" AGENT
                "\na=%3C%22%26%0A");
    /* A type that is not fixed tells nothing about the body. */
    assert_sent("  url: http://x\n  headers: {Content-Type: \"text/${n}xml\"}\n  body: "
                "${s}\n",
                value, "POST http://x/\nContent-Type: text/xml\n" AGENT "\n<\"&\n");
    assert_sent("  url: http://x\n  body: \"\"\n", "{}",
                "POST http://x/\nContent-Type: text/plain; charset=utf-8\n" AGENT "\n");
}

static void sizes(void **state) {
    (void)state;
    size_t len = 1024 * 1024;
    char *params = malloc(len + 16);
    assert_non_null(params);
    memcpy(params, "{\"s\":\"", 6);
    memset(params + 6, 'x', len);
    memcpy(params + 6 + len, "\"}", 3);
    assert_refused("  url: http://x\n  body: ${s}\n", params, RB_TOO_LARGE,
                   "the request would be too large");
    assert_refused("  url: http://x\n  json: {a: \"${s}\"}\n", params, RB_TOO_LARGE,
                   "the request would be too large");
    assert_refused("  url: http://x\n  json: {a: \"-${s}\"}\n", params, RB_TOO_LARGE,
                   "the request would be too large");
    len = 16 * 1024 - 11;
    memcpy(params + 6 + len, "x\"}", 4);
    assert_refused("  url: http://x?a=${s}\n", params, RB_TOO_LARGE,
                   "the request would be too large");
    free(params);
    rb_request_free(NULL);
}

static void assert_wrong(const char *request, const char *expected) {
    char text[2048];
    snprintf(text, sizeof text, "service: test\nparams: {s: {}}\nrequest: %s\n", request);
    assert_mistakes(text, expected);
}

static void wrong_urls(void **state) {
    (void)state;
#define URL(url, column, sentence)                                                       \
    assert_wrong("{url: \"" url "\"}", "3:" column ": " sentence "\n")
#define SCHEME "expected a url that begins with https:// or http://"
#define HOST                                                                             \
    "expected a host: a name in ASCII, an IPv4 address, or an IPv6 address in brackets"
#define PORT "expected a port from 1 to 65535 behind the host"
#define FIXED "the host is fixed: ${…} may stand in the path and the query"
#define USER "a user and password don't belong into a url: send them in a header"
#define DOTS "the path must not hold the segments \".\" and \"..\""
    URL("", "16", SCHEME);
    URL("ftp://x", "16", SCHEME);
    URL("//x", "16", SCHEME);
    URL("file:///etc/passwd", "16", SCHEME);
    URL("${s}://x", "16", SCHEME);
    URL("https:/x", "16", SCHEME);
    URL("http://", "16", HOST);
    URL("http:///a", "16", HOST);
    URL("http://a b/", "16", HOST);
    URL("http://a..b/", "16", HOST);
    URL("http://.a/", "16", HOST);
    URL("http://b\xc3\xbc"
        "cher.example/",
        "16", HOST);
    URL("http://[::1/", "16", HOST);
    URL("http://[x]/", "16", HOST);
    URL("http://::1/", "16", HOST);
    URL("http://[::1]x/", "16", PORT);
    URL("http://a%41/", "16", HOST);
    URL("http://a\\\\\\\\b/", "16", HOST);
    URL("http://x:0/", "16", PORT);
    URL("http://x:/", "16", PORT);
    URL("http://x:65536/", "16", PORT);
    URL("http://x:80a/", "16", PORT);
    URL("http://${s}/", "16", FIXED);
    URL("http://a.${s}.b/", "16", FIXED);
    URL("http://x:${s}/", "16", FIXED);
    URL("http://u:p@x/", "16", USER);
    URL("http://x@y/", "16", USER);
    URL("http://x/a#b", "16", "a fragment (#) never leaves a browser: drop it");
    URL("http://x/${s}#b", "16", "a fragment (#) never leaves a browser: drop it");
    URL("http://x/a/../b", "24", DOTS);
    URL("http://x/.", "24", DOTS);
    URL("http://x/%2e%2E/b", "24", DOTS);
    URL("http://x/${s}/..", "24", DOTS);
    URL("http://x/a b", "27", "\" \" must not stand in a URL: write it as %20");
    URL("http://x/a%zz", "27", "\"%\" must not stand in a URL: write it as %25");
    URL("http://x/a?b=|", "30", "\"|\" must not stand in a URL: write it as %7C");
    URL("http://x/${t}", "26", "no parameter \"t\"; known are: s");
    URL("http://x/?q=${t}", "29", "no parameter \"t\"; known are: s");
    URL("http://x/${s|raw}", "26",
        "filters are for bodies; here a value is escaped already");
    URL("http://x/${s", "26", "\"${\" is not closed by \"}\" (a literal one is \"$${\")");
    assert_wrong("{url: [a]}", "3:16: expected a string, got a list\n");
    assert_wrong("{}", "3:1: url is missing\n");
}

static void wrong_parts(void **state) {
    (void)state;
#define PART(part, expected) assert_wrong("{url: \"http://x\", " part "}", expected)
    PART("method: get", "3:36: expected GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or "
                        "QUERY, got \"get\"; "
                        "did you mean \"GET\"?\n");
    PART("method: CONNECT",
         "3:36: expected GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or QUERY, got "
         "\"CONNECT\"\n");
    PART("method: GET, body: x", "3:36: a GET has no body\n");
    PART("method: HEAD, json: {}", "3:36: a HEAD has no body\n");
    PART("json: {}, form: {}", "3:38: a request has one of json, form and body\n");
    PART("form: {}, body: x", "3:38: a request has one of json, form and body\n");
    PART("hedaers: {}", "3:28: unknown key \"hedaers\"; did you mean \"headers\"?\n");
    PART("query: [a]", "3:35: expected a mapping, got a list\n");
    PART("query: {a: {b: c}}", "3:39: expected a string, got a mapping\n");
    PART("query: {a: ~}", "3:39: expected a string, got nothing\n");
    PART("query: {\"${s}\": a}", "3:36: ${…} can't stand in a name\n");
    PART("query: {a: \"${t}\"}", "3:40: no parameter \"t\"; known are: s\n");
    PART("form: {a: [b, \"${t}\"]}", "3:43: no parameter \"t\"; known are: s\n");
    PART("json: {a: {b: \"${t}\"}}", "3:43: no parameter \"t\"; known are: s\n");
    PART("json: {\"a${s}\": 1}", "3:35: ${…} can't stand in a name\n");
    PART("json: {a: 007}", "3:38: \"007\" is a number to YAML but not to JSON: quote it, "
                           "or write it as JSON "
                           "does\n");
    PART("body: {a: b}", "3:34: expected a string, got a mapping\n");
    PART("body: \"${secret.k}\"", "3:35: no secret \"k\": none is defined\n");
    PART("headers: [a]", "3:37: expected a mapping, got a list\n");
    PART("headers: {\"a b\": c}", "3:38: \"a b\" can't name a header\n");
    PART("headers: {\"a:\": c}", "3:38: \"a:\" can't name a header\n");
    PART("headers: {\"\": c}", "3:38: \"\" can't name a header\n");
    PART("headers: {a: \"b\\nc\"}", "3:43: a header must not hold control characters\n");
    PART("headers: {X-A: b, x-a: c}",
         "3:46: x-a stands here twice (case is the same to HTTP)\n");
    static const char *const framing[] = {
        "host", "Content-Length", "TRAILER", "Connection", "Transfer-Encoding",
        "te",   "Expect",         "Upgrade", "Keep-Alive"};
    for (size_t i = 0; i < sizeof framing / sizeof framing[0]; i++) {
        char request[128], expected[128];
        snprintf(request, sizeof request, "{url: \"http://x\", headers: {%s: a}}",
                 framing[i]);
        snprintf(expected, sizeof expected,
                 "3:38: %s is written by ringback itself: drop it\n", framing[i]);
        assert_wrong(request, expected);
    }
}

static void too_many_headers(void **state) {
    (void)state;
    struct rb_buffer text;
    rb_buffer_init(&text, 1 << 16);
    rb_buffer_string(&text, "  url: http://x\n  headers:\n");
    for (int i = 0; i < 64; i++)
        rb_buffer_printf(&text, "    x%d: y\n", i);
    struct rb_buffer out;
    struct rb_error error;
    rb_buffer_init(&out, 1 << 16);
    assert_int_equal(render(text.at, "{}", &out, &error), RB_OK);
    rb_buffer_fini(&out);
    rb_buffer_string(&text, "    y: z\n");
    struct rb_buffer all;
    rb_buffer_init(&all, 1 << 16);
    rb_buffer_printf(&all, "service: test\nrequest:\n%s", text.at);
    assert_mistakes(all.at, "5:5: more than 64 headers\n");
    rb_buffer_fini(&all);
    rb_buffer_fini(&text);
}

static int setup(void **state) {
    (void)state;
    return setenv("RB_TEST_SECRET", "hush \xc3\xa4", 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),        cmocka_unit_test(queries),
        cmocka_unit_test(headers),     cmocka_unit_test(json_bodies),
        cmocka_unit_test(form_bodies), cmocka_unit_test(text_bodies),
        cmocka_unit_test(sizes),       cmocka_unit_test(wrong_urls),
        cmocka_unit_test(wrong_parts), cmocka_unit_test(too_many_headers),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
