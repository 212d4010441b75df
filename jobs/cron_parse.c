/* Reading cron expressions. */
#include "jobs/cron.h"

#include "jobs/calendar.h"

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed",
                                        "thu", "fri", "sat", NULL};

struct field {
    const char *name;
    int min, max;
    const char *const *names; /* of min, min + 1, …; or NULL */
};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct field fields[FIELDS] = {
    [MINUTE] = {"minute", 0, 59, NULL},           [HOUR] = {"hour", 0, 23, NULL},
    [DAY] = {"day of month", 1, 31, NULL},        [MONTH] = {"month", 1, 12, month_names},
    [WEEKDAY] = {"day of week", 0, 7, day_names},
};

static const struct {
    const char *name, *fields;
} shorthands[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

/* Where a mistake stands is told as a column within the whole text. */
struct place {
    struct rb_text whole;
    struct rb_error *error;
};

static enum rb_status wrong(const struct place *p, const struct field *field,
                            struct rb_text part) {
    return rb_error_set(p->error, NULL, 0, (int)(part.at - p->whole.at) + 1,
                        "%s: expected *, a number from %d to %d%s, a range, a list or a "
                        "step, got \"%.*s\"",
                        field->name, field->min, field->max,
                        field->names ? " or a name" : "",
                        part.len > 32 ? 32 : (int)part.len, part.at);
}

static enum rb_status read_value(const struct field *field, struct rb_text text,
                                 int *value) {
    for (int i = 0; field->names && field->names[i]; i++) {
        if (rb_text_equal_nocase(text, rb_text_of(field->names[i]))) {
            *value = field->min + i;
            return RB_OK;
        }
    }
    uint64_t number;
    if (rb_text_uint64(text, &number) != RB_OK || number < (uint64_t)field->min ||
        number > (uint64_t)field->max)
        return RB_INVALID;
    *value = (int)number;
    return RB_OK;
}

static enum rb_status read_range(const struct field *field, struct rb_text text, int *low,
                                 int *high) {
    const char *dash = text.len > 0 ? memchr(text.at, '-', text.len) : NULL;
    struct rb_text first = text, last = text;
    if (dash) {
        first.len = (size_t)(dash - text.at);
        last = rb_text(dash + 1, text.len - first.len - 1);
    }
    if (read_value(field, first, low) != RB_OK || read_value(field, last, high) != RB_OK)
        return RB_INVALID;
    /* "sat-sun" ends with the Sunday behind the Saturday. */
    if (dash && field == &fields[WEEKDAY] && *high == 0 && *low > 0)
        *high = 7;
    return *low <= *high ? RB_OK : RB_INVALID;
}

/* One of the parts of a list: "*", "a", "a-b", each but "a" with "/step". */
static enum rb_status read_part(const struct field *field, struct rb_text part,
                                uint64_t *bits) {
    int low = field->min, high = field->max;
    uint64_t step = 1;
    const char *slash = part.len > 0 ? memchr(part.at, '/', part.len) : NULL;
    struct rb_text range = part;
    if (slash) {
        range.len = (size_t)(slash - part.at);
        struct rb_text digits = rb_text(slash + 1, part.len - range.len - 1);
        bool many =
            rb_text_is(range, "*") || (range.len > 0 && memchr(range.at, '-', range.len));
        if (!many || rb_text_uint64(digits, &step) != RB_OK || step == 0 ||
            step > (uint64_t)field->max)
            return RB_INVALID;
    }
    if (!rb_text_is(range, "*") && read_range(field, range, &low, &high) != RB_OK)
        return RB_INVALID;
    for (int i = low; i <= high; i += (int)step)
        *bits |= UINT64_C(1) << i;
    return RB_OK;
}

static enum rb_status read_field(const struct place *p, const struct field *field,
                                 struct rb_text text, uint64_t *bits) {
    struct rb_text rest = text, part;
    *bits = 0;
    if (text.at[text.len - 1] == ',')
        return wrong(p, field, text);
    while (rb_text_next(&rest, ',', &part))
        if (read_part(field, part, bits) != RB_OK)
            return wrong(p, field, part.len > 0 ? part : text);
    return RB_OK;
}

static struct rb_text next_word(struct rb_text *rest) {
    size_t blank = 0, len = 0;
    while (blank < rest->len && (rest->at[blank] == ' ' || rest->at[blank] == '\t'))
        blank++;
    *rest = rb_text(rest->at + blank, rest->len - blank);
    while (len < rest->len && rest->at[len] != ' ' && rest->at[len] != '\t')
        len++;
    struct rb_text word = rb_text(rest->at, len);
    *rest = rb_text(rest->at + len, rest->len - len);
    return word;
}

static enum rb_status expand(const struct place *p, struct rb_text *text) {
    struct rb_text name = rb_text_trim(*text);
    if (name.len == 0 || name.at[0] != '@')
        return RB_OK;
    for (size_t i = 0; i < sizeof shorthands / sizeof shorthands[0]; i++) {
        if (rb_text_is(name, shorthands[i].name)) {
            *text = rb_text_of(shorthands[i].fields);
            return RB_OK;
        }
    }
    return rb_error_set(p->error, NULL, 0, (int)(name.at - p->whole.at) + 1,
                        "expected @hourly, @daily, @weekly, @monthly or @yearly, got "
                        "\"%.*s\"",
                        name.len > 32 ? 32 : (int)name.len, name.at);
}

/* Each date falls on each weekday some year; so all that never comes is a day that none
 * of the months has, where no weekday can stand in for it. */
static bool ever(const struct rb_cron *cron) {
    for (int month = 1; month <= 12; month++) {
        uint32_t days = (UINT32_C(2) << rb_calendar_month_days(2000, month)) - 2;
        if ((cron->months >> month & 1) && (!cron->both_days || (cron->days & days)))
            return true;
    }
    return false;
}

enum rb_status rb_cron_parse(struct rb_text text, struct rb_cron *cron,
                             struct rb_error *error) {
    struct place p = {text, error};
    struct rb_text words[FIELDS];
    uint64_t bits[FIELDS];
    if (text.len == 0)
        return rb_error_set(error, NULL, 0, 1, "expected five fields, got nothing");
    if (expand(&p, &text) != RB_OK)
        return RB_INVALID;
    p.whole = text;
    struct rb_text rest = rb_text_trim(text);
    for (int i = 0; i < FIELDS; i++) {
        words[i] = next_word(&rest);
        if (words[i].len == 0)
            return rb_error_set(error, NULL, 0, 1,
                                "expected five fields (minute, hour, day of month, "
                                "month, day of week), got %d",
                                i);
        if (read_field(&p, &fields[i], words[i], &bits[i]) != RB_OK)
            return RB_INVALID;
    }
    struct rb_text more = next_word(&rest);
    if (more.len > 0)
        return rb_error_set(error, NULL, 0, (int)(more.at - p.whole.at) + 1,
                            "expected five fields, got more");
    *cron = (struct rb_cron){
        .minutes = bits[MINUTE],
        .hours = (uint32_t)bits[HOUR],
        .days = (uint32_t)bits[DAY],
        .months = (uint32_t)bits[MONTH],
        .weekdays = (uint32_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f),
        .both_days = words[DAY].at[0] == '*' || words[WEEKDAY].at[0] == '*',
        .wildcard = words[MINUTE].at[0] == '*' || words[HOUR].at[0] == '*',
    };
    if (!ever(cron))
        return rb_error_set(error, NULL, 0, 1, "this date never comes");
    return RB_OK;
}
