/* What texts the settings of the table take. */
#include "config/settings_valid.h"

#include "config/address.h"
#include "config/network.h"

bool rb_setting_not_empty(struct rb_text text) { return text.len > 0; }

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_.:@=~-", c) != NULL);
}

bool rb_setting_is_queue(struct rb_text text) {
    for (size_t i = 0; i < text.len; i++)
        if (!is_name_char(text.at[i]))
            return false;
    return text.len >= 1 && text.len <= 64;
}

bool rb_setting_is_weight(struct rb_text text) {
    uint64_t weight;
    return rb_text_uint64(text, &weight) == RB_OK && weight >= 1 && weight <= 1000;
}

/* Braces make the hash tag of Redis Cluster: one pair with something within, or none. */
bool rb_setting_is_prefix(struct rb_text text) {
    size_t open = 0, close = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c <= ' ' || c > '~')
            return false;
        if (c == '{' && (open > 0 || close > 0))
            return false;
        if (c == '{')
            open = i + 1;
        if (c == '}' && (open == 0 || close > 0 || i == open))
            return false;
        if (c == '}')
            close = i + 1;
    }
    return text.len >= 1 && text.len <= 128 && (open > 0) == (close > 0);
}

bool rb_setting_is_network(struct rb_text text) {
    struct rb_network *network = rb_network_new();
    bool valid = network && rb_network_add(network, text, NULL) == RB_OK;
    rb_network_free(network);
    return valid;
}

bool rb_setting_is_listen_or_empty(struct rb_text text) {
    return text.len == 0 || rb_address_is_listen(text);
}

bool rb_setting_is_host(struct rb_text text) {
    for (size_t i = 0; i < text.len; i++)
        if (!is_name_char(text.at[i]) || strchr(":@=~", text.at[i]))
            return false;
    return text.len > 0 && text.len <= 253;
}

/* As Sentinel itself has it: A-z 0-9 and ".-_". */
bool rb_setting_is_master_or_empty(struct rb_text text) {
    return text.len <= 128 && (text.len == 0 || rb_setting_is_host(text));
}

/* The room jobs/ reads it in full; here a slip is found with its line. */
bool rb_setting_is_node(struct rb_text text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~' || text.at[i] == '/')
            return false;
    return text.len > 0 && text.len <= 512;
}

bool rb_setting_is_url_or_empty(struct rb_text text) {
    bool http = rb_text_starts(text, RB_TEXT("http://"));
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~' || text.at[i] == '#')
            return false;
    return text.len == 0 || (text.len <= 2048 && text.len > 8 &&
                             (http || rb_text_starts(text, RB_TEXT("https://"))));
}

bool rb_setting_is_digest(struct rb_text text) {
    static const char prefix[] = "sha256:";
    size_t skipped = sizeof prefix - 1;
    if (!rb_text_starts(text, rb_text_of(prefix)) || text.len != skipped + 64)
        return false;
    for (size_t i = skipped; i < text.len; i++)
        if (!memchr("0123456789abcdef", text.at[i], 16))
            return false;
    return true;
}

/* A service's name (the room jobs/ has the rule), or what all names begin with and *. */
bool rb_setting_is_service_pattern(struct rb_text text) {
    if (text.len > 0 && text.at[text.len - 1] == '*')
        text.len--;
    else if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool first = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!first && (i == 0 || (c != '_' && c != '-')))
            return false;
    }
    return text.len <= 64;
}

bool rb_setting_is_path_or_empty(struct rb_text text) { return text.len < 4096; }

bool rb_setting_is_short(struct rb_text text) { return text.len <= 256; }

/* RFC 6265 §4.1.1: a cookie's name is a token of HTTP. */
bool rb_setting_is_cookie_or_empty(struct rb_text text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~' ||
            strchr("()<>@,;:\\\"/[]?={}", text.at[i]))
            return false;
    return text.len <= 128;
}
