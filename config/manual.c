/* Writing man(7). */
#include "config/manual.h"

#include <ctype.h>

#include "config/help_text.h"

static unsigned code_point(struct rb_text text, size_t *step) {
    const unsigned char *p = (const unsigned char *)text.at;
    *step = rb_text_utf8_step(text);
    if (*step < 2) {
        *step = 1;
        return p[0];
    }
    unsigned value = p[0] & (0x7fu >> *step);
    for (size_t i = 1; i < *step; i++)
        value = value << 6 | (p[i] & 0x3fu);
    return value;
}

/* ASCII alone comes out, whatever the reader's terminal and formatter make of the rest.
 */
static void put(FILE *out, struct rb_text text) {
    bool bold = false;
    for (size_t i = 0, step; i < text.len; i += step) {
        unsigned c = code_point(rb_text(text.at + i, text.len - i), &step);
        if (c == '`') {
            bold = !bold;
            fputs(bold ? "\\fB" : "\\fR", out);
        } else if (c == '\\') {
            fputs("\\e", out);
        } else if (c == '-') {
            fputs("\\-", out);
        } else if (c == 0x2026) {
            fputs("...", out);
        } else if (c >= 0x80) {
            fprintf(out, "\\[u%04X]", c);
        } else {
            fputc((int)c, out);
        }
    }
    if (bold)
        fputs("\\fR", out);
}

void rb_manual_line(FILE *out, struct rb_text text) {
    if (text.len == 0)
        return;
    if (text.at[0] == '.' || text.at[0] == '\'')
        fputs("\\&", out);
    put(out, text);
    fputc('\n', out);
}

static void put_capitals(FILE *out, const char *text) {
    for (; *text; text++)
        if (*text == '-')
            fputs("\\-", out);
        else
            fputc(toupper((unsigned char)*text), out);
}

void rb_manual_begin(FILE *out, const char *name, int section, const char *summary) {
    struct rb_text rest = rb_text_of(summary);
    fputs(".\\\" Made by the build from what --help says.\n.TH ", out);
    put_capitals(out, name);
    fprintf(out, " %d " RINGBACK_RELEASED " \"ringback " RINGBACK_VERSION "\"\n",
            section);
    rb_manual_heading(out, "Name");
    put(out, rb_text_of(name));
    fputs(" \\- ", out);
    if (rest.len > 0) {
        fputc(tolower((unsigned char)rest.at[0]), out);
        rest = rb_text(rest.at + 1, rest.len - 1);
    }
    if (rest.len > 0 && rest.at[rest.len - 1] == '.')
        rest.len--;
    put(out, rest);
    fputc('\n', out);
}

void rb_manual_heading(FILE *out, const char *heading) {
    fputs(".SH ", out);
    put_capitals(out, heading);
    fputc('\n', out);
}

void rb_manual_subheading(FILE *out, struct rb_text text) {
    fputs(".SS ", out);
    rb_manual_line(out, text);
}

void rb_manual_command(FILE *out, const char *name, const char *words) {
    fputs("\\fB", out);
    put(out, rb_text_of(name));
    fputs("\\fR ", out);
    rb_manual_line(out, rb_text_of(words));
}

void rb_manual_item(FILE *out, struct rb_text tag) {
    fputs(".TP\n\\fB", out);
    put(out, tag);
    fputs("\\fR\n", out);
}

void rb_manual_help(FILE *out, const char *help) {
    struct rb_text rest = rb_text_of(help);
    struct rb_help_line line;
    enum rb_help_kind last = RB_HELP_HEADING; /* a paragraph may begin without .PP */
    while (rb_help_next(&rest, &line)) {
        char heading[64];
        switch (line.kind) {
        case RB_HELP_BLANK:
            continue; /* what comes next shows that it begins anew */
        case RB_HELP_HEADING:
            snprintf(heading, sizeof heading, RB_TEXT_FMT, RB_TEXT_ARG(line.text));
            rb_manual_heading(out, heading);
            break;
        case RB_HELP_ITEM:
            rb_manual_item(out, line.tag);
            rb_manual_line(out, line.text);
            break;
        case RB_HELP_TEXT:
            if (last == RB_HELP_ITEM || last == RB_HELP_MORE)
                fputs(".PP\n", out);
            rb_manual_line(out, line.text);
            break;
        case RB_HELP_MORE:
            rb_manual_line(out, line.text);
            break;
        }
        last = line.kind;
    }
}

void rb_manual_end(FILE *out) {
    rb_manual_heading(out, "Files");
    rb_manual_item(out, RB_TEXT("/etc/ringback/ringback.yaml"));
    rb_manual_line(out, RB_TEXT("The configuration of all three programs."));
    rb_manual_item(out, RB_TEXT("/etc/ringback/services/"));
    rb_manual_line(out, RB_TEXT("The service definitions, one file each."));
    rb_manual_item(out, RB_TEXT("/etc/default/ringback"));
    rb_manual_line(out, RB_TEXT("The environment of the services, if there is one."));
    rb_manual_heading(out, "See also");
    fputs(".BR ringback (1),\n.BR ringback\\-worker (8),\n.BR ringback\\-notifier (8),\n"
          ".BR ringback.yaml (5),\n.BR ringback\\-services (5)\n",
          out);
}
