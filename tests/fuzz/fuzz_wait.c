/* What is asked for with /wait/…: path and query, then one line a field. */
#include <stdint.h>
#include <stdlib.h>

#include "config/buffer.h"
#include "notifier/wait.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

/* A cursor that we write is read as the same. */
static void cursor_comes_back(const struct rb_http_request *request,
                              const struct rb_wait *wait) {
    struct rb_http_request again = *request;
    struct rb_wait second;
    struct rb_buffer query;
    const char *problem = NULL;
    rb_buffer_init(&query, 4096);
    rb_buffer_string(&query, "since=");
    rb_cursor_write(wait->cursors, wait->count, &query);
    again.query = rb_buffer_view(&query);
    again.header_count = 0;
    again.upgrade_websocket = true;
    require(rb_wait_parse(&again, RB_TEXT(""), &second, &problem) == 0 ||
            memmem(request->path.at, request->path.len, "session", 7));
    for (size_t i = 0; i < wait->count && !problem; i++)
        require(wait->cursors[i].given == second.cursors[i].given &&
                rb_stream_id_compare(wait->cursors[i].id, second.cursors[i].id) == 0);
    rb_buffer_fini(&query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rb_http_request request = {.method = RB_HTTP_GET, .minor = 1};
    struct rb_text rest = rb_text((const char *)data, size), line, name;
    struct rb_wait wait;
    const char *problem = NULL;

    if (!rb_text_next(&rest, '\n', &line))
        return 0;
    if (!rb_text_next(&line, '?', &request.path))
        return 0;
    request.query = line;
    while (request.header_count < RB_HTTP_HEADERS && rb_text_next(&rest, '\n', &line))
        if (rb_text_next(&line, ':', &name))
            request.headers[request.header_count++] =
                (struct rb_http_header){name, rb_text_trim(line)};
    int status = rb_wait_parse(&request, RB_TEXT("sid"), &wait, &problem);
    require((status == 0) == (problem == NULL));
    if (status != 0)
        return 0;
    require(wait.count >= 1 && wait.count <= RB_WAIT_CHANNELS);
    for (size_t i = 0; i < wait.count; i++)
        require(rb_name_is_channel(rb_text_of(wait.channels[i])));
    cursor_comes_back(&request, &wait);
    return 0;
}
