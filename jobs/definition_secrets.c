/* `secrets:`: read once, when the definition is; no message repeats one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

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

static enum rb_status read_all(int fd, struct rb_buffer *content) {
    for (;;) {
        char *to = rb_buffer_reserve(content, 4096);
        if (!to)
            return content->status;
        ssize_t got = read(fd, to, 4096);
        if (got == 0)
            return content->len > SECRET_MAX_BYTES ? RB_TOO_LARGE : RB_OK;
        if (got > 0)
            rb_buffer_commit(content, (size_t)got);
        else if (errno != EINTR)
            return RB_SYSTEM;
    }
}

static void read_path(struct rb_reading *r, const struct rb_yaml *secret,
                      const struct rb_yaml *source, const char *path) {
    struct rb_buffer content;
    rb_buffer_init(&content, SECRET_MAX_BYTES + 4096);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    enum rb_status status = fd < 0 ? RB_SYSTEM : read_all(fd, &content);
    if (status == RB_SYSTEM) {
        rb_yaml_error(source, r->errors, "%s can't be read: %s", path, strerror(errno));
    } else if (status != RB_OK) {
        rb_yaml_error(source, r->errors, "%s: %s", path, rb_status_text(status));
    } else {
        /* Editors and `echo` end a file with a line end that is no part of the secret. */
        struct rb_text value = rb_buffer_view(&content);
        if (value.len > 0 && value.at[value.len - 1] == '\n')
            value.len--;
        if (value.len > 0 && value.at[value.len - 1] == '\r')
            value.len--;
        keep(r, secret, source, value);
    }
    if (fd >= 0)
        close(fd);
    rb_buffer_fini(&content);
}

static void read_in_folder(struct rb_reading *r, const struct rb_yaml *secret,
                           const struct rb_yaml *source, struct rb_text folder,
                           struct rb_text name) {
    struct rb_buffer path;
    rb_buffer_init(&path, 4095);
    if (folder.len > 0) {
        rb_buffer_text(&path, folder);
        rb_buffer_char(&path, '/');
    }
    rb_buffer_text(&path, name);
    if (path.status == RB_OK)
        read_path(r, secret, source, path.at);
    else
        rb_yaml_error(source, r->errors, "the path is too long");
    rb_buffer_fini(&path);
}

/* A relative path starts at the definition's own folder. */
static void read_file(struct rb_reading *r, const struct rb_yaml *secret,
                      const struct rb_yaml *source) {
    struct rb_text name, folder = {NULL, 0};
    if (!rb_value_text(source, &name, r->errors))
        return;
    const char *file = r->definition->file, *slash = strrchr(file, '/');
    if (name.len == 0) {
        rb_yaml_error(source, r->errors, "expected the path of a file");
        return;
    }
    if (name.at[0] != '/' && slash)
        folder = rb_text(file, (size_t)(slash - file));
    read_in_folder(r, secret, source, folder, name);
}

/* What systemd's LoadCredential= hands over (systemd.exec(5)). */
static void read_credential(struct rb_reading *r, const struct rb_yaml *secret,
                            const struct rb_yaml *source) {
    struct rb_text name;
    if (!rb_value_text(source, &name, r->errors))
        return;
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (name.len == 0 || name.at[0] == '.' || memchr(name.at, '/', name.len))
        rb_yaml_error(source, r->errors,
                      "expected the name of a credential, got "
                      "\"" RB_TEXT_FMT "\"",
                      RB_TEXT_ARG(name));
    else if (!folder || folder[0] != '/')
        rb_yaml_error(source, r->errors,
                      "CREDENTIALS_DIRECTORY is not set: systemd sets it where the unit "
                      "has LoadCredential=" RB_TEXT_FMT ":…",
                      RB_TEXT_ARG(name));
    else
        read_in_folder(r, secret, source, rb_text_of(folder), name);
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
