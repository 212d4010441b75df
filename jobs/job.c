/* Reading a job strictly, and saving what a broken one still told. The usual job is read
 * in place; whatever is unusual in it, jansson reads anew and judges. */
#include "jobs/job.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "jobs/json_scan.h"
#include "jobs/json_write.h"
#include "jobs/name.h"

/* The end of the year 9999. Micro- or nanoseconds given by mistake lie beyond it. */
#define TIME_MAX_MS INT64_C(253402300799999)

static bool lower_hex(struct rb_text text) {
    for (size_t i = 0; i < text.len; i++)
        if (!((text.at[i] >= '0' && text.at[i] <= '9') ||
              (text.at[i] >= 'a' && text.at[i] <= 'f')))
            return false;
    return true;
}

static bool all_zero(struct rb_text text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] != '0')
            return false;
    return true;
}

/* W3C Trace Context §3.2: version-traceid-parentid-flags. */
static bool is_traceparent(struct rb_text text) {
    if (text.len != 55 || text.at[2] != '-' || text.at[35] != '-' || text.at[52] != '-')
        return false;
    struct rb_text version = rb_text(text.at, 2), trace = rb_text(text.at + 3, 32),
                   parent = rb_text(text.at + 36, 16), flags = rb_text(text.at + 53, 2);
    return lower_hex(version) && lower_hex(trace) && lower_hex(parent) &&
           lower_hex(flags) && !rb_text_is(version, "ff") && !all_zero(trace) &&
           !all_zero(parent);
}

/* A service that is not known is told so by name; here it only must be speakable. */
static bool is_service(struct rb_text text) { return rb_name_is_queue(text); }

#define NAME_OF(n) "a name of 1 to " #n " characters from A-Z a-z 0-9 _ . : @ = ~ -"

/* The members that are strings. Those that say who asked and who waits come first. */
static const struct string_member {
    const char *name;
    bool (*legal)(struct rb_text text);
    const char *expected;
    size_t at; /* where its char * is in struct rb_job */
    bool saved;
} string_members[] = {
    {"id", rb_name_is_job_id, NAME_OF(128), offsetof(struct rb_job, id), true},
    {"channel", rb_name_is_channel, NAME_OF(128), offsetof(struct rb_job, channel), true},
    {"service", is_service, NAME_OF(64), offsetof(struct rb_job, service), true},
    {"unique", rb_name_is_job_id, NAME_OF(128), offsetof(struct rb_job, unique), false},
    {"trace", is_traceparent, "a W3C traceparent (00-<32 hex>-<16 hex>-<2 hex>)",
     offsetof(struct rb_job, trace), false},
};

static const struct time_member {
    const char *name;
    size_t at; /* where its int64_t is */
} time_members[] = {
    {"at", offsetof(struct rb_job, at)},
    {"expires", offsetof(struct rb_job, expires)},
    {"run_at", offsetof(struct rb_job, run_at)},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const member_names[] = {"service", "params", "channel", "id",    "at",
                                           "expires", "run_at", "unique",  "trace", NULL};
#define MEMBERS "service, params, channel, id, at, expires, run_at, unique, trace"

static char **string_place(struct rb_job *job, const struct string_member *member) {
    return (char **)(void *)((char *)job + member->at);
}

static int64_t *time_place(struct rb_job *job, const struct time_member *member) {
    return (int64_t *)(void *)((char *)job + member->at);
}

static enum rb_status keep(struct rb_job *job, const struct string_member *member,
                           struct rb_text text) {
    char **place = string_place(job, member);
    free(*place);
    *place = rb_text_copy(text);
    return *place ? RB_OK : RB_NOMEM;
}

/* ---- in place ---- */

/* Of a string that was scanned. */
static bool unescaped(struct rb_text string, struct rb_text *text) {
    if (string.at[0] != '"' || memchr(string.at, '\\', string.len))
        return false;
    *text = rb_text(string.at + 1, string.len - 2);
    return true;
}

/* NULL when jansson refuses it. */
static json_t *value_of(struct rb_text value) {
    struct rb_text text;
    int64_t number;
    if (unescaped(value, &text))
        return json_stringn_nocheck(text.at, text.len);
    if (rb_text_int64(value, &number) == RB_OK)
        return json_integer(number);
    return json_loadb(value.at, value.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
                      NULL);
}

static bool take_params(struct rb_job *job, struct rb_text value) {
    struct rb_json_walk walk;
    struct rb_text key, name;
    size_t count = 0;
    if (job->params || rb_json_walk(value, &walk) != RB_OK || walk.end != '}')
        return false;
    job->params = json_object();
    while (job->params && rb_json_next(&walk, &key, &value) == RB_OK) {
        if (!unescaped(key, &name) ||
            json_object_setn_new_nocheck(job->params, name.at, name.len,
                                         value_of(value)) != 0)
            return false;
        count++;
    }
    return job->params && json_object_size(job->params) == count;
}

static bool take_member(struct rb_job *job, struct rb_text key, struct rb_text value,
                        unsigned *times_seen) {
    struct rb_text name, text;
    if (!unescaped(key, &name))
        return false;
    for (size_t i = 0; i < COUNT(string_members); i++) {
        const struct string_member *m = &string_members[i];
        if (rb_text_is(name, m->name))
            return !*string_place(job, m) && unescaped(value, &text) && m->legal(text) &&
                   keep(job, m, text) == RB_OK;
    }
    for (size_t i = 0; i < COUNT(time_members); i++) {
        int64_t *ms = time_place(job, &time_members[i]);
        if (!rb_text_is(name, time_members[i].name))
            continue;
        bool twice = *times_seen & (1u << i);
        *times_seen |= 1u << i;
        return !twice && rb_text_int64(value, ms) == RB_OK && *ms >= 0 &&
               *ms <= TIME_MAX_MS;
    }
    return rb_text_is(name, "params") && take_params(job, value);
}

/* True when it was a job in which everything is as it usually is. False says nothing but
 * that it must be looked at more closely. */
static bool read_in_place(struct rb_text json, struct rb_job *job) {
    struct rb_json_walk walk;
    struct rb_text key, value;
    unsigned times_seen = 0;
    enum rb_status status =
        json.len <= RB_JOB_MAX_BYTES ? rb_json_walk(json, &walk) : RB_TOO_LARGE;
    if (status != RB_OK || walk.end != '}')
        return false;
    while ((status = rb_json_next(&walk, &key, &value)) == RB_OK)
        if (!take_member(job, key, value, &times_seen))
            return false;
    if (status == RB_NOT_FOUND && !job->params)
        job->params = json_object();
    return status == RB_NOT_FOUND && walk.rest.len == 0 && job->service && job->params;
}

/* ---- more closely ---- */

/* Of a job that can't be read as a whole: the members, up to where it breaks, that tell
 * whose it is. */
static void salvage(struct rb_text json, struct rb_job *job) {
    struct rb_json_walk walk;
    struct rb_text key, value, text;
    if (rb_json_walk(json, &walk) != RB_OK || walk.end != '}')
        return;
    while (rb_json_next(&walk, &key, &value) == RB_OK) {
        for (size_t i = 0; i < COUNT(string_members); i++) {
            const struct string_member *m = &string_members[i];
            if (m->saved && rb_json_string_is(key, rb_text_of(m->name)) &&
                rb_json_plain_string(value, &text) && m->legal(text) &&
                keep(job, m, text) != RB_OK)
                return;
        }
    }
}

/* What jansson refuses in text that is JSON. */
static enum rb_status refuse(const json_error_t *e, struct rb_error *error) {
    const char *why;
    switch (json_error_code(e)) {
    case json_error_out_of_memory:
        return RB_NOMEM;
    case json_error_duplicate_key:
        why = "a member is given twice";
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        why = "a string holds \\u0000";
        break;
    case json_error_numeric_overflow:
        why = "a number is out of range (an integer must fit into 64 bits)";
        break;
    default:
        /* The text is JSON, so that jansson only fails when memory does. */
        if (!strstr(e->text, "Unicode"))
            return RB_NOMEM;
        why = "a string holds half of a surrogate pair";
        break;
    }
    return rb_error_set(error, NULL, 0, 0, "the job is refused at byte %d: %s",
                        e->position, why);
}

static enum rb_status load(struct rb_text json, json_t **root, struct rb_error *error) {
    struct rb_error place;
    json_error_t e;
    *root = NULL;
    if (json.len > RB_JOB_MAX_BYTES) {
        rb_error_set(error, NULL, 0, 0, "the job is larger than %d bytes",
                     RB_JOB_MAX_BYTES);
        return RB_TOO_LARGE;
    }
    if (rb_json_check(json, &place) != RB_OK)
        return rb_error_set(error, NULL, 0, 0, "the job is %s", place.text);
    *root = json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    return *root ? RB_OK : refuse(&e, error);
}

/* Goes on after the first mistake, which is the one told, so that whose job it is gets
 * known. */
struct reading {
    json_t *root;
    struct rb_job *job;
    struct rb_error *error;
    enum rb_status status;
};

#define mistake(r, ...)                                                                  \
    do {                                                                                 \
        if ((r)->status == RB_OK)                                                        \
            (r)->status = rb_error_set((r)->error, NULL, 0, 0, __VA_ARGS__);             \
    } while (0)

static void check_name(struct reading *r, const char *name) {
    for (size_t i = 0; member_names[i]; i++)
        if (strcmp(member_names[i], name) == 0)
            return;
    const char *nearest = rb_text_nearest(rb_text_of(name), member_names);
    if (nearest)
        mistake(r, "\"%.64s\" is not a member of a job; did you mean \"%s\"?", name,
                nearest);
    else
        mistake(r, "\"%.64s\" is not a member of a job; known are: " MEMBERS, name);
}

static void read_string(struct reading *r, const struct string_member *member) {
    const json_t *value = json_object_get(r->root, member->name);
    struct rb_text text = {json_string_value(value), json_string_length(value)};
    if (!value)
        return;
    if (!json_is_string(value) || !member->legal(text))
        mistake(r, "\"%s\" must be %s", member->name, member->expected);
    else if (keep(r->job, member, text) != RB_OK)
        r->status = RB_NOMEM;
}

static void read_time(struct reading *r, const struct time_member *member) {
    const json_t *value = json_object_get(r->root, member->name);
    int64_t ms = json_is_integer(value) ? json_integer_value(value) : -1;
    if (!value)
        return;
    if (ms < 0 || ms > TIME_MAX_MS)
        mistake(r, "\"%s\" must be a time in whole milliseconds since 1970",
                member->name);
    else
        *time_place(r->job, member) = ms;
}

static void read_params(struct reading *r) {
    json_t *params = json_object_get(r->root, "params");
    if (params && !json_is_object(params)) {
        mistake(r, "\"params\" must be an object");
        return;
    }
    r->job->params = params ? json_incref(params) : json_object();
    if (!r->job->params)
        r->status = RB_NOMEM;
}

static void read_members(struct reading *r) {
    const char *name;
    json_t *value;
    if (!json_is_object(r->root)) {
        mistake(r, "a job must be a JSON object");
        return;
    }
    json_object_foreach(r->root, name, value) check_name(r, name);
    for (size_t i = 0; i < COUNT(string_members); i++)
        read_string(r, &string_members[i]);
    for (size_t i = 0; i < COUNT(time_members); i++)
        read_time(r, &time_members[i]);
    read_params(r);
    if (!r->job->service)
        mistake(r, "\"service\" is missing: the name of the service to call");
}

enum rb_status rb_job_parse(struct rb_text json, struct rb_job *job,
                            struct rb_error *error) {
    struct reading r = {NULL, job, error, RB_OK};
    *job = (struct rb_job){0};
    if (read_in_place(json, job))
        return RB_OK;
    rb_job_fini(job);
    r.status = load(json, &r.root, error);
    if (r.status == RB_OK)
        read_members(&r);
    else if (json.len <= RB_JOB_MAX_BYTES)
        salvage(json, job);
    else
        salvage(rb_text(json.at, RB_JOB_MAX_BYTES), job);
    if (r.status == RB_NOMEM)
        rb_error_set(error, NULL, 0, 0, "%s", rb_status_text(r.status));
    json_decref(r.root);
    return r.status;
}

void rb_job_fini(struct rb_job *job) {
    for (size_t i = 0; i < COUNT(string_members); i++)
        free(*string_place(job, &string_members[i]));
    json_decref(job->params);
    *job = (struct rb_job){0};
}

static void write_string(struct rb_buffer *out, const char *name, const char *value) {
    if (!value)
        return;
    rb_buffer_printf(out, ",\"%s\":", name);
    rb_buffer_json(out, rb_text_of(value));
}

static void write_time(struct rb_buffer *out, const char *name, int64_t ms) {
    if (ms != 0)
        rb_buffer_printf(out, ",\"%s\":%" PRId64, name, ms);
}

void rb_job_write(const struct rb_job *job, struct rb_buffer *out) {
    size_t begin = out->len;
    write_string(out, "id", job->id);
    write_string(out, "service", job->service);
    if (job->params) {
        rb_buffer_string(out, ",\"params\":");
        rb_json_write(out, job->params);
    }
    write_string(out, "channel", job->channel);
    write_time(out, "at", job->at);
    write_time(out, "expires", job->expires);
    write_time(out, "run_at", job->run_at);
    write_string(out, "unique", job->unique);
    write_string(out, "trace", job->trace);
    if (out->len == begin)
        rb_buffer_char(out, '{');
    else
        out->at[begin] = '{'; /* in place of the first comma */
    rb_buffer_char(out, '}');
}
