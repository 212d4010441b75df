/* Reading what --help prints, line by line: the manual pages and the shells' completions
 * are made from it, so that the three can't differ. */
#ifndef RB_CONFIG_HELP_TEXT_H
#define RB_CONFIG_HELP_TEXT_H

#include "config/text.h"

enum rb_help_kind {
    RB_HELP_BLANK,
    RB_HELP_TEXT,    /* of a paragraph */
    RB_HELP_HEADING, /* "Signals:", without the colon */
    RB_HELP_ITEM,    /* "  --set KEY=VALUE    override one setting": tag and text */
    RB_HELP_MORE     /* deep to the right: the item goes on */
};

struct rb_help_line {
    enum rb_help_kind kind;
    struct rb_text tag, text;
};

/* False behind the last line. */
bool rb_help_next(struct rb_text *rest, struct rb_help_line *line);

/* One option of an item's tag ("-c, --config FILE" has two), and whether it takes a
 * value. False when there is none left. */
bool rb_help_option(struct rb_text *tag, struct rb_text *option);
bool rb_help_takes_value(struct rb_text tag);

#endif
