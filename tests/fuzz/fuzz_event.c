/* Events: any bytes looked into, any JSON and any text put into one. */
#include <stdlib.h>

#include "jobs/envelope.h"
#include "jobs/event.h"
#include "jobs/json_scan.h"
#include "jobs/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

static void looked_into(struct rb_text bytes) {
    struct rb_event_view view;
    rb_event_peek(bytes, &view);
    if (view.channel.len == 0) {
        require(rb_text_is(view.event, "message") && !view.terminal);
        return;
    }
    require(rb_name_is_channel(view.channel) && rb_name_is_event(view.event));
    require(view.channel.at > bytes.at && view.event.at < bytes.at + bytes.len);
    require(view.terminal ==
            (rb_text_is(view.event, "done") || rb_text_is(view.event, "failed")));
}

static void given_an_id(struct rb_text bytes, struct rb_buffer *out) {
    rb_buffer_clear(out);
    rb_event_with_id(out, (struct rb_stream_id){7, 1}, bytes);
    bool valid = rb_json_check(bytes, NULL) == RB_OK;
    require(!valid || rb_json_check(rb_buffer_view(out), NULL) == RB_OK);
}

static void told(struct rb_text bytes, struct rb_buffer *out) {
    struct rb_event_view view;
    rb_buffer_clear(out);
    rb_event_tell(out, RB_TEXT("c"), (struct rb_stream_id){7, 1}, bytes, false, &view);
    struct rb_error why;
    require(rb_json_check(rb_buffer_view(out), &why) == RB_OK ||
            strstr(why.text, "levels"));
    require(rb_text_starts(rb_buffer_view(out), RB_TEXT("{\"id\":\"7-1\"")));
}

static void written(struct rb_text bytes, struct rb_buffer *out) {
    struct rb_event_head head = {.channel = RB_TEXT("c"), .job = bytes, .service = bytes};
    struct rb_event_view view;
    char *message = rb_text_copy(bytes);
    struct rb_event_error error = {RB_FAIL_TIMEOUT, message, 504};
    if (!message)
        return;
    rb_buffer_clear(out);
    rb_event_failed(out, &head, &error);
    require(rb_json_check(rb_buffer_view(out), NULL) == RB_OK);
    rb_event_peek(rb_buffer_view(out), &view);
    require(view.terminal && rb_text_is(view.event, "failed"));
    free(message);
    if (rb_json_check(bytes, NULL) != RB_OK)
        return;
    rb_buffer_clear(out);
    rb_event_done(out, &head, bytes);
    /* One level deeper than what is valid may be too deep. */
    struct rb_error why;
    require(rb_json_check(rb_buffer_view(out), &why) == RB_OK ||
            strstr(why.text, "levels"));
    require(!memchr(out->at, '\n', out->len));
    char *event = rb_text_copy(rb_buffer_view(out));
    if (event)
        given_an_id(rb_text_of(event), out);
    free(event);
}

/* What is read as an envelope and written again is read as the same. */
static void enveloped(struct rb_text bytes, struct rb_buffer *out) {
    struct rb_envelope e, again;
    if (rb_envelope_parse(bytes, &e) != RB_OK)
        return;
    rb_buffer_clear(out);
    rb_envelope_write(out, &e);
    require(rb_envelope_parse(rb_buffer_view(out), &again) == RB_OK);
    require(rb_text_equal(e.id, again.id) && rb_text_equal(e.queue, again.queue) &&
            rb_text_equal(e.job, again.job) && e.at == again.at &&
            e.deliveries == again.deliveries && e.attempts == again.attempts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rb_text bytes = rb_text((const char *)data, size);
    struct rb_buffer out;
    rb_buffer_init(&out, 1 << 22);
    looked_into(bytes);
    given_an_id(bytes, &out);
    told(bytes, &out);
    written(bytes, &out);
    enveloped(bytes, &out);
    rb_buffer_fini(&out);
    return 0;
}
