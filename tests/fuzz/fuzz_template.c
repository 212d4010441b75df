/* Templates and the values put into them. First byte: the place; then a line with the
 * template; the rest is the value of ${s}. Whatever comes, the place is never left. */
#include <stdlib.h>

#include "jobs/json_scan.h"
#include "jobs/name.h"
#include "jobs/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

static bool only(struct rb_text text, const char *legal) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && (c == '\0' || !strchr(legal, c)))
            return false;
    }
    return true;
}

static void stays_in_place(enum rb_place place, struct rb_text text) {
    switch (place) {
    case RB_PLACE_PATH:
        require(only(text, "%-._~!$&'()*+,;=:@/") && !rb_template_has_dots(text));
        break;
    case RB_PLACE_QUERY:
        require(only(text, "%-._~!$&'()*+,;=:@/?"));
        break;
    case RB_PLACE_HEADER:
        for (size_t i = 0; i < text.len; i++)
            require((unsigned char)text.at[i] >= 0x20 || text.at[i] == '\t');
        break;
    case RB_PLACE_CHANNEL:
        for (size_t i = 0; i < text.len; i++)
            require(rb_name_byte(text.at[i]));
        break;
    default:
        break;
    }
}

/* The value alone, where it must not end what it stands in. */
static void value_alone(enum rb_place place, struct rb_text text) {
    struct rb_buffer quoted;
    switch (place) {
    case RB_PLACE_JSON:
        rb_buffer_init(&quoted, text.len + 2);
        rb_buffer_char(&quoted, '"');
        rb_buffer_text(&quoted, text);
        rb_buffer_char(&quoted, '"');
        require(rb_json_check(rb_buffer_view(&quoted), NULL) == RB_OK);
        rb_buffer_fini(&quoted);
        break;
    case RB_PLACE_XML:
        require(text.len == 0 ||
                (!memchr(text.at, '<', text.len) && !memchr(text.at, '"', text.len) &&
                 !memchr(text.at, '\'', text.len)));
        break;
    case RB_PLACE_FORM:
        require(only(text, "%+-._*"));
        break;
    case RB_PLACE_PATH:
        require(text.len > 0 && only(text, "%-._~"));
        break;
    default:
        break;
    }
}

static void render(struct rb_text text, enum rb_place place, const json_t *params,
                   bool alone) {
    static const char *const names[] = {"s", "n", NULL};
    struct rb_template_names known = {names, NULL};
    struct rb_yaml node = {.kind = RB_YAML_SCALAR,
                           .file = "fuzz",
                           .line = 1,
                           .column = 1,
                           .text = text,
                           .quoted = true};
    struct rb_template_values values = {.params = params, .job_id = RB_TEXT("j")};
    static struct rb_errors errors;
    errors.count = 0;
    struct rb_template *t = rb_template_compile(&node, place, &known, &errors);
    require((t != NULL) == (errors.count == 0));
    if (!t)
        return;
    struct rb_buffer out;
    struct rb_error error = {.text = ""};
    rb_buffer_init(&out, 1 << 20);
    enum rb_status status = rb_template_render(t, &values, &out, &error);
    if (status == RB_OK) {
        stays_in_place(place, rb_buffer_view(&out));
        if (alone)
            value_alone(place, rb_buffer_view(&out));
    } else {
        require(status != RB_INVALID || error.text[0]);
    }
    rb_buffer_fini(&out);
    rb_template_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    enum rb_place place = (enum rb_place)(data[0] % (RB_PLACE_CHANNEL + 1));
    struct rb_text text = rb_text((const char *)data + 1, size - 1), value = {"", 0};
    const char *end = text.len > 0 ? memchr(text.at, '\n', text.len) : NULL;
    if (end) {
        value = rb_text(end + 1, text.len - (size_t)(end + 1 - text.at));
        text.len = (size_t)(end - text.at);
    }
    /* NUL and what is not UTF-8 never get into a job. */
    if ((value.len > 0 && memchr(value.at, '\0', value.len)) || !rb_text_utf8(value))
        return 0;
    json_t *params = json_object();
    if (json_object_set_new(params, "s", json_stringn(value.at, value.len)) == 0) {
        render(text, place, params, false);
        render(RB_TEXT("${s}"), place, params, true);
    }
    json_decref(params);
    return 0;
}
