/* The retry budget of a service. */
#include "worker/retry_budget.h"

#define TOKEN INT64_C(1000) /* so per_second a second is per_second a millisecond */
#define SAVED_S 10

static int64_t most_saved(const struct rb_retry_budget *b) {
    return SAVED_S * b->per_second * TOKEN;
}

static void add(struct rb_retry_budget *b, int64_t tokens) {
    int64_t most = most_saved(b);
    b->tokens = b->tokens + tokens < most ? b->tokens + tokens : most;
}

static void refill(struct rb_retry_budget *b, int64_t now_ms) {
    int64_t passed_ms = now_ms - b->at_ms;
    if (passed_ms <= 0)
        return;
    b->at_ms = now_ms;
    /* More than fills the bucket from any promise is not multiplied out. */
    int64_t enough_ms = SAVED_S * 1000 + (b->tokens < 0 ? -b->tokens / b->per_second : 0);
    add(b, passed_ms > enough_ms ? most_saved(b) - b->tokens : passed_ms * b->per_second);
}

void rb_retry_budget_init(struct rb_retry_budget *b, int64_t percent, int64_t per_second,
                          int64_t now_ms) {
    *b = (struct rb_retry_budget){percent, per_second, 0, now_ms};
    b->tokens = most_saved(b);
}

void rb_retry_budget_set(struct rb_retry_budget *b, int64_t percent, int64_t per_second,
                         int64_t now_ms) {
    refill(b, now_ms);
    b->percent = percent;
    b->per_second = per_second;
    add(b, 0);
}

void rb_retry_budget_call(struct rb_retry_budget *b, int64_t now_ms) {
    refill(b, now_ms);
    add(b, b->percent * TOKEN / 100);
}

bool rb_retry_budget_take(struct rb_retry_budget *b, int64_t now_ms, int64_t max_wait_ms,
                          int64_t *wait_ms) {
    refill(b, now_ms);
    int64_t missing = TOKEN - b->tokens;
    int64_t wait = missing > 0 ? (missing + b->per_second - 1) / b->per_second : 0;
    if (wait > max_wait_ms)
        return false;
    b->tokens -= TOKEN;
    *wait_ms = wait;
    return true;
}
