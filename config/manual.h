/* Pages of the manual, in the language of man(7), written from what --help prints. */
#ifndef RB_CONFIG_MANUAL_H
#define RB_CONFIG_MANUAL_H

#include <stdio.h>

#include "config/text.h"

/* Title, NAME; the summary is a sentence, as --help has it. */
void rb_manual_begin(FILE *out, const char *name, int section, const char *summary);

void rb_manual_heading(FILE *out, const char *heading);    /* .SH, in capitals */
void rb_manual_subheading(FILE *out, struct rb_text text); /* .SS */
void rb_manual_command(FILE *out, const char *name, const char *words);
void rb_manual_item(FILE *out, struct rb_text tag);

/* One piece of text on a line of its own: what man(7) takes for commands is escaped, and
 * what stands between backquotes is bold. */
void rb_manual_line(FILE *out, struct rb_text text);

/* A whole help text: paragraphs, items, headings. */
void rb_manual_help(FILE *out, const char *help);

/* FILES and SEE ALSO, the same on each page. */
void rb_manual_end(FILE *out);

/* ringback.yaml(5), from the table of the settings. */
void rb_manual_settings(FILE *out);

#endif
