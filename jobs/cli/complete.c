/* What the shells offer for a command line of `ringback`. */
#include "config/complete.h"

#include <stdlib.h>

#include "jobs/cli/cli.h"
#include "jobs/services.h"

static const char before_verb[] = "  --help-settings    list all settings\n"
                                  "  --version          print the version\n";

/* The configuration file that the line names, for the definitions that it leads to. */
static void note_file(struct rb_cli *cli, const char *option, const char *value) {
    if (strcmp(option, "-c") == 0 || strcmp(option, "--config") == 0)
        cli->options.file = value;
}

/* The words behind the verb, or NULL when it is not typed yet; the last word is only on
 * its way. */
static char **find_verb(struct rb_cli *cli, char **words) {
    for (; words[0] && words[1]; words++) {
        bool value = strcmp(words[0], "-c") == 0 || strcmp(words[0], "--config") == 0 ||
                     strcmp(words[0], "--set") == 0;
        if (value)
            note_file(cli, words[0], words[1]);
        if (words[0][0] != '-')
            return words;
        words += value;
        if (!words[1])
            break;
    }
    return NULL;
}

static void offer_services(struct rb_cli *cli, const struct rb_complete *asked) {
    struct rb_services *services = NULL;
    struct rb_errors errors = {0};
    if (rb_cli_settings(cli) == 0 &&
        rb_services_load(cli->settings->worker.services, &services, &errors) == RB_OK)
        for (size_t i = 0; i < rb_services_count(services); i++) {
            const struct rb_definition *definition = rb_services_at(services, i);
            rb_complete_offer(asked, rb_text_of(definition->service),
                              rb_text_of(definition->description));
        }
    rb_services_unref(services);
}

static void offer_verbs(const struct rb_complete *asked) {
    for (const struct rb_verb *const *verb = rb_verbs; *verb; verb++)
        rb_complete_offer(asked, rb_text_of((*verb)->name), rb_text_of((*verb)->summary));
}

/* Options are many: they are offered to who has begun one, and where nothing else is. */
static bool is_option(const struct rb_complete *asked) {
    return asked->word.len > 0 && asked->word.at[0] == '-';
}

void rb_cli_complete(struct rb_cli *cli, char **words) {
    struct rb_complete asked = rb_complete_words(stdout, words);
    char **behind = find_verb(cli, words);
    const struct rb_verb *verb = NULL;
    if (!behind) {
        const char *helps[] = {rb_cli_common_options, before_verb, NULL};
        if (rb_complete_value(&asked, helps))
            return;
        if (is_option(&asked))
            rb_complete_options(&asked, helps);
        offer_verbs(&asked);
        rb_complete_offer(&asked, RB_TEXT("help"), RB_TEXT("Says more of a verb."));
        return;
    }
    if (strcmp(behind[0], "help") == 0) {
        offer_verbs(&asked);
        return;
    }
    for (const struct rb_verb *const *v = rb_verbs; *v && !verb; v++)
        verb = strcmp((*v)->name, behind[0]) == 0 ? *v : NULL;
    if (!verb)
        return;
    for (char **word = behind + 1; word[0] && word[1]; word++)
        note_file(cli, word[0], word[1]);
    const char *helps[] = {verb->help, rb_cli_common_options, NULL};
    if (rb_complete_value(&asked, helps))
        return;
    if (is_option(&asked) || (!verb->words && verb != &rb_verb_enqueue))
        rb_complete_options(&asked, helps);
    for (const char *const *word = verb->words; word && *word; word++)
        rb_complete_offer(&asked, rb_text_of(*word), RB_TEXT(""));
    if (verb == &rb_verb_enqueue)
        offer_services(cli, &asked);
}
