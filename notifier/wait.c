/* From a request for /wait/… to what it asks for. */
#include "notifier/wait.h"

#include "notifier/me.h"

#define CURSOR_MAX (RB_WAIT_CHANNELS * (RB_STREAM_ID_MAX + 1))
#define LIST_MAX (RB_WAIT_CHANNELS * (RB_CHANNEL_MAX + 1) + 1)

static int wrong(const char **problem, int status, const char *text) {
    *problem = text;
    return status;
}

/* Takes the next item of a comma list, also an empty one at its end. */
static bool next_item(struct rb_text *rest, bool *more, struct rb_text *item) {
    if (!*more)
        return false;
    const char *comma = rest->len > 0 ? memchr(rest->at, ',', rest->len) : NULL;
    size_t len = comma ? (size_t)(comma - rest->at) : rest->len;
    *item = rb_text(rest->at, len);
    *more = comma != NULL;
    if (comma)
        *rest = rb_text(comma + 1, rest->len - len - 1);
    return true;
}

static int add_session(const struct rb_http_request *request, struct rb_text cookie_name,
                       char *channel, const char **problem) {
    static const char prefix[] = "session:";
    char name[256];
    if (cookie_name.len == 0 || cookie_name.len >= sizeof name)
        return wrong(problem, 403, "@session is not available here.");
    memcpy(name, cookie_name.at, cookie_name.len);
    name[cookie_name.len] = '\0';
    struct rb_text value = rb_http_cookie(request, name);
    if (value.len == 0)
        return wrong(problem, 403, "@session needs the session cookie.");
    if (value.len > RB_CHANNEL_MAX - (sizeof prefix - 1) || !rb_name_is_channel(value))
        return wrong(problem, 403, "The session cookie's value is no channel name.");
    memcpy(channel, prefix, sizeof prefix - 1);
    memcpy(channel + sizeof prefix - 1, value.at, value.len);
    channel[sizeof prefix - 1 + value.len] = '\0';
    return 0;
}

static int read_channels(const struct rb_http_request *request,
                         struct rb_text session_cookie, struct rb_wait *wait,
                         const char **problem) {
    static const char prefix[] = "/wait/";
    char decoded[LIST_MAX];
    struct rb_text path = request->path, item;
    size_t len;
    bool more = true;

    if (!rb_text_starts(path, rb_text_of(prefix)))
        return wrong(problem, 404, "Nothing is here.");
    path = rb_text(path.at + sizeof prefix - 1, path.len - (sizeof prefix - 1));
    enum rb_status status = rb_http_decode(path, decoded, sizeof decoded, &len);
    if (status != RB_OK)
        return wrong(problem, 400,
                     status == RB_TOO_LARGE ? "The list of channels is too long."
                                            : "The path has a broken escape.");
    struct rb_text rest = rb_text(decoded, len);
    while (next_item(&rest, &more, &item)) {
        if (wait->count == RB_WAIT_CHANNELS)
            return wrong(problem, 400, "At most 16 channels can be waited on at once.");
        char *channel = wait->channels[wait->count];
        if (rb_text_is(item, "@session")) {
            int failed = add_session(request, session_cookie, channel, problem);
            if (failed != 0)
                return failed;
        } else {
            if (!rb_name_is_channel(item))
                return wrong(problem, 400,
                             "A channel's name is 1 to 128 of A-Z a-z 0-9 _ . : @ = ~ "
                             "and -.");
            memcpy(channel, item.at, item.len);
            channel[item.len] = '\0';
        }
        for (size_t i = 0; i < wait->count; i++)
            if (strcmp(wait->channels[i], channel) == 0)
                return wrong(problem, 400, "A channel is named twice.");
        wait->count++;
    }
    return 0;
}

static int read_transport(const struct rb_http_request *request, struct rb_wait *wait,
                          const char **problem) {
    struct rb_text mode;
    if (request->upgrade_websocket) {
        wait->transport = RB_TRANSPORT_WEBSOCKET;
        return 0;
    }
    wait->transport = RB_TRANSPORT_POLL;
    for (size_t i = 0; i < request->header_count; i++)
        if (rb_text_equal_nocase(request->headers[i].name, RB_TEXT("accept")) &&
            rb_http_accepts(request->headers[i].value, "text/event-stream"))
            wait->transport = RB_TRANSPORT_SSE;
    if (!rb_http_query_raw(request->query, "mode", &mode))
        return 0;
    if (rb_text_is(mode, "stream"))
        wait->transport = RB_TRANSPORT_STREAM;
    else if (rb_text_is(mode, "sse"))
        wait->transport = RB_TRANSPORT_SSE;
    else if (rb_text_is(mode, "poll"))
        wait->transport = RB_TRANSPORT_POLL;
    else
        return wrong(problem, 400, "mode is stream, sse or poll.");
    return 0;
}

static int read_cursors(struct rb_text text, struct rb_wait *wait, const char **problem) {
    struct rb_text item;
    size_t count = 0;
    bool more = true;
    while (next_item(&text, &more, &item)) {
        if (count == wait->count)
            return wrong(problem, 400,
                         "The cursor has more ids than there are channels.");
        struct rb_cursor *cursor = &wait->cursors[count++];
        if (rb_text_is(item, "-"))
            continue;
        if (rb_stream_id_parse(item, &cursor->id) != RB_OK)
            return wrong(problem, 400,
                         "A cursor is an event's id, or - for a channel without one.");
        cursor->given = true;
    }
    if (count < wait->count)
        return wrong(problem, 400, "The cursor has fewer ids than there are channels.");
    return 0;
}

/* W/"…" or "…". A list of tags and * are no answer of ours given back: not a cursor. */
static struct rb_text entity_tag(struct rb_text tag) {
    if (rb_text_starts(tag, RB_TEXT("W/")))
        tag = rb_text(tag.at + 2, tag.len - 2);
    if (tag.len < 2 || tag.at[0] != '"' || tag.at[tag.len - 1] != '"')
        return (struct rb_text){NULL, 0};
    tag = rb_text(tag.at + 1, tag.len - 2);
    return memchr(tag.at, '"', tag.len) ? (struct rb_text){NULL, 0} : tag;
}

static int read_cursor(const struct rb_http_request *request, struct rb_wait *wait,
                       const char **problem) {
    char decoded[CURSOR_MAX + 1];
    struct rb_text text = {NULL, 0}, raw;
    size_t len;
    if (wait->transport == RB_TRANSPORT_SSE)
        text = rb_http_header(request, "last-event-id");
    if (text.len == 0 && rb_http_query_raw(request->query, "since", &raw)) {
        if (rb_http_decode(raw, decoded, sizeof decoded, &len) != RB_OK)
            return wrong(problem, 400,
                         "A cursor is an event's id, or - for a channel without one.");
        text = rb_text(decoded, len);
    }
    if (text.len == 0 && wait->transport == RB_TRANSPORT_POLL)
        text = entity_tag(rb_http_header(request, "if-none-match"));
    return text.len == 0 ? 0 : read_cursors(text, wait, problem);
}

static bool is_callback(struct rb_text text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool letter =
            (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '$';
        bool later = (c >= '0' && c <= '9') || c == '.';
        if (!letter && (i == 0 || !later))
            return false;
    }
    return text.len > 0;
}

static int read_options(const struct rb_http_request *request, struct rb_wait *wait,
                        const char **problem) {
    struct rb_text raw;
    if (rb_http_query_raw(request->query, "until", &raw)) {
        if (!rb_text_is(raw, "done"))
            return wrong(problem, 400, "until is done.");
        wait->until_done = true;
    }
    if (wait->transport != RB_TRANSPORT_POLL ||
        !rb_http_query_raw(request->query, "callback", &raw))
        return 0;
    if (!rb_http_query(request->query, "callback", wait->callback,
                       sizeof wait->callback) ||
        !is_callback(rb_text_of(wait->callback)))
        return wrong(problem, 400, "callback is the name of a JavaScript function.");
    return 0;
}

/* @me is made when it is asked for; who could not be told its name can't use it. */
static int make_private(struct rb_wait *wait, const char **problem) {
    for (size_t i = 0; i < wait->count; i++) {
        if (strcmp(wait->channels[i], "@me") != 0)
            continue;
        if (wait->transport != RB_TRANSPORT_WEBSOCKET)
            return wrong(problem, 400, "@me is a channel of WebSockets.");
        rb_me_make(wait->channels[i]);
    }
    return 0;
}

int rb_wait_parse(const struct rb_http_request *request, struct rb_text session_cookie,
                  struct rb_wait *wait, const char **problem) {
    int failed;
    /* The names are written when they are read. */
    wait->count = 0;
    wait->until_done = false;
    wait->callback[0] = '\0';
    memset(wait->cursors, 0, sizeof wait->cursors);
    failed = read_channels(request, session_cookie, wait, problem);
    if (failed == 0)
        failed = read_transport(request, wait, problem);
    if (failed == 0)
        failed = read_cursor(request, wait, problem);
    if (failed == 0)
        failed = read_options(request, wait, problem);
    if (failed == 0)
        failed = make_private(wait, problem);
    return failed;
}

void rb_cursor_write(const struct rb_cursor *cursors, size_t count,
                     struct rb_buffer *out) {
    char id[RB_STREAM_ID_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            rb_buffer_char(out, ',');
        if (cursors[i].given)
            rb_buffer_add(out, id, rb_stream_id_write(cursors[i].id, id));
        else
            rb_buffer_char(out, '-');
    }
}
