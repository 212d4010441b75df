/* Reading help texts: lines of all kinds, and the options in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/help_text.h"

static void lines_of_all_kinds(void **state) {
    (void)state;
    struct rb_text rest = rb_text_of("Says `more`.\n"
                                     "And then, in one file of the shell's:\n"
                                     "\n"
                                     "Exit codes:\n"
                                     "   0  done\n"
                                     "  -c, --config FILE    read this\n"
                                     "                       one: file\n"
                                     "  --bare\n"
                                     "  gap\n");
    const struct rb_help_line wanted[] = {
        {RB_HELP_TEXT, {NULL, 0}, RB_TEXT("Says `more`.")},
        {RB_HELP_TEXT, {NULL, 0}, RB_TEXT("And then, in one file of the shell's:")},
        {RB_HELP_BLANK, {NULL, 0}, {NULL, 0}},
        {RB_HELP_HEADING, {NULL, 0}, RB_TEXT("Exit codes")},
        {RB_HELP_ITEM, RB_TEXT("0"), RB_TEXT("done")},
        {RB_HELP_ITEM, RB_TEXT("-c, --config FILE"), RB_TEXT("read this")},
        {RB_HELP_MORE, {NULL, 0}, RB_TEXT("one: file")},
        {RB_HELP_ITEM, RB_TEXT("--bare"), {NULL, 0}},
        {RB_HELP_ITEM, RB_TEXT("gap"), {NULL, 0}},
    };
    struct rb_help_line line;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_true(rb_help_next(&rest, &line));
        assert_int_equal(line.kind, wanted[i].kind);
        assert_true(rb_text_equal(line.tag, wanted[i].tag));
        assert_true(rb_text_equal(line.text, wanted[i].text));
    }
    assert_false(rb_help_next(&rest, &line));
    rest = RB_TEXT("");
    assert_false(rb_help_next(&rest, &line));
}

static void options_of_a_tag(void **state) {
    (void)state;
    struct rb_text tag = RB_TEXT("-c, --config FILE"), option;
    assert_true(rb_help_takes_value(tag));
    assert_true(rb_help_option(&tag, &option) && rb_text_is(option, "-c"));
    assert_true(rb_help_option(&tag, &option) && rb_text_is(option, "--config"));
    assert_false(rb_help_option(&tag, &option));
    tag = RB_TEXT("-v, --verbose");
    assert_false(rb_help_takes_value(tag));
    tag = RB_TEXT("SIGTERM, SIGINT");
    assert_false(rb_help_option(&tag, &option));
    tag = RB_TEXT("-");
    assert_false(rb_help_option(&tag, &option));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_all_kinds),
        cmocka_unit_test(options_of_a_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
