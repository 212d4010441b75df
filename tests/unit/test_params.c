/* Parameters: each word of the vocabulary, kept and broken; mistakes in the schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "definitions.h"
#include "jobs/json_write.h"
#include "jobs/params.h"

static struct rb_params *compile(const char *text, struct rb_errors *errors) {
    struct rb_yaml *root;
    *errors = (struct rb_errors){0};
    assert_int_equal(rb_yaml_parse("f.yaml", rb_text_of(text), &root, errors), RB_OK);
    struct rb_params *params = rb_params_compile(root, errors);
    rb_yaml_free(root);
    return params;
}

static struct rb_params *params_of(const char *text) {
    struct rb_errors errors;
    struct rb_params *params = compile(text, &errors);
    rb_errors_print(&errors);
    assert_non_null(params);
    return params;
}

/* What the job gives and what comes out, both as JSON. */
static void assert_takes(const char *schema, const char *given, const char *expected) {
    struct rb_params *params = params_of(schema);
    json_t *value = json_of(given), *checked;
    struct rb_error error;
    struct rb_buffer out;
    if (rb_params_check(params, value, &checked, &error) != RB_OK)
        fail_msg("%s with %s: %s", schema, given, error.text);
    rb_buffer_init(&out, 1024);
    rb_json_write(&out, checked);
    assert_string_equal(out.at, expected);
    rb_buffer_clear(&out);
    rb_json_write(&out, value); /* what was given is not touched */
    json_t *again = json_of(out.at);
    assert_true(json_equal(again, value));
    json_decref(again);
    rb_buffer_fini(&out);
    json_decref(checked);
    json_decref(value);
    rb_params_free(params);
}

static void assert_refuses(const char *schema, const char *given, const char *sentence) {
    struct rb_params *params = params_of(schema);
    json_t *value = json_of(given), *checked = value;
    struct rb_error error;
    assert_int_equal(rb_params_check(params, value, &checked, &error), RB_INVALID);
    assert_string_equal(error.text, sentence);
    assert_null(checked);
    json_decref(value);
    rb_params_free(params);
}

static void types(void **state) {
    (void)state;
    static const char *const names[] = {"string",  "integer", "number",
                                        "boolean", "array",   "object"};
    static const char *const samples[] = {"\"s\"", "5", "1.5", "true", "[]", "{}"};
    for (size_t t = 0; t < 6; t++) {
        for (size_t s = 0; s < 7; s++) {
            char schema[64], given[64], sentence[64];
            snprintf(schema, sizeof schema, "p: {type: %s}", names[t]);
            snprintf(given, sizeof given, "{\"p\":%s}", s < 6 ? samples[s] : "null");
            snprintf(sentence, sizeof sentence, "\"p\" must be %s %s",
                     strchr("aio", names[t][0]) ? "an" : "a", names[t]);
            if (s == t || (t == 2 && s == 1))
                assert_takes(schema, given, given);
            else
                assert_refuses(schema, given, sentence);
        }
    }
    assert_refuses("p: {}", "{\"p\":5}", "\"p\" must be a string");
    assert_refuses("p: {type: integer}", "{\"p\":5.0}", "\"p\" must be an integer");
}

static void presence(void **state) {
    (void)state;
    assert_takes("{}", "{}", "{}");
    assert_takes("p: {}", "{}", "{}");
    assert_refuses("p: {required: true}", "{}", "\"p\" is required: a string");
    assert_refuses("p: {required: true, type: integer}", "{}",
                   "\"p\" is required: an integer");
    assert_takes("p: {default: x}\nq: {type: integer, default: 5}", "{}",
                 "{\"p\":\"x\",\"q\":5}");
    assert_takes("p: {default: x}", "{\"p\":\"\"}", "{\"p\":\"\"}");
    assert_takes("p: {default: 007}", "{}", "{\"p\":\"007\"}");
    assert_takes("p: {type: array, default: [1, a]}", "{}", "{\"p\":[1,\"a\"]}");
    assert_refuses("{}", "{\"p\":1}", "no parameter \"p\"");
    assert_refuses("symbol: {}", "{\"symbl\":\"x\"}",
                   "no parameter \"symbl\"; did you mean \"symbol\"?");
}

static void strings(void **state) {
    (void)state;
    assert_takes("p: {min_length: 2, max_length: 3}", "{\"p\":\"\xc3\xa4\xc3\xa4\"}",
                 "{\"p\":\"\xc3\xa4\xc3\xa4\"}");
    assert_refuses("p: {min_length: 2}", "{\"p\":\"\xc3\xa4\"}",
                   "the length of \"p\" must be at least 2");
    assert_refuses("p: {max_length: 3}", "{\"p\":\"abcd\"}",
                   "the length of \"p\" must be at most 3");
    assert_takes("p: {pattern: '^[A-Z]+$'}", "{\"p\":\"ABC\"}", "{\"p\":\"ABC\"}");
    assert_refuses("p: {pattern: '^[A-Z]+$'}", "{\"p\":\"AbC\"}",
                   "\"p\" must match ^[A-Z]+$");
    assert_takes("p: {enum: [a, 5, yes]}", "{\"p\":\"5\"}", "{\"p\":\"5\"}");
    assert_refuses("p: {enum: [a, 5, yes]}", "{\"p\":\"b\"}",
                   "\"p\" must be one of [\"a\",\"5\",\"yes\"]");
}

/* What a pattern is run on is bounded even where the definition says nothing. */
static void matched_length(void **state) {
    (void)state;
    static char given[5000];
    memset(given, 'a', sizeof given);
    memcpy(given, "{\"p\":\"", 6);
    memcpy(given + 6 + 4097, "\"}", 3);
    assert_refuses("p: {pattern: a}", given, "the length of \"p\" must be at most 4096");
    struct rb_params *params = params_of("p: {pattern: a, max_length: 5000}");
    json_t *value = json_of(given), *checked;
    assert_int_equal(rb_params_check(params, value, &checked, NULL), RB_OK);
    json_decref(checked);
    json_decref(value);
    rb_params_free(params);
}

static void numbers(void **state) {
    (void)state;
    static const char range[] =
        "p: {type: integer, minimum: -1, maximum: 9007199254740992}";
    assert_takes(range, "{\"p\":-1}", "{\"p\":-1}");
    assert_refuses(range, "{\"p\":-2}", "\"p\" must be at least -1");
    assert_takes(range, "{\"p\":9007199254740992}", "{\"p\":9007199254740992}");
    assert_refuses(range, "{\"p\":9007199254740993}",
                   "\"p\" must be at most 9007199254740992");
    static const char real[] = "p: {type: number, minimum: 0.1, maximum: 2}";
    assert_takes(real, "{\"p\":0.1}", "{\"p\":0.1}");
    assert_takes(real, "{\"p\":2.0}", "{\"p\":2.0}");
    assert_refuses(real, "{\"p\":0}", "\"p\" must be at least 0.1");
    assert_refuses(real, "{\"p\":2.5}", "\"p\" must be at most 2");
    assert_takes("p: {type: number, enum: [1, 2.5]}", "{\"p\":1.0}", "{\"p\":1.0}");
    assert_refuses("p: {type: number, enum: [1, 2.5]}", "{\"p\":2}",
                   "\"p\" must be one of [1,2.5]");
}

static void lists(void **state) {
    (void)state;
    assert_takes("p: {type: array, max_items: 2}", "{\"p\":[1,2]}", "{\"p\":[1,2]}");
    assert_refuses("p: {type: array, max_items: 2}", "{\"p\":[1,2,3]}",
                   "\"p\" must have at most 2 items");
}

static void about(void **state) {
    (void)state;
    struct rb_params *params = params_of("b: {type: integer}\na: {}");
    const char *const *names = rb_params_names(params);
    assert_string_equal(names[0], "b");
    assert_string_equal(names[1], "a");
    assert_null(names[2]);
    assert_int_equal(rb_params_type(params, RB_TEXT("b")), RB_PARAM_INTEGER);
    assert_int_equal(rb_params_type(params, RB_TEXT("a")), RB_PARAM_STRING);
    assert_int_equal(rb_params_type(params, RB_TEXT("c")), RB_PARAM_TYPES);
    rb_params_free(params);
    rb_params_free(NULL);
    struct rb_errors errors = {0};
    params = rb_params_compile(NULL, &errors);
    assert_non_null(params);
    assert_null(rb_params_names(params)[0]);
    rb_params_free(params);
}

static void assert_mistake(const char *text, int line, int column, const char *sentence) {
    struct rb_errors errors;
    struct rb_params *params = compile(text, &errors);
    assert_null(params);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.kept[0].text, sentence);
    assert_int_equal(errors.kept[0].line, line);
    assert_int_equal(errors.kept[0].column, column);
}

static void mistakes(void **state) {
    (void)state;
    assert_mistake("[a]", 1, 1, "expected a mapping, got a list");
    assert_mistake("p: string", 1, 4, "expected a mapping, got a string");
    assert_mistake("p: {typ: string}", 1, 5,
                   "unknown key \"typ\"; did you mean \"type\"?");
    assert_mistake("p: {type: strin}", 1, 11,
                   "expected string, integer, number, boolean, array or object, got "
                   "\"strin\"; did you mean \"string\"?");
    assert_mistake(
        "a.b: {}", 1, 1,
        "\"a.b\" can't name a parameter: expected a letter or _, then letters, "
        "digits, _ or -, 64 at most");
    assert_mistake("p: {required: perhaps}", 1, 15,
                   "expected true or false, got \"perhaps\"");
    assert_mistake(
        "p:\n  pattern: '[a'", 2, 12,
        "the pattern is no extended regular expression: Unmatched [, [^, [:, [., "
        "or [=");
    assert_mistake("p: {type: integer, pattern: a}", 1, 20,
                   "\"pattern\" says nothing about a parameter of type integer");
    assert_mistake("p: {minimum: 1}", 1, 5,
                   "\"minimum\" says nothing about a parameter of type string");
    assert_mistake("p: {type: integer, minimum: 1.5}", 1, 29, "expected an integer");
    assert_mistake("p: {type: number, minimum: x}", 1, 28, "expected a number");
    assert_mistake("p: {type: integer, minimum: 2, maximum: 1}", 1, 29,
                   "minimum is above maximum");
    assert_mistake("p: {min_length: 2, max_length: 1}", 1, 17,
                   "min_length is above max_length (1)");
    assert_mistake("p: {enum: []}", 1, 11, "expected at least one value");
    assert_mistake("p: {enum: a}", 1, 11, "expected a list, got a string");
    assert_mistake("p: {type: integer, enum: [1, a]}", 1, 30, "\"p\" must be an integer");
    assert_mistake("p: {type: integer, default: a}", 1, 29, "\"p\" must be an integer");
    assert_mistake("p: {enum: [a, b], default: c}", 1, 28,
                   "\"p\" must be one of [\"a\",\"b\"]");
    assert_mistake("p: {max_length: 1, default: ab}", 1, 29,
                   "the length of \"p\" must be at most 1");
    assert_mistake("p: {required: true, default: a}", 1, 21,
                   "a required parameter has no use for a default");
    assert_mistake("p: {max_length: -1}", 1, 17,
                   "expected a whole number from 0 to 2147483647, got \"-1\"");
}

static void all_mistakes(void **state) {
    (void)state;
    struct rb_errors errors;
    assert_null(
        compile("a: {x: 1}\nb: {type: y}\nc: {enum: [], max_length: z}\n", &errors));
    assert_int_equal(errors.count, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),          cmocka_unit_test(presence),
        cmocka_unit_test(strings),        cmocka_unit_test(numbers),
        cmocka_unit_test(matched_length), cmocka_unit_test(lists),
        cmocka_unit_test(about),          cmocka_unit_test(mistakes),
        cmocka_unit_test(all_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
