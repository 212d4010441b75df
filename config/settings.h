/* All settings of the three programs: one const table (settings_table.c) of key, type,
 * default, range and meaning, from which the parser, the environment, --set, --help and
 * the reference in README.md are made. Order of force: default < file < environment <
 * --set. RINGBACK_NOTIFIER_LISTEN=… is notifier.listen; lists in the environment and in
 * --set are separated by commas. */
#ifndef RB_CONFIG_SETTINGS_H
#define RB_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "config/log.h"
#include "config/status.h"

struct rb_list {
    char **items;
    size_t count;
};

enum rb_claim_mode { RB_CLAIM_LEASE, RB_CLAIM_BLPOP };
enum rb_tls_version { RB_TLS_1_2, RB_TLS_1_3 };
enum rb_auth_mode { RB_AUTH_OPEN, RB_AUTH_TOKEN, RB_AUTH_HOOK };

#define RB_PROCESSES_AUTO 0 /* one a core */

/* Values after reading; every pointer belongs to the settings. */
struct rb_settings {
    struct {
        char *url; /* redis://[[user]:password@]host[:port][/db] or unix:///path */
        char *sentinel_master;         /* "" = no Sentinels, the url says where */
        struct rb_list sentinel_nodes; /* [[user]:password@]host[:port] */
        char *job_prefix;              /* J of the design */
        char *channel_prefix;          /* C of the design */
        int64_t connect_timeout;       /* ms */
        int64_t command_timeout;       /* ms */
    } redis;
    struct {
        int64_t max_events;
        int64_t ttl;      /* ms */
        int64_t max_data; /* bytes of a result in an event */
    } channels;
    struct {
        char *services; /* a folder; resolved against the config file's folder */
        struct rb_list queues;
        struct rb_list weights; /* of the queues, 1 to 1000; none = strict order */
        int64_t claim;          /* enum rb_claim_mode */
        int64_t lease;          /* ms */
        int64_t max_in_flight;
        int64_t processes;
        int64_t drain_timeout;       /* ms */
        int64_t max_kept_bytes;      /* of results, while Redis takes none */
        int64_t max_deliveries;      /* more than so many → dead, poisoned */
        struct rb_list network_deny; /* words and CIDR, see network.h */
        struct rb_list network_allow;
        char *metrics; /* address of the metrics listener, "" = none */
    } worker;
    struct {
        struct rb_list listen; /* [tls://]host:port, [tls://][v6]:port, or unix:/path */
        struct rb_list admin;
        char *tls_certificate;   /* files; resolved like worker.services */
        char *tls_key;           /* "" = in the file of the certificate */
        int64_t tls_min_version; /* enum rb_tls_version */
        int64_t processes;
        int64_t poll_timeout;                /* ms, ±10 % */
        int64_t ping_interval;               /* ms, ±10 % */
        int64_t max_connections;             /* of all processes together */
        int64_t max_connections_per_address; /* 0 = no limit */
        int64_t max_accepts_per_second;      /* of all processes together; likewise */
        int64_t max_accepts_per_second_per_address; /* likewise */
        int64_t max_commands_per_second;            /* frames of a WebSocket; likewise */
        int64_t max_queue;                          /* bytes waiting for one client */
        int64_t max_message;      /* bytes of one message from a client */
        int64_t max_publish;      /* bytes of data in an event by admin */
        int64_t publish_rate;     /* events a second a process; 0 = no limit */
        int64_t idempotency;      /* ms */
        bool receipts;            /* of terminal events, in Redis */
        bool compression;         /* of WebSocket messages */
        int64_t head_timeout;     /* ms to send a whole request head */
        int64_t drain_timeout;    /* ms */
        int64_t auth_mode;        /* enum rb_auth_mode */
        struct rb_list auth_keys; /* files; resolved like worker.services */
        char *auth_issuer;        /* "" = any, also the next */
        char *auth_audience;
        char *auth_cookie;              /* "" = no token in a cookie */
        int64_t auth_leeway;            /* ms */
        int64_t auth_warning;           /* ms before the end of a token */
        char *auth_hook;                /* http://…, or "" */
        int64_t auth_hook_timeout;      /* ms */
        int64_t auth_hook_cache;        /* ms */
        struct rb_list admin_tokens;    /* sha256:<64 hex digits> */
        struct rb_list admin_allow;     /* words and CIDR; none = everybody */
        struct rb_list admin_hosts;     /* names that browsers may ask it under */
        struct rb_list trusted_proxies; /* likewise; none = nobody */
        struct rb_list origins;         /* "*" or scheme://host[:port] */
        char *session_cookie;           /* "" = @session is not available */
        struct rb_list enqueue;         /* services, "*" at the end; none = nobody may */
        char *enqueue_queue;
        int64_t enqueue_max_pending; /* jobs of one WebSocket */
        bool echo;
    } notifier;
    struct {
        int64_t level;  /* enum rb_log_level */
        int64_t format; /* enum rb_log_format */
    } log;
    char *file; /* what was read, or NULL when only defaults */
    struct rb_settings_places *places;
};

/* One thing said on the command line: --set worker.lease=5s. */
struct rb_override {
    const char *key;
    const char *value;
};

/* Reads file (NULL: /etc/ringback/ringback.yaml when it exists, else defaults alone), the
 * environment and the overrides. All mistakes are added to `errors`, each with place,
 * key, what was expected and the nearest known key; a mistake in the environment has the
 * variable's name as its file. RB_OK, RB_INVALID, RB_SYSTEM or RB_NOMEM. */
RB_MUST_CHECK enum rb_status
rb_settings_load(const char *file, const struct rb_override *overrides,
                 size_t override_count, const char *const *environment,
                 struct rb_settings **settings, struct rb_errors *errors);
void rb_settings_free(struct rb_settings *settings);

/* Says in *error (which may be NULL) where the key was set, for a mistake that is only
 * found by who uses it: file, line and column; or the variable, or --set; or nothing. */
void rb_settings_place(const struct rb_settings *settings, const char *key,
                       struct rb_error *error);

/* Names the keys that differ and that a running process can't take over (SIGHUP): calls
 * `each` once a key. */
void rb_settings_fixed_changes(const struct rb_settings *old,
                               const struct rb_settings *new,
                               void (*each)(void *ctx, const char *key), void *ctx);

/* The reference table: Markdown for the README, plain text for --help-settings. */
void rb_settings_print_reference(FILE *out, bool markdown);

#endif
