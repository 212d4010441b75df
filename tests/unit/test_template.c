/* Templates: what they say, escaped for where it stands, and mistakes with their place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/template.h"

static const char *const params[] = {"symbol", "n", "list", "opt", NULL};
static const char *const secrets[] = {"token", NULL};
static const struct rb_template_names names = {params, secrets};

static struct rb_yaml node_of(const char *text) {
    return (struct rb_yaml){.kind = RB_YAML_SCALAR,
                            .file = "f.yaml",
                            .line = 3,
                            .column = 10,
                            .text = rb_text_of(text),
                            .quoted = text[0] == '\0'}; /* else it is null */
}

static struct rb_template *compile(const char *text, enum rb_place place) {
    struct rb_yaml node = node_of(text);
    struct rb_errors errors = {0};
    struct rb_template *t = rb_template_compile(&node, place, &names, &errors);
    if (!t)
        fail_msg("%s: %s", text, errors.kept[0].text);
    return t;
}

/* values is JSON text of the parameters. */
static enum rb_status render(const struct rb_template *t, const char *values,
                             struct rb_buffer *out, struct rb_error *error) {
    json_t *given = json_loads(values, 0, NULL);
    json_t *kept = json_pack("{s:s}", "token", "s&cret\"");
    assert_non_null(given);
    struct rb_template_values all = {given, kept, RB_TEXT("j:1"), RB_TEXT("quote"),
                                     RB_TEXT("c/h")};
    enum rb_status status = rb_template_render(t, &all, out, error);
    json_decref(given);
    json_decref(kept);
    return status;
}

static void assert_renders(enum rb_place place, const char *text, const char *values,
                           const char *expected) {
    struct rb_buffer out;
    struct rb_template *t = compile(text, place);
    rb_buffer_init(&out, 4096);
    rb_buffer_string(&out, "");
    assert_int_equal(render(t, values, &out, NULL), RB_OK);
    assert_string_equal(out.at, expected);
    rb_buffer_fini(&out);
    rb_template_free(t);
}

static void assert_refused(enum rb_place place, const char *text, const char *values,
                           const char *sentence) {
    struct rb_buffer out;
    struct rb_error error;
    struct rb_template *t = compile(text, place);
    rb_buffer_init(&out, 4096);
    assert_int_equal(render(t, values, &out, &error), RB_INVALID);
    assert_string_equal(error.text, sentence);
    rb_buffer_fini(&out);
    rb_template_free(t);
}

static void names_and_values(void **state) {
    (void)state;
    assert_renders(RB_PLACE_TEXT, "", "{}", "");
    assert_renders(RB_PLACE_TEXT, "no reference $ { } $x", "{}", "no reference $ { } $x");
    assert_renders(RB_PLACE_TEXT, "a${symbol}b${n}c", "{\"symbol\":\"S\",\"n\":7}",
                   "aSb7c");
    assert_renders(RB_PLACE_TEXT, "${symbol}${symbol}", "{\"symbol\":\"S\"}", "SS");
    assert_renders(RB_PLACE_TEXT, "${ symbol }", "{\"symbol\":\"S\"}", "S");
    assert_renders(RB_PLACE_TEXT, "[${opt}]", "{}", "[]");
    assert_renders(RB_PLACE_TEXT,
                   "${secret.token} ${job.id} ${job.service} ${job.channel}", "{}",
                   "s&cret\" j:1 quote c/h");
    assert_renders(RB_PLACE_TEXT, "$${symbol} $$${n}", "{\"n\":1}", "${symbol} $${n}");
    assert_renders(RB_PLACE_TEXT, "${n}", "{\"n\":true}", "true");
    assert_renders(RB_PLACE_TEXT, "${n}", "{\"n\":false}", "false");
    assert_renders(RB_PLACE_TEXT, "${n}", "{\"n\":null}", "");
    assert_renders(RB_PLACE_TEXT, "${n}", "{\"n\":0.1}", "0.1");
    assert_renders(RB_PLACE_TEXT, "${n}", "{\"n\":1e21}", "1e+21");
    assert_renders(RB_PLACE_TEXT, "${n}", "{\"n\":9007199254740993}", "9007199254740993");
    /* What a value holds is never read as a template. */
    assert_renders(RB_PLACE_TEXT, "${symbol}", "{\"symbol\":\"${secret.token}\"}",
                   "${secret.token}");
}

static void escapes(void **state) {
    (void)state;
    static const char all[] = "{\"symbol\":\"a b/?&=+%#<>\\\"'\\\\~*\xc3\xa4\"}";
    assert_renders(RB_PLACE_PATH, "/v1/${symbol}/x", all,
                   "/v1/a%20b%2F%3F%26%3D%2B%25%23%3C%3E%22%27%5C~%2A%C3%A4/x");
    assert_renders(RB_PLACE_QUERY, "q=${symbol}", all,
                   "q=a%20b%2F%3F%26%3D%2B%25%23%3C%3E%22%27%5C~%2A%C3%A4");
    assert_renders(RB_PLACE_FORM, "q=${symbol}", all,
                   "q=a+b%2F%3F%26%3D%2B%25%23%3C%3E%22%27%5C%7E*%C3%A4");
    assert_renders(RB_PLACE_JSON, "{\"s\":\"${symbol}\"}", all,
                   "{\"s\":\"a b/?&=+%#<>\\\"'\\\\~*\xc3\xa4\"}");
    assert_renders(RB_PLACE_JSON, "${symbol}", "{\"symbol\":\"\\n\\u0001\"}",
                   "\\n\\u0001");
    assert_renders(RB_PLACE_XML, "<s>${symbol}</s>", all,
                   "<s>a b/?&amp;=+%#&lt;&gt;&quot;&#39;\\~*\xc3\xa4</s>");
    assert_renders(RB_PLACE_XML, "${symbol}", "{\"symbol\":\"a\\tb\\r\\n]]>\"}",
                   "a&#9;b&#13;&#10;]]&gt;");
    assert_renders(RB_PLACE_HEADER, "Bearer ${symbol}", all,
                   "Bearer a b/?&=+%#<>\"'\\~*\xc3\xa4");
    assert_renders(RB_PLACE_CHANNEL, "quote:${symbol}", all,
                   "quote:a=20b=2F=3F=26=3D=2B=25=23=3C=3E=22=27=5C~=2A=C3=A4");
    assert_renders(RB_PLACE_CHANNEL, "a=${symbol}", "{\"symbol\":\"A.b_c:d@e~f-9\"}",
                   "a=A.b_c:d@e~f-9");
}

static void filters(void **state) {
    (void)state;
    static const char value[] = "{\"symbol\":\"a b&\\\"<\"}";
    assert_renders(RB_PLACE_TEXT, "${symbol|json}", value, "a b&\\\"<");
    assert_renders(RB_PLACE_TEXT, "${symbol | xml}", value, "a b&amp;&quot;&lt;");
    assert_renders(RB_PLACE_TEXT, "${symbol|url}", value, "a%20b%26%22%3C");
    assert_renders(RB_PLACE_XML, "${symbol|raw}", value, "a b&\"<");
    assert_renders(RB_PLACE_JSON, "${symbol|url}", value, "a%20b%26%22%3C");
    assert_renders(RB_PLACE_FORM, "${symbol|url}", value, "a%20b%26%22%3C");
}

static void refuses_values(void **state) {
    (void)state;
    static const char *const control[] = {"\\r", "\\n", "\\u0001", "\\u007f"};
    for (size_t i = 0; i < 4; i++) {
        char values[64];
        snprintf(values, sizeof values, "{\"symbol\":\"a%sX-Evil: 1\"}", control[i]);
        assert_refused(
            RB_PLACE_HEADER, "${symbol}", values,
            "\"symbol\" must not hold a control character (line ends too) in a "
            "header");
    }
    assert_refused(RB_PLACE_XML, "${symbol}", "{\"symbol\":\"\\u0001\"}",
                   "\"symbol\" must not hold a character that XML has no way to write");
    assert_refused(RB_PLACE_XML, "${symbol}", "{\"symbol\":\"\\uffff\"}",
                   "\"symbol\" must not hold a character that XML has no way to write");
    assert_refused(RB_PLACE_PATH, "/${list}", "{\"list\":[1]}",
                   "\"list\" is an array and can't stand within text");
    assert_refused(RB_PLACE_TEXT, "${list}", "{\"list\":{}}",
                   "\"list\" is an object and can't stand within text");
}

static void path_segments(void **state) {
    (void)state;
    static const char dots[] = "a segment of the path would be \".\" or \"..\"";
    assert_refused(RB_PLACE_PATH, "/v1/${symbol}/x", "{\"symbol\":\"..\"}", dots);
    assert_refused(RB_PLACE_PATH, "/v1/${symbol}", "{\"symbol\":\".\"}", dots);
    assert_refused(RB_PLACE_PATH, "/v1/.${symbol}", "{\"symbol\":\".\"}", dots);
    assert_refused(RB_PLACE_PATH, "/v1/%2e${symbol}", "{\"symbol\":\".\"}", dots);
    assert_refused(RB_PLACE_PATH, "/v1/${symbol}%2E/", "{\"symbol\":\"\"}", dots);
    assert_refused(RB_PLACE_PATH, "/${symbol}${n}/", "{\"symbol\":\".\",\"n\":\".\"}",
                   dots);
    assert_renders(RB_PLACE_PATH, "/v1/${symbol}", "{\"symbol\":\"...\"}", "/v1/...");
    assert_renders(RB_PLACE_PATH, "/v1/${symbol}", "{\"symbol\":\"../..\"}",
                   "/v1/..%2F..");
    assert_renders(RB_PLACE_PATH, "/v1/${symbol}", "{\"symbol\":\"%2e%2e\"}",
                   "/v1/%252e%252e");
    assert_renders(RB_PLACE_PATH, "/v1/a${symbol}", "{\"symbol\":\"..\"}", "/v1/a..");
    assert_renders(RB_PLACE_PATH, "/${n}", "{\"n\":0.5}", "/0.5");

    static const char empty[] =
        "\"symbol\" is empty, and so would be a segment of the path";
    assert_refused(RB_PLACE_PATH, "/users/${symbol}", "{\"symbol\":\"\"}", empty);
    assert_refused(RB_PLACE_PATH, "/users/${symbol}/x", "{}", empty);
    assert_refused(RB_PLACE_PATH, "${symbol}/x", "{}", empty);
    assert_refused(RB_PLACE_PATH, "/${n}${symbol}/", "{}", empty);
    assert_renders(RB_PLACE_PATH, "/x${symbol}/", "{}", "/x/");
    assert_renders(RB_PLACE_PATH, "/${symbol}x/", "{}", "/x/");
    assert_renders(RB_PLACE_PATH, "/${symbol}${n}/", "{\"n\":1}", "/1/");
    assert_renders(RB_PLACE_PATH, "//", "{}", "//");
}

static void assert_mistake(enum rb_place place, const char *text, int column,
                           const char *sentence) {
    struct rb_yaml node = node_of(text);
    struct rb_errors errors = {0};
    assert_null(rb_template_compile(&node, place, &names, &errors));
    assert_int_equal(errors.count, 1);
    assert_int_equal(errors.kept[0].line, 3);
    assert_int_equal(errors.kept[0].column, column);
    assert_string_equal(errors.kept[0].text, sentence);
    assert_string_equal(errors.kept[0].file, "f.yaml");
}

static void mistakes(void **state) {
    (void)state;
    assert_mistake(RB_PLACE_TEXT, "ab${symbl}", 12,
                   "no parameter \"symbl\"; did you mean \"symbol\"?");
    assert_mistake(RB_PLACE_TEXT, "${xyzzyx}", 10,
                   "no parameter \"xyzzyx\"; known are: symbol, n, list, opt");
    assert_mistake(RB_PLACE_TEXT, "${}", 10,
                   "no parameter \"\"; known are: symbol, n, list, opt");
    assert_mistake(RB_PLACE_TEXT, "x ${symbol", 12,
                   "\"${\" is not closed by \"}\" (a literal one is \"$${\")");
    assert_mistake(RB_PLACE_TEXT, "${secret.tokn}", 10,
                   "no secret \"tokn\"; did you mean \"token\"?");
    assert_mistake(RB_PLACE_TEXT, "${job.idd}", 10,
                   "no member of a job \"idd\"; did you mean \"id\"?");
    assert_mistake(RB_PLACE_TEXT, "${symbol|jsn}", 10,
                   "no filter \"jsn\"; known are: json, xml, url, raw");
    assert_mistake(RB_PLACE_TEXT, "${symbol|json|xml}", 10,
                   "no filter \"json|xml\"; known are: json, xml, url, raw");
    assert_mistake(RB_PLACE_PATH, "/${symbol|raw}", 11,
                   "filters are for bodies; here a value is escaped already");
    assert_mistake(RB_PLACE_HEADER, "${symbol|raw}", 10,
                   "filters are for bodies; here a value is escaped already");
    assert_mistake(RB_PLACE_CHANNEL, "${job.channel}", 10,
                   "${job.channel} is what is being made here");
    assert_mistake(RB_PLACE_PATH, "/a b", 12,
                   "\" \" must not stand in a URL: write it as %20");
}

static void constant_text(void **state) {
    (void)state;
    assert_mistake(RB_PLACE_PATH, "/a%2", 12,
                   "\"%\" must not stand in a URL: write it as %25");
    assert_mistake(RB_PLACE_PATH, "/a?", 12,
                   "\"?\" must not stand in a URL: write it as %3F");
    assert_mistake(RB_PLACE_QUERY, "a[]=1", 11,
                   "\"[\" must not stand in a URL: write it as %5B");
    assert_mistake(RB_PLACE_HEADER, "a\nb", 11,
                   "a header must not hold control characters");
    assert_mistake(
        RB_PLACE_CHANNEL, "a/b", 11,
        "\"/\" must not stand in a channel's name; legal are A-Z a-z 0-9 _ . : @ "
        "= ~ -");
    assert_renders(RB_PLACE_PATH, "/a%2F-._~!$&'()*+,;=:@", "{}",
                   "/a%2F-._~!$&'()*+,;=:@");
    assert_renders(RB_PLACE_QUERY, "a=1&b=/?", "{}", "a=1&b=/?");
}

/* Columns are counted in characters; where quotes may have hidden escapes, or behind the
 * first line, the value's own place must do. */
static void columns(void **state) {
    (void)state;
    struct rb_errors errors = {0};
    struct rb_yaml node = node_of("\xc3\xa4${x1x}");
    assert_null(rb_template_compile(&node, RB_PLACE_TEXT, &names, &errors));
    assert_int_equal(errors.kept[0].column, 11);
    node = node_of("ab${x1x}");
    node.quoted = true;
    assert_null(rb_template_compile(&node, RB_PLACE_TEXT, &names, &errors));
    assert_int_equal(errors.kept[1].column, 13);
    node.text = RB_TEXT("\"b${x1x}");
    assert_null(rb_template_compile(&node, RB_PLACE_TEXT, &names, &errors));
    assert_int_equal(errors.kept[2].column, 10);
    node = node_of("a\nb${x1x} ${y1y}");
    assert_null(rb_template_compile(&node, RB_PLACE_TEXT, &names, &errors));
    assert_int_equal(errors.kept[3].column, 10);
    assert_int_equal(errors.count, 5);
}

static void not_a_string(void **state) {
    (void)state;
    struct rb_errors errors = {0};
    struct rb_yaml list = {.kind = RB_YAML_SEQUENCE, .file = "f"}, nothing = node_of("~");
    assert_null(rb_template_compile(&list, RB_PLACE_TEXT, &names, &errors));
    assert_null(rb_template_compile(&nothing, RB_PLACE_TEXT, &names, &errors));
    assert_string_equal(errors.kept[0].text, "expected a string, got a list");
    assert_string_equal(errors.kept[1].text, "expected a string, got nothing");
    struct rb_template_names bare = {NULL, NULL};
    struct rb_yaml node = node_of("${secret.token}${symbol}");
    assert_null(rb_template_compile(&node, RB_PLACE_TEXT, &bare, &errors));
    assert_string_equal(errors.kept[2].text, "a secret must not stand here");
    assert_string_equal(errors.kept[3].text, "no parameter \"symbol\": none is defined");
    rb_template_free(NULL);
}

static void wholes(void **state) {
    (void)state;
    json_t *given = json_loads("{\"list\":[1],\"n\":2}", 0, NULL);
    struct rb_template_values values = {.params = given};
    struct rb_template *t = compile("${list}", RB_PLACE_TEXT);
    assert_ptr_equal(rb_template_whole(t, &values), json_object_get(given, "list"));
    assert_false(rb_template_is_absent(t, &values));
    assert_false(rb_template_is_constant(t));
    rb_template_free(t);

    t = compile("${opt}", RB_PLACE_TEXT);
    assert_null(rb_template_whole(t, &values));
    assert_true(rb_template_is_absent(t, &values));
    rb_template_free(t);

    static const char *const parts[] = {"${n}x", "x${n}", "${n}${n}",       "${n|raw}",
                                        "x",     "",      "${secret.token}"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        t = compile(parts[i], RB_PLACE_TEXT);
        assert_null(rb_template_whole(t, &values));
        assert_false(rb_template_is_absent(t, &values));
        assert_int_equal(rb_template_is_constant(t), i == 4 || i == 5);
        rb_template_free(t);
    }
    json_decref(given);
}

static void values_of_maps(void **state) {
    (void)state;
    struct rb_yaml node = node_of("a b&${symbol}\xc3\xa4");
    struct rb_errors errors = {0};
    struct rb_buffer out;
    rb_buffer_init(&out, 100);
    struct rb_template *t =
        rb_template_compile_value(&node, RB_PLACE_QUERY, &names, &errors);
    assert_int_equal(render(t, "{\"symbol\":\"=\"}", &out, NULL), RB_OK);
    assert_string_equal(out.at, "a%20b%26%3D%C3%A4");
    rb_template_free(t);
    rb_buffer_fini(&out);
}

static void ceiling(void **state) {
    (void)state;
    struct rb_buffer out;
    struct rb_template *t = compile("abc${symbol}", RB_PLACE_TEXT);
    rb_buffer_init(&out, 4);
    assert_int_equal(render(t, "{\"symbol\":\"S\"}", &out, NULL), RB_OK);
    rb_buffer_clear(&out);
    assert_int_equal(render(t, "{\"symbol\":\"ST\"}", &out, NULL), RB_TOO_LARGE);
    rb_buffer_fini(&out);
    rb_template_free(t);
}

static void dots(void **state) {
    (void)state;
    static const char *const yes[] = {".",   "..",   "/a/../b", "/./",
                                      "%2e", ".%2E", "a/%2e%2e"};
    static const char *const no[] = {"",   "/",         "...", "a.",
                                     ".a", "%2e%2e%2e", "%2",  "/a.b/"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(rb_template_has_dots(rb_text_of(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(rb_template_has_dots(rb_text_of(no[i])));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values),
        cmocka_unit_test(escapes),
        cmocka_unit_test(filters),
        cmocka_unit_test(refuses_values),
        cmocka_unit_test(path_segments),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(constant_text),
        cmocka_unit_test(columns),
        cmocka_unit_test(not_a_string),
        cmocka_unit_test(wholes),
        cmocka_unit_test(values_of_maps),
        cmocka_unit_test(ceiling),
        cmocka_unit_test(dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
