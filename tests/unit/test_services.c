/* A folder of definitions: read as a whole or not at all, found by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "definitions.h"
#include "jobs/services.h"

/* Files that a test made, in a folder of its own. */
struct folder {
    char path[64];
    char names[8][64];
    size_t count;
};

static int setup(void **state) {
    struct folder *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    assert_non_null(f);
    snprintf(f->path, sizeof f->path, "%.30s/rb-services-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->path));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct folder *f = *state;
    char path[160];
    for (size_t i = 0; i < f->count; i++) {
        snprintf(path, sizeof path, "%s/%s", f->path, f->names[i]);
        remove(path);
    }
    rmdir(f->path);
    free(f);
    return 0;
}

static void put(struct folder *f, const char *name, const char *text) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    snprintf(f->names[f->count++], sizeof f->names[0], "%s", name);
}

#define DEFINITION(name) "service: " name "\nrequest: {url: \"http://x\"}\n"

static void loads(void **state) {
    struct folder *f = *state;
    struct rb_services *services;
    struct rb_errors errors = {0};
    put(f, "b.yaml", DEFINITION("b"));
    put(f, "a.yaml", DEFINITION("a"));
    put(f, "stock-quote.yaml", DEFINITION("stock-quote"));
    put(f, "ab.yaml", DEFINITION("ab"));
    put(f, ".hidden.yaml", "wrong");
    put(f, "README.md", "wrong");
    put(f, "b.yaml~", "wrong");
    assert_int_equal(rb_services_load(f->path, &services, &errors), RB_OK);
    assert_int_equal(rb_services_count(services), 4);
    assert_string_equal(rb_services_at(services, 0)->service, "a");
    assert_string_equal(rb_services_at(services, 3)->service, "stock-quote");
    static const char *const names[] = {"a", "ab", "b", "stock-quote"};
    for (size_t i = 0; i < 4; i++) {
        const struct rb_definition *d = rb_services_find(services, rb_text_of(names[i]));
        assert_non_null(d);
        assert_string_equal(d->service, names[i]);
    }
    static const char *const none[] = {"",  "aa",    "abc",         "A",
                                       "c", "stock", "stock-quotes"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_null(rb_services_find(services, rb_text_of(none[i])));
    assert_string_equal(rb_services_nearest(services, RB_TEXT("stock_quote")),
                        "stock-quote");
    assert_null(rb_services_nearest(services, RB_TEXT("weather")));

    /* A flight keeps them alive. */
    struct rb_services *held = rb_services_ref(services);
    rb_services_unref(services);
    assert_non_null(rb_services_find(held, RB_TEXT("a")));
    rb_services_unref(held);
    rb_services_unref(NULL);
}

static void empty_is_legal(void **state) {
    struct folder *f = *state;
    struct rb_services *services;
    struct rb_errors errors = {0};
    assert_int_equal(rb_services_load(f->path, &services, &errors), RB_OK);
    assert_int_equal(rb_services_count(services), 0);
    assert_null(rb_services_find(services, RB_TEXT("a")));
    assert_null(rb_services_nearest(services, RB_TEXT("a")));
    rb_services_unref(services);
}

static void all_or_nothing(void **state) {
    struct folder *f = *state;
    struct rb_services *services;
    struct rb_errors errors = {0};
    put(f, "a.yaml", DEFINITION("a"));
    put(f, "b.yaml", DEFINITION("c"));
    put(f, "d.yaml", "service: d\nrequets: 1\n");
    put(f, "e.yaml", "service: [e\n");
    put(f, "f.yml", DEFINITION("f"));
    assert_int_equal(rb_services_load(f->path, &services, &errors), RB_INVALID);
    assert_null(services);
    assert_int_equal(errors.count, 5);
    assert_non_null(strstr(errors.kept[0].file, "/b.yaml"));
    assert_string_equal(errors.kept[0].text,
                        "expected \"b\", which the file is called, got \"c\"");
    assert_string_equal(errors.kept[1].text,
                        "unknown key \"requets\"; did you mean \"request\"?");
    assert_int_equal(errors.kept[1].line, 2);
    assert_string_equal(errors.kept[2].text, "\"request\" is missing");
    assert_non_null(strstr(errors.kept[3].file, "/e.yaml"));
    assert_non_null(strstr(errors.kept[4].file, "/f.yml"));
    assert_string_equal(errors.kept[4].text, "a definition's name ends in .yaml");
}

static void no_folder(void **state) {
    struct folder *f = *state;
    struct rb_services *services;
    struct rb_errors errors = {0};
    char path[160];
    snprintf(path, sizeof path, "%s/missing", f->path);
    assert_int_equal(rb_services_load(path, &services, &errors), RB_SYSTEM);
    assert_null(services);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.kept[0].file, path);
    assert_string_equal(errors.kept[0].text, "can't be read: No such file or directory");
}

static void unreadable(void **state) {
    struct folder *f = *state;
    struct rb_services *services;
    struct rb_errors errors = {0};
    char path[160];
    snprintf(path, sizeof path, "%s/x.yaml", f->path);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(f->names[f->count++], sizeof f->names[0], "x.yaml");
    assert_int_equal(rb_services_load(f->path, &services, &errors), RB_INVALID);
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.kept[0].file, path);
}

/* What we ship must load as it is. */
static void shipped(void **state) {
    (void)state;
    struct rb_services *services;
    struct rb_errors errors = {0};
    enum rb_status status =
        rb_services_load(RINGBACK_SOURCE_DIR "/jobs/services", &services, &errors);
    rb_errors_print(&errors);
    assert_int_equal(status, RB_OK);
    assert_true(rb_services_count(services) >= 3);
    assert_non_null(rb_services_find(services, RB_TEXT("stock-quote")));
    for (size_t i = 0; i < rb_services_count(services); i++)
        assert_non_null(rb_services_at(services, i)->description);
    rb_services_unref(services);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loads, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_is_legal, setup, teardown),
        cmocka_unit_test_setup_teardown(all_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(no_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(unreadable, setup, teardown),
        cmocka_unit_test(shipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
