/* Jobs from anybody: read, written, and read again as the same. */
#include <stdlib.h>

#include "jobs/job.h"
#include "jobs/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

static bool same(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void comes_back(const struct rb_job *job) {
    struct rb_buffer out;
    struct rb_job again;
    rb_buffer_init(&out, 16 * RB_JOB_MAX_BYTES);
    rb_job_write(job, &out);
    require(out.status == RB_OK);
    require(rb_job_parse(rb_buffer_view(&out), &again, NULL) == RB_OK);
    require(same(job->id, again.id) && same(job->service, again.service) &&
            same(job->channel, again.channel) && same(job->unique, again.unique) &&
            same(job->trace, again.trace) && job->at == again.at &&
            job->expires == again.expires && job->run_at == again.run_at &&
            json_equal(job->params, again.params));
    rb_job_fini(&again);
    rb_buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rb_job job;
    struct rb_error error = {.text = ""};
    enum rb_status status = rb_job_parse(rb_text((const char *)data, size), &job, &error);
    require(!job.id || rb_name_is_job_id(rb_text_of(job.id)));
    require(!job.channel || rb_name_is_channel(rb_text_of(job.channel)));
    require(!job.service || rb_name_is_queue(rb_text_of(job.service)));
    if (status == RB_OK) {
        require(job.service && job.params && json_is_object(job.params));
        comes_back(&job);
    } else {
        require(error.text[0] != '\0');
    }
    rb_job_fini(&job);
    return 0;
}
