/* Text with ${…} in it, compiled once when a definition is read, rendered for each job,
 * each value escaped for the place where it stands.
 *
 * ${name} is a parameter, ${secret.name} a secret, ${job.id}, ${job.service} and
 * ${job.channel} what they say; "$${" is a literal "${". A filter overrides the place's
 * own escaping in a body (JSON, XML, FORM, TEXT): ${name|json}, |xml, |url, |raw. */
#ifndef RB_JOBS_TEMPLATE_H
#define RB_JOBS_TEMPLATE_H

#include <jansson.h>

#include "config/buffer.h"
#include "config/status.h"
#include "config/yaml.h"

struct rb_template;

enum rb_place {
    RB_PLACE_PATH,   /* one path segment: unreserved bytes stay, all others become %XX */
    RB_PLACE_QUERY,  /* a query name or value: likewise */
    RB_PLACE_HEADER, /* CR, LF and NUL are refused */
    RB_PLACE_FORM,   /* application/x-www-form-urlencoded */
    RB_PLACE_JSON,   /* inside a JSON string */
    RB_PLACE_XML,    /* XML text or attribute */
    RB_PLACE_TEXT,   /* as it is */
    RB_PLACE_CHANNEL /* bytes a channel name may not hold, and '=', become '=XX' (hex) */
};

/* What ${…} can name in one definition: parameter and secret names, each ended by NULL.
 */
struct rb_template_names {
    const char *const *params;
    const char *const *secrets; /* NULL: secrets may not stand here */
};

/* Compiles the node's text. A name that is not known, an unclosed ${, an unknown filter,
 * or a byte that the constant text must not hold in this place is added to `errors` with
 * the place of the mistake; then NULL. NULL also when out of memory (an error is added
 * too). The constant text of a path or query is part of a URL already: it is checked, not
 * escaped. */
struct rb_template *rb_template_compile(const struct rb_yaml *node, enum rb_place place,
                                        const struct rb_template_names *names,
                                        struct rb_errors *errors);
/* The same for a whole value, as in a `query:` or `form:` map: the constant text is
 * escaped like what ${…} stands for. */
struct rb_template *rb_template_compile_value(const struct rb_yaml *node,
                                              enum rb_place place,
                                              const struct rb_template_names *names,
                                              struct rb_errors *errors);
void rb_template_free(struct rb_template *template);

struct rb_template_values {
    const json_t *params;  /* checked, with defaults filled in */
    const json_t *secrets; /* object of strings */
    struct rb_text job_id;
    struct rb_text service;
    struct rb_text channel;
};

/* Appends the text. A parameter that is not given renders as nothing. RB_INVALID with a
 * sentence in *error when a value can't stand in this place (CR in a header, an array in
 * a path, a path segment "." or "..", a path segment made of ${…} alone that is empty).
 * RB_TOO_LARGE or RB_NOMEM: the buffer's. Never repeats a value in *error. */
RB_MUST_CHECK enum rb_status rb_template_render(const struct rb_template *template,
                                                const struct rb_template_values *values,
                                                struct rb_buffer *out,
                                                struct rb_error *error);

/* The parameter's value itself when the text is just "${n}" (a leaf of `json:` keeps its
 * type), borrowed; else NULL. */
const json_t *rb_template_whole(const struct rb_template *template,
                                const struct rb_template_values *values);

/* The text is just one ${n} and that parameter is not given: what it stands in is left
 * out. */
bool rb_template_is_absent(const struct rb_template *template,
                           const struct rb_template_values *values);

bool rb_template_is_constant(const struct rb_template *template);
bool rb_template_has_secret(const struct rb_template *template);

/* Is a segment of the path "." or "..", also where a dot is written as %2e? */
bool rb_template_has_dots(struct rb_text path);

#endif
