/* TZif files: a table of changes, and a rule for the time behind it. */
#include "jobs/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/buffer.h"
#include "jobs/calendar.h"
#include "jobs/zone_rule.h"

#define MAX_FILE_BYTES (256 * 1024)
#define MAX_NAME_BYTES 64
#define HEADER_BYTES 44
#define MAX_OFFSET_S (26 * 3600) /* RFC 8536 §3.2: -25 h < utoff < 26 h */

/* What holds from `at_s` on. */
struct change {
    int64_t at_s;
    int32_t offset_s;
};

struct rb_zone {
    bool has_rule; /* else the last offset goes on for ever */
    struct rb_zone_rule rule;
    int32_t first_offset_s; /* before the first change */
    size_t count;
    struct change changes[];
};

/* RFC 8536 §3.1: the counts of one header, and what they make of its block. */
struct header {
    int version;
    size_t time_bytes; /* of one transition time in this block: 4 or 8 */
    size_t isut, isstd, leaps, times, types, chars;
};

static uint32_t big32(const unsigned char *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t signed32(const unsigned char *at) {
    uint32_t value = big32(at);
    return value < UINT32_C(1) << 31 ? (int64_t)value
                                     : (int64_t)value - (INT64_C(1) << 32);
}

static int64_t signed64(const unsigned char *at) {
    return (int64_t)((uint64_t)big32(at) << 32 | big32(at + 4));
}

static enum rb_status read_header(struct rb_text bytes, size_t time_bytes,
                                  struct header *h) {
    if (bytes.len < HEADER_BYTES || memcmp(bytes.at, "TZif", 4) != 0)
        return RB_INVALID;
    const unsigned char *at = (const unsigned char *)bytes.at;
    *h = (struct header){
        .version = at[4] == 0 ? 1 : at[4] - '0',
        .time_bytes = time_bytes,
        .isut = big32(at + 20),
        .isstd = big32(at + 24),
        .leaps = big32(at + 28),
        .times = big32(at + 32),
        .types = big32(at + 36),
        .chars = big32(at + 40),
    };
    /* No file within MAX_FILE_BYTES has more; so the sums below cannot overflow. */
    size_t max = MAX_FILE_BYTES;
    if (h->isut > max || h->isstd > max || h->leaps > max || h->times > max ||
        h->types > 256 || h->types == 0 || h->chars > max)
        return RB_INVALID;
    return RB_OK;
}

static size_t block_bytes(const struct header *h) {
    return h->times * (h->time_bytes + 1) + h->types * 6 + h->chars +
           h->leaps * (h->time_bytes + 4) + h->isstd + h->isut;
}

static bool offset_at(const unsigned char *types, size_t type, int32_t *offset_s) {
    int64_t offset = signed32(types + 6 * type);
    if (offset <= -MAX_OFFSET_S || offset >= MAX_OFFSET_S)
        return false;
    *offset_s = (int32_t)offset;
    return true;
}

static enum rb_status read_block(const unsigned char *at, const struct header *h,
                                 struct rb_zone *zone) {
    const unsigned char *indexes = at + h->times * h->time_bytes;
    const unsigned char *types = indexes + h->times;
    if (!offset_at(types, 0, &zone->first_offset_s))
        return RB_INVALID;
    for (size_t i = 0; i < h->times; i++) {
        const unsigned char *time = at + i * h->time_bytes;
        struct change *c = &zone->changes[i];
        c->at_s = h->time_bytes == 8 ? signed64(time) : signed32(time);
        if (indexes[i] >= h->types || !offset_at(types, indexes[i], &c->offset_s) ||
            (i > 0 && c->at_s <= zone->changes[i - 1].at_s))
            return RB_INVALID;
    }
    zone->count = h->times;
    return RB_OK;
}

/* "\n<rule>\n"; an empty rule says that nothing is known behind the table. */
static enum rb_status read_footer(struct rb_text bytes, struct rb_zone *zone) {
    if (bytes.len < 2 || bytes.at[0] != '\n')
        return RB_INVALID;
    struct rb_text rule = rb_text(bytes.at + 1, bytes.len - 1);
    const char *end = memchr(rule.at, '\n', rule.len);
    if (!end)
        return RB_INVALID;
    rule.len = (size_t)(end - rule.at);
    if (rule.len == 0)
        return RB_OK;
    zone->has_rule = true;
    return rb_zone_rule_parse(rule, &zone->rule);
}

static struct rb_text behind(struct rb_text bytes, size_t len) {
    return rb_text(bytes.at + len, bytes.len - len);
}

enum rb_status rb_zone_parse(struct rb_text bytes, struct rb_zone **zone) {
    struct header h;
    *zone = NULL;
    if (bytes.len > MAX_FILE_BYTES || read_header(bytes, 4, &h) != RB_OK ||
        block_bytes(&h) > bytes.len - HEADER_BYTES)
        return RB_INVALID;
    /* Since version 2 the same follows with times of 64 bits. */
    if (h.version >= 2) {
        bytes = behind(bytes, HEADER_BYTES + block_bytes(&h));
        if (read_header(bytes, 8, &h) != RB_OK ||
            block_bytes(&h) > bytes.len - HEADER_BYTES)
            return RB_INVALID;
    }
    struct rb_zone *made = calloc(1, sizeof *made + h.times * sizeof made->changes[0]);
    if (!made)
        return RB_NOMEM;
    enum rb_status status =
        read_block((const unsigned char *)bytes.at + HEADER_BYTES, &h, made);
    if (status == RB_OK && h.version >= 2)
        status = read_footer(behind(bytes, HEADER_BYTES + block_bytes(&h)), made);
    if (status != RB_OK) {
        free(made);
        return status;
    }
    *zone = made;
    return RB_OK;
}

void rb_zone_free(struct rb_zone *zone) { free(zone); }

/* What may become part of a path: "America/Argentina/Buenos_Aires", never "../x". */
static bool zone_name(struct rb_text name) {
    struct rb_text part;
    if (name.len == 0 || name.len > MAX_NAME_BYTES || name.at[name.len - 1] == '/')
        return false;
    while (rb_text_next(&name, '/', &part)) {
        if (part.len == 0)
            return false;
        for (size_t i = 0; i < part.len; i++) {
            char c = part.at[i];
            bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
            bool other = (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+';
            if (!letter && (i == 0 || !other))
                return false;
        }
    }
    return true;
}

static enum rb_status read_all(int fd, struct rb_buffer *bytes) {
    for (;;) {
        char *room = rb_buffer_reserve(bytes, 4096);
        if (!room)
            return bytes->status == RB_NOMEM ? RB_NOMEM : RB_INVALID;
        ssize_t n = read(fd, room, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EISDIR ? RB_NOT_FOUND : RB_SYSTEM;
        if (n == 0)
            return RB_OK;
        rb_buffer_commit(bytes, (size_t)n);
    }
}

static enum rb_status load_file(const char *path, struct rb_zone **zone) {
    struct rb_buffer bytes;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? RB_NOT_FOUND : RB_SYSTEM;
    rb_buffer_init(&bytes, MAX_FILE_BYTES);
    enum rb_status status = read_all(fd, &bytes);
    close(fd);
    if (status == RB_OK)
        status = rb_zone_parse(rb_buffer_view(&bytes), zone);
    rb_buffer_fini(&bytes);
    return status;
}

enum rb_status rb_zone_load(const char *folder, struct rb_text name,
                            struct rb_zone **zone) {
    *zone = NULL;
    if (!zone_name(name))
        return RB_INVALID;
    if (rb_text_is(name, "UTC")) {
        *zone = calloc(1, sizeof **zone);
        return *zone ? RB_OK : RB_NOMEM;
    }
    struct rb_buffer path;
    rb_buffer_init(&path, 4096);
    rb_buffer_printf(&path, "%s/" RB_TEXT_FMT, folder, RB_TEXT_ARG(name));
    enum rb_status status = path.status;
    if (status == RB_OK)
        status = load_file(path.at, zone);
    rb_buffer_fini(&path);
    return status;
}

/* The changes of three years in order, so that the one before the moment and the one
 * behind it are among them, whatever the zone's offset makes of the turn of the year. */
static struct rb_zone_span by_rule(const struct rb_zone_rule *rule, int64_t unix_s) {
    struct rb_zone_span span = {INT64_MIN, INT64_MAX, rule->standard_s};
    if (!rule->has_summer)
        return span;
    int64_t year = rb_calendar_date(unix_s / RB_DAY_S).year;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        struct change changes[2] = {
            {rb_zone_change_at(&rule->to_summer, y, rule->standard_s), rule->summer_s},
            {rb_zone_change_at(&rule->to_standard, y, rule->summer_s), rule->standard_s},
        };
        bool south = changes[1].at_s < changes[0].at_s;
        for (int i = 0; i < 2; i++) {
            const struct change *c = &changes[south ? 1 - i : i];
            if (c->at_s <= unix_s) {
                span.start_s = c->at_s;
                span.offset_s = c->offset_s;
            } else {
                span.end_s = c->at_s;
                return span;
            }
        }
    }
    return span;
}

struct rb_zone_span rb_zone_at(const struct rb_zone *zone, int64_t unix_s) {
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->changes[middle].at_s <= unix_s)
            low = middle + 1;
        else
            high = middle;
    }
    const struct change *now = low > 0 ? &zone->changes[low - 1] : NULL;
    if (low == zone->count && zone->has_rule) {
        struct rb_zone_span span = by_rule(&zone->rule, unix_s);
        if (now && span.start_s < now->at_s)
            span.start_s = now->at_s;
        return span;
    }
    return (struct rb_zone_span){
        .start_s = now ? now->at_s : INT64_MIN,
        .end_s = low < zone->count ? zone->changes[low].at_s : INT64_MAX,
        .offset_s = now ? now->offset_s : zone->first_offset_s,
    };
}
