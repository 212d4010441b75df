/* GET /channels: those of which events are kept, as Redis scans its keys, and those that
 * somebody waits on, as all processes of all notifiers tell. */
#include <stdio.h>
#include <stdlib.h>

#include "jobs/name.h"
#include "notifier/admin.h"
#include "notifier/admin_query.h"
#include "notifier/server.h"
#include "notifier/survey.h"

#define LIST_STANDARD 100
#define LIST_MOST 1000
#define LIST_BYTES ((size_t)16 * 1024 * 1024)
#define SCAN_COUNT                                                                       \
    "1000"       /* keys that Redis looks at in one go: well below a millisecond */
#define SCANS 50 /* then the client goes on: few of many keys may fit */

/* ---- what is kept ---- */

struct scan {
    struct rb_exchange *exchange;
    uint64_t limit, found;
    unsigned scans;
    char cursor[24];
    struct rb_buffer pattern, json;
};

static void scan_free(struct scan *s) {
    rb_exchange_release(s->exchange);
    rb_buffer_fini(&s->pattern);
    rb_buffer_fini(&s->json);
    free(s);
}

static void scan_more(struct scan *s);

static void take_keys(struct scan *s, const struct redisReply *keys) {
    const struct rb_keys *names = rb_feed_keys(rb_exchange_server(s->exchange)->feed);
    for (size_t i = 0; i < keys->elements; i++) {
        const struct redisReply *key = keys->element[i];
        struct rb_text channel;
        if (key->type != REDIS_REPLY_STRING ||
            !rb_key_parse_channel(names, rb_text(key->str, key->len), &channel) ||
            !rb_name_is_channel(channel))
            continue;
        rb_buffer_printf(&s->json, "%s{\"channel\":\"" RB_TEXT_FMT "\"}",
                         s->found++ > 0 ? "," : "", RB_TEXT_ARG(channel));
    }
}

/* {cursor, {key, …}} */
static bool is_page(const struct redisReply *reply) {
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
           reply->element[0]->type == REDIS_REPLY_STRING &&
           reply->element[0]->len < sizeof((struct scan *)0)->cursor &&
           reply->element[1]->type == REDIS_REPLY_ARRAY;
}

static void on_scanned(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct scan *s = ctx;
    if (status != RB_OK || !is_page(reply)) {
        rb_admin_redis_failed(s->exchange, status == RB_OK ? RB_INVALID : status,
                              status == RB_REFUSED ? reply->str : "");
        scan_free(s);
        return;
    }
    memcpy(s->cursor, reply->element[0]->str, reply->element[0]->len + 1);
    take_keys(s, reply->element[1]);
    bool end = strcmp(s->cursor, "0") == 0;
    if (!end && s->found < s->limit && ++s->scans < SCANS &&
        !rb_exchange_gone(s->exchange)) {
        scan_more(s);
        return;
    }
    if (end)
        rb_buffer_string(&s->json, "],\"cursor\":null}");
    else
        rb_buffer_printf(&s->json, "],\"cursor\":\"%s\"}", s->cursor);
    rb_admin_answer_json(s->exchange, 200, &s->json, RB_TEXT(""));
    scan_free(s);
}

static void scan_more(struct scan *s) {
    struct rb_server *server = rb_exchange_server(s->exchange);
    const struct rb_text argv[] = {RB_TEXT("SCAN"),  rb_text_of(s->cursor),
                                   RB_TEXT("MATCH"), rb_buffer_view(&s->pattern),
                                   RB_TEXT("COUNT"), RB_TEXT(SCAN_COUNT),
                                   RB_TEXT("TYPE"),  RB_TEXT("stream")};
    rb_link_call(rb_feed_link(server->feed), 0, on_scanned, s, 8, argv);
}

/* The keys of channels with that name, or whose names begin so. */
static void write_pattern(struct scan *s, struct rb_text match) {
    const struct rb_keys *names = rb_feed_keys(rb_exchange_server(s->exchange)->feed);
    bool open = match.at[match.len - 1] == '*';
    struct rb_key key;
    /* All that a channel's key has behind the name is its brace. */
    rb_key_channel(names, rb_text(match.at, match.len - open), &key);
    rb_admin_glob_escape(&s->pattern, rb_text(key.at, key.len - 1));
    rb_buffer_string(&s->pattern, open ? "*}" : "}");
}

static void list_kept(struct rb_exchange *x, struct rb_text match, uint64_t limit,
                      const char *cursor) {
    struct scan *s = calloc(1, sizeof *s);
    uint64_t number = 0;
    if (cursor[0] != '\0' && rb_text_uint64(rb_text_of(cursor), &number) != RB_OK) {
        rb_exchange_problem(x, 400, "cursor is one that was answered.", RB_TEXT(""));
        free(s);
        return;
    }
    if (!s) {
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
        return;
    }
    s->exchange = rb_exchange_hold(x);
    s->limit = limit;
    /* Written anew: as it came it may have any number of zeros in front. */
    snprintf(s->cursor, sizeof s->cursor, "%llu", (unsigned long long)number);
    rb_buffer_init(&s->pattern, (size_t)4 * RB_KEY_MAX);
    rb_buffer_init(&s->json, LIST_BYTES);
    rb_buffer_string(&s->json, "{\"channels\":[");
    write_pattern(s, match);
    scan_more(s);
}

/* ---- what is waited on ---- */

struct found {
    struct rb_text name;
    uint64_t waiters;
};

/* The first `limit` of the names behind `after`. There is room for twice as many: when it
 * is full the larger half goes. */
struct first {
    struct rb_text match, after;
    size_t limit, count;
    bool more; /* some did not fit */
    struct found *found;
};

static int compare_text(struct rb_text a, struct rb_text b) {
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.at, b.at, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare(const void *a, const void *b) {
    return compare_text(((const struct found *)a)->name, ((const struct found *)b)->name);
}

static void sort_and_cut(struct first *f) {
    if (f->count > 1)
        qsort(f->found, f->count, sizeof *f->found, compare);
    f->more = f->more || f->count > f->limit;
    f->count = f->count > f->limit ? f->limit : f->count;
}

static void look_at(void *ctx, struct rb_text name, size_t waiters) {
    struct first *f = ctx;
    struct rb_text match = f->match;
    bool open = match.at[match.len - 1] == '*';
    if (open ? !rb_text_starts(name, rb_text(match.at, match.len - 1))
             : !rb_text_equal(name, match))
        return;
    if (f->after.len > 0 && compare_text(name, f->after) <= 0)
        return;
    f->found[f->count++] = (struct found){name, waiters};
    if (f->count == 2 * f->limit)
        sort_and_cut(f);
}

static void write_found(const struct first *f, struct rb_buffer *out) {
    rb_buffer_string(out, "{\"channels\":[");
    for (size_t i = 0; i < f->count; i++)
        rb_buffer_printf(out, "%s{\"channel\":\"" RB_TEXT_FMT "\",\"waiters\":%llu}",
                         i > 0 ? "," : "", RB_TEXT_ARG(f->found[i].name),
                         (unsigned long long)f->found[i].waiters);
    rb_buffer_char(out, ']');
}

void rb_survey_channels(struct rb_server *server, const json_t *question,
                        struct rb_buffer *out) {
    json_int_t limit = json_integer_value(json_object_get(question, "limit"));
    struct first f = {.match = rb_survey_text(question, "match"),
                      .after = rb_survey_text(question, "after")};
    if (limit < 1 || limit > LIST_MOST || f.match.len == 0)
        return;
    f.limit = (size_t)limit;
    f.found = malloc(2 * f.limit * sizeof *f.found);
    if (!f.found)
        return;
    rb_channels_each(server->channels, look_at, &f);
    sort_and_cut(&f);
    write_found(&f, out);
    rb_buffer_printf(out, ",\"more\":%s}", f.more ? "true" : "false");
    free(f.found);
}

struct asked {
    struct rb_exchange *exchange;
    size_t limit;
};

/* Each process has given its first ones in order, so that the first of all are among
 * them. */
static void collect(struct first *f, const json_t *answers) {
    const json_t *answer, *entry;
    size_t i, j, kept = 0;
    json_array_foreach(answers, i, answer) {
        f->more = f->more || json_is_true(json_object_get(answer, "more"));
        json_array_foreach(json_object_get(answer, "channels"), j, entry)
            f->found[f->count++] = (struct found){
            rb_survey_text(entry, "channel"),
            (uint64_t)json_integer_value(json_object_get(entry, "waiters"))};
    }
    if (f->count > 1)
        qsort(f->found, f->count, sizeof *f->found, compare);
    for (i = 0; i < f->count; i++) {
        if (kept > 0 && rb_text_equal(f->found[kept - 1].name, f->found[i].name))
            f->found[kept - 1].waiters += f->found[i].waiters;
        else
            f->found[kept++] = f->found[i];
    }
    f->more = f->more || kept > f->limit;
    f->count = kept > f->limit ? f->limit : kept;
}

static size_t count_entries(const json_t *answers) {
    const json_t *answer;
    size_t i, count = 0;
    json_array_foreach(answers, i, answer) count +=
        json_array_size(json_object_get(answer, "channels"));
    return count;
}

static void on_surveyed(void *ctx, enum rb_status status, const json_t *answers,
                        bool complete) {
    struct asked *a = ctx;
    struct first f = {.limit = a->limit};
    struct rb_buffer json;
    rb_buffer_init(&json, LIST_BYTES);
    f.found = malloc((count_entries(answers) + 1) * sizeof *f.found);
    if (status != RB_OK) {
        rb_admin_redis_failed(a->exchange, status, "");
    } else if (!f.found) {
        rb_exchange_problem(a->exchange, 503, "Out of memory.",
                            RB_TEXT("Retry-After: 1\r\n"));
    } else {
        collect(&f, answers);
        write_found(&f, &json);
        rb_buffer_string(&json, ",\"cursor\":");
        if (f.more && f.count > 0)
            rb_buffer_json(&json, f.found[f.count - 1].name);
        else
            rb_buffer_string(&json, "null");
        rb_buffer_printf(&json, ",\"complete\":%s}", complete ? "true" : "false");
        rb_admin_answer_json(a->exchange, 200, &json, RB_TEXT(""));
    }
    free(f.found);
    rb_buffer_fini(&json);
    rb_exchange_release(a->exchange);
    free(a);
}

static void list_waited(struct rb_exchange *x, struct rb_text match, uint64_t limit,
                        const char *cursor) {
    struct rb_buffer question;
    if (cursor[0] != '\0' && !rb_name_is_channel(rb_text_of(cursor))) {
        rb_exchange_problem(x, 400, "cursor is one that was answered.", RB_TEXT(""));
        return;
    }
    struct asked *a = calloc(1, sizeof *a);
    if (!a) {
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT("Retry-After: 1\r\n"));
        return;
    }
    a->exchange = rb_exchange_hold(x);
    a->limit = (size_t)limit;
    rb_buffer_init(&question, RB_SURVEY_QUESTION_BYTES);
    rb_buffer_printf(&question,
                     "{\"ask\":\"channels\",\"match\":\"" RB_TEXT_FMT
                     "\",\"after\":\"%s\",\"limit\":%llu}",
                     RB_TEXT_ARG(match), cursor, (unsigned long long)limit);
    rb_survey_ask(rb_exchange_server(x)->survey, rb_buffer_view(&question), on_surveyed,
                  a);
    rb_buffer_fini(&question);
}

/* ---- the request ---- */

void rb_admin_list_channels(struct rb_exchange *x, struct rb_text none) {
    struct rb_text query = rb_exchange_request(x)->query, raw;
    char match[RB_CHANNEL_MAX + 2] = "*", cursor[RB_CHANNEL_MAX + 1] = "",
                                state[16] = "kept";
    uint64_t limit;
    const char *problem = NULL;
    (void)none;
    if (rb_http_query_raw(query, "match", &raw) &&
        (!rb_http_query(query, "match", match, sizeof match) ||
         !rb_admin_is_pattern(rb_text_of(match))))
        problem = "match is a channel's name, or the beginning of one and *.";
    else if (rb_http_query_raw(query, "cursor", &raw) &&
             !rb_http_query(query, "cursor", cursor, sizeof cursor))
        problem = "cursor is one that was answered.";
    else if (rb_http_query_raw(query, "state", &raw) &&
             (!rb_http_query(query, "state", state, sizeof state) ||
              (strcmp(state, "kept") != 0 && strcmp(state, "waiting") != 0)))
        problem = "state is kept or waiting.";
    else if (!rb_admin_limit(query, LIST_STANDARD, LIST_MOST, &limit))
        problem = "limit is a number from 1 to 1000.";
    if (problem)
        rb_exchange_problem(x, 400, problem, RB_TEXT(""));
    else if (state[0] == 'w')
        list_waited(x, rb_text_of(match), limit, cursor);
    else
        list_kept(x, rb_text_of(match), limit, cursor);
}
