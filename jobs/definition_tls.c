/* `tls:`: whom to trust, and who we are, in TLS with the service. */
#include "jobs/definition_tls.h"

#include <stdlib.h>

#include "jobs/definition_file.h"
#include "jobs/request_template.h"
#include "jobs/section.h"
#include "jobs/yaml_value.h"

/* FILE, {file: FILE} or {credential: NAME} → the node that names it; NULL after a
 * mistake. */
static const struct rb_yaml *source_of(struct rb_reading *r, const struct rb_yaml *node,
                                       enum rb_file_kind *kind) {
    static const char *const known[] = {"file", "credential", NULL};
    *kind = RB_FILE_PATH;
    if (node->kind != RB_YAML_MAPPING)
        return node;
    rb_yaml_only(node, known, r->errors);
    const struct rb_yaml *file = rb_yaml_get(node, "file");
    const struct rb_yaml *credential = rb_yaml_get(node, "credential");
    if ((file != NULL) == (credential != NULL)) {
        rb_yaml_error(node, r->errors, "expected one of file and credential");
        return NULL;
    }
    *kind = credential ? RB_FILE_CREDENTIAL : RB_FILE_PATH;
    return credential ? credential : file;
}

/* The text of the file that `node` names, checked, or NULL after a mistake. */
static char *read_pem(struct rb_reading *r, const struct rb_yaml *node,
                      const char *(*check)(struct rb_call_tls *, struct rb_text),
                      size_t *len) {
    enum rb_file_kind kind;
    struct rb_buffer content;
    char *pem = NULL;
    const struct rb_yaml *source = node ? source_of(r, node, &kind) : NULL;
    if (!source)
        return NULL;
    if (rb_definition_read_file(r, source, kind, RB_TLS_FILE_MAX_BYTES, &content)) {
        const char *wrong = check(r->definition->tls, rb_buffer_view(&content));
        if (wrong)
            rb_yaml_error(source, r->errors, RB_TEXT_FMT ": %s",
                          RB_TEXT_ARG(source->text), wrong);
        else if (!(pem = rb_buffer_detach(&content, len)))
            rb_yaml_error(source, r->errors, "out of memory");
    }
    rb_definition_forget(&content);
    return pem;
}

static const char *check_ca(struct rb_call_tls *tls, struct rb_text pem) {
    return rb_tls_pem_authorities(pem, &tls->authorities);
}

static const char *check_certificate(struct rb_call_tls *tls, struct rb_text pem) {
    return rb_tls_pem_chain(pem, &tls->valid_until);
}

static const char *check_key(struct rb_call_tls *tls, struct rb_text pem) {
    return rb_tls_pem_key(pem, rb_text(tls->certificate, tls->certificate_len));
}

/* The key stands in the certificate's file where no other is named. */
static void read_identity(struct rb_reading *r, const struct rb_yaml *node) {
    struct rb_call_tls *tls = r->definition->tls;
    const struct rb_yaml *certificate = rb_yaml_get(node, "certificate");
    const struct rb_yaml *key = rb_yaml_get(node, "key");
    if (key && !certificate)
        rb_yaml_key_error(key, r->errors, "key stands without certificate");
    tls->certificate = read_pem(r, certificate, check_certificate, &tls->certificate_len);
    if (tls->certificate)
        tls->key = read_pem(r, key ? key : certificate, check_key, &tls->key_len);
}

static void read_version(struct rb_reading *r, const struct rb_yaml *node) {
    struct rb_text word;
    if (!node || !rb_value_text(node, &word, r->errors))
        return;
    r->definition->tls->newest = rb_text_is(word, "1.3");
    if (!rb_text_is(word, "1.2") && !rb_text_is(word, "1.3"))
        rb_yaml_error(node, r->errors, "expected 1.2 or 1.3, got \"" RB_TEXT_FMT "\"",
                      RB_TEXT_ARG(word));
}

void rb_read_tls(struct rb_reading *r, const struct rb_yaml *node) {
    static const char *const known[] = {"ca", "certificate", "key", "min_version", NULL};
    const struct rb_request_template *request = r->definition->request;
    if (!node || !rb_section_open(node, known, NULL, r->errors))
        return;
    if (rb_yaml_get(r->root, "calls")) {
        rb_yaml_key_error(node, r->errors, "tls stands with each of the calls");
        return;
    }
    if (request && request->origin && strncmp(request->origin, "https:", 6) != 0)
        rb_yaml_key_error(node, r->errors,
                          "tls stands with a url that begins with http://");
    r->definition->tls = calloc(1, sizeof *r->definition->tls);
    if (!r->definition->tls) {
        rb_yaml_error(node, r->errors, "out of memory");
        return;
    }
    const struct rb_yaml *ca = rb_yaml_get(node, "ca");
    if (node->count == 0)
        rb_yaml_error(node, r->errors, "expected ca, certificate or min_version");
    r->definition->tls->ca = read_pem(r, ca, check_ca, &r->definition->tls->ca_len);
    read_identity(r, node);
    read_version(r, rb_yaml_get(node, "min_version"));
}

void rb_call_tls_free(struct rb_call_tls *tls) {
    if (!tls)
        return;
    if (tls->certificate) /* the key may stand there */
        explicit_bzero(tls->certificate, tls->certificate_len);
    if (tls->key)
        explicit_bzero(tls->key, tls->key_len);
    free(tls->ca);
    free(tls->certificate);
    free(tls->key);
    free(tls);
}
