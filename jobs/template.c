/* Compiles text with ${…} in it into pieces. Rendering is in template_render.c. */
#include <stdlib.h>

#include "jobs/escape.h"
#include "jobs/name.h"
#include "jobs/template_piece.h"

struct compiler {
    const struct rb_yaml *node;
    enum rb_place place;
    bool value; /* the constant text is escaped too */
    const struct rb_template_names *names;
    struct rb_errors *errors;
    size_t mistakes;
    struct rb_template *template;
};

/* Where the mistake is. Behind a line's end or what may have been an escape in quotes,
 * the text no longer tells columns; then it is where the value begins. */
static int column_of(const struct rb_yaml *node, size_t offset) {
    int column = node->column + (node->quoted ? 1 : 0);
    for (size_t i = 0; i < offset && i < node->text.len; i++) {
        unsigned char c = (unsigned char)node->text.at[i];
        if (c < 0x20 ||
            (node->quoted && (c == '"' || c == '\'' || c == '\\' || c > 0x7e)))
            return node->column;
        column += (c & 0xc0) != 0x80;
    }
    return column;
}

#define mistake(c, offset, ...)                                                          \
    do {                                                                                 \
        (c)->mistakes++;                                                                 \
        rb_errors_add((c)->errors, (c)->node->file, (c)->node->line,                     \
                      column_of((c)->node, (offset)), __VA_ARGS__);                      \
    } while (0)

/* How a piece is escaped: as its place wants it, or as a filter says. */
struct style {
    enum rb_place place;
    bool filtered;
};

static void add_piece(struct compiler *c, enum rb_piece_kind kind, struct style style,
                      struct rb_text text) {
    struct rb_template *t = c->template;
    struct rb_piece *grown = realloc(t->pieces, (t->count + 1) * sizeof *grown);
    char *copy = rb_text_copy(text);
    if (grown)
        t->pieces = grown;
    if (!grown || !copy) {
        free(copy);
        mistake(c, 0, "out of memory");
        return;
    }
    t->pieces[t->count++] =
        (struct rb_piece){kind, style.place, style.filtered, copy, text.len};
}

static bool hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* RFC 3986 §3.3 and §3.4. */
static bool url_byte(struct rb_text text, size_t i, bool query) {
    char c = text.at[i];
    if (c == '%')
        return text.len - i >= 3 && hex(text.at[i + 1]) && hex(text.at[i + 2]);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr(query ? "-._~!$&'()*+,;=:@/?" : "-._~!$&'()*+,;=:@/", c);
}

static void check_literal(struct compiler *c, struct rb_text text, size_t offset) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        bool visible = byte >= 0x20 && byte < 0x7f;
        switch (c->place) {
        case RB_PLACE_PATH:
        case RB_PLACE_QUERY:
            if (url_byte(text, i, c->place == RB_PLACE_QUERY))
                continue;
            mistake(c, offset + i, "\"%c\" must not stand in a URL: write it as %%%02X",
                    visible ? (int)byte : '?', byte);
            return;
        case RB_PLACE_HEADER:
            if ((byte >= 0x20 || byte == '\t') && byte != 0x7f)
                continue;
            mistake(c, offset + i, "a header must not hold control characters");
            return;
        case RB_PLACE_CHANNEL:
            if (rb_name_byte(text.at[i]))
                continue;
            mistake(
                c, offset + i,
                "\"%c\" must not stand in a channel's name; legal are A-Z a-z 0-9 _ . "
                ": @ = ~ -",
                visible ? (int)byte : '?');
            return;
        default:
            return;
        }
    }
}

static void add_literal(struct compiler *c, struct rb_text text, size_t offset) {
    struct style plain = {c->place, false};
    if (text.len == 0)
        return;
    if (!c->value) {
        check_literal(c, text, offset);
        add_piece(c, RB_PIECE_LITERAL, plain, text);
        return;
    }
    struct rb_buffer escaped;
    rb_buffer_init(&escaped, 3 * text.len);
    const char *refused = rb_escape(&escaped, c->place, text);
    if (refused)
        mistake(c, offset, "must not hold %s", refused);
    else if (escaped.status != RB_OK)
        mistake(c, offset, "%s", rb_status_text(escaped.status));
    else
        add_piece(c, RB_PIECE_LITERAL, plain, rb_buffer_view(&escaped));
    rb_buffer_fini(&escaped);
}

static bool among(struct rb_text name, const char *const *names) {
    for (; names && *names; names++)
        if (rb_text_is(name, *names))
            return true;
    return false;
}

static void unknown_name(struct compiler *c, size_t offset, const char *what,
                         struct rb_text name, const char *const *known) {
    const char *nearest = known ? rb_text_nearest(name, known) : NULL;
    if (nearest) {
        mistake(c, offset, "no %s \"" RB_TEXT_FMT "\"; did you mean \"%s\"?", what,
                RB_TEXT_ARG(name), nearest);
        return;
    }
    struct rb_buffer list;
    rb_buffer_init(&list, 300);
    for (size_t i = 0; known && known[i]; i++)
        rb_buffer_printf(&list, "%s%s", i ? ", " : "", known[i]);
    if (list.len > 0)
        mistake(c, offset, "no %s \"" RB_TEXT_FMT "\"; known are: %s", what,
                RB_TEXT_ARG(name), list.at);
    else
        mistake(c, offset, "no %s \"" RB_TEXT_FMT "\": none is defined", what,
                RB_TEXT_ARG(name));
    rb_buffer_fini(&list);
}

static bool strip(struct rb_text *name, struct rb_text prefix) {
    if (!rb_text_starts(*name, prefix))
        return false;
    *name = rb_text(name->at + prefix.len, name->len - prefix.len);
    return true;
}

static void add_job_piece(struct compiler *c, struct style style, struct rb_text name,
                          size_t offset) {
    static const char *const names[] = {"id", "service", "channel", NULL};
    if (rb_text_is(name, "id"))
        add_piece(c, RB_PIECE_JOB_ID, style, name);
    else if (rb_text_is(name, "service"))
        add_piece(c, RB_PIECE_SERVICE, style, name);
    else if (!rb_text_is(name, "channel"))
        unknown_name(c, offset, "member of a job", name, names);
    else if (c->place == RB_PLACE_CHANNEL)
        mistake(c, offset, "${job.channel} is what is being made here");
    else
        add_piece(c, RB_PIECE_CHANNEL, style, name);
}

static void add_named_piece(struct compiler *c, struct style style, struct rb_text name,
                            size_t offset) {
    if (strip(&name, RB_TEXT("job."))) {
        add_job_piece(c, style, name, offset);
    } else if (!strip(&name, RB_TEXT("secret."))) {
        if (among(name, c->names->params))
            add_piece(c, RB_PIECE_PARAM, style, name);
        else
            unknown_name(c, offset, "parameter", name, c->names->params);
    } else if (!c->names->secrets) {
        mistake(c, offset, "a secret must not stand here");
    } else if (among(name, c->names->secrets)) {
        add_piece(c, RB_PIECE_SECRET, style, name);
    } else {
        unknown_name(c, offset, "secret", name, c->names->secrets);
    }
}

static bool read_filter(struct compiler *c, struct rb_text filter, size_t offset,
                        struct style *style) {
    static const struct {
        const char *name;
        enum rb_place place;
    } filters[] = {
        {"json", RB_PLACE_JSON},
        {"xml", RB_PLACE_XML},
        {"url", RB_PLACE_QUERY},
        {"raw", RB_PLACE_TEXT},
    };
    bool body = c->place == RB_PLACE_JSON || c->place == RB_PLACE_XML ||
                c->place == RB_PLACE_FORM || c->place == RB_PLACE_TEXT;
    if (!body) {
        mistake(c, offset, "filters are for bodies; here a value is escaped already");
        return false;
    }
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        if (rb_text_is(filter, filters[i].name)) {
            *style = (struct style){filters[i].place, true};
            return true;
        }
    }
    mistake(c, offset, "no filter \"" RB_TEXT_FMT "\"; known are: json, xml, url, raw",
            RB_TEXT_ARG(filter));
    return false;
}

/* What stands between "${" and "}", which begins at `offset`. */
static void add_reference(struct compiler *c, struct rb_text inner, size_t offset) {
    struct style style = {c->place, false};
    const char *bar = inner.len > 0 ? memchr(inner.at, '|', inner.len) : NULL;
    struct rb_text name = inner;
    if (bar) {
        name.len = (size_t)(bar - inner.at);
        struct rb_text filter = rb_text(bar + 1, inner.len - name.len - 1);
        if (!read_filter(c, rb_text_trim(filter), offset, &style))
            return;
    }
    add_named_piece(c, style, rb_text_trim(name), offset);
}

static void compile(struct compiler *c) {
    struct rb_text text = c->node->text;
    size_t literal = 0, i = 0;
    while (i < text.len) {
        struct rb_text here = rb_text(text.at + i, text.len - i);
        if (rb_text_starts(here, RB_TEXT("$${"))) {
            add_literal(c, rb_text(text.at + literal, i - literal), literal);
            literal = i + 1; /* what follows is as it stands */
            i += 3;
        } else if (rb_text_starts(here, RB_TEXT("${"))) {
            add_literal(c, rb_text(text.at + literal, i - literal), literal);
            const char *end = memchr(here.at, '}', here.len);
            if (!end) {
                mistake(c, i, "\"${\" is not closed by \"}\" (a literal one is \"$${\")");
                return;
            }
            add_reference(c, rb_text(here.at + 2, (size_t)(end - here.at) - 2), i);
            literal = i = (size_t)(end - text.at) + 1;
        } else {
            i++;
        }
    }
    add_literal(c, rb_text(text.at + literal, text.len - literal), literal);
}

static struct rb_template *build(const struct rb_yaml *node, enum rb_place place,
                                 bool value, const struct rb_template_names *names,
                                 struct rb_errors *errors) {
    struct compiler c = {node, place, value, names, errors, 0, NULL};
    if (node->kind != RB_YAML_SCALAR || rb_yaml_is_null(node)) {
        rb_yaml_error(node, errors, "expected a string, got %s", rb_yaml_describe(node));
        return NULL;
    }
    c.template = calloc(1, sizeof *c.template);
    if (!c.template) {
        mistake(&c, 0, "out of memory");
        return NULL;
    }
    c.template->place = place;
    compile(&c);
    if (c.mistakes == 0)
        return c.template;
    rb_template_free(c.template);
    return NULL;
}

struct rb_template *rb_template_compile(const struct rb_yaml *node, enum rb_place place,
                                        const struct rb_template_names *names,
                                        struct rb_errors *errors) {
    return build(node, place, false, names, errors);
}

struct rb_template *rb_template_compile_value(const struct rb_yaml *node,
                                              enum rb_place place,
                                              const struct rb_template_names *names,
                                              struct rb_errors *errors) {
    return build(node, place, true, names, errors);
}

void rb_template_free(struct rb_template *template) {
    if (!template)
        return;
    for (size_t i = 0; i < template->count; i++)
        free(template->pieces[i].text);
    free(template->pieces);
    free(template);
}
