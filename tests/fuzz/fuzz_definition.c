/* Definitions as people write them: each mistake is told, nothing else happens; one that
 * is right is used for a job. */
#include <stdlib.h>

#include "jobs/definition.h"
#include "jobs/json_scan.h"
#include "jobs/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

static void answer(const struct rb_definition *d, const char *type, struct rb_text body) {
    struct rb_buffer out;
    struct rb_error error = {.text = ""};
    rb_buffer_init(&out, 1 << 20);
    enum rb_status status = rb_definition_result(d, rb_text_of(type), body, &out, &error);
    if (status == RB_OK)
        require(rb_json_check(rb_buffer_view(&out), NULL) == RB_OK);
    else
        require(status == RB_INVALID && error.text[0]);
    rb_buffer_fini(&out);
}

static void call(const struct rb_definition *d, const struct rb_job *job,
                 const json_t *params) {
    struct rb_buffer channel;
    struct rb_request *request;
    struct rb_error error = {.text = ""};
    rb_buffer_init(&channel, 1 << 20);
    if (rb_definition_channel(d, job, params, &channel, &error) == RB_OK)
        require(rb_name_is_channel(rb_buffer_view(&channel)));
    else
        require(error.text[0]);
    if (rb_definition_render(d, job, rb_buffer_view(&channel), params, &request,
                             &error) == RB_OK) {
        require(strncmp(request->url, "http", 4) == 0);
        for (char **h = request->headers; *h; h++)
            require(!strpbrk(*h, "\r\n") && strstr(*h, ": "));
    } else {
        require(error.text[0] && !request);
    }
    rb_request_free(request);
    rb_buffer_fini(&channel);
}

static void use(const struct rb_definition *d) {
    static char id[] = "j-1";
    json_t *given = json_pack("{s:s}", "symbol", "A/..\xc3\xa4");
    struct rb_job job = {.id = id, .params = given};
    struct rb_error error = {.text = ""};
    json_t *params;
    if (rb_definition_check(d, &job, &params, &error) == RB_OK)
        call(d, &job, params);
    else
        require(error.text[0]);
    json_decref(params);
    json_decref(given);
    answer(d, "application/json", RB_TEXT("{\"data\":{\"quote\":[1.10]}}"));
    answer(d, "text/plain", RB_TEXT("hello"));
    answer(d, "", RB_TEXT("\xff"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct rb_errors errors;
    struct rb_yaml *root;
    errors.count = 0;
    enum rb_status status =
        rb_yaml_parse("fuzz.yaml", rb_text((const char *)data, size), &root, &errors);
    require((status == RB_OK) == (errors.count == 0));
    if (status != RB_OK)
        return 0;
    struct rb_definition *d = rb_definition_compile("fuzz.yaml", root, &errors);
    rb_yaml_free(root);
    require((d != NULL) == (errors.count == 0));
    if (d)
        use(d);
    rb_definition_free(d);
    return 0;
}
