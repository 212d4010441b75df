/* Candidates for the last word of a command line. */
#include "config/complete.h"

#include "config/buffer.h"
#include "config/help_text.h"
#include "config/settings_table.h"

#define WORD_LIMIT 512

struct rb_complete rb_complete_words(FILE *out, char *const *words) {
    struct rb_complete complete = {
        .out = out, .word = RB_TEXT(""), .before = RB_TEXT("")};
    for (; *words; words++) {
        complete.before = complete.word;
        complete.word = rb_text_of(*words);
    }
    return complete;
}

void rb_complete_offer(const struct rb_complete *complete, struct rb_text word,
                       struct rb_text meaning) {
    if (rb_text_starts(word, complete->word))
        fprintf(complete->out, RB_TEXT_FMT "\t" RB_TEXT_FMT "\n", RB_TEXT_ARG(word),
                RB_TEXT_ARG(meaning));
}

static void offer_built(const struct rb_complete *complete, struct rb_text stem,
                        const char *key, const char *value, const char *meaning) {
    struct rb_buffer word;
    rb_buffer_init(&word, WORD_LIMIT);
    rb_buffer_text(&word, stem);
    rb_buffer_printf(&word, "%s=%s", key, value);
    if (word.status == RB_OK)
        rb_complete_offer(complete, rb_buffer_view(&word), rb_text_of(meaning));
    rb_buffer_fini(&word);
}

/* KEY= of all settings; VALUE where a setting has only a few. */
static void offer_settings(const struct rb_complete *complete, struct rb_text stem) {
    static const char *const booleans[] = {"true", "false", NULL};
    struct rb_text rest =
        rb_text(complete->word.at + stem.len, complete->word.len - stem.len);
    struct rb_text key;
    bool has_key =
        rest.len > 0 && memchr(rest.at, '=', rest.len) && rb_text_next(&rest, '=', &key);
    for (size_t i = 0; !has_key && i < rb_settings_count; i++)
        offer_built(complete, stem, rb_settings_table[i].key, "",
                    rb_settings_table[i].meaning);
    const struct rb_setting *setting = has_key ? rb_settings_find(key) : NULL;
    const char *const *values = NULL;
    if (setting && setting->type == RB_SETTING_CHOICE)
        values = setting->choices;
    else if (setting && setting->type == RB_SETTING_BOOLEAN)
        values = booleans;
    for (; values && *values; values++)
        offer_built(complete, stem, setting->key, *values, "");
}

/* Calls fn for each option of the texts until it says that it has found what it wanted.
 */
static bool each_option(const char *const *helps,
                        bool (*fn)(const struct rb_complete *complete,
                                   struct rb_text option,
                                   const struct rb_help_line *line),
                        const struct rb_complete *complete) {
    for (; *helps; helps++) {
        struct rb_text rest = rb_text_of(*helps);
        struct rb_help_line line;
        while (rb_help_next(&rest, &line)) {
            struct rb_text tag = line.tag, option;
            while (line.kind == RB_HELP_ITEM && rb_help_option(&tag, &option))
                if (fn(complete, option, &line))
                    return true;
        }
    }
    return false;
}

static bool is_before(const struct rb_complete *complete, struct rb_text option,
                      const struct rb_help_line *line) {
    return rb_text_equal(option, complete->before) && rb_help_takes_value(line->tag);
}

static bool offer(const struct rb_complete *complete, struct rb_text option,
                  const struct rb_help_line *line) {
    rb_complete_offer(complete, option, line->text);
    return false;
}

bool rb_complete_value(const struct rb_complete *complete, const char *const *helps) {
    const struct rb_text set = RB_TEXT("--set=");
    if (rb_text_starts(complete->word, set) || rb_text_is(complete->before, "--set")) {
        offer_settings(complete, rb_text_starts(complete->word, set) ? set : RB_TEXT(""));
        return true;
    }
    return each_option(helps, is_before, complete);
}

void rb_complete_options(const struct rb_complete *complete, const char *const *helps) {
    each_option(helps, offer, complete);
}
