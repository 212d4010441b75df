/* A JSON writer over jansson's values. */
#include "jobs/json_write.h"

#include <stdio.h>
#include <stdlib.h>

static void write_real(struct rb_buffer *out, double value) {
    char text[40];
    int len = 0;
    /* 17 digits always read back as the same value; most values need 15. */
    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    rb_buffer_add(out, text, (size_t)len);
    if (!strpbrk(text, ".e"))
        rb_buffer_string(out, ".0");
}

void rb_json_write_number(struct rb_buffer *out, const json_t *number) {
    if (json_is_integer(number))
        rb_buffer_int(out, json_integer_value(number));
    else
        write_real(out, json_real_value(number));
}

static void write_string(struct rb_buffer *out, const json_t *string) {
    rb_buffer_json(out, rb_text(json_string_value(string), json_string_length(string)));
}

static void write_object(struct rb_buffer *out, const json_t *object) {
    /* jansson's iterators take no const, though they change nothing. */
    json_t *walked = (json_t *)(uintptr_t)object;
    char before = '{';
    for (void *at = json_object_iter(walked); at;
         at = json_object_iter_next(walked, at)) {
        rb_buffer_char(out, before);
        rb_buffer_json(out, rb_text_of(json_object_iter_key(at)));
        rb_buffer_char(out, ':');
        rb_json_write(out, json_object_iter_value(at));
        before = ',';
    }
    rb_buffer_string(out, before == '{' ? "{}" : "}");
}

static void write_array(struct rb_buffer *out, const json_t *array) {
    rb_buffer_char(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            rb_buffer_char(out, ',');
        rb_json_write(out, json_array_get(array, i));
    }
    rb_buffer_char(out, ']');
}

void rb_json_write(struct rb_buffer *out, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(out, value);
        break;
    case JSON_ARRAY:
        write_array(out, value);
        break;
    case JSON_STRING:
        write_string(out, value);
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        rb_json_write_number(out, value);
        break;
    case JSON_TRUE:
        rb_buffer_string(out, "true");
        break;
    case JSON_FALSE:
        rb_buffer_string(out, "false");
        break;
    case JSON_NULL:
        rb_buffer_string(out, "null");
        break;
    }
}
