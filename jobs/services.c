/* All definitions of a folder, sorted by name. */
#include "jobs/services.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/yaml.h"

struct rb_services {
    size_t refs;
    size_t count;
    size_t room;
    struct rb_definition **items;
    const char **names; /* ends with NULL; for "did you mean" */
};

static bool ends(const char *name, const char *ending) {
    size_t len = strlen(name), tail = strlen(ending);
    return len > tail && strcmp(name + len - tail, ending) == 0;
}

static enum rb_status add(struct rb_services *s, struct rb_definition *definition) {
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 16;
        struct rb_definition **grown = realloc(s->items, room * sizeof *grown);
        if (!grown) {
            rb_definition_free(definition);
            return RB_NOMEM;
        }
        s->items = grown;
        s->room = room;
    }
    s->items[s->count++] = definition;
    return RB_OK;
}

static enum rb_status load_file(struct rb_services *s, const char *folder,
                                const char *name, struct rb_errors *errors) {
    struct rb_buffer path;
    rb_buffer_init(&path, 4095);
    rb_buffer_printf(&path, "%s/%s", folder, name);
    enum rb_status status = path.status;
    struct rb_yaml *root = NULL;
    if (status == RB_OK)
        status = rb_yaml_load(path.at, &root, errors);
    else
        rb_errors_add(errors, name, 0, 0, "%s", rb_status_text(status));
    if (status == RB_OK) {
        struct rb_definition *d = rb_definition_compile(path.at, root, errors);
        status = d ? add(s, d) : RB_INVALID;
        if (status == RB_NOMEM)
            rb_errors_add(errors, path.at, 0, 0, "out of memory");
    }
    rb_yaml_free(root);
    rb_buffer_fini(&path);
    return status;
}

/* Whoever wrote it expects it to be read. */
static enum rb_status refuse_ending(const char *folder, const char *name,
                                    struct rb_errors *errors) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    rb_errors_add(errors, path, 0, 0, "a definition's name ends in .yaml");
    return RB_INVALID;
}

static enum rb_status load_folder(struct rb_services *s, const char *folder,
                                  struct rb_errors *errors) {
    struct dirent **entries;
    int found = scandir(folder, &entries, NULL, alphasort);
    if (found < 0) {
        rb_errors_add(errors, folder, 0, 0, "can't be read: %s", strerror(errno));
        return RB_SYSTEM;
    }
    enum rb_status first = RB_OK;
    for (int i = 0; i < found; i++) {
        const char *name = entries[i]->d_name;
        enum rb_status status = RB_OK;
        if (name[0] != '.' && ends(name, ".yaml"))
            status = load_file(s, folder, name, errors);
        else if (name[0] != '.' && ends(name, ".yml"))
            status = refuse_ending(folder, name, errors);
        if (first == RB_OK || status == RB_NOMEM)
            first = status;
        free(entries[i]);
    }
    free(entries);
    return first == RB_OK || first == RB_NOMEM ? first : RB_INVALID;
}

static int by_name(const void *a, const void *b) {
    const struct rb_definition *x = *(struct rb_definition *const *)a;
    const struct rb_definition *y = *(struct rb_definition *const *)b;
    return strcmp(x->service, y->service);
}

/* Names can't be double: each is that of its file. */
static enum rb_status index_names(struct rb_services *s) {
    if (s->count > 0)
        qsort(s->items, s->count, sizeof *s->items, by_name);
    s->names = calloc(s->count + 1, sizeof *s->names);
    for (size_t i = 0; i < s->count && s->names; i++)
        s->names[i] = s->items[i]->service;
    return s->names ? RB_OK : RB_NOMEM;
}

enum rb_status rb_services_load(const char *folder, struct rb_services **services,
                                struct rb_errors *errors) {
    struct rb_services *s = calloc(1, sizeof *s);
    *services = NULL;
    if (!s) {
        rb_errors_add(errors, folder, 0, 0, "out of memory");
        return RB_NOMEM;
    }
    s->refs = 1;
    enum rb_status status = load_folder(s, folder, errors);
    if (status == RB_OK) {
        status = index_names(s);
        if (status != RB_OK)
            rb_errors_add(errors, folder, 0, 0, "out of memory");
    }
    if (status == RB_OK)
        *services = s;
    else
        rb_services_unref(s);
    return status;
}

struct rb_services *rb_services_ref(struct rb_services *services) {
    services->refs++;
    return services;
}

void rb_services_unref(struct rb_services *services) {
    if (!services || --services->refs > 0)
        return;
    for (size_t i = 0; i < services->count; i++)
        rb_definition_free(services->items[i]);
    free(services->items);
    free(services->names);
    free(services);
}

const struct rb_definition *rb_services_find(const struct rb_services *services,
                                             struct rb_text service) {
    size_t low = 0, high = services->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct rb_definition *d = services->items[middle];
        struct rb_text name = rb_text_of(d->service);
        size_t shorter = name.len < service.len ? name.len : service.len;
        int order = shorter > 0 ? memcmp(service.at, name.at, shorter) : 0;
        if (order == 0 && service.len == name.len)
            return d;
        if (order < 0 || (order == 0 && service.len < name.len))
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *rb_services_nearest(const struct rb_services *services,
                                struct rb_text service) {
    return rb_text_nearest(service, services->names);
}

size_t rb_services_count(const struct rb_services *services) { return services->count; }

const struct rb_definition *rb_services_at(const struct rb_services *services, size_t i) {
    return services->items[i];
}
