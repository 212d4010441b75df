/* The circuit breaker of a service. */
#include "worker/breaker.h"

#include <assert.h>
#include <stddef.h>

static const char *const names[] = {
    [RB_BREAKER_CLOSED] = "closed",
    [RB_BREAKER_OPEN] = "open",
    [RB_BREAKER_HALF_OPEN] = "half_open",
};

const char *rb_breaker_state_name(enum rb_breaker_state state) { return names[state]; }

void rb_breaker_init(struct rb_breaker *b, rb_breaker_change_fn *on_change, void *ctx) {
    *b = (struct rb_breaker){.on_change = on_change, .ctx = ctx};
    for (size_t i = 0; i < RB_BREAKER_BUCKETS; i++)
        b->buckets[i].start_ms = INT64_MIN;
}

static void change(struct rb_breaker *b, enum rb_breaker_state to,
                   const struct rb_breaker_bucket *figures) {
    const struct rb_breaker_change told = {
        b->state, to, figures->calls, figures->failures, figures->slow,
    };
    b->state = to;
    b->era++;
    b->probes_out = b->probes_well = 0;
    for (size_t i = 0; i < RB_BREAKER_BUCKETS; i++)
        b->buckets[i] = (struct rb_breaker_bucket){.start_ms = INT64_MIN};
    if (b->on_change)
        b->on_change(b->ctx, &told);
}

static void open_for(struct rb_breaker *b, const struct rb_breaker_policy *policy,
                     int64_t now_ms, const struct rb_breaker_bucket *figures) {
    b->open_until_ms = now_ms + policy->open_for_ms;
    change(b, RB_BREAKER_OPEN, figures);
}

/* Buckets are told apart by when they began, so one that is a turn of the ring old, or of
 * another width (the policy changed), is emptied when its place is needed. */
static struct rb_breaker_bucket *bucket_at(struct rb_breaker *b, int64_t window_ms,
                                           int64_t now_ms) {
    int64_t width = window_ms / RB_BREAKER_BUCKETS;
    int64_t slot = now_ms / width;
    struct rb_breaker_bucket *bucket = &b->buckets[slot % RB_BREAKER_BUCKETS];
    if (bucket->start_ms != slot * width)
        *bucket = (struct rb_breaker_bucket){.start_ms = slot * width};
    return bucket;
}

static struct rb_breaker_bucket window(const struct rb_breaker *b, int64_t window_ms,
                                       int64_t now_ms) {
    struct rb_breaker_bucket sum = {0};
    for (size_t i = 0; i < RB_BREAKER_BUCKETS; i++) {
        const struct rb_breaker_bucket *bucket = &b->buckets[i];
        if (bucket->start_ms <= now_ms - window_ms)
            continue;
        sum.calls += bucket->calls;
        sum.failures += bucket->failures;
        sum.slow += bucket->slow;
    }
    return sum;
}

static bool broken(const struct rb_breaker_policy *policy,
                   const struct rb_breaker_bucket *sum) {
    if (sum->calls < policy->minimum_calls)
        return false;
    return sum->failures * 100 >= policy->failure_rate * sum->calls ||
           (policy->slow_call_rate > 0 &&
            sum->slow * 100 >= policy->slow_call_rate * sum->calls);
}

static void close_well(struct rb_breaker *b) {
    const struct rb_breaker_bucket well = {.calls = b->probes_well};
    change(b, RB_BREAKER_CLOSED, &well);
}

/* What a reload can leave behind: a breaker that is no more, or fewer probes to wait for
 * than there were. */
static void reconsider(struct rb_breaker *b, const struct rb_breaker_policy *policy) {
    if (b->state != RB_BREAKER_CLOSED &&
        (!policy->enabled ||
         (b->state == RB_BREAKER_HALF_OPEN && b->probes_well >= policy->half_open_calls)))
        close_well(b);
}

bool rb_breaker_admit(struct rb_breaker *b, const struct rb_breaker_policy *policy,
                      int64_t now_ms, uint32_t *ticket) {
    static const struct rb_breaker_bucket none = {0};
    reconsider(b, policy);
    if (b->state == RB_BREAKER_OPEN) {
        if (now_ms < b->open_until_ms)
            return false;
        change(b, RB_BREAKER_HALF_OPEN, &none);
    }
    if (b->state == RB_BREAKER_HALF_OPEN) {
        if (b->probes_out + b->probes_well >= policy->half_open_calls)
            return false;
        b->probes_out++;
    }
    *ticket = b->era;
    return true;
}

static void settle_probe(struct rb_breaker *b, const struct rb_breaker_policy *policy,
                         int64_t now_ms, const struct rb_breaker_bucket *one) {
    assert(b->probes_out > 0);
    b->probes_out--;
    if (one->failures + one->slow > 0) {
        open_for(b, policy, now_ms, one);
        return;
    }
    b->probes_well += one->calls;
    if (b->probes_well >= policy->half_open_calls)
        close_well(b);
}

void rb_breaker_settle(struct rb_breaker *b, const struct rb_breaker_policy *policy,
                       int64_t now_ms, uint32_t ticket, enum rb_breaker_outcome outcome,
                       int64_t took_ms) {
    reconsider(b, policy);
    if (!policy->enabled || ticket != b->era)
        return;
    const struct rb_breaker_bucket one = {
        .calls = outcome != RB_BREAKER_NO_MATTER,
        .failures = outcome == RB_BREAKER_FAILURE,
        .slow = outcome != RB_BREAKER_NO_MATTER && policy->slow_call_rate > 0 &&
                took_ms >= policy->slow_call_ms,
    };
    if (b->state == RB_BREAKER_HALF_OPEN) {
        settle_probe(b, policy, now_ms, &one);
        return;
    }
    if (one.calls == 0)
        return;
    struct rb_breaker_bucket *bucket = bucket_at(b, policy->window_ms, now_ms);
    bucket->calls += one.calls;
    bucket->failures += one.failures;
    bucket->slow += one.slow;
    struct rb_breaker_bucket sum = window(b, policy->window_ms, now_ms);
    if (broken(policy, &sum))
        open_for(b, policy, now_ms, &sum);
}

int64_t rb_breaker_wait_ms(const struct rb_breaker *b, int64_t now_ms) {
    return b->state == RB_BREAKER_OPEN && b->open_until_ms > now_ms
               ? b->open_until_ms - now_ms
               : 0;
}
