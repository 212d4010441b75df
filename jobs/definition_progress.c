/* `progress:`: which events are told before the last one. */
#include "jobs/definition_section.h"
#include "jobs/yaml_value.h"

void rb_read_progress(struct rb_reading *r, const struct rb_yaml *node) {
    static const char *const words[] = {"started", "retrying", "partial", NULL};
    struct rb_definition *d = r->definition;
    bool *const flags[] = {&d->progress.started, &d->progress.retrying,
                           &d->progress.partial};
    if (!node) {
        d->progress.retrying = d->progress.partial = true;
        return;
    }
    for (size_t i = 0; i < rb_value_count(node); i++) {
        const struct rb_yaml *item = rb_value_at(node, i);
        struct rb_text word;
        size_t w = 0;
        if (!rb_value_text(item, &word, r->errors))
            continue;
        while (words[w] && !rb_text_is(word, words[w]))
            w++;
        if (words[w]) {
            *flags[w] = true;
            continue;
        }
        const char *nearest = rb_text_nearest(word, words);
        rb_yaml_error(item, r->errors,
                      "expected started, retrying or partial, got \"" RB_TEXT_FMT
                      "\"%s%s%s",
                      RB_TEXT_ARG(word), nearest ? "; did you mean \"" : "",
                      nearest ? nearest : "", nearest ? "\"?" : "");
    }
}
