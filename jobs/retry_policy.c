/* The `retry:` of a definition: read, and asked. */
#include "jobs/retry_policy.h"

#include "jobs/http_date.h"
#include "jobs/section.h"
#include "jobs/yaml_value.h"

#define MAX_ATTEMPTS 100
#define HOUR_MS 3600000
#define DAY_MS (24 * HOUR_MS)

void rb_retry_policy_init(struct rb_retry_policy *policy) {
    *policy = (struct rb_retry_policy){
        .max_attempts = 1,
        .base_ms = 200,
        .max_ms = 5000,
        .max_retry_after_ms = 10000,
        .budget = {.percent = 20, .per_second = 10},
    };
}

static void name_status(struct rb_retry_policy *policy, int from, int to) {
    policy->causes[RB_RETRY_STATUS] = true;
    for (int status = from; status <= to; status++)
        policy->statuses[status - RB_RETRY_STATUS_MIN] = true;
}

/* Outcomes after which another attempt is likely to help. TLS is not among them: a wrong
 * certificate stays wrong. */
static void usual_causes(struct rb_retry_policy *policy) {
    policy->causes[RB_RETRY_CONNECT] = true;
    policy->causes[RB_RETRY_TIMEOUT] = true;
    policy->causes[RB_RETRY_RESET] = true;
    name_status(policy, 429, 429);
    name_status(policy, 502, 504);
}

static bool read_cause(struct rb_text word, struct rb_retry_policy *policy) {
    static const char *const names[] = {
        [RB_RETRY_CONNECT] = "connect",
        [RB_RETRY_TIMEOUT] = "timeout",
        [RB_RETRY_RESET] = "reset",
        [RB_RETRY_TLS] = "tls",
        [RB_RETRY_CIRCUIT_OPEN] = "circuit_open",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (rb_text_is(word, names[i])) {
            policy->causes[i] = true;
            return true;
        }
    }
    int64_t status;
    if (rb_text_is(word, "5xx"))
        name_status(policy, 500, 599);
    else if (rb_text_int64(word, &status) == RB_OK && status >= RB_RETRY_STATUS_MIN &&
             status <= RB_RETRY_STATUS_MAX)
        name_status(policy, (int)status, (int)status);
    else
        return false;
    return true;
}

static void read_on(const struct rb_yaml *on, struct rb_retry_policy *policy,
                    struct rb_errors *errors) {
    static const char what[] = "connect, timeout, reset, tls, circuit_open, 5xx or a "
                               "status from 200 to 599";
    if (!on) {
        usual_causes(policy);
        return;
    }
    if (on->kind != RB_YAML_SEQUENCE || on->count == 0) {
        rb_yaml_error(on, errors, "expected a list of %s, got %s", what,
                      on->kind == RB_YAML_SEQUENCE ? "an empty one"
                                                   : rb_yaml_describe(on));
        return;
    }
    for (size_t i = 0; i < on->count; i++) {
        const struct rb_yaml *item = &on->items[i];
        struct rb_text word;
        if (rb_value_text(item, &word, errors) && !read_cause(word, policy))
            rb_yaml_error(item, errors, "expected %s, got \"" RB_TEXT_FMT "\"", what,
                          RB_TEXT_ARG(word));
    }
}

static void read_backoff(const struct rb_yaml *backoff, struct rb_retry_policy *policy,
                         struct rb_errors *errors) {
    static const char *const known[] = {"base", "max", NULL};
    if (!backoff || !rb_section_open(backoff, known, NULL, errors))
        return;
    rb_section_duration(backoff, "base", 1, HOUR_MS, &policy->base_ms, errors);
    if (policy->max_ms < policy->base_ms)
        policy->max_ms = policy->base_ms;
    rb_section_duration(backoff, "max", policy->base_ms, DAY_MS, &policy->max_ms, errors);
}

static void read_budget(const struct rb_yaml *budget, struct rb_retry_policy *policy,
                        struct rb_errors *errors) {
    static const char *const known[] = {"percent", "per_second", NULL};
    if (!budget || !rb_section_open(budget, known, NULL, errors))
        return;
    rb_section_percent(budget, "percent", &policy->budget.percent, errors);
    rb_section_int(budget, "per_second", 1, 100000, &policy->budget.per_second, errors);
}

void rb_retry_policy_read(const struct rb_yaml *node, struct rb_retry_policy *policy,
                          struct rb_errors *errors) {
    static const char *const known[] = {
        "max_attempts", "on", "backoff", "max_retry_after", "budget", NULL,
    };
    rb_retry_policy_init(policy);
    if (!rb_section_open(node, known, NULL, errors))
        return;
    policy->max_attempts = 3;
    rb_section_int(node, "max_attempts", 1, MAX_ATTEMPTS, &policy->max_attempts, errors);
    read_on(rb_yaml_get(node, "on"), policy, errors);
    read_backoff(rb_yaml_get(node, "backoff"), policy, errors);
    rb_section_duration(node, "max_retry_after", 0, DAY_MS, &policy->max_retry_after_ms,
                        errors);
    read_budget(rb_yaml_get(node, "budget"), policy, errors);
}

static bool named(const struct rb_retry_policy *policy,
                  const struct rb_retry_outcome *outcome) {
    if (!policy->causes[outcome->cause])
        return false;
    return outcome->cause != RB_RETRY_STATUS ||
           (outcome->status >= RB_RETRY_STATUS_MIN &&
            outcome->status <= RB_RETRY_STATUS_MAX &&
            policy->statuses[outcome->status - RB_RETRY_STATUS_MIN]);
}

/* 0 … range, both included. */
static int64_t pick(int64_t range, uint32_t random) {
    return (int64_t)(((uint64_t)range + 1) * random >> 32);
}

static int64_t ceiling(const struct rb_retry_policy *policy, int attempts) {
    int64_t range = policy->base_ms;
    for (int i = 1; i < attempts && range < policy->max_ms; i++)
        range *= 2;
    return range < policy->max_ms ? range : policy->max_ms;
}

enum rb_retry_verdict rb_retry_decide(const struct rb_retry_policy *policy, int attempts,
                                      const struct rb_retry_outcome *outcome,
                                      int64_t now_ms, int64_t deadline_ms,
                                      uint32_t random, int64_t *delay_ms) {
    if (!named(policy, outcome))
        return RB_RETRY_NOT_NAMED;
    if (attempts >= policy->max_attempts)
        return RB_RETRY_SPENT;
    if (outcome->retry_after_ms > policy->max_retry_after_ms)
        return RB_RETRY_TOO_LONG;
    int64_t delay = pick(ceiling(policy, attempts), random);
    if (outcome->retry_after_ms != RB_RETRY_NO_WISH) {
        int64_t asked = outcome->retry_after_ms + pick(policy->base_ms, random);
        delay = asked > delay ? asked : delay;
    }
    if (delay >= deadline_ms - now_ms)
        return RB_RETRY_TOO_LATE;
    *delay_ms = delay;
    return RB_RETRY_AGAIN;
}

int64_t rb_retry_after_ms(struct rb_text field, int64_t now_s) {
    /* A delay beyond this is as good as never, and stays far from any overflow. */
    const int64_t never_s = INT64_C(1000) * 365 * 24 * 3600;
    int64_t date_s;
    field = rb_text_trim(field);
    if (field.len > 0 && field.at[0] >= '0' && field.at[0] <= '9') {
        uint64_t seconds;
        for (size_t i = 0; i < field.len; i++)
            if (field.at[i] < '0' || field.at[i] > '9')
                return RB_RETRY_NO_WISH;
        if (rb_text_uint64(field, &seconds) != RB_OK || seconds > (uint64_t)never_s)
            seconds = (uint64_t)never_s;
        return (int64_t)seconds * 1000;
    }
    if (rb_http_date_parse(field, now_s, &date_s) != RB_OK)
        return RB_RETRY_NO_WISH;
    return date_s > now_s ? (date_s - now_s) * 1000 : 0;
}
