/* How a value is written so that it stays one value where it stands. */
#include "jobs/escape.h"

#include "jobs/name.h"

static bool unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

/* The URL standard's form encoding keeps '*' and not '~'. */
static bool form_byte(char c) { return c != '~' && (unreserved(c) || c == '*'); }

/* '=' starts an escape, so it is escaped too: two values never give one name. */
static bool channel_byte(char c) { return c != '=' && rb_name_byte(c); }

static void put_hex(struct rb_buffer *out, char sign, char c) {
    static const char hex[] = "0123456789ABCDEF";
    unsigned char byte = (unsigned char)c;
    rb_buffer_add(out, (char[]){sign, hex[byte >> 4], hex[byte & 15]}, 3);
}

static void escape_bytes(struct rb_buffer *out, struct rb_text text, char sign,
                         bool (*legal)(char)) {
    size_t run = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (legal(text.at[i]))
            continue;
        rb_buffer_add(out, text.at + run, i - run);
        put_hex(out, sign, text.at[i]);
        run = i + 1;
    }
    if (run < text.len)
        rb_buffer_add(out, text.at + run, text.len - run);
}

static void escape_form(struct rb_buffer *out, struct rb_text text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (form_byte(c))
            rb_buffer_char(out, c);
        else if (c == ' ')
            rb_buffer_char(out, '+');
        else
            put_hex(out, '%', c);
    }
}

static const char *escape_header(struct rb_buffer *out, struct rb_text text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return "a control character (line ends too) in a header";
    }
    rb_buffer_text(out, text);
    return NULL;
}

static void escape_json(struct rb_buffer *out, struct rb_text text) {
    while (text.len > 0) {
        char step[RB_JSON_STEP];
        size_t len, taken = rb_text_json_step(text, step, &len);
        rb_buffer_add(out, step, len);
        text = rb_text(text.at + taken, text.len - taken);
    }
}

/* XML 1.0 §2.2: which characters there are, §2.11 and §3.3.3: which a reader changes. */
static const char *escape_xml(struct rb_buffer *out, struct rb_text text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool nonchar = c == 0xef && text.len - i >= 3 &&
                       (unsigned char)text.at[i + 1] == 0xbf &&
                       (unsigned char)text.at[i + 2] >= 0xbe;
        if (nonchar || (c < 0x20 && c != '\t' && c != '\n' && c != '\r'))
            return "a character that XML has no way to write";
        switch (c) {
        case '&':
            rb_buffer_string(out, "&amp;");
            break;
        case '<':
            rb_buffer_string(out, "&lt;");
            break;
        case '>':
            rb_buffer_string(out, "&gt;");
            break;
        case '"':
            rb_buffer_string(out, "&quot;");
            break;
        case '\'':
            rb_buffer_string(out, "&#39;");
            break;
        case '\t':
        case '\n':
        case '\r':
            rb_buffer_printf(out, "&#%d;", c);
            break;
        default:
            rb_buffer_char(out, (char)c);
        }
    }
    return NULL;
}

const char *rb_escape(struct rb_buffer *out, enum rb_place place, struct rb_text text) {
    switch (place) {
    case RB_PLACE_PATH:
    case RB_PLACE_QUERY:
        escape_bytes(out, text, '%', unreserved);
        return NULL;
    case RB_PLACE_CHANNEL:
        escape_bytes(out, text, '=', channel_byte);
        return NULL;
    case RB_PLACE_HEADER:
        return escape_header(out, text);
    case RB_PLACE_FORM:
        escape_form(out, text);
        return NULL;
    case RB_PLACE_JSON:
        escape_json(out, text);
        return NULL;
    case RB_PLACE_XML:
        return escape_xml(out, text);
    case RB_PLACE_TEXT:
        rb_buffer_text(out, text);
        return NULL;
    }
    return "anything: it is no place";
}
