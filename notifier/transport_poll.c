/* Long-poll: answers as soon as there is one event, with all that are there. */
#include <stdlib.h>
#include <string.h>

#include "notifier/exchange_core.h"
#include "notifier/receipt.h"
#include "notifier/transport.h"

/* An event is there, and more of the history is on its way: not waited for longer. */
#define GATHER_MS 200
#define BESIDE 256 /* bytes of an answer beside fields, cursors and events, at most */

/* Events, joined by commas. */
struct several {
    size_t len, room;
    char at[];
};

struct poll {
    struct rb_exchange *exchange; /* held */
    struct rb_bytes *first;       /* of the events; NULL: none yet */
    struct several *all;          /* NULL: there are no more than the first */
    struct rb_receipt *receipt;   /* of those that are terminal */
    struct rb_bytes *fields;      /* Cache-Control, CORS */
    bool until_done;
    bool gathering;  /* there is a time for more events to come */
    char callback[]; /* "": JSON, else JSONP */
};

static void poll_free(struct poll *poll) {
    rb_exchange_release(poll->exchange);
    rb_receipt_unref(poll->receipt);
    rb_bytes_unref(poll->first);
    free(poll->all);
    rb_bytes_unref(poll->fields);
    free(poll);
}

static struct rb_text events_of(const struct poll *poll) {
    if (poll->all)
        return rb_text(poll->all->at, poll->all->len);
    return poll->first ? rb_text(poll->first->at, poll->first->len) : RB_TEXT("");
}

/* The connection is HTTP again, with the exchange that is about to be answered. */
static struct rb_exchange *stop_waiting(struct rb_connection *c) {
    struct poll *poll = c->work;
    rb_connection_unsubscribe_all(c);
    rb_connection_set_role(c, &rb_role_http, poll->exchange);
    return poll->exchange;
}

/* Cursor, fields and body one behind the other, in the server's scratch. */
struct parts {
    struct rb_buffer *in;
    size_t fields, body; /* where they begin; the cursor begins at 0 */
};

static struct rb_text part(const struct parts *parts, size_t from, size_t to) {
    return rb_text(parts->in->at + from, to - from);
}

static void build(const struct rb_connection *c, struct parts *parts) {
    const struct poll *poll = c->work;
    struct rb_text events = events_of(poll);
    struct rb_buffer *out = parts->in;
    rb_buffer_clear(out);
    rb_transport_cursor(c, out);
    parts->fields = out->len;
    /* Room first: the cursor is read from the same bytes. */
    (void)rb_buffer_reserve(out, parts->fields * 3 + poll->fields->len + events.len * 2 +
                                     BESIDE);
    rb_buffer_string(out, "ETag: \"");
    rb_buffer_text(out, part(parts, 0, parts->fields));
    rb_buffer_string(out, "\"\r\n");
    rb_buffer_text(out, rb_text(poll->fields->at, poll->fields->len));
    if (poll->callback[0])
        rb_buffer_string(out, "X-Content-Type-Options: nosniff\r\n");
    parts->body = out->len;
    if (out->status == RB_OK && (poll->first || poll->callback[0]))
        rb_encode_poll(out, events, part(parts, 0, parts->fields), poll->callback);
}

/* A script that is not there is an error to a page: JSONP is always answered with one. */
static void answer(struct rb_connection *c) {
    struct poll *poll = c->work;
    struct parts parts = {.in = &c->server->scratch};
    bool script = poll->callback[0] != '\0';
    bool bodiless = !poll->first && !script;
    build(c, &parts);
    struct rb_exchange *x = stop_waiting(c);
    if (parts.in->status != RB_OK)
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
    else
        rb_exchange_answer(x, bodiless ? 204 : 200,
                           script ? "text/javascript; charset=utf-8" : "application/json",
                           part(&parts, parts.body, parts.in->len),
                           part(&parts, parts.fields, parts.body));
    if (poll->receipt && c->out)
        rb_out_receipt(c->out, poll->receipt);
    poll_free(poll);
}

static bool all_live(const struct rb_connection *c) {
    for (const struct rb_subscription *s = c->subscriptions; s; s = s->sibling)
        if (!rb_subscription_live(s))
            return false;
    return true;
}

static bool is_full(const struct rb_connection *c) {
    const struct poll *poll = c->work;
    return events_of(poll).len > (size_t)c->server->settings->notifier.max_queue / 2;
}

/* What came in this turn is answered together; history that is being read is waited for,
 * as far as it fits. */
static void poll_turn(struct rb_connection *c) {
    struct poll *poll = c->work;
    bool done = poll->until_done && rb_transport_all_marked(c, RB_MARK_DONE);
    if (done || (poll->first && (is_full(c) || all_live(c)))) {
        answer(c);
    } else if (poll->first && !poll->gathering) {
        poll->gathering = true;
        rb_connection_timer(c, GATHER_MS);
    }
}

static void poll_timeout(struct rb_connection *c) { answer(c); }

static void poll_bytes(struct rb_connection *c, char *bytes, size_t len) {
    const struct poll *poll = c->work;
    rb_exchange_ahead(poll->exchange, bytes, len);
}

static void poll_leave(struct rb_connection *c) {
    struct poll *poll = c->work;
    c->work = NULL;
    rb_exchange_detach(poll->exchange);
    poll_free(poll);
}

static void poll_refuse(struct rb_connection *c, const char *why) {
    (void)why;
    answer(c);
}

static const struct rb_role role = {.name = "poll",
                                    .gauge = RB_COUNT_CONNECTIONS_POLL,
                                    .bytes = poll_bytes,
                                    .timeout = poll_timeout,
                                    .turn = poll_turn,
                                    .leave = poll_leave,
                                    .stop = poll_timeout,
                                    .refuse = poll_refuse};

/* --- what it hears --- */

/* As a rule one is all that is answered with, and it is shared by all who hear it. */
static bool add_event(struct rb_server *server, struct poll *poll,
                      struct rb_bytes *event) {
    if (!poll->first) {
        poll->first = rb_bytes_ref(event);
        return true;
    }
    struct rb_text events = events_of(poll);
    size_t needed = events.len + 1 + event->len, room = poll->all ? poll->all->room : 0;
    if (needed > room) {
        room = room * 2 > needed ? room * 2 : needed;
        struct several *all = realloc(poll->all, sizeof *all + room);
        if (!all)
            return false;
        if (!poll->all)
            memcpy(all->at, events.at, events.len);
        all->room = room;
        poll->all = all;
    }
    poll->all->at[events.len] = ',';
    memcpy(poll->all->at + events.len + 1, event->at, event->len);
    poll->all->len = needed;
    server->gathered += event->len;
    return true;
}

static void deliver(struct rb_subscription *s, struct rb_delivery *delivery) {
    struct rb_connection *c = s->owner;
    struct poll *poll = c->work;
    struct rb_bytes *event = rb_transport_encoded(c, delivery, RB_ENCODING_POLL);
    if (!event || !add_event(c->server, poll, event)) {
        rb_connection_doom(c, RB_COUNT_CLOSED_MEMORY, "out of memory");
        return;
    }
    poll->receipt =
        rb_receipt_join(poll->receipt, rb_receipt_of(c->server->receipts, delivery));
    rb_count(c->server, RB_COUNT_DELIVERED_POLL, 1);
    rb_connection_touch(c);
    if (delivery->terminal && poll->until_done)
        rb_transport_done(s);
}

static void verified(struct rb_subscription *s, bool finished) {
    struct rb_connection *c = s->owner;
    const struct poll *poll = c->work;
    if (finished && poll->until_done)
        rb_transport_done(s);
}

static void live(struct rb_subscription *s) {
    struct rb_connection *c = s->owner;
    const struct poll *poll = c->work;
    if (poll->first)
        rb_connection_touch(c);
}

static bool full(const struct rb_subscription *s) { return is_full(s->owner); }

static const struct rb_sink sink = {.deliver = deliver,
                                    .verified = verified,
                                    .live = live,
                                    .failed = rb_transport_failed,
                                    .full = full};

/* The fields of its answer, shared with the polls before that have the same. */
static struct rb_bytes *keep_fields(struct rb_exchange *x) {
    struct rb_server *server = rb_exchange_server(x);
    struct rb_bytes *last = server->poll_fields;
    rb_buffer_clear(&server->scratch);
    rb_transport_fields(x, &server->scratch);
    struct rb_text fields = rb_buffer_view(&server->scratch);
    if (server->scratch.status != RB_OK)
        return NULL;
    if (last && rb_text_equal(rb_text(last->at, last->len), fields))
        return rb_bytes_ref(last);
    struct rb_bytes *kept = rb_bytes_new(fields);
    if (kept) {
        rb_bytes_unref(last);
        server->poll_fields = rb_bytes_ref(kept);
    }
    return kept;
}

static struct poll *poll_new(struct rb_exchange *x, const struct rb_wait *wait) {
    size_t callback = strlen(wait->callback) + 1;
    struct poll *poll = calloc(1, sizeof *poll + callback);
    struct rb_bytes *fields = keep_fields(x);
    if (!poll || !fields) {
        free(poll);
        rb_bytes_unref(fields);
        return NULL;
    }
    memcpy(poll->callback, wait->callback, callback);
    poll->fields = fields;
    poll->until_done = wait->until_done;
    return poll;
}

static void begin(struct rb_exchange *x, const struct rb_wait *wait) {
    struct rb_connection *c = rb_exchange_waiter(x);
    struct poll *poll = c ? poll_new(x, wait) : NULL;
    if (!poll) {
        rb_exchange_problem(x, 503, "Out of memory.", RB_TEXT(""));
        return;
    }
    poll->exchange = rb_exchange_hold(x);
    rb_exchange_drop_request(x);
    rb_connection_set_role(c, &role, poll);
    rb_connection_timer(
        c, rb_server_jitter(c->server, c->server->settings->notifier.poll_timeout));
    rb_transport_subscribe(c, wait, &sink);
}

const struct rb_transport rb_transport_poll = {
    .name = "poll", .content_type = "application/json", .begin = begin};
