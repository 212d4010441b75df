/* Keeps book of callbacks: every command gets a page, and each must be called once. */
#ifndef RB_TESTS_BOOK_H
#define RB_TESTS_BOOK_H

#include <stdlib.h>
#include <string.h>

#include "jobs/link.h"

struct book;
struct page {
    struct book *book;
    int calls;
    enum rb_status status;
    int type; /* of the reply; 0 = NULL */
    long long integer;
    char text[120];
};

struct book {
    int asked, answered;
    int by_status[RB_STATUSES];
    int room;
    struct page *pages;
    bool inside; /* of rb_link_call: no callback may come */
    /* Called for each answer, behind the bookkeeping. May be NULL. */
    void (*then)(struct page *page, void *ctx);
    void *ctx;
};

static inline void book_open(struct book *book, int room) {
    *book = (struct book){.room = room};
    book->pages = calloc((size_t)room, sizeof *book->pages);
    if (!book->pages)
        abort();
}

static inline void book_close(struct book *book) { free(book->pages); }

static inline void book_answer(void *ctx, enum rb_status status,
                               const struct redisReply *reply) {
    struct page *page = ctx;
    struct book *book = page->book;
    assert_false(book->inside);
    assert_int_equal(page->calls, 0);
    assert_true((status == RB_OK || status == RB_REFUSED) == (reply != NULL));
    page->calls++;
    page->status = status;
    if (reply) {
        page->type = reply->type;
        page->integer = reply->integer;
        if (reply->str)
            snprintf(page->text, sizeof page->text, "%s", reply->str);
    }
    book->answered++;
    book->by_status[status]++;
    if (book->then)
        book->then(page, book->ctx);
}

static inline struct page *book_page(struct book *book) {
    assert_true(book->asked < book->room);
    struct page *page = &book->pages[book->asked++];
    page->book = book;
    return page;
}

/* Sends the words, separated by single spaces. */
static inline struct page *book_ask(struct book *book, struct rb_link *link,
                                    int64_t timeout_ms, const char *words) {
    struct rb_text argv[8], rest = rb_text_of(words);
    size_t argc = 0;
    while (argc < 8 && rb_text_next(&rest, ' ', &argv[argc]))
        argc++;
    struct page *page = book_page(book);
    book->inside = true;
    rb_link_call(link, timeout_ms, book_answer, page, argc, argv);
    book->inside = false;
    return page;
}

#endif
