/* Between the files of the settings: the table's shape, and storing one value by it. */
#ifndef RB_CONFIG_SETTINGS_TABLE_H
#define RB_CONFIG_SETTINGS_TABLE_H

#include "config/buffer.h"
#include "config/settings.h"

enum rb_setting_type {
    RB_SETTING_STRING,    /* char * */
    RB_SETTING_LIST,      /* struct rb_list */
    RB_SETTING_INTEGER,   /* this and the next four: int64_t */
    RB_SETTING_DURATION,  /* ms */
    RB_SETTING_BYTES,     /* bytes */
    RB_SETTING_PROCESSES, /* a number, or auto */
    RB_SETTING_CHOICE,    /* index into .choices */
    RB_SETTING_BOOLEAN    /* bool */
};

struct rb_setting {
    const char *key;
    enum rb_setting_type type;
    size_t offset;        /* within struct rb_settings */
    const char *standard; /* the default, as one would write it; lists with commas */
    const char *meaning;  /* for the reference: sentences */
    int64_t min, max;     /* numbers: both allowed; lists: how many items */
    const char *const *choices;
    /* Strings, and each item of a list: what is asked for in words, and whether it is
     * met. */
    const char *expected;
    bool (*valid)(struct rb_text text);
    bool reloads; /* SIGHUP takes it over */
};

#define RB_SETTINGS_MAX 256
extern const struct rb_setting rb_settings_table[]; /* at most RB_SETTINGS_MAX */
extern const size_t rb_settings_count;

/* Checks `count` texts (one, unless it is a list) and stores them. On RB_INVALID nothing
 * is changed, `why` says "<key>: expected …, got …", and *bad is the index of the text
 * that is wrong (count when the list as a whole is). RB_OK, RB_INVALID or RB_NOMEM. */
RB_MUST_CHECK enum rb_status rb_setting_store(const struct rb_setting *setting,
                                              struct rb_settings *settings,
                                              const struct rb_text *texts, size_t count,
                                              struct rb_buffer *why, size_t *bad);

/* The same for a text from the environment or the command line: a list is split at
 * commas. */
RB_MUST_CHECK enum rb_status rb_setting_store_text(const struct rb_setting *setting,
                                                   struct rb_settings *settings,
                                                   struct rb_text text,
                                                   struct rb_buffer *why);

/* "a duration from 1s to 1h, e.g. 10s". */
void rb_setting_expected(const struct rb_setting *setting, struct rb_buffer *out);

/* "duration, 1s to 1h", "one of lease, blpop", "list": for the reference. */
void rb_setting_add_type(const struct rb_setting *setting, struct rb_buffer *out);

/* "90s" or "64KiB": a value of the setting's type as one would write it. */
void rb_setting_add_number(const struct rb_setting *setting, int64_t value,
                           struct rb_buffer *out);

bool rb_setting_same(const struct rb_setting *setting, const struct rb_settings *a,
                     const struct rb_settings *b);
void rb_setting_clear(const struct rb_setting *setting, struct rb_settings *settings);

/* Of settings_keys.c. "RINGBACK_WORKER_LEASE" for worker.lease. */
#define RB_SETTING_PREFIX "RINGBACK_"
#define RB_SETTING_VARIABLE 64
void rb_setting_variable(const struct rb_setting *setting, char out[RB_SETTING_VARIABLE]);

const struct rb_setting *rb_settings_find(struct rb_text key);
const struct rb_setting *rb_settings_find_variable(struct rb_text name);

/* True when keys stand below this path: "worker", "worker.network". */
bool rb_settings_is_section(struct rb_text path);

/* The key that was probably meant, or NULL. The variable's name starts with the prefix.
 */
const char *rb_settings_nearest(struct rb_text key);
const struct rb_setting *rb_settings_nearest_variable(struct rb_text name);

/* Says that `name` is not known within the section `prefix` ("" at the top), and which
 * was probably meant or which there are. */
void rb_settings_unknown(struct rb_text prefix, struct rb_text name,
                         struct rb_buffer *out);

#endif
