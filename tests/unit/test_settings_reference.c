/* What is written of the settings: the example and the reference, beside the table. */
#include "settings_load.h"

#include "config/settings_table.h"
#include "config/yaml.h"

/* The folder that this file was compiled from, and the path behind it. */
static void source_path(char *out, size_t size, const char *path) {
    const char *end = strstr(__FILE__, "tests/unit/");
    assert_non_null(end);
    snprintf(out, size, "%.*s%s", (int)(end - __FILE__), __FILE__, path);
}

static const struct rb_yaml *by_path(const struct rb_yaml *node, const char *path) {
    struct rb_text rest = rb_text_of(path), part;
    while (node && rb_text_next(&rest, '.', &part)) {
        char key[64];
        snprintf(key, sizeof key, RB_TEXT_FMT, RB_TEXT_ARG(part));
        node = rb_yaml_get(node, key);
    }
    return node;
}

static void example_has_every_key_with_its_default(void **state) {
    (void)state;
    char example[512], services[600];
    source_path(example, sizeof example, "config/ringback.yaml");
    struct rb_settings *s, *defaults = load("", NULL, NULL, NULL);
    struct rb_yaml *root;
    assert_int_equal(rb_settings_load(example, NULL, 0, NULL, &s, &errors), RB_OK);
    assert_int_equal(rb_yaml_load(example, &root, &errors), RB_OK);
    for (size_t i = 0; i < rb_settings_count; i++) {
        const struct rb_setting *setting = &rb_settings_table[i];
        if (!by_path(root, setting->key))
            fail_msg("%s is missing", setting->key);
        if (strcmp(setting->key, "worker.services") != 0 &&
            !rb_setting_same(setting, s, defaults))
            fail_msg("%s differs from its default", setting->key);
    }
    source_path(services, sizeof services, "config/../jobs/services");
    assert_string_equal(s->worker.services, services);
    rb_yaml_free(root);
    rb_settings_free(s);
    rb_settings_free(defaults);
}

static char *read_whole(FILE *f) {
    static char out[65536];
    rewind(f);
    size_t len = fread(out, 1, sizeof out - 1, f);
    assert_true(len < sizeof out - 1);
    out[len] = '\0';
    return out;
}

static void readme_has_the_reference(void **state) {
    (void)state;
    char path[512];
    static char readme[65536];
    source_path(path, sizeof path, "config/README.md");
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    snprintf(readme, sizeof readme, "%s", read_whole(f));
    fclose(f);
    char *from = strstr(readme, "<!-- settings: made by `ringback-worker "
                                "--help-settings=markdown` -->\n\n");
    assert_non_null(from);
    from = strstr(from, "\n\n") + 2;
    char *to = strstr(from, "\n<!-- end of settings -->");
    assert_non_null(to);
    *to = '\0';

    f = tmpfile();
    assert_non_null(f);
    rb_settings_print_reference(f, true);
    if (strcmp(from, read_whole(f)) != 0)
        fail_msg("config/README.md is behind: put the output of ringback-worker "
                 "--help-settings=markdown between its marks");
    fclose(f);
}

static void plain_reference_names_all(void **state) {
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    rb_settings_print_reference(f, false);
    const char *text = read_whole(f);
    for (size_t i = 0; i < rb_settings_count; i++) {
        char variable[RB_SETTING_VARIABLE];
        rb_setting_variable(&rb_settings_table[i], variable);
        assert_non_null(strstr(text, rb_settings_table[i].key));
        assert_non_null(strstr(text, variable));
        assert_true(strlen(variable) < RB_SETTING_VARIABLE - 1);
    }
    for (const char *l = text; (l = strchr(l, '\n')); l++)
        assert_true(strcspn(l + 1, "\n") <= 80 || l[1] != ' ');
    fclose(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(example_has_every_key_with_its_default),
        cmocka_unit_test(readme_has_the_reference),
        cmocka_unit_test(plain_reference_names_all),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
