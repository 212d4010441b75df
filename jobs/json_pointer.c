/* Follows a JSON Pointer through raw JSON. */
#include "jobs/json_pointer.h"

#include "config/buffer.h"
#include "jobs/json_scan.h"

#define PART_MAX_BYTES 1024

bool rb_json_is_pointer(struct rb_text pointer) {
    if (pointer.len == 0)
        return true;
    if (pointer.at[0] != '/' || !rb_text_utf8(pointer))
        return false;
    size_t part = 0;
    for (size_t i = 0; i < pointer.len; i++) {
        char next = i + 1 < pointer.len ? pointer.at[i + 1] : '\0';
        if (pointer.at[i] == '~' && next != '0' && next != '1')
            return false;
        part = pointer.at[i] == '/' ? 0 : part + 1;
        if (part > PART_MAX_BYTES)
            return false;
    }
    return true;
}

/* "~1" is a slash and "~0" a tilde. */
static struct rb_text decode(struct rb_text part, char out[PART_MAX_BYTES]) {
    size_t len = 0;
    for (size_t i = 0; i < part.len && len < PART_MAX_BYTES; i++) {
        char c = part.at[i];
        if (c == '~' && i + 1 < part.len)
            c = part.at[++i] == '1' ? '/' : '~';
        out[len++] = c;
    }
    return rb_text(out, len);
}

static enum rb_status find_member(struct rb_json_walk *walk, struct rb_text part,
                                  struct rb_text *value) {
    char room[PART_MAX_BYTES];
    struct rb_text name = decode(part, room), key, candidate;
    enum rb_status status = RB_NOT_FOUND;
    while (rb_json_next(walk, &key, &candidate) == RB_OK) {
        if (rb_json_string_is(key, name)) {
            *value = candidate;
            status = RB_OK;
        }
    }
    return status;
}

static enum rb_status find_element(struct rb_json_walk *walk, struct rb_text part,
                                   struct rb_text *value) {
    uint64_t index;
    struct rb_text key;
    if (rb_text_uint64(part, &index) != RB_OK || (part.len > 1 && part.at[0] == '0'))
        return RB_NOT_FOUND;
    while (rb_json_next(walk, &key, value) == RB_OK)
        if (index-- == 0)
            return RB_OK;
    return RB_NOT_FOUND;
}

/* The value's own bytes, without the space around it. */
static struct rb_text trim(struct rb_text json) {
    while (json.len > 0 && strchr(" \t\r\n", json.at[0]))
        json = rb_text(json.at + 1, json.len - 1);
    while (json.len > 0 && strchr(" \t\r\n", json.at[json.len - 1]))
        json.len--;
    return json;
}

enum rb_status rb_json_find(struct rb_text json, struct rb_text pointer,
                            struct rb_text *value) {
    struct rb_text here = trim(json);
    while (pointer.len > 0) {
        struct rb_text rest = rb_text(pointer.at + 1, pointer.len - 1);
        const char *slash = memchr(rest.at, '/', rest.len);
        struct rb_text part =
            rb_text(rest.at, slash ? (size_t)(slash - rest.at) : rest.len);
        pointer = rb_text(rest.at + part.len, rest.len - part.len);

        struct rb_json_walk walk;
        if (rb_json_walk(here, &walk) != RB_OK)
            return RB_NOT_FOUND;
        enum rb_status status = walk.end == '}' ? find_member(&walk, part, &here)
                                                : find_element(&walk, part, &here);
        if (status != RB_OK)
            return status;
    }
    *value = here;
    return RB_OK;
}
