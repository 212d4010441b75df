/* Files that are read as a whole: regular ones, and no others are waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/file.h"

#define MOST 10000

static char folder[64], path[96];

static int setup(void **state) {
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%.30s/rb-file-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    remove(path);
    return rmdir(folder);
}

static void write_file(size_t len) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < len; i++)
        fputc('x', file);
    assert_int_equal(fclose(file), 0);
}

static void check(enum rb_status wanted, size_t len, const char *said) {
    struct rb_buffer content;
    const char *why = NULL;
    rb_buffer_init(&content, 3 + MOST + RB_FILE_STEP_BYTES);
    rb_buffer_string(&content, "abc");
    assert_int_equal(rb_file_read(path, MOST, &content, &why), wanted);
    if (wanted == RB_OK)
        assert_int_equal(content.len, 3 + len);
    if (said)
        assert_string_equal(why, said);
    rb_buffer_fini(&content);
}

static void regular_ones_are_read(void **state) {
    static const size_t sizes[] = {0, 1, RB_FILE_STEP_BYTES, RB_FILE_STEP_BYTES + 1,
                                   MOST};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_file(sizes[i]);
        check(RB_OK, sizes[i], NULL);
    }
    write_file(MOST + 1);
    check(RB_TOO_LARGE, 0, NULL);
}

static void others_are_told_at_once(void **state) {
    (void)state;
    check(RB_SYSTEM, 0, "No such file or directory");
    assert_int_equal(mkfifo(path, 0600), 0);
    check(RB_SYSTEM, 0, "not a regular file");
    assert_int_equal(remove(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    check(RB_SYSTEM, 0, "Is a directory");
    assert_int_equal(remove(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0);
    check(RB_SYSTEM, 0, "not a regular file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(regular_ones_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(others_are_told_at_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
