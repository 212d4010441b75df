/* `secrets:`: read once, when the definition is; no message repeats one. */
#include <stdlib.h>

#include "jobs/definition_file.h"
#include "jobs/definition_section.h"
#include "jobs/section.h"
#include "jobs/yaml_value.h"

#define SECRET_MAX_BYTES (64 * 1024)

static void keep(struct rb_reading *r, const struct rb_yaml *secret,
                 const struct rb_yaml *source, struct rb_text value) {
    if (value.len == 0) {
        rb_yaml_error(source, r->errors, "the secret is empty");
        return;
    }
    for (size_t i = 0; i < value.len; i++) {
        if ((unsigned char)value.at[i] < 0x20 || value.at[i] == 0x7f) {
            rb_yaml_error(source, r->errors,
                          "the secret holds a control character or a line end");
            return;
        }
    }
    if (!rb_text_utf8(value)) {
        rb_yaml_error(source, r->errors, "the secret is not UTF-8");
        return;
    }
    json_t *string = json_stringn(value.at, value.len);
    if (json_object_set_new(r->definition->secrets, secret->key.at, string) != 0)
        rb_yaml_error(source, r->errors, "out of memory");
}

static void read_env(struct rb_reading *r, const struct rb_yaml *secret,
                     const struct rb_yaml *source) {
    struct rb_text name;
    if (!rb_value_text(source, &name, r->errors))
        return;
    const char *value = getenv(name.at);
    if (value)
        keep(r, secret, source, rb_text_of(value));
    else
        rb_yaml_error(source, r->errors,
                      "the environment variable " RB_TEXT_FMT " is not set",
                      RB_TEXT_ARG(name));
}

static void read_content(struct rb_reading *r, const struct rb_yaml *secret,
                         const struct rb_yaml *source, enum rb_file_kind kind) {
    struct rb_buffer content;
    if (rb_definition_read_file(r, source, kind, SECRET_MAX_BYTES, &content)) {
        /* Editors and `echo` end a file with a line end that is no part of the secret. */
        struct rb_text value = rb_buffer_view(&content);
        if (value.len > 0 && value.at[value.len - 1] == '\n')
            value.len--;
        if (value.len > 0 && value.at[value.len - 1] == '\r')
            value.len--;
        keep(r, secret, source, value);
    }
    rb_definition_forget(&content);
}

static void read_file(struct rb_reading *r, const struct rb_yaml *secret,
                      const struct rb_yaml *source) {
    read_content(r, secret, source, RB_FILE_PATH);
}

static void read_credential(struct rb_reading *r, const struct rb_yaml *secret,
                            const struct rb_yaml *source) {
    read_content(r, secret, source, RB_FILE_CREDENTIAL);
}

static void read_secret(struct rb_reading *r, const struct rb_yaml *secret) {
    static const char *const known[] = {"env", "file", "credential", NULL};
    static void (*const readers[])(struct rb_reading *, const struct rb_yaml *,
                                   const struct rb_yaml *) = {read_env, read_file,
                                                              read_credential};
    if (!rb_value_is_name(secret, "secret", r->errors) ||
        !rb_section_open(secret, known, NULL, r->errors))
        return;
    size_t found = 0;
    for (size_t i = 0; known[i]; i++)
        found += rb_yaml_get(secret, known[i]) != NULL;
    if (found != 1) {
        rb_yaml_error(secret, r->errors, "expected one of env, file and credential");
        return;
    }
    for (size_t i = 0; known[i]; i++)
        if (rb_yaml_get(secret, known[i]))
            readers[i](r, secret, rb_yaml_get(secret, known[i]));
}

void rb_read_secrets(struct rb_reading *r, const struct rb_yaml *node) {
    r->definition->secrets = json_object();
    if (!r->definition->secrets) {
        rb_errors_add(r->errors, r->definition->file, 0, 0, "out of memory");
        return;
    }
    if (!node || !rb_value_is(node, RB_YAML_MAPPING, r->errors))
        return;
    for (size_t i = 0; i < node->count; i++)
        read_secret(r, &node->items[i]);
}
