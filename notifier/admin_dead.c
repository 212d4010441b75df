/* GET /dead and /dead/<id>: the jobs that were given up. POST /dead/<id> queues one
 * again, DELETE drops it. */
#include <stdio.h>
#include <stdlib.h>

#include "config/clock.h"
#include "jobs/dead.h"
#include "jobs/name.h"
#include "notifier/admin.h"
#include "notifier/server.h"

#define LIST_STANDARD 50
#define LIST_MOST 1000
#define LIST_BYTES ((size_t)16 * 1024 * 1024)
#define LIST_AT_ONCE 100
#define LOOK_AT_ONCE 20 /* each may be of a megabyte */

enum then { SHOW, RETRY, DROP };

/* Looks for one, the newest first. */
struct search {
    struct rb_exchange *exchange;
    char id[RB_JOB_ID_MAX + 1];
    size_t from;
    enum then then;
};

static void fetch(struct rb_exchange *x, size_t from, size_t count, rb_link_reply_fn *fn,
                  void *ctx) {
    struct rb_server *server = rb_exchange_server(x);
    struct rb_key key;
    char first[24], last[24];
    rb_key_dead(rb_feed_keys(server->feed), &key);
    snprintf(first, sizeof first, "%zu", from);
    snprintf(last, sizeof last, "%zu", from + count - 1);
    const struct rb_text argv[] = {RB_TEXT("ZREVRANGE"), rb_key_text(&key),
                                   rb_text_of(first), rb_text_of(last),
                                   RB_TEXT("WITHSCORES")};
    rb_link_call(rb_feed_link(server->feed), 0, fn, ctx, 5, argv);
}

static bool is_range(const struct redisReply *reply) {
    return reply->type == REDIS_REPLY_ARRAY;
}

/* The i-th of a range; false when what is there is none. */
static bool member_at(const struct redisReply *range, size_t i, struct rb_text *member,
                      double *died_ms) {
    const struct redisReply *text = range->element[i], *score = range->element[i + 1];
    if (text->type != REDIS_REPLY_STRING || score->type != REDIS_REPLY_STRING)
        return false;
    *member = rb_text(text->str, text->len);
    *died_ms = strtod(score->str, NULL);
    return true;
}

/* ---- all ---- */

/* A page at a time: an answer of a thousand large jobs would break the link. */
struct listing {
    struct rb_exchange *exchange;
    size_t limit, from;
    size_t told;
    struct rb_buffer json;
};

static void listing_free(struct listing *l) {
    rb_exchange_release(l->exchange);
    rb_buffer_fini(&l->json);
    free(l);
}

static void list_more(struct listing *l);

static void take_page(struct listing *l, const struct redisReply *page) {
    for (size_t i = 0; i + 1 < page->elements; i += 2) {
        struct rb_text member;
        double died_ms;
        if (!member_at(page, i, &member, &died_ms))
            continue;
        if (l->told++ > 0)
            rb_buffer_char(&l->json, ',');
        rb_dead_write(&l->json, member, died_ms, RB_DEAD_NAMES);
    }
}

static void on_listed(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct listing *l = ctx;
    if (status != RB_OK || !is_range(reply)) {
        rb_admin_redis_failed(l->exchange, status,
                              status == RB_REFUSED ? reply->str : "");
        listing_free(l);
        return;
    }
    take_page(l, reply);
    l->from += LIST_AT_ONCE;
    if (reply->elements == 2 * LIST_AT_ONCE && l->from < l->limit &&
        !rb_exchange_gone(l->exchange)) {
        list_more(l);
        return;
    }
    rb_buffer_string(&l->json, "]}");
    rb_admin_answer_json(l->exchange, 200, &l->json, RB_TEXT(""));
    listing_free(l);
}

static void list_more(struct listing *l) {
    size_t left = l->limit - l->from;
    fetch(l->exchange, l->from, left < LIST_AT_ONCE ? left : LIST_AT_ONCE, on_listed, l);
}

void rb_admin_list_dead(struct rb_exchange *x, struct rb_text none) {
    struct rb_text query = rb_exchange_request(x)->query, raw;
    char text[16] = "";
    uint64_t limit = LIST_STANDARD;
    (void)none;
    if (rb_http_query_raw(query, "limit", &raw) &&
        (!rb_http_query(query, "limit", text, sizeof text) ||
         rb_text_uint64(rb_text_of(text), &limit) != RB_OK || limit < 1 ||
         limit > LIST_MOST)) {
        rb_exchange_problem(x, 400, "limit is a number from 1 to 1000.", RB_TEXT(""));
        return;
    }
    struct listing *l = calloc(1, sizeof *l);
    if (!l) {
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
        return;
    }
    l->exchange = rb_exchange_hold(x);
    l->limit = (size_t)limit;
    rb_buffer_init(&l->json, LIST_BYTES);
    rb_buffer_string(&l->json, "{\"dead\":[");
    list_more(l);
}

/* ---- one ---- */

static void end(struct search *s) {
    rb_exchange_release(s->exchange);
    free(s);
}

static void answer_missing(struct search *s) {
    rb_exchange_problem(s->exchange, 404, "No such job is among the dead.", RB_TEXT(""));
}

static void on_moved(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct search *s = ctx;
    if (status == RB_INVALID)
        rb_exchange_problem(s->exchange, 409, "What is there can't be queued again.",
                            RB_TEXT(""));
    else if (status != RB_OK)
        rb_admin_redis_failed(s->exchange, status, reply ? reply->str : "");
    else if (reply->integer == 1)
        rb_exchange_answer(s->exchange, s->then == RETRY ? 202 : 204, NULL, RB_TEXT(""),
                           RB_TEXT(""));
    else
        answer_missing(s);
    end(s);
}

static void found(struct search *s, struct rb_text member, double died_ms) {
    const struct rb_server *server = rb_exchange_server(s->exchange);
    struct rb_link *link = rb_feed_link(server->feed);
    const struct rb_keys *keys = rb_feed_keys(server->feed);
    struct rb_buffer json;
    if (s->then == RETRY) {
        rb_dead_retry(link, keys, member, rb_clock_unix_ms(), on_moved, s);
    } else if (s->then == DROP) {
        rb_dead_drop(link, keys, member, on_moved, s);
    } else {
        rb_buffer_init(&json, RB_DEAD_JSON_BYTES);
        rb_dead_write(&json, member, died_ms, RB_DEAD_JOB);
        rb_admin_answer_json(s->exchange, 200, &json, RB_TEXT(""));
        rb_buffer_fini(&json);
        end(s);
    }
}

static void on_range(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct search *s = ctx;
    if (status != RB_OK || !is_range(reply)) {
        rb_admin_redis_failed(s->exchange, status,
                              status == RB_REFUSED ? reply->str : "");
        end(s);
        return;
    }
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        struct rb_text member;
        double died_ms;
        if (member_at(reply, i, &member, &died_ms) &&
            rb_dead_is(member, rb_text_of(s->id))) {
            found(s, member, died_ms);
            return;
        }
    }
    if (reply->elements < 2 * LOOK_AT_ONCE) {
        answer_missing(s);
        end(s);
        return;
    }
    s->from += LOOK_AT_ONCE;
    fetch(s->exchange, s->from, LOOK_AT_ONCE, on_range, s);
}

static void search(struct rb_exchange *x, struct rb_text id, enum then then) {
    struct search *s = calloc(1, sizeof *s);
    if (!s) {
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
        return;
    }
    s->exchange = rb_exchange_hold(x);
    s->then = then;
    memcpy(s->id, id.at, id.len);
    fetch(x, 0, LOOK_AT_ONCE, on_range, s);
}

void rb_admin_show_dead(struct rb_exchange *x, struct rb_text id) { search(x, id, SHOW); }

void rb_admin_retry_dead(struct rb_exchange *x, struct rb_text id) {
    search(x, id, RETRY);
}

void rb_admin_drop_dead(struct rb_exchange *x, struct rb_text id) { search(x, id, DROP); }
