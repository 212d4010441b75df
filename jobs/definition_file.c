/* Files that a definition names: secrets, certificates, keys. Read once, when the
 * definition is. */
#include "jobs/definition_file.h"

#include <stdlib.h>

#include "config/file.h"
#include "jobs/yaml_value.h"

static bool read_path(struct rb_reading *r, const struct rb_yaml *source,
                      const char *path, size_t max_bytes, struct rb_buffer *content) {
    const char *why;
    rb_buffer_init(content, max_bytes + RB_FILE_STEP_BYTES);
    enum rb_status status = rb_file_read(path, max_bytes, content, &why);
    if (status == RB_SYSTEM)
        rb_yaml_error(source, r->errors, "%s can't be read: %s", path, why);
    else if (status != RB_OK)
        rb_yaml_error(source, r->errors, "%s: %s", path, rb_status_text(status));
    return status == RB_OK;
}

static bool read_in_folder(struct rb_reading *r, const struct rb_yaml *source,
                           struct rb_text folder, struct rb_text name, size_t max_bytes,
                           struct rb_buffer *content) {
    struct rb_buffer path;
    rb_buffer_init(&path, 4095);
    if (folder.len > 0) {
        rb_buffer_text(&path, folder);
        rb_buffer_char(&path, '/');
    }
    rb_buffer_text(&path, name);
    bool good = path.status == RB_OK;
    if (good)
        good = read_path(r, source, path.at, max_bytes, content);
    else
        rb_yaml_error(source, r->errors, "the path is too long");
    rb_buffer_fini(&path);
    return good;
}

static bool read_file(struct rb_reading *r, const struct rb_yaml *source,
                      struct rb_text name, size_t max_bytes, struct rb_buffer *content) {
    const char *file = r->definition->file, *slash = strrchr(file, '/');
    struct rb_text folder = {NULL, 0};
    if (name.len == 0) {
        rb_yaml_error(source, r->errors, "expected the path of a file");
        return false;
    }
    if (name.at[0] != '/' && slash)
        folder = rb_text(file, (size_t)(slash - file));
    return read_in_folder(r, source, folder, name, max_bytes, content);
}

static bool read_credential(struct rb_reading *r, const struct rb_yaml *source,
                            struct rb_text name, size_t max_bytes,
                            struct rb_buffer *content) {
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (name.len == 0 || name.at[0] == '.' || memchr(name.at, '/', name.len)) {
        rb_yaml_error(source, r->errors,
                      "expected the name of a credential, got "
                      "\"" RB_TEXT_FMT "\"",
                      RB_TEXT_ARG(name));
        return false;
    }
    if (!folder || folder[0] != '/') {
        rb_yaml_error(source, r->errors,
                      "CREDENTIALS_DIRECTORY is not set: systemd sets it where the unit "
                      "has LoadCredential=" RB_TEXT_FMT ":…",
                      RB_TEXT_ARG(name));
        return false;
    }
    return read_in_folder(r, source, rb_text_of(folder), name, max_bytes, content);
}

bool rb_definition_read_file(struct rb_reading *r, const struct rb_yaml *source,
                             enum rb_file_kind kind, size_t max_bytes,
                             struct rb_buffer *content) {
    struct rb_text name;
    rb_buffer_init(content, 0);
    if (!rb_value_text(source, &name, r->errors))
        return false;
    return (kind == RB_FILE_CREDENTIAL ? read_credential : read_file)(r, source, name,
                                                                      max_bytes, content);
}

void rb_definition_forget(struct rb_buffer *content) {
    if (content->at)
        explicit_bzero(content->at, content->room);
    rb_buffer_fini(content);
}
