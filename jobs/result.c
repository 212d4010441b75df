/* From a service's answer to the result that is passed on. */
#include "jobs/base64.h"
#include "jobs/definition.h"
#include "jobs/json_pointer.h"
#include "jobs/json_scan.h"

enum body_kind { BODY_JSON, BODY_TEXT, BODY_BYTES, BODY_UNKNOWN };

static bool ends(struct rb_text text, const char *ending) {
    struct rb_text e = rb_text_of(ending);
    return text.len > e.len &&
           rb_text_equal_nocase(rb_text(text.at + text.len - e.len, e.len), e);
}

/* "Application/JSON; charset=utf-8" is JSON (RFC 9110 §8.3.1, RFC 6839 §3.1). */
static enum body_kind kind_of(struct rb_text content_type) {
    static const char *const texts[] = {
        "xml",       "+xml",    "+yaml",
        "/yaml",     "/x-yaml", "/javascript",
        "/x-ndjson", "/jsonl",  "/x-www-form-urlencoded",
    };
    struct rb_text rest = content_type, type;
    if (!rb_text_next(&rest, ';', &type))
        return BODY_UNKNOWN;
    type = rb_text_trim(type);
    if (type.len == 0)
        return BODY_UNKNOWN;
    if (ends(type, "/json") || ends(type, "+json"))
        return BODY_JSON;
    if (type.len > 5 && rb_text_equal_nocase(rb_text(type.at, 5), RB_TEXT("text/")))
        return BODY_TEXT;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (ends(type, texts[i]))
            return BODY_TEXT;
    return BODY_BYTES;
}

static void wrap(struct rb_buffer *out, struct rb_text content_type, struct rb_text body,
                 bool text) {
    rb_buffer_string(out, "{\"content_type\":");
    rb_buffer_json(out, content_type);
    rb_buffer_string(out, text ? ",\"text\":" : ",\"base64\":\"");
    if (text)
        rb_buffer_json(out, body);
    else
        rb_base64(out, body);
    rb_buffer_string(out, text ? "}" : "\"}");
}

static enum rb_status pass(struct rb_text content_type, struct rb_text body,
                           struct rb_buffer *out, struct rb_error *error) {
    enum body_kind kind = kind_of(content_type);
    struct rb_error place;
    if (kind == BODY_JSON || kind == BODY_UNKNOWN) {
        if (rb_json_check(body, &place) == RB_OK) {
            rb_buffer_text(out, body);
            return out->status;
        }
        if (kind == BODY_JSON)
            return rb_error_set(error, NULL, 0, 0, "the service's answer is %s",
                                place.text);
    }
    wrap(out, content_type, body, kind != BODY_BYTES && rb_text_utf8(body));
    return out->status;
}

static enum rb_status pick(const struct rb_selection *selection, struct rb_text body,
                           struct rb_buffer *out, struct rb_error *error) {
    struct rb_text value;
    if (rb_json_find(body, rb_text_of(selection->pointer), &value) != RB_OK)
        return rb_error_set(error, NULL, 0, 0, "the service's answer has nothing at %s",
                            selection->pointer);
    rb_buffer_text(out, value);
    return out->status;
}

static enum rb_status pick_all(const struct rb_definition *definition,
                               struct rb_text body, struct rb_buffer *out,
                               struct rb_error *error) {
    for (size_t i = 0; i < definition->result.select_count; i++) {
        const struct rb_selection *s = &definition->result.select[i];
        rb_buffer_char(out, i > 0 ? ',' : '{');
        rb_buffer_json(out, rb_text_of(s->name));
        rb_buffer_char(out, ':');
        enum rb_status status = pick(s, body, out, error);
        if (status != RB_OK)
            return status;
    }
    rb_buffer_char(out, '}');
    return out->status;
}

enum rb_status rb_definition_result(const struct rb_definition *definition,
                                    struct rb_text content_type, struct rb_text body,
                                    struct rb_buffer *out, struct rb_error *error) {
    struct rb_error place;
    /* RFC 8259 §8.1 forbids the byte order mark and lets readers pass over it. */
    struct rb_text json = body;
    if (rb_text_starts(json, RB_TEXT("\xef\xbb\xbf")))
        json = rb_text(json.at + 3, json.len - 3);

    if (!definition->result.select) {
        if (json.len > 0)
            return pass(content_type, kind_of(content_type) == BODY_BYTES ? body : json,
                        out, error);
        rb_buffer_string(out, "null");
        return out->status;
    }
    if (rb_json_check(json, &place) != RB_OK)
        return rb_error_set(error, NULL, 0, 0, "the service's answer is %s", place.text);
    if (definition->result.select[0].name)
        return pick_all(definition, json, out, error);
    return pick(&definition->result.select[0], json, out, error);
}
