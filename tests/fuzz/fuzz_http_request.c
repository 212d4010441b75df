/* Reading requests: the same bytes must give the same requests, however they are cut, and
 * what is given must keep the promises of http_request.h. */
#include <stdint.h>
#include <stdlib.h>

#include "config/buffer.h"
#include "notifier/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

static void note(struct rb_buffer *log, const struct rb_http_request *r) {
    rb_buffer_printf(log, "%d %d %d %d %d ", (int)r->method, r->minor, r->keep_alive,
                     r->upgrade_websocket, r->expect_continue);
    rb_buffer_text(log, r->path);
    rb_buffer_text(log, r->query);
    require(r->path.len > 0 && (r->path.at[0] == '/' || rb_text_is(r->path, "*")));
    require(r->header_count <= RB_HTTP_HEADERS);
    size_t hosts = 0;
    for (size_t i = 0; i < r->header_count; i++) {
        struct rb_http_header h = r->headers[i];
        hosts += rb_text_equal_nocase(h.name, RB_TEXT("host"));
        require(h.name.len > 0 && h.value.at);
        rb_buffer_text(log, h.name);
        rb_buffer_char(log, '=');
        rb_buffer_text(log, h.value);
        require(h.value.len == 0 || !memchr(h.value.at, '\n', h.value.len));
    }
    require(hosts == 1 || (hosts == 0 && r->minor == 0));
    rb_buffer_text(log, r->body);
    char value[16];
    (void)rb_http_query(r->query, "a", value, sizeof value);
    (void)rb_http_cookie(r, "a");
    (void)rb_http_accepts(rb_http_header(r, "accept"), "text/event-stream");
}

static void read_all(struct rb_buffer *log, const uint8_t *data, size_t size,
                     const uint8_t *cuts, size_t cut_count) {
    static const struct rb_http_limits limits = {512, 256};
    struct rb_http_parser *p = rb_http_parser_new(&limits);
    require(p != NULL);
    rb_buffer_init(log, (size_t)1 << 24);
    size_t at = 0;
    for (size_t i = 0; at < size; i++) {
        size_t n = cut_count > 0 ? (size_t)cuts[i % cut_count] + 1 : size, taken = 0;
        int status = 0;
        const char *problem = NULL;
        n = n < size - at ? n : size - at;
        char *bytes = malloc(n);
        require(bytes != NULL);
        memcpy(bytes, data + at, n);
        enum rb_http_progress progress =
            rb_http_feed(p, bytes, n, &taken, &status, &problem);
        free(bytes);
        require(taken <= n);
        at += taken;
        if (progress == RB_HTTP_BAD) {
            require(problem != NULL && status >= 400 && status < 600);
            rb_buffer_printf(log, "bad %d %s", status, problem);
            break;
        }
        if (progress == RB_HTTP_WHOLE) {
            require(taken > 0);
            note(log, rb_http_parser_request(p));
            rb_http_parser_reset(p);
        } else {
            require(taken == n);
        }
    }
    rb_http_parser_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rb_buffer whole, pieces;
    size_t cuts = size > 0 ? data[0] % 8u : 0;
    if (size < 1 + cuts)
        return 0;
    const uint8_t *wire = data + 1 + cuts;
    size_t len = size - 1 - cuts;
    read_all(&whole, wire, len, NULL, 0);
    read_all(&pieces, wire, len, data + 1, cuts);
    require(rb_text_equal(rb_buffer_view(&whole), rb_buffer_view(&pieces)));
    rb_buffer_fini(&whole);
    rb_buffer_fini(&pieces);
    return 0;
}
