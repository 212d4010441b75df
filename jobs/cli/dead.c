/* ringback dead: the jobs that were given up, and what to do about them. */
#include <stdio.h>
#include <stdlib.h>

#include "config/clock.h"
#include "jobs/cli/cli.h"
#include "jobs/dead.h"

#define LIST_STANDARD 50
#define PAGE 100

/* One of the dead; `text` is a copy of the member. */
struct corpse {
    char *text;
    size_t len;
    double died_ms;
};

struct dead {
    struct rb_cli *cli;
    struct corpse *at;
    size_t count, room;
    size_t page; /* how many the last answer had */
    bool failed;
    char **ids; /* which ones are meant; NULL or empty: see `all` */
    bool all;
    bool moved; /* the one that was asked for */
};

/* A job's marker, while somebody asks whether it is still there. */
struct marked {
    struct rb_text with; /* "": whatever */
    bool now;
};

static bool is_meant(const struct dead *dead, struct rb_text member) {
    for (char **id = dead->ids; id && *id; id++)
        if (rb_dead_is(member, rb_text_of(*id)))
            return true;
    return dead->all;
}

static bool make_room(struct dead *dead) {
    if (dead->count < dead->room)
        return true;
    size_t room = dead->room > 0 ? dead->room * 2 : PAGE;
    struct corpse *grown = realloc(dead->at, room * sizeof *grown);
    if (!grown)
        return false;
    dead->at = grown;
    dead->room = room;
    return true;
}

static void add_corpse(struct dead *dead, const struct redisReply *member,
                       const struct redisReply *score) {
    if (member->type != REDIS_REPLY_STRING || score->type != REDIS_REPLY_STRING)
        return;
    struct rb_text text = rb_text(member->str, member->len);
    if (!is_meant(dead, text))
        return;
    char *copy = make_room(dead) ? rb_text_copy(text) : NULL;
    if (!copy) {
        rb_cli_say("out of memory");
        dead->failed = true;
        return;
    }
    dead->at[dead->count++] = (struct corpse){
        .text = copy, .len = text.len, .died_ms = strtod(score->str, NULL)};
}

static void on_members(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct dead *dead = ctx;
    if (!rb_cli_understood("dead", status, reply, REDIS_REPLY_ARRAY)) {
        dead->failed = true;
        return;
    }
    dead->page = reply->elements / 2;
    for (size_t i = 0; i + 1 < reply->elements && !dead->failed; i += 2)
        add_corpse(dead, reply->element[i], reply->element[i + 1]);
}

/* Those that are meant, the newest first, a page at a time: each may be of a megabyte.
 * limit < 0: all, which Redis holds at most 10,000 of. */
static bool fetch(struct dead *dead, int64_t limit) {
    struct rb_key key;
    char first[24], last[24];
    rb_key_dead(&dead->cli->keys, &key);
    dead->page = PAGE;
    for (int64_t from = 0; dead->page == PAGE && !dead->failed && from != limit;) {
        int64_t left = limit < 0 ? PAGE : limit - from;
        int64_t count = left < PAGE ? left : PAGE;
        snprintf(first, sizeof first, "%lld", (long long)from);
        snprintf(last, sizeof last, "%lld", (long long)(from + count - 1));
        const struct rb_text argv[] = {RB_TEXT("ZREVRANGE"), rb_key_text(&key),
                                       rb_text_of(first), rb_text_of(last),
                                       RB_TEXT("WITHSCORES")};
        rb_cli_ask(dead->cli, on_members, dead, 5, argv);
        rb_cli_settle(dead->cli);
        from += count;
    }
    return !dead->failed;
}

static void print_corpse(const struct corpse *c, bool with_job) {
    struct rb_buffer line;
    rb_buffer_init(&line, RB_DEAD_JSON_BYTES);
    rb_dead_write(&line, rb_text(c->text, c->len), c->died_ms,
                  with_job ? RB_DEAD_JOB : RB_DEAD_PLAIN);
    if (line.status == RB_OK)
        puts(line.at);
    rb_buffer_fini(&line);
}

static int list(struct dead *dead) {
    for (size_t i = 0; i < dead->count; i++)
        print_corpse(&dead->at[i], false);
    return RB_EXIT_OK;
}

static void on_exec(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct dead *dead = ctx;
    if (status == RB_OK && reply->type == REDIS_REPLY_NIL)
        rb_cli_say("somebody else is at the dead: try again");
    else if (rb_cli_understood("EXEC", status, reply, REDIS_REPLY_ARRAY))
        return;
    dead->failed = true;
}

static void on_score(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct dead *dead = ctx;
    dead->moved = status == RB_OK && reply->type == REDIS_REPLY_STRING;
    if (status != RB_OK)
        dead->failed = !rb_cli_understood("ZSCORE", status, reply, REDIS_REPLY_STRING);
}

/* Without scripts: takes it out, and where `queue` is set puts it there, in one
 * transaction that fails when somebody changed the dead in between. */
static void move(struct dead *dead, struct rb_text member, const struct rb_key *queue,
                 struct rb_text envelope) {
    struct rb_key key;
    rb_key_dead(&dead->cli->keys, &key);
    struct rb_text set = rb_key_text(&key);
    const struct rb_text watch[] = {RB_TEXT("WATCH"), set};
    const struct rb_text score[] = {RB_TEXT("ZSCORE"), set, member};
    const struct rb_text multi[] = {RB_TEXT("MULTI")}, exec[] = {RB_TEXT("EXEC")};
    const struct rb_text unwatch[] = {RB_TEXT("UNWATCH")};
    const struct rb_text remove[] = {RB_TEXT("ZREM"), set, member};
    rb_cli_ask(dead->cli, NULL, NULL, 2, watch);
    rb_cli_ask(dead->cli, on_score, dead, 3, score);
    rb_cli_settle(dead->cli);
    if (!dead->moved) {
        rb_cli_ask(dead->cli, NULL, NULL, 1, unwatch);
        return;
    }
    rb_cli_ask(dead->cli, NULL, NULL, 1, multi);
    rb_cli_ask(dead->cli, NULL, NULL, 3, remove);
    if (queue) {
        const struct rb_text add[] = {RB_TEXT("RPUSH"), rb_key_text(queue), envelope};
        rb_cli_ask(dead->cli, NULL, NULL, 3, add);
    }
    rb_cli_ask(dead->cli, on_exec, dead, 1, exec);
    rb_cli_settle(dead->cli);
    dead->moved = !dead->failed;
}

static void on_marked(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct marked *marked = ctx;
    marked->now = status == RB_OK && reply->type == REDIS_REPLY_STRING &&
                  (marked->with.len == 0 ||
                   rb_text_equal(rb_text(reply->str, reply->len), marked->with));
}

/* Without scripts: the job's terminal event is forgotten unless it is another one by now,
 * or becomes one while we ask. */
static void unmark(struct dead *dead, struct rb_text member) {
    struct rb_dead_end end;
    if (!rb_dead_end(&dead->cli->keys, member, &end))
        return;
    struct marked marked = {.with = end.id};
    struct rb_text meta = rb_key_text(&end.meta), marker = rb_text_of(end.marker);
    const struct rb_text watch[] = {RB_TEXT("WATCH"), meta};
    const struct rb_text get[] = {RB_TEXT("HGET"), meta, marker};
    const struct rb_text unwatch[] = {RB_TEXT("UNWATCH")};
    const struct rb_text multi[] = {RB_TEXT("MULTI")}, exec[] = {RB_TEXT("EXEC")};
    const struct rb_text remove[] = {RB_TEXT("HDEL"), meta, marker,
                                     rb_text_of(end.receipt)};
    rb_cli_ask(dead->cli, NULL, NULL, 2, watch);
    rb_cli_ask(dead->cli, on_marked, &marked, 3, get);
    rb_cli_settle(dead->cli);
    if (!marked.now) {
        rb_cli_ask(dead->cli, NULL, NULL, 1, unwatch);
        return;
    }
    rb_cli_ask(dead->cli, NULL, NULL, 1, multi);
    rb_cli_ask(dead->cli, NULL, NULL, 4, remove);
    rb_cli_ask(dead->cli, NULL, NULL, 1, exec);
}

static void on_moved(void *ctx, enum rb_status status, const struct redisReply *reply) {
    struct dead *dead = ctx;
    if (status == RB_INVALID) /* it is no envelope: it stays */
        return;
    if (rb_cli_understood("dead", status, reply, REDIS_REPLY_INTEGER))
        dead->moved = reply->integer == 1;
    else
        dead->failed = true;
}

static bool retry(struct dead *dead, const struct corpse *c) {
    struct rb_cli *cli = dead->cli;
    struct rb_text member = rb_text(c->text, c->len);
    int64_t now_ms = rb_clock_unix_ms();
    struct rb_buffer text;
    struct rb_key queue;
    dead->moved = false;
    if (cli->policy.scripts) {
        rb_dead_retry(cli->link, &cli->keys, member, now_ms, on_moved, dead);
        rb_cli_settle(cli);
        return dead->moved;
    }
    rb_buffer_init(&text, RB_DEAD_ENVELOPE_BYTES);
    if (rb_dead_revive(&cli->keys, member, now_ms, &text, &queue) == RB_OK) {
        unmark(dead, member);
        move(dead, member, &queue, rb_buffer_view(&text));
    }
    rb_buffer_fini(&text);
    return dead->moved;
}

static bool drop(struct dead *dead, const struct corpse *c) {
    struct rb_cli *cli = dead->cli;
    struct rb_text member = rb_text(c->text, c->len);
    dead->moved = false;
    if (cli->policy.scripts) {
        rb_dead_drop(cli->link, &cli->keys, member, on_moved, dead);
        rb_cli_settle(cli);
    } else {
        move(dead, member, NULL, rb_text(NULL, 0));
    }
    return dead->moved;
}

static bool show(struct dead *dead, const struct corpse *c) {
    (void)dead;
    print_corpse(c, true);
    return true;
}

static int each(struct dead *dead, bool (*what)(struct dead *, const struct corpse *),
                const char *done) {
    size_t count = 0, wanted = 0;
    for (size_t i = 0; i < dead->count && !dead->failed; i++)
        if (what(dead, &dead->at[i]))
            count++;
    for (char **id = dead->ids; id && *id; id++)
        wanted++;
    if (done)
        printf("%zu %s\n", count, done);
    if (count < wanted && !dead->failed)
        rb_cli_say("%zu of %zu are not among the dead", wanted - count, wanted);
    return dead->failed || count < wanted ? RB_EXIT_FAILURE : RB_EXIT_OK;
}

static int act(struct dead *dead, const char *verb, int64_t limit) {
    bool listing = strcmp(verb, "list") == 0;
    dead->all |= listing;
    int code = rb_cli_connect(dead->cli);
    if (code == 0 && !fetch(dead, listing ? limit : -1))
        code = RB_EXIT_FAILURE;
    if (code != 0)
        return code;
    if (listing)
        return list(dead);
    if (strcmp(verb, "show") == 0)
        return each(dead, show, NULL);
    return strcmp(verb, "retry") == 0 ? each(dead, retry, "queued again")
                                      : each(dead, drop, "dropped");
}

static int run(struct rb_cli *cli, char **argv) {
    static const char *const verbs[] = {"list", "show", "retry", "drop", NULL};
    struct dead dead = {.cli = cli};
    const char *limit_text = NULL;
    int64_t limit = LIST_STANDARD;
    const struct rb_cli_option options[] = {
        {"--limit", &limit_text, NULL}, {"--all", NULL, &dead.all}, {NULL, NULL, NULL}};
    size_t count = rb_cli_read(cli, options, argv), verb = 0;
    while (count > 0 && verbs[verb] && strcmp(verbs[verb], argv[0]) != 0)
        verb++;
    if (count == 0 || !verbs[verb])
        rb_cli_misuse(cli, "expected list, show, retry or drop");
    if (limit_text &&
        (rb_text_int64(rb_text_of(limit_text), &limit) != RB_OK || limit < 1))
        rb_cli_misuse(cli, "--limit: expected a number from 1, got \"%s\"", limit_text);
    bool listing = strcmp(verbs[verb], "list") == 0;
    if (listing ? count > 1 : (count == 1) != dead.all)
        rb_cli_misuse(cli, listing ? "list takes no ids" : "expected ids, or --all");
    dead.ids = argv + 1;
    int code = act(&dead, verbs[verb], limit);
    for (size_t i = 0; i < dead.count; i++)
        free(dead.at[i].text);
    free(dead.at);
    return code;
}

const struct rb_verb rb_verb_dead = {
    .name = "dead",
    .usage = "list [--limit N] | show ID… | retry ID…|--all | drop ID…|--all",
    .summary = "Lists, shows, repeats or drops the jobs that were given up.",
    .help =
        "Prints JSON, one job a line, the newest first: when it died (ms), id, queue,\n"
        "reason (an error code), error, deliveries; `show` also the job itself.\n"
        "retry queues them again as if they had never run and were asked for now; their\n"
        "terminal event may then come once more.\n"
        "\n"
        "  --limit N   how many to list, default 50\n"
        "  --all       all of them\n",
    .words = (const char *const[]){"list", "show", "retry", "drop", NULL},
    .run = run,
};
