/* The JSON scanner against jansson, and pointers into what is valid. First line: a
 * pointer; the rest: JSON. */
#include <jansson.h>
#include <stdlib.h>

#include "jobs/json_pointer.h"
#include "jobs/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

/* Where the two may differ: jansson refuses numbers out of range and lone surrogates, we
 * refuse what is nested deeper. */
static void same_as_jansson(struct rb_text json) {
    struct rb_error ours;
    json_error_t theirs;
    bool valid = rb_json_check(json, &ours) == RB_OK;
    if (json.len > 0 && memchr(json.at, '\0', json.len)) {
        require(!valid); /* jansson takes it for the end */
        return;
    }
    json_t *value =
        json_loadb(json.at, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &theirs);
    if (value)
        require(valid || strstr(ours.text, "levels"));
    else if (valid)
        require(json_error_code(&theirs) == json_error_numeric_overflow ||
                json_error_code(&theirs) == json_error_null_byte_in_key ||
                strstr(theirs.text, "nicode"));
    json_decref(value);
}

/* Members one by one are the same as all at once. */
static void walk(struct rb_text json, bool valid) {
    struct rb_json_walk walk;
    struct rb_text key, value;
    enum rb_status status;
    if (rb_json_walk(json, &walk) != RB_OK)
        return;
    while ((status = rb_json_next(&walk, &key, &value)) == RB_OK) {
        require(rb_json_check(value, NULL) == RB_OK);
        require(key.len == 0 || rb_json_check(key, NULL) == RB_OK);
        struct rb_text plain;
        if (rb_json_plain_string(value, &plain))
            require(rb_json_string_is(value, plain));
    }
    require(valid == (status == RB_NOT_FOUND && walk.rest.len == 0) ||
            rb_json_check(json, NULL) != RB_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rb_text json = rb_text((const char *)data, size), pointer = {NULL, 0}, found;
    const char *end = size > 0 ? memchr(json.at, '\n', size) : NULL;
    if (end) {
        pointer = rb_text(json.at, (size_t)(end - json.at));
        json = rb_text(end + 1, size - pointer.len - 1);
    }
    bool valid = rb_json_check(json, NULL) == RB_OK;
    same_as_jansson(json);
    walk(json, valid);
    if (!valid || !rb_json_is_pointer(pointer))
        return 0;
    if (rb_json_find(json, pointer, &found) == RB_OK) {
        require(found.at >= json.at && found.at + found.len <= json.at + json.len);
        require(rb_json_check(found, NULL) == RB_OK);
    }
    struct rb_buffer line;
    rb_buffer_init(&line, json.len);
    rb_json_line(&line, json);
    require(line.len == json.len && rb_json_check(rb_buffer_view(&line), NULL) == RB_OK);
    require(!memchr(line.at, '\n', line.len) && !memchr(line.at, '\r', line.len));
    rb_buffer_fini(&line);
    return 0;
}
