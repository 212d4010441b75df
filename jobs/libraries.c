/* The libraries of this room. */
#include "jobs/libraries.h"

#include <hiredis/hiredis.h>
#include <jansson.h>

void rb_jobs_libraries(FILE *out) {
    fprintf(out, ", hiredis %d.%d.%d, jansson %s", HIREDIS_MAJOR, HIREDIS_MINOR,
            HIREDIS_PATCH, jansson_version_str());
}
