/* The one table of all settings: what there is, what it may be, and what it means. */
#include "config/settings_table.h"

#include <assert.h>

#include "config/address.h"
#include "config/settings_valid.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define KIB INT64_C(1024)
#define MIB (1024 * KIB)

static const char *const claim_modes[] = {"lease", "blpop", NULL};
static const char *const auth_modes[] = {"open", "token", "hook", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

#define LISTEN "an address to listen on: host:port, [v6]:port, *:port or unix:/path"
#define LISTEN_TLS LISTEN ", tls://host:port, or systemd:NAME, and perhaps ?proxy=on"
#define PREFIX                                                                           \
    "1 to 128 printable ASCII characters without spaces, braces only as one {tag}"
#define NETWORK                                                                          \
    "loopback, private, link-local, metadata, public, an address or a range such as "    \
    "10.2.0.0/16"

#define KEY(section, member) "" #section "." #member
#define AT(section, member) offsetof(struct rb_settings, section.member)
#define ROW(section, member) .key = KEY(section, member), .offset = AT(section, member)

const struct rb_setting rb_settings_table[] = {
    {ROW(redis, url), .type = RB_SETTING_STRING, .standard = "redis://127.0.0.1:6379/0",
     .expected = "redis://[[user]:password@]host[:port][/db] or unix:///path",
     .valid = rb_setting_not_empty,
     .meaning = "Where Redis is: `redis://[[user]:password@]host[:port][/db]` or "
                "`unix:///path`. With Sentinels its user, password and database count, "
                "its host and port do not."},
    {.key = "redis.sentinel.master",
     .offset = AT(redis, sentinel_master),
     .type = RB_SETTING_STRING,
     .standard = "",
     .expected = "a name that the Sentinels watch a master by, or nothing",
     .valid = rb_setting_is_master_or_empty,
     .meaning =
         "The name of the master that `redis.sentinel.nodes` are asked for; empty: "
         "there are no Sentinels."},
    {.key = "redis.sentinel.nodes",
     .offset = AT(redis, sentinel_nodes),
     .type = RB_SETTING_LIST,
     .standard = "",
     .max = 16,
     .expected = "[[user]:password@]host[:port] of a Sentinel",
     .valid = rb_setting_is_node,
     .meaning = "The Sentinels, asked in turn where the master is: "
                "`[[user]:password@]host[:port]`, port 26379 if none is given."},
    {ROW(redis, job_prefix), .type = RB_SETTING_STRING, .standard = "ringback",
     .expected = PREFIX, .valid = rb_setting_is_prefix,
     .meaning = "What the keys of jobs start with. On a Redis Cluster write it "
                "`{ringback}`, so that they share a slot."},
    {ROW(redis, channel_prefix), .type = RB_SETTING_STRING, .standard = "ringback:ch",
     .expected = PREFIX, .valid = rb_setting_is_prefix,
     .meaning = "What the keys of channels start with, and the pub/sub channels too."},
    {ROW(redis, connect_timeout), .type = RB_SETTING_DURATION, .standard = "2s",
     .min = 10, .max = MINUTE, .meaning = "How long one attempt to connect may take."},
    {ROW(redis, command_timeout), .type = RB_SETTING_DURATION, .standard = "5s",
     .min = 10, .max = 5 * MINUTE,
     .meaning = "How long an answer may take before the link counts as lost."},

    {ROW(channels, max_events), .type = RB_SETTING_INTEGER, .standard = "100", .min = 1,
     .max = 100000, .reloads = true,
     .meaning = "How many events a channel keeps for those who come late."},
    {ROW(channels, ttl), .type = RB_SETTING_DURATION, .standard = "10m", .min = SECOND,
     .max = 30 * DAY, .reloads = true,
     .meaning = "How long a channel is kept after its last event."},

    {ROW(channels, max_data), .type = RB_SETTING_BYTES, .standard = "256KiB", .min = KIB,
     .max = 16 * 1024 * KIB, .reloads = true,
     .meaning =
         "A result with more bytes is kept beside its channel, and its event has a "
         "link to it."},

    {ROW(worker, services), .type = RB_SETTING_STRING, .standard = "services",
     .expected = "a folder", .valid = rb_setting_not_empty, .reloads = true,
     .meaning = "The folder of the service definitions. A relative path starts at the "
                "folder of the configuration file (without one, /etc/ringback); from the "
                "environment or the command line, at the working directory."},
    {ROW(worker, queues), .type = RB_SETTING_LIST, .standard = "default", .min = 1,
     .max = 64,
     .expected = "a queue name of 1 to 64 characters out of A-Z a-z 0-9 _ . : @ = ~ -",
     .valid = rb_setting_is_queue,
     .meaning = "The queues to take jobs from, the most urgent first."},
    {ROW(worker, weights), .type = RB_SETTING_LIST, .standard = "", .max = 64,
     .expected = "a number from 1 to 1000 for each queue", .valid = rb_setting_is_weight,
     .meaning =
         "How often each of the queues is the first to be taken from, in relation: "
         "`[5, 2, 1]`; with `claim: lease` only. None: strict order."},
    {ROW(worker, claim), .type = RB_SETTING_CHOICE, .standard = "lease",
     .choices = claim_modes,
     .meaning = "`lease`: a job whose worker died goes to another one. `blpop`: plain "
                "BLPOP, without scripts; a job dies with its worker."},
    {ROW(worker, lease), .type = RB_SETTING_DURATION, .standard = "10s", .min = SECOND,
     .max = HOUR,
     .meaning = "How long a worker may be silent before its jobs go to others. It renews "
                "five times in that."},
    {ROW(worker, max_in_flight), .type = RB_SETTING_INTEGER, .standard = "1000", .min = 1,
     .max = 100000, .reloads = true,
     .meaning = "How many jobs one process has in flight at most."},
    {ROW(worker, processes), .type = RB_SETTING_PROCESSES, .standard = "1", .min = 1,
     .max = 256, .meaning = "How many processes work; `auto`: one a core."},
    {ROW(worker, drain_timeout), .type = RB_SETTING_DURATION, .standard = "25s", .min = 0,
     .max = HOUR, .reloads = true,
     .meaning =
         "How long SIGTERM waits for the jobs in flight; what is left then is given "
         "back."},
    {ROW(worker, max_kept_bytes), .type = RB_SETTING_BYTES, .standard = "256MiB",
     .min = 64 * KIB, .max = 1024 * 1024 * MIB, .reloads = true,
     .meaning =
         "How much one process keeps of results while Redis takes none. A job whose "
         "result is beyond that is given back when Redis is there again, and its "
         "call repeated."},
    {ROW(worker, max_deliveries), .type = RB_SETTING_INTEGER, .standard = "3", .min = 1,
     .max = 1000, .reloads = true,
     .meaning = "A job that outlived so many workers is given up as `poisoned`."},
    {.key = "worker.network.deny",
     .offset = AT(worker, network_deny),
     .type = RB_SETTING_LIST,
     .standard = "link-local,metadata",
     .max = 256,
     .expected = NETWORK,
     .valid = rb_setting_is_network,
     .reloads = true,
     .meaning =
         "Addresses that no service may be called at, checked on the address that "
         "is dialled: `loopback`, `private`, `link-local`, `metadata`, `public`, or "
         "ranges."},
    {.key = "worker.network.allow",
     .offset = AT(worker, network_allow),
     .type = RB_SETTING_LIST,
     .standard = "",
     .max = 256,
     .expected = NETWORK,
     .valid = rb_setting_is_network,
     .reloads = true,
     .meaning = "Exceptions from `worker.network.deny`; they win."},
    {ROW(worker, metrics), .type = RB_SETTING_STRING, .standard = "127.0.0.1:9401",
     .expected = LISTEN ", or nothing", .valid = rb_setting_is_listen_or_empty,
     .meaning =
         "Where `/metrics` and `/healthz` of the worker are served; empty: nowhere."},

    {ROW(notifier, listen), .type = RB_SETTING_LIST, .standard = "127.0.0.1:8080",
     .min = 1, .max = 16, .expected = LISTEN_TLS, .valid = rb_address_is_notifier_listen,
     .meaning = "Where browsers are served; `tls://` before an address: over TLS; "
                "`systemd:NAME`: sockets that are passed; `?proxy=on` behind it: each "
                "connection begins with the PROXY protocol, from one of "
                "`notifier.trusted_proxies`."},
    {ROW(notifier, admin), .type = RB_SETTING_LIST, .standard = "127.0.0.1:8081",
     .max = 16, .expected = LISTEN_TLS, .valid = rb_address_is_notifier_listen,
     .meaning = "Where the web app enqueues and publishes, `/metrics` is served, and the "
                "operator's page at `/`. Keep it away from everybody else."},
    {ROW(notifier, admin_tokens), .type = RB_SETTING_LIST, .standard = "", .max = 32,
     .expected = "sha256: and 64 hex digits in lower case", .valid = rb_setting_is_digest,
     .reloads = true,
     .meaning = "Who asks the admin listener shows one of these as a bearer token: "
                "`sha256:` and what `printf %s TOKEN | sha256sum` says; several while "
                "one is replaced. None: no token is asked for."},
    {ROW(notifier, admin_allow), .type = RB_SETTING_LIST, .standard = "", .max = 64,
     .expected = NETWORK, .valid = rb_setting_is_network, .reloads = true,
     .meaning = "From where the admin listener may be asked: words as with "
                "`worker.network.deny`, addresses and ranges; none: from everywhere. "
                "Unix sockets are guarded by their mode."},
    {ROW(notifier, admin_hosts), .type = RB_SETTING_LIST, .standard = "", .max = 64,
     .expected = "a host's name without a port", .valid = rb_setting_is_host,
     .reloads = true,
     .meaning = "Names under which browsers may ask the admin listener; IP addresses and "
                "names without a dot, such as `localhost`, always do."},
    {ROW(notifier, trusted_proxies), .type = RB_SETTING_LIST, .standard = "", .max = 64,
     .expected = NETWORK, .valid = rb_setting_is_network, .reloads = true,
     .meaning = "Proxies whose `X-Forwarded-For` is believed, written likewise; with "
                "any, unix sockets count as proxies too. None: it is not looked at."},
    {.key = "notifier.tls.certificate",
     .offset = AT(notifier, tls_certificate),
     .type = RB_SETTING_STRING,
     .standard = "",
     .expected = "a file, or nothing",
     .valid = rb_setting_is_path_or_empty,
     .reloads = true,
     .meaning =
         "The certificate for addresses with `tls://`, PEM, with what leads to its "
         "root behind it. Relative paths as with `worker.services`. SIGHUP reads "
         "it again, whether its name has changed or not."},
    {.key = "notifier.tls.key",
     .offset = AT(notifier, tls_key),
     .type = RB_SETTING_STRING,
     .standard = "",
     .expected = "a file, or nothing",
     .valid = rb_setting_is_path_or_empty,
     .reloads = true,
     .meaning = "Its private key, PEM without a passphrase; empty: in the same file."},
    {.key = "notifier.tls.min_version",
     .offset = AT(notifier, tls_min_version),
     .type = RB_SETTING_CHOICE,
     .standard = "1.2",
     .choices = tls_versions,
     .reloads = true,
     .meaning = "The oldest version of TLS that is spoken."},
    {ROW(notifier, processes), .type = RB_SETTING_PROCESSES, .standard = "auto", .min = 1,
     .max = 256, .meaning = "How many processes serve; `auto`: one a core."},
    {ROW(notifier, poll_timeout), .type = RB_SETTING_DURATION, .standard = "25s",
     .min = 100, .max = HOUR, .reloads = true,
     .meaning = "After so long without an event a long-poll is answered 204 (±10 %)."},
    {ROW(notifier, ping_interval), .type = RB_SETTING_DURATION, .standard = "25s",
     .min = 100, .max = HOUR, .reloads = true,
     .meaning =
         "How often an idle WebSocket or stream is asked whether it lives (±10 %)."},
    {ROW(notifier, max_connections), .type = RB_SETTING_INTEGER, .standard = "100000",
     .min = 1, .max = 10000000, .reloads = true,
     .meaning = "How many clients all processes serve together."},
    {ROW(notifier, max_connections_per_address), .type = RB_SETTING_INTEGER,
     .standard = "0", .min = 0, .max = 10000000, .reloads = true,
     .meaning =
         "How many of them may come from one address; 0: no limit (to set one then "
         "takes a restart). Behind a proxy all come from the proxy's."},
    {ROW(notifier, max_accepts_per_second), .type = RB_SETTING_INTEGER, .standard = "0",
     .min = 0, .max = 10000000, .reloads = true,
     .meaning = "How many new clients a second all processes accept together; who comes "
                "beyond waits in the system's queue; 0: no limit."},
    {ROW(notifier, max_accepts_per_second_per_address), .type = RB_SETTING_INTEGER,
     .standard = "0", .min = 0, .max = 10000000, .reloads = true,
     .meaning = "How many of them may come from one address, after a burst of twice as "
                "many; beyond it they are refused; 0: no limit."},
    {ROW(notifier, max_commands_per_second), .type = RB_SETTING_INTEGER,
     .standard = "100", .min = 0, .max = 10000, .reloads = true,
     .meaning =
         "How many frames a second a client may send on a WebSocket, after a burst "
         "of twice as many: commands beyond are refused, and who goes on is "
         "closed; 0: no limit."},
    {ROW(notifier, max_queue), .type = RB_SETTING_BYTES, .standard = "1MiB", .min = KIB,
     .max = 1024 * MIB, .reloads = true,
     .meaning = "How much may wait for one slow client before it is cut off and told to "
                "resume."},
    {ROW(notifier, max_message), .type = RB_SETTING_BYTES, .standard = "1MiB", .min = 128,
     .max = 256 * MIB, .reloads = true,
     .meaning = "The largest message or request body that a client may send."},
    {ROW(notifier, max_publish), .type = RB_SETTING_BYTES, .standard = "1MiB", .min = 1,
     .max = 8 * MIB, .reloads = true,
     .meaning = "The largest data of one event that the admin listener publishes."},
    {ROW(notifier, publish_rate), .type = RB_SETTING_INTEGER, .standard = "0", .min = 0,
     .max = 10000000, .reloads = true,
     .meaning = "How many events a second the admin listener of one process publishes, "
                "after a burst of a second's; 0: no limit."},
    {ROW(notifier, idempotency), .type = RB_SETTING_DURATION, .standard = "10m",
     .min = 1000, .max = 7 * DAY, .reloads = true,
     .meaning = "How long the admin listener remembers an Idempotency-Key."},
    {ROW(notifier, receipts), .type = RB_SETTING_BOOLEAN, .standard = "false",
     .reloads = true,
     .meaning = "Note in Redis when the terminal event of a job was first written to a "
                "client; `GET /channels/<channel>` shows it."},
    {ROW(notifier, compression), .type = RB_SETTING_BOOLEAN, .standard = "false",
     .reloads = true,
     .meaning = "Compress WebSocket messages for clients that offer it "
                "(permessage-deflate, RFC 7692): less to send, more CPU."},
    {ROW(notifier, head_timeout), .type = RB_SETTING_DURATION, .standard = "10s",
     .min = 100, .max = 10 * MINUTE, .reloads = true,
     .meaning = "How long a client may take to send the head of a request."},
    {ROW(notifier, drain_timeout), .type = RB_SETTING_DURATION, .standard = "25s",
     .min = 0, .max = HOUR, .reloads = true,
     .meaning = "Over how long SIGTERM spreads the farewell to the clients."},
    {.key = "notifier.auth.mode",
     .offset = AT(notifier, auth_mode),
     .type = RB_SETTING_CHOICE,
     .standard = "open",
     .choices = auth_modes,
     .reloads = true,
     .meaning = "Who may hear what. `open`: who knows a channel's name may hear it. "
                "`token`: a JWT names the channels. `hook`: the web app is asked."},
    {.key = "notifier.auth.keys",
     .offset = AT(notifier, auth_keys),
     .type = RB_SETTING_LIST,
     .standard = "",
     .max = 32,
     .expected = "a file",
     .valid = rb_setting_not_empty,
     .reloads = true,
     .meaning = "Files with the keys of tokens: PEM (RS256, ES256), JWKS, or a secret "
                "(HS256). Relative paths as with `worker.services`."},
    {.key = "notifier.auth.issuer",
     .offset = AT(notifier, auth_issuer),
     .type = RB_SETTING_STRING,
     .standard = "",
     .expected = "at most 256 bytes",
     .valid = rb_setting_is_short,
     .reloads = true,
     .meaning = "What `iss` of a token must be; empty: anything."},
    {.key = "notifier.auth.audience",
     .offset = AT(notifier, auth_audience),
     .type = RB_SETTING_STRING,
     .standard = "",
     .expected = "at most 256 bytes",
     .valid = rb_setting_is_short,
     .reloads = true,
     .meaning = "What must be among `aud` of a token; empty: anything."},
    {.key = "notifier.auth.cookie",
     .offset = AT(notifier, auth_cookie),
     .type = RB_SETTING_STRING,
     .standard = "",
     .expected = "the name of a cookie, or nothing",
     .valid = rb_setting_is_cookie_or_empty,
     .reloads = true,
     .meaning = "The cookie that may carry the token, beside `?token=` and "
                "`Authorization: Bearer`; empty: none."},
    {.key = "notifier.auth.leeway",
     .offset = AT(notifier, auth_leeway),
     .type = RB_SETTING_DURATION,
     .standard = "2s",
     .max = 5 * MINUTE,
     .reloads = true,
     .meaning = "How far the clocks of those who make tokens may be off."},
    {.key = "notifier.auth.warning",
     .offset = AT(notifier, auth_warning),
     .type = RB_SETTING_DURATION,
     .standard = "30s",
     .max = HOUR,
     .reloads = true,
     .meaning = "How long before the end of its token a live client gets `expiring`; "
                "sooner than at half of what is left it does not."},
    {.key = "notifier.auth.hook",
     .offset = AT(notifier, auth_hook),
     .type = RB_SETTING_STRING,
     .standard = "",
     .expected = "http://… or https://…, or nothing",
     .valid = rb_setting_is_url_or_empty,
     .reloads = true,
     .meaning = "Where the web app answers whether a client may hear its channels: 2xx, "
                "401 or 403. Anything else lets nobody in."},
    {.key = "notifier.auth.hook_timeout",
     .offset = AT(notifier, auth_hook_timeout),
     .type = RB_SETTING_DURATION,
     .standard = "3s",
     .min = 10,
     .max = MINUTE,
     .reloads = true,
     .meaning = "How long the web app may take."},
    {.key = "notifier.auth.hook_cache",
     .offset = AT(notifier, auth_hook_cache),
     .type = RB_SETTING_DURATION,
     .standard = "10s",
     .max = HOUR,
     .reloads = true,
     .meaning = "How long its answer is good for the same session and channels; a "
                "refusal at most 1s; 0: not at all."},
    {ROW(notifier, origins), .type = RB_SETTING_LIST, .standard = "*", .max = 256,
     .expected = "* or an origin such as https://shop.example.com, in lower case and "
                 "without a path",
     .valid = rb_address_is_origin, .reloads = true,
     .meaning = "Web sites whose pages may connect: `*`, or `scheme://host[:port]`."},
    {ROW(notifier, session_cookie), .type = RB_SETTING_STRING, .standard = "",
     .expected = "the name of a cookie, or nothing",
     .valid = rb_setting_is_cookie_or_empty, .reloads = true,
     .meaning =
         "The cookie that `@session` stands for in channel names; empty: `@session` "
         "is not available."},
    {ROW(notifier, enqueue), .type = RB_SETTING_LIST, .standard = "", .max = 256,
     .expected = "a service, or the beginning of its name and *",
     .valid = rb_setting_is_service_pattern, .reloads = true,
     .meaning = "Services whose jobs a WebSocket may enqueue; `*` stands for any rest. "
                "None: no jobs come from browsers."},
    {ROW(notifier, enqueue_queue), .type = RB_SETTING_STRING, .standard = "default",
     .expected = "a queue name of 1 to 64 characters out of A-Z a-z 0-9 _ . : @ = ~ -",
     .valid = rb_setting_is_queue, .reloads = true,
     .meaning = "The queue that they go to."},
    {ROW(notifier, enqueue_max_pending), .type = RB_SETTING_INTEGER, .standard = "16",
     .min = 1, .max = 1000, .reloads = true,
     .meaning = "How many jobs of one WebSocket may be without their result."},
    {ROW(notifier, echo), .type = RB_SETTING_BOOLEAN, .standard = "false",
     .reloads = true, .meaning = "Serve `/echo`, for test pages and conformance suites."},

    {ROW(log, level), .type = RB_SETTING_CHOICE, .standard = "info",
     .choices = log_levels, .reloads = true,
     .meaning = "The least severe lines that are written."},
    {ROW(log, format), .type = RB_SETTING_CHOICE, .standard = "text",
     .choices = log_formats, .reloads = true,
     .meaning = "`text` (logfmt) or `json`; to stderr, one object or line an event."},
};

static_assert(sizeof rb_settings_table / sizeof rb_settings_table[0] <= RB_SETTINGS_MAX,
              "each has a place");
const size_t rb_settings_count = sizeof rb_settings_table / sizeof rb_settings_table[0];
