/* What a shell offers to complete a command line with. The shells' scripts ask the
 * program itself: `PROGRAM --complete WORD…` prints a candidate for the last word a line,
 * a tab, and what it means. Nothing printed: a file's name is as good as anything. */
#ifndef RB_CONFIG_COMPLETE_H
#define RB_CONFIG_COMPLETE_H

#include <stdio.h>

#include "config/text.h"

struct rb_complete {
    FILE *out;
    struct rb_text word;   /* that is completed; as far as it is typed */
    struct rb_text before; /* the one before it */
};

/* words: what stands behind --complete, ended by NULL. */
struct rb_complete rb_complete_words(FILE *out, char *const *words);

/* Prints it if it begins with what is typed. */
void rb_complete_offer(const struct rb_complete *complete, struct rb_text word,
                       struct rb_text meaning);

/* True when the word is the value of an option of these help texts (ended by NULL); for
 * --set the settings are offered. */
bool rb_complete_value(const struct rb_complete *complete, const char *const *helps);

/* Offers the options of these help texts. */
void rb_complete_options(const struct rb_complete *complete, const char *const *helps);

#endif
