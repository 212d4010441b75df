/* A batch of messages: what is taken is a message that may be published, and every line
 * is counted. */
#include <stdint.h>
#include <stdlib.h>

#include "jobs/json_scan.h"
#include "jobs/publish_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

static void look_at(struct rb_text line) {
    struct rb_publish_line parsed;
    struct rb_error error = {.text = ""};
    if (rb_publish_line_parse(line, &parsed, &error) != RB_OK) {
        require(error.text[0] != '\0');
        return;
    }
    require(rb_json_check(line, NULL) == RB_OK);
    require(rb_name_is_channel(rb_text_of(parsed.channel)));
    require(rb_publish_event_problem(rb_text_of(parsed.event)) == NULL);
    require(rb_json_check(parsed.data, NULL) == RB_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rb_text rest = rb_text((const char *)data, size), line;
    size_t number = 0, before = 0;
    while (rb_publish_line_next(&rest, &number, &line)) {
        require(number > before && line.len > 0);
        before = number;
        look_at(line);
    }
    require(rest.len == 0);
    return 0;
}
