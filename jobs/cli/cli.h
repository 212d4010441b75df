/* The `ringback` command: what its verbs share. A verb is a file; its table entry says
 * what `ringback help VERB` prints. */
#ifndef RB_JOBS_CLI_H
#define RB_JOBS_CLI_H

#include <ev.h>
#include <stdbool.h>

#include "config/options.h"
#include "jobs/keys.h"
#include "jobs/link.h"
#include "jobs/publish.h"
#include "jobs/redis_address.h"

/* Further exit codes of this command, beside enum rb_exit. */
#define RB_EXIT_LATE 124 /* no result in time; as timeout(1) has it */

struct rb_cli {
    const struct rb_verb *verb;
    struct rb_options options; /* -c, --set */
    bool verbose;
    struct rb_settings *settings;
    struct rb_redis_address address;
    struct rb_keys keys;
    struct rb_channel_policy policy;
    struct ev_loop *loop;
    struct rb_link *link;
    rb_link_state_fn *on_link; /* who else wants to know; may be NULL */
    void *on_link_ctx;
};

struct rb_verb {
    const char *name;
    const char *usage; /* what stands behind the name */
    const char *summary;
    const char *help;         /* paragraphs, each line ended */
    const char *const *words; /* the first word's choices, ended by NULL; may be NULL */
    int (*run)(struct rb_cli *cli, char **argv); /* ended by NULL; gives the exit code */
};

extern const struct rb_verb rb_verb_enqueue, rb_verb_wait, rb_verb_listen,
    rb_verb_publish, rb_verb_check, rb_verb_status, rb_verb_dead, rb_verb_token,
    rb_verb_cancel, rb_verb_pause, rb_verb_resume, rb_verb_completion;
extern const struct rb_verb *const rb_verbs[]; /* ended by NULL */
extern const char rb_cli_common_options[];     /* as --help has them */

/* One option of a verb: --name, or --name VALUE when `value` is set. */
struct rb_cli_option {
    const char *name; /* with its dashes; NULL ends the table */
    const char **value;
    bool *flag;
};

/* Takes the options out of argv (also the common ones), so that words are left, ended by
 * NULL; returns how many. Everything behind "--" is a word. --help prints and exits; what
 * is wrong is told, and exits with RB_EXIT_USAGE. */
size_t rb_cli_read(struct rb_cli *cli, const struct rb_cli_option *options, char **argv);

/* "ringback VERB: …" and how to get help, then exit with RB_EXIT_USAGE. */
_Noreturn void rb_cli_misuse(const struct rb_cli *cli, const char *format, ...)
    RB_PRINTF(2, 3);

/* A duration in ms; misuse when `text` is none. `standard` when text is NULL. */
int64_t rb_cli_duration(const struct rb_cli *cli, const char *option, const char *text,
                        int64_t standard);

void rb_cli_print_verb(FILE *out, const struct rb_verb *verb);

/* "ringback: …" on stderr. */
void rb_cli_say(const char *format, ...) RB_PRINTF(1, 2);

/* Reads the settings. 0, or an exit code after the mistakes are told. */
int rb_cli_settings(struct rb_cli *cli);

/* Settings, then a link that is up. 0, or an exit code after telling why not. */
int rb_cli_connect(struct rb_cli *cli);

/* rb_link_call with the default timeout. */
void rb_cli_ask(struct rb_cli *cli, rb_link_reply_fn *fn, void *ctx, size_t argc,
                const struct rb_text *argv);

/* Runs the loop until every command is answered. */
void rb_cli_settle(struct rb_cli *cli);

/* For callbacks: true when RB_OK and of that type (REDIS_REPLY_…); else says what went
 * wrong, naming what was asked. */
bool rb_cli_understood(const char *what, enum rb_status status,
                       const struct redisReply *reply, int type);

/* All of a file, or of stdin for "-", bounded: the caller frees. NULL after telling. */
char *rb_cli_read_all(const char *path, size_t limit_bytes, size_t *len);

void rb_cli_fini(struct rb_cli *cli);

/* For --complete (see config/complete.h), and for --help-man. */
void rb_cli_complete(struct rb_cli *cli, char **words);
void rb_cli_print_manual(const char *summary, const char *codes);

#endif
