/* A service definition: how a job becomes an HTTP request and what of the answer is the
 * result (jobs/services/<service>.yaml; every key is documented in jobs/README.md). */
#ifndef RB_JOBS_DEFINITION_H
#define RB_JOBS_DEFINITION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/network.h"
#include "config/status.h"
#include "config/yaml.h"
#include "jobs/breaker_policy.h"
#include "jobs/cache_policy.h"
#include "jobs/definition_alone.h"
#include "jobs/definition_redirects.h"
#include "jobs/job.h"
#include "jobs/limits.h"
#include "jobs/retry_policy.h"

struct rb_params;
struct rb_schedule;
struct rb_template;
struct rb_request_template;
struct rb_call_tls;

#define RB_DEFINITION_STATUS_MAX 599

/* One thing taken from an answer: the value at the pointer, under that name. */
struct rb_selection {
    char *name;    /* NULL when the value itself is the result */
    char *pointer; /* JSON Pointer (RFC 6901) */
};

struct rb_definition;

/* One of the calls of a job that asks several services. Of its definition request,
 * tls, redirects, timeout, retry, result and hedge are set; the rest is as the whole
 * says. */
struct rb_leg {
    char *name;
    struct rb_definition *definition;
};
#define RB_LEGS_MAX 32
#define RB_NEED_SETTLED 0

/* Read-only after loading; owned by its rb_services. */
struct rb_definition {
    char *service;
    char *description; /* may be NULL */
    char *file;
    struct rb_params *params;
    json_t *secrets;             /* name → value */
    struct rb_template *channel; /* NULL: a job must name its channel to be heard */
    struct rb_request_template *request; /* NULL when there are calls */
    struct rb_call_tls *tls;             /* NULL: as the system does it */
    struct rb_redirects redirects;
    struct {
        struct rb_leg *legs;
        size_t count;        /* 0: there is one request */
        int64_t need;        /* answers that make it done; or when all have ended:
                                RB_NEED_SETTLED */
        int64_t deadline_ms; /* closes with what is there; 0 = none */
    } calls;
    int64_t hedge_after_ms; /* a slow call is made a second time; 0 = never */
    struct {
        int64_t connect, per_try, total; /* ms */
    } timeout;
    struct {
        bool success[RB_DEFINITION_STATUS_MAX + 1]; /* by HTTP status */
        struct rb_selection *select;                /* NULL: the whole body */
        size_t select_count;
        int64_t max_bytes;
    } result;
    struct {
        bool started, retrying, partial;
    } progress;
    struct {
        struct rb_network *allow, *deny; /* NULL: worker.network alone */
    } network;
    struct rb_retry_policy retry;
    struct rb_concurrency concurrency;
    struct rb_rate_limit rate_limit;
    struct rb_breaker_policy circuit_breaker;
    struct rb_cache_policy cache;
    struct rb_alone_policy cancel_when_alone;
    int64_t max_queue_time_ms;    /* 0: a job may wait for ever */
    struct rb_schedule *schedule; /* NULL: no recurring job */
};

/* Reads one definition. `file` names it in messages; the service must be called as the
 * file without its ending. Mistakes are added to `errors`, then NULL. */
struct rb_definition *rb_definition_compile(const char *file, const struct rb_yaml *root,
                                            struct rb_errors *errors);
void rb_definition_free(struct rb_definition *definition);

/* Checks job->params against the definition; see rb_params_check. */
RB_MUST_CHECK enum rb_status rb_definition_check(const struct rb_definition *definition,
                                                 const struct rb_job *job,
                                                 json_t **params, struct rb_error *error);

/* The channel of a job that names none: appended to `out`. RB_NOT_FOUND when the
 * definition has no `channel`; RB_INVALID when what is rendered is no channel name. */
RB_MUST_CHECK enum rb_status rb_definition_channel(const struct rb_definition *definition,
                                                   const struct rb_job *job,
                                                   const json_t *params,
                                                   struct rb_buffer *out,
                                                   struct rb_error *error);

/* One HTTP request, ready to be sent. */
struct rb_request {
    char *method;
    char *url;      /* http or https; the host is the definition's own */
    char **headers; /* "Name: value", ended by NULL; values are never empty */
    char *body;     /* NULL: none; not NUL-terminated text but body_len bytes */
    size_t body_len;
};
#define RB_REQUEST_MAX_BYTES (1024 * 1024) /* all of it together */
#define RB_REQUEST_URL_MAX_BYTES (16 * 1024)
#define RB_REQUEST_HEADERS_MAX 64

/* RB_OK: *request is the caller's (_free). RB_INVALID with a sentence (no secret in it),
 * RB_TOO_LARGE or RB_NOMEM else. */
RB_MUST_CHECK enum rb_status
rb_definition_render(const struct rb_definition *definition, const struct rb_job *job,
                     struct rb_text channel, const json_t *params,
                     struct rb_request **request, struct rb_error *error);
/* Shared by calls that ask the same; _free lets go of one reference. */
struct rb_request *rb_request_ref(struct rb_request *request);
void rb_request_free(struct rb_request *request);

/* Is the status a success, and what of the body is the result: appends raw JSON to `out`.
 * Where nothing is selected from it, a JSON body passes byte for byte (a byte order mark
 * before it does not); other bodies become {"content_type","text"} or
 * {"content_type","base64"}. An empty body is null. RB_INVALID with a sentence when the
 * body says that it is JSON and is not, or when `select` meets no JSON (whatever the
 * content type) or nothing at the pointer; else the status of `out`. */
bool rb_definition_success(const struct rb_definition *definition, int status);
RB_MUST_CHECK enum rb_status
rb_definition_result(const struct rb_definition *definition, struct rb_text content_type,
                     struct rb_text body, struct rb_buffer *out, struct rb_error *error);

#endif
