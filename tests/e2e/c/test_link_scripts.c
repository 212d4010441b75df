/* Script calls over the link: what Redis does not know yet is said again with its source,
 * each call with the keys and arguments that it had. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/log.h"
#include "jobs/scripts.h"
#include "link_bench.h"

#define SOURCE "return KEYS[1] .. ' ' .. ARGV[1] .. ' ' .. #ARGV[2]"
static const struct rb_script script = {
    .name = "test.lua",
    .source = SOURCE,
    .len = sizeof SOURCE - 1,
    .sha1 = "bb5e7fa035cb385c8539490f1a8b575828f8b5fc",
};

static char padding[3000];

/* With arguments of many lengths. */
static struct page *call(struct bench *b, int number) {
    char key[24], digits[24];
    snprintf(key, sizeof key, "k%d", number);
    snprintf(digits, sizeof digits, "%d", number);
    const struct rb_text keys[] = {rb_text_of(key)};
    const struct rb_text args[] = {rb_text_of(digits),
                                   rb_text(padding, (size_t)number * 7 % sizeof padding)};
    struct page *page = book_page(&b->book);
    rb_link_script(b->link, &script, 1, keys, 2, args, book_answer, page);
    return page;
}

static void assert_own(const struct page *page, int number) {
    char expected[120];
    snprintf(expected, sizeof expected, "k%d %d %zu", number, number,
             (size_t)number * 7 % sizeof padding);
    assert_int_equal(page->status, RB_OK);
    assert_string_equal(page->text, expected);
}

static void test_a_call_is_answered(void **state) {
    struct bench *b = *state;
    come_up(b);
    struct page *first = call(b, 1);
    run_until_answered(b);
    struct page *second = call(b, 2); /* it is known now */
    run_until_answered(b);
    assert_own(first, 1);
    assert_own(second, 2);
    assert_true(server_number(&b->server, "EXISTS k1") == 0);
}

static void test_many_are_said_again(void **state) {
    struct bench *b = *state;
    struct page *pages[1000];
    come_up(b);
    for (int i = 0; i < 1000; i++) {
        pages[i] = call(b, i);
        if (i % 3 == 0)
            book_ask(&b->book, b->link, 0, "INCR n");
    }
    run_until_answered(b);
    for (int i = 0; i < 1000; i++)
        assert_own(pages[i], i);
    assert_string_equal(server_text(&b->server, "GET n"), "334");
}

struct again {
    struct bench *bench;
    int left;
};

/* Half of the calls come from inside the answers to others, and the script is forgotten
 * now and then. */
static void call_again(struct page *page, void *ctx) {
    struct again *again = ctx;
    (void)page;
    if (again->left == 0)
        return;
    if (again->left-- % 50 == 0)
        server_do(&again->bench->server, "SCRIPT FLUSH");
    call(again->bench, again->left);
}

static void test_calls_from_inside_answers(void **state) {
    struct bench *b = *state;
    struct again again = {.bench = b, .left = 500};
    come_up(b);
    b->book.then = call_again;
    b->book.ctx = &again;
    for (int i = 0; i < 500; i++)
        call(b, i);
    run_until_count(b->loop, &b->book.answered, 1000);
    run_until_answered(b);
    for (int i = 0; i < 500; i++)
        assert_own(&b->book.pages[i], i);
    for (int i = 500; i < 1000; i++)
        assert_own(&b->book.pages[i], 999 - i);
}

static void test_a_loss_forgets_what_was_said(void **state) {
    struct bench *b = *state;
    come_up(b);
    for (int i = 0; i < 100; i++)
        call(b, i);
    rb_link_reset(b->link, "a test");
    run_until_answered(b);
    assert_int_equal(b->book.by_status[RB_UNAVAILABLE], 100);
    run_until(b->loop, &b->up);
    server_do(&b->server, "SCRIPT FLUSH");
    struct page *page = call(b, 400);
    run_until_answered(b);
    assert_own(page, 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_a_call_is_answered),
        WITH_SERVER(test_many_are_said_again),
        WITH_SERVER(test_calls_from_inside_answers),
        WITH_SERVER(test_a_loss_forgets_what_was_said),
    };
    memset(padding, 'x', sizeof padding);
    rb_log_setup("test", (enum rb_log_level)(RB_LOG_ERROR + 1), RB_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
