/* Settings from a text, an environment and a command line, for the tests of settings. */
#ifndef RB_TESTS_SETTINGS_LOAD_H
#define RB_TESTS_SETTINGS_LOAD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/settings.h"

static struct rb_errors errors;
static char folder[] = "/tmp/test_settings_XXXXXX";
static char file[64];

static inline int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/r.yaml", folder);
    return 0;
}

static inline int remove_folder(void **state) {
    (void)state;
    unlink(file);
    return rmdir(folder);
}

static inline void write_file(const char *text) {
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* From text, environment and one override; NULL and errors filled when it is refused. */
static inline struct rb_settings *load(const char *text, const char *const *environment,
                                       const char *key, const char *value) {
    struct rb_settings *settings = NULL;
    const struct rb_override override = {key, value};
    errors.count = 0;
    if (text)
        write_file(text);
    enum rb_status status = rb_settings_load(text ? file : NULL, &override, key != NULL,
                                             environment, &settings, &errors);
    assert_true((status == RB_OK) == (errors.count == 0));
    assert_true((status == RB_OK) == (settings != NULL));
    return settings;
}

#endif
