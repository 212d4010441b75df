/* The lines of a help text. */
#include "config/help_text.h"

#define HEADING_MOST 32 /* a longer line is a sentence that leads to something */
#define INDENT_MOST 8   /* of an item; what stands further in goes on with it */

bool rb_help_next(struct rb_text *rest, struct rb_help_line *line) {
    struct rb_text text;
    if (!rb_text_next(rest, '\n', &text))
        return false;
    *line = (struct rb_help_line){.kind = RB_HELP_TEXT, .text = text};
    struct rb_text inner = rb_text_trim(text);
    size_t indent = inner.len > 0 ? (size_t)(inner.at - text.at) : 0;
    if (inner.len == 0) {
        line->kind = RB_HELP_BLANK;
    } else if (indent == 0 && text.at[text.len - 1] == ':' && text.len <= HEADING_MOST) {
        line->kind = RB_HELP_HEADING;
        line->text.len--;
    } else if (indent > INDENT_MOST) {
        line->kind = RB_HELP_MORE;
        line->text = inner;
    } else if (indent > 1) {
        const char *gap = memmem(inner.at, inner.len, "  ", 2);
        size_t tag = gap ? (size_t)(gap - inner.at) : inner.len;
        line->kind = RB_HELP_ITEM;
        line->tag = rb_text(inner.at, tag);
        line->text = rb_text_trim(rb_text(inner.at + tag, inner.len - tag));
    }
    return true;
}

bool rb_help_option(struct rb_text *tag, struct rb_text *option) {
    while (rb_text_next(tag, ' ', option)) {
        if (option->len > 0 && option->at[option->len - 1] == ',')
            option->len--;
        if (option->len > 1 && option->at[0] == '-')
            return true;
    }
    return false;
}

bool rb_help_takes_value(struct rb_text tag) {
    struct rb_text word;
    bool value = false;
    while (rb_text_next(&tag, ' ', &word))
        value = word.len > 0 && word.at[0] != '-';
    return value;
}
