/* Events as lines on a console. */
#include "jobs/cli/event_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define DIM "2"
#define RED "31"
#define GREEN "32"
#define YELLOW "33"
#define BLUE "34"
#define CYAN "36"

struct rb_event_line rb_event_line_for_stdout(bool json) {
    const char *refused = getenv("NO_COLOR"), *kind = getenv("TERM");
    bool terminal = isatty(STDOUT_FILENO) == 1;
    bool plain = (refused && refused[0]) || (kind && strcmp(kind, "dumb") == 0);
    return (struct rb_event_line){
        .json = json, .terminal = terminal, .colour = terminal && !plain && !json};
}

static const char *colour_of(struct rb_text event) {
    if (rb_text_is(event, "done"))
        return GREEN;
    if (rb_text_is(event, "failed"))
        return RED;
    if (rb_text_is(event, "retrying") || rb_text_is(event, "gap"))
        return YELLOW;
    return BLUE;
}

static void add_word(const struct rb_event_line *style, struct rb_buffer *out,
                     const char *colour, struct rb_text word) {
    if (style->colour)
        rb_buffer_printf(out, "\033[%sm", colour);
    rb_buffer_text(out, word);
    rb_buffer_string(out, style->colour ? "\033[0m " : " ");
}

static void add_time(const struct rb_event_line *style, struct rb_buffer *out,
                     uint64_t ms) {
    char day[32], text[40];
    struct tm utc;
    time_t seconds = (time_t)(ms / 1000);
    if (!gmtime_r(&seconds, &utc) ||
        strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        return;
    snprintf(text, sizeof text, "%s.%03dZ", day, (int)(ms % 1000));
    add_word(style, out, DIM, rb_text_of(text));
}

/* DEL and the C1 controls are legal in JSON strings and obeyed by terminals. */
static void add_harmless(const struct rb_event_line *style, struct rb_buffer *out,
                         struct rb_text json) {
    size_t from = 0;
    for (size_t i = 0; style->terminal && i < json.len; i++) {
        unsigned char c = (unsigned char)json.at[i];
        unsigned char next = i + 1 < json.len ? (unsigned char)json.at[i + 1] : 0;
        bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;
        if (!c1 && c != 0x7f)
            continue;
        rb_buffer_add(out, json.at + from, i - from);
        rb_buffer_printf(out, "\\u%04x", c1 ? next : c);
        i += c1 ? 1 : 0;
        from = i + 1;
    }
    rb_buffer_add(out, json.at + from, json.len - from);
}

void rb_event_line(const struct rb_event_line *style, struct rb_buffer *out,
                   struct rb_text channel, uint64_t ms, struct rb_text event,
                   struct rb_text json) {
    if (!style->json) {
        add_time(style, out, ms);
        add_word(style, out, CYAN, channel);
        add_word(style, out, colour_of(event), event);
    }
    add_harmless(style, out, json);
    rb_buffer_char(out, '\n');
}
