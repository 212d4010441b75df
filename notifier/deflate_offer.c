/* Agreeing on permessage-deflate (RFC 7692 §5 and §7.1). */
#include "notifier/deflate.h"

#define WINDOW_MIN 8
#define WINDOW_MAX 15

/* One offer while it is read. */
struct offer {
    struct rb_deflate_terms terms;
    bool server_alone, client_alone, server_window, client_window; /* seen already */
};

/* "8" to "15", without a zero before it; 0 else. */
static unsigned read_window(struct rb_text value) {
    uint64_t bits;
    if (value.len == 0 || value.len > 2 || value.at[0] == '0' ||
        rb_text_uint64(value, &bits) != RB_OK || bits < WINDOW_MIN || bits > WINDOW_MAX)
        return 0;
    return (unsigned)bits;
}

/* True the first time. */
static bool once(bool *seen) {
    bool first = !*seen;
    *seen = true;
    return first;
}

/* value.at is NULL where there is none. That the client's window is bounded does not
 * matter here: what fits into a smaller window fits into ours. */
static bool take_parameter(struct offer *o, struct rb_text name, struct rb_text value) {
    if (rb_text_is(name, "server_no_context_takeover"))
        return once(&o->server_alone) && !value.at;
    if (rb_text_is(name, "client_no_context_takeover"))
        return once(&o->client_alone) && !value.at;
    if (rb_text_is(name, "client_max_window_bits"))
        return once(&o->client_window) && (!value.at || read_window(value) > 0);
    if (!rb_text_is(name, "server_max_window_bits"))
        return false;
    o->terms.window = read_window(value);
    o->terms.named = true;
    return once(&o->server_window) && o->terms.window > 0;
}

static struct rb_text unquote(struct rb_text value) {
    bool quoted = value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"';
    return quoted ? rb_text(value.at + 1, value.len - 2) : value;
}

static bool read_offer(struct rb_text text, struct rb_deflate_terms *terms) {
    struct offer o = {.terms = {.window = WINDOW_MAX}};
    struct rb_text part, name;
    if (text.len > 0 && text.at[text.len - 1] == ';')
        return false;
    if (!rb_http_next(&text, ';', &part) || !rb_text_is(part, "permessage-deflate"))
        return false;
    while (rb_http_next(&text, ';', &part)) {
        struct rb_text value = {NULL, 0};
        const char *equals = part.len > 0 ? memchr(part.at, '=', part.len) : NULL;
        name = part;
        if (equals) {
            name = rb_text(part.at, (size_t)(equals - part.at));
            value = unquote(rb_text(equals + 1, part.len - name.len - 1));
        }
        if (!take_parameter(&o, name, value))
            return false;
    }
    *terms = o.terms;
    return true;
}

struct rb_deflate_terms rb_deflate_choose_of(struct rb_text offers) {
    struct rb_deflate_terms terms = {0};
    struct rb_text offer;
    while (rb_http_next(&offers, ',', &offer))
        if (read_offer(offer, &terms))
            return terms;
    return (struct rb_deflate_terms){0};
}

struct rb_deflate_terms rb_deflate_choose(const struct rb_http_request *request) {
    struct rb_deflate_terms terms = {0};
    for (size_t i = 0; i < request->header_count && terms.window == 0; i++)
        if (rb_text_equal_nocase(request->headers[i].name,
                                 RB_TEXT("sec-websocket-extensions")))
            terms = rb_deflate_choose_of(request->headers[i].value);
    return terms;
}

/* Context takeover is refused to both sides, asked for or not (RFC 7692 §7.1.1). */
void rb_deflate_answer(struct rb_deflate_terms terms, struct rb_buffer *fields) {
    if (terms.window == 0)
        return;
    rb_buffer_string(fields, "Sec-WebSocket-Extensions: permessage-deflate; "
                             "server_no_context_takeover; client_no_context_takeover");
    if (terms.named)
        rb_buffer_printf(fields, "; server_max_window_bits=%u", terms.window);
    rb_buffer_string(fields, "\r\n");
}
