/* Loading of settings: defaults, then the file, then the environment, then the command
 * line. */
#include "config/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/settings_table.h"
#include "config/yaml.h"

#define STANDARD_FOLDER "/etc/ringback"
#define STANDARD_FILE STANDARD_FOLDER "/ringback.yaml"
#define MAX_ITEMS 256
#define WHY_BYTES 2048

enum source { BY_DEFAULT, BY_FILE, BY_VARIABLE, BY_SET };

/* Where each setting was set last, in the order of the table. */
struct rb_settings_places {
    struct {
        enum source source;
        int line, column;
    } of[RB_SETTINGS_MAX];
};

struct load {
    struct rb_settings *settings;
    struct rb_errors *errors;
    struct rb_buffer why;
    bool no_memory;
};

static const char *why(const struct load *l) {
    return l->why.at ? l->why.at : "out of memory";
}

/* Files a mistake, or remembers that memory ran out. */
static void judge(struct load *l, enum rb_status status, const char *place, int line,
                  int column) {
    if (status == RB_NOMEM)
        l->no_memory = true;
    else if (status != RB_OK)
        rb_errors_add(l->errors, place, line, column, "%s", why(l));
}

static void remember(struct load *l, const struct rb_setting *setting, enum source source,
                     int line, int column) {
    size_t i = (size_t)(setting - rb_settings_table);
    l->settings->places->of[i].source = source;
    l->settings->places->of[i].line = line;
    l->settings->places->of[i].column = column;
}

static void load_defaults(struct load *l) {
    for (size_t i = 0; i < rb_settings_count; i++) {
        const struct rb_setting *setting = &rb_settings_table[i];
        rb_buffer_clear(&l->why);
        judge(l,
              rb_setting_store_text(setting, l->settings, rb_text_of(setting->standard),
                                    &l->why),
              "default", 0, 0);
    }
}

static void expected(struct load *l, const struct rb_setting *setting,
                     const struct rb_yaml *node, const char *what) {
    rb_buffer_clear(&l->why);
    rb_buffer_printf(&l->why, "%s: expected %s", setting->key, what);
    rb_setting_expected(setting, &l->why);
    rb_yaml_error(node, l->errors, "%s, got %s", why(l), rb_yaml_describe(node));
}

/* A scalar where a list is asked for is a list of one. */
static void load_node(struct load *l, const struct rb_setting *setting,
                      const struct rb_yaml *node) {
    struct rb_text texts[MAX_ITEMS];
    const struct rb_yaml *items = node;
    bool list = setting->type == RB_SETTING_LIST;
    size_t count = 1, bad;

    if (list && node->kind == RB_YAML_SEQUENCE) {
        items = node->items;
        count = node->count;
    } else if (node->kind != RB_YAML_SCALAR || rb_yaml_is_null(node)) {
        expected(l, setting, node, list ? "a list, each item " : "");
        return;
    }
    if (count > MAX_ITEMS) {
        rb_yaml_error(node, l->errors, "%s: more than %d items", setting->key, MAX_ITEMS);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind != RB_YAML_SCALAR || rb_yaml_is_null(&items[i])) {
            expected(l, setting, &items[i], "");
            return;
        }
        texts[i] = items[i].text;
    }
    rb_buffer_clear(&l->why);
    enum rb_status status =
        rb_setting_store(setting, l->settings, texts, count, &l->why, &bad);
    const struct rb_yaml *place = bad < count ? &items[bad] : node;
    remember(l, setting, BY_FILE, node->line, node->column);
    judge(l, status, place->file, place->line, place->column);
}

static void load_section(struct load *l, const struct rb_yaml *section,
                         struct rb_text prefix) {
    if (rb_yaml_is_null(section))
        return; /* all its keys are commented out */
    if (section->kind != RB_YAML_MAPPING) {
        rb_yaml_error(section, l->errors, RB_TEXT_FMT "%sexpected a mapping, got %s",
                      RB_TEXT_ARG(prefix), prefix.len > 0 ? ": " : "",
                      rb_yaml_describe(section));
        return;
    }
    for (size_t i = 0; i < section->count; i++) {
        const struct rb_yaml *item = &section->items[i];
        char path[128];
        int len =
            snprintf(path, sizeof path, RB_TEXT_FMT "%s" RB_TEXT_FMT, RB_TEXT_ARG(prefix),
                     prefix.len > 0 ? "." : "", RB_TEXT_ARG(item->key));
        bool fits = len > 0 && (size_t)len < sizeof path &&
                    !memchr(item->key.at, '.', item->key.len);
        struct rb_text key = rb_text(path, fits ? (size_t)len : 0);
        const struct rb_setting *setting = rb_settings_find(key);
        if (setting) {
            load_node(l, setting, item);
        } else if (fits && rb_settings_is_section(key)) {
            load_section(l, item, key);
        } else {
            rb_buffer_clear(&l->why);
            rb_settings_unknown(prefix, item->key, &l->why);
            rb_yaml_key_error(item, l->errors, "%s", why(l));
        }
    }
}

/* A relative path is meant from where the file is. */
static enum rb_status resolve(const struct rb_settings *settings, char **name) {
    if (!*name || (*name)[0] == '/' || (*name)[0] == '\0')
        return RB_OK;
    struct rb_text folder = RB_TEXT(STANDARD_FOLDER);
    if (settings->file) {
        const char *slash = strrchr(settings->file, '/');
        folder = slash ? rb_text(settings->file, (size_t)(slash - settings->file))
                       : RB_TEXT(".");
    }
    struct rb_buffer path;
    rb_buffer_init(&path, folder.len + strlen(*name) + 1);
    rb_buffer_text(&path, folder);
    rb_buffer_char(&path, '/');
    rb_buffer_string(&path, *name);
    char *resolved = rb_buffer_detach(&path, NULL);
    rb_buffer_fini(&path);
    if (!resolved)
        return RB_NOMEM;
    free(*name);
    *name = resolved;
    return RB_OK;
}

/* What the file (or the default) says; the environment means the working directory. */
static enum rb_status resolve_paths(struct rb_settings *settings) {
    struct rb_list *keys = &settings->notifier.auth_keys;
    enum rb_status status = resolve(settings, &settings->worker.services);
    for (size_t i = 0; status == RB_OK && i < keys->count; i++)
        status = resolve(settings, &keys->items[i]);
    if (status == RB_OK)
        status = resolve(settings, &settings->notifier.tls_certificate);
    if (status == RB_OK)
        status = resolve(settings, &settings->notifier.tls_key);
    return status;
}

static enum rb_status load_file(struct load *l, const char *file) {
    if (!file && access(STANDARD_FILE, F_OK) != 0 &&
        (errno == ENOENT || errno == ENOTDIR))
        return RB_OK;
    struct rb_yaml *root;
    enum rb_status status = rb_yaml_load(file ? file : STANDARD_FILE, &root, l->errors);
    if (status != RB_OK)
        return status;
    load_section(l, root, RB_TEXT(""));
    rb_yaml_free(root);
    l->settings->file = rb_text_copy(rb_text_of(file ? file : STANDARD_FILE));
    return l->settings->file ? RB_OK : RB_NOMEM;
}

/* Kubernetes and Docker describe a service named ringback-worker in variables like these;
 * they are no settings of ours and no slip of anybody's finger. */
static bool is_of_service_discovery(struct rb_text rest) {
    return rb_text_is(rest, "PORT") || rb_text_starts(rest, RB_TEXT("PORT_")) ||
           rb_text_is(rest, "SERVICE_HOST") ||
           rb_text_starts(rest, RB_TEXT("SERVICE_PORT"));
}

/* True for RINGBACK_WORKER_…: whoever wrote that meant a setting. */
static bool is_meant_for_us(struct rb_text name) {
    struct rb_text rest = name, word;
    char section[32];
    if (!rb_text_next(&rest, '_', &word) || !rb_text_next(&rest, '_', &word) ||
        word.len >= sizeof section || is_of_service_discovery(rest))
        return false;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.at[i];
        section[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return word.len > 0 && rb_settings_is_section(rb_text(section, word.len));
}

static void unknown_variable(struct load *l, const char *place, struct rb_text name) {
    const struct rb_setting *nearest = rb_settings_nearest_variable(name);
    char variable[RB_SETTING_VARIABLE];
    if (nearest) {
        rb_setting_variable(nearest, variable);
        rb_errors_add(l->errors, place, 0, 0, "no such setting; did you mean %s?",
                      variable);
    } else {
        rb_errors_add(l->errors, place, 0, 0, "no such setting; see --help-settings");
    }
}

static void load_environment(struct load *l, const char *const *environment) {
    for (; *environment; environment++) {
        struct rb_text value = rb_text_of(*environment), name;
        if (!rb_text_starts(value, RB_TEXT(RB_SETTING_PREFIX)) ||
            !strchr(*environment, '=') || !rb_text_next(&value, '=', &name))
            continue;
        char place[256];
        snprintf(place, sizeof place, RB_TEXT_FMT, RB_TEXT_ARG(name));
        const struct rb_setting *setting = rb_settings_find_variable(name);
        if (setting) {
            rb_buffer_clear(&l->why);
            remember(l, setting, BY_VARIABLE, 0, 0);
            judge(l, rb_setting_store_text(setting, l->settings, value, &l->why), place,
                  0, 0);
        } else if (is_meant_for_us(name)) {
            unknown_variable(l, place, name);
        }
    }
}

static void load_override(struct load *l, const struct rb_override *override) {
    struct rb_text key = rb_text_of(override->key);
    const struct rb_setting *setting = rb_settings_find(key);
    if (setting) {
        rb_buffer_clear(&l->why);
        remember(l, setting, BY_SET, 0, 0);
        judge(l,
              rb_setting_store_text(setting, l->settings, rb_text_of(override->value),
                                    &l->why),
              "--set", 0, 0);
        return;
    }
    const char *nearest = rb_settings_nearest(key);
    rb_errors_add(l->errors, "--set", 0, 0, "unknown key \"%s\"%s%s%s", override->key,
                  nearest ? "; did you mean \"" : "; see --help-settings",
                  nearest ? nearest : "", nearest ? "\"?" : "");
}

/* What must be right of several settings together. */
static void check_together(struct load *l) {
    const struct rb_settings *s = l->settings;
    struct rb_error place = {0};
    if (s->worker.weights.count == 0)
        return;
    rb_settings_place(s, "worker.weights", &place);
    if (s->worker.weights.count != s->worker.queues.count)
        rb_errors_add(l->errors, place.file, place.line, place.column,
                      "worker.weights: expected one for each of worker.queues");
    if (s->worker.claim == RB_CLAIM_BLPOP)
        rb_errors_add(l->errors, place.file, place.line, place.column,
                      "worker.weights: blpop takes the queues in strict order; weights "
                      "need worker.claim lease");
}

enum rb_status rb_settings_load(const char *file, const struct rb_override *overrides,
                                size_t override_count, const char *const *environment,
                                struct rb_settings **settings, struct rb_errors *errors) {
    struct load l = {.errors = errors};
    size_t errors_before = errors->count;

    *settings = NULL;
    l.settings = calloc(1, sizeof *l.settings);
    if (l.settings)
        l.settings->places = calloc(1, sizeof *l.settings->places);
    if (!l.settings || !l.settings->places) {
        free(l.settings);
        return RB_NOMEM;
    }
    rb_buffer_init(&l.why, WHY_BYTES);
    load_defaults(&l);
    enum rb_status status = load_file(&l, file);
    if (status == RB_NOMEM || resolve_paths(l.settings) != RB_OK)
        l.no_memory = true;
    if (environment)
        load_environment(&l, environment);
    for (size_t i = 0; i < override_count; i++)
        load_override(&l, &overrides[i]);
    if (errors->count == errors_before)
        check_together(&l);
    rb_buffer_fini(&l.why);

    if (l.no_memory)
        status = RB_NOMEM;
    else if (status != RB_SYSTEM && errors->count > errors_before)
        status = RB_INVALID;
    if (status == RB_OK)
        *settings = l.settings;
    else
        rb_settings_free(l.settings);
    return status;
}

void rb_settings_free(struct rb_settings *settings) {
    if (!settings)
        return;
    for (size_t i = 0; i < rb_settings_count; i++)
        rb_setting_clear(&rb_settings_table[i], settings);
    free(settings->file);
    free(settings->places);
    free(settings);
}

void rb_settings_place(const struct rb_settings *settings, const char *key,
                       struct rb_error *error) {
    const struct rb_setting *setting = rb_settings_find(rb_text_of(key));
    char variable[RB_SETTING_VARIABLE];
    if (!setting || !settings->places || !error)
        return;
    size_t i = (size_t)(setting - rb_settings_table);
    enum source source = settings->places->of[i].source;
    if (source == BY_VARIABLE)
        rb_setting_variable(setting, variable);
    const char *place = source == BY_FILE       ? settings->file
                        : source == BY_VARIABLE ? variable
                        : source == BY_SET      ? "--set"
                                                : "";
    snprintf(error->file, sizeof error->file, "%s", place ? place : "");
    error->line = settings->places->of[i].line;
    error->column = settings->places->of[i].column;
}

void rb_settings_fixed_changes(const struct rb_settings *old,
                               const struct rb_settings *new,
                               void (*each)(void *ctx, const char *key), void *ctx) {
    for (size_t i = 0; i < rb_settings_count; i++) {
        const struct rb_setting *setting = &rb_settings_table[i];
        if (!setting->reloads && !rb_setting_same(setting, old, new))
            each(ctx, setting->key);
    }
}
