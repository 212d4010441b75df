/* Slabs: objects don't overlap, memory is zeroed, chunks come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "notifier/slab.h"

#define COUNT 5000

static void count(void *ctx, void *object) {
    (void)object;
    ++*(size_t *)ctx;
}

static void check(void *ctx, void *object) {
    const unsigned char *bytes = object;
    size_t size = *(size_t *)ctx;
    for (size_t i = 1; i < size; i++)
        assert_int_equal(bytes[i], bytes[0]);
}

static void objects_of(size_t size) {
    struct rb_slab *slab = rb_slab_new(size);
    void **objects = calloc(COUNT, sizeof *objects);
    uint32_t random = 7;
    size_t counted = 0;
    assert_non_null(slab);
    for (int round = 0; round < 4 * COUNT; round++) {
        random = random * 1664525 + 1013904223;
        size_t i = random % COUNT;
        if (objects[i]) {
            rb_slab_give(slab, objects[i]);
            objects[i] = NULL;
            continue;
        }
        unsigned char *object = objects[i] = rb_slab_take(slab);
        assert_non_null(object);
        assert_int_equal((uintptr_t)object % 8, 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(object[k], 0);
        memset(object, (int)(i % 251) + 1, size);
    }
    rb_slab_each(slab, check, &size);
    rb_slab_each(slab, count, &counted);
    assert_int_equal(counted, rb_slab_count(slab));
    for (size_t i = 0; i < COUNT; i++)
        if (objects[i])
            rb_slab_give(slab, objects[i]);
    assert_int_equal(rb_slab_count(slab), 0);
    counted = 0;
    rb_slab_each(slab, count, &counted);
    assert_int_equal(counted, 0);
    assert_non_null(rb_slab_take(slab));
    rb_slab_free(slab);
    free(objects);
}

static void all_sizes(void **state) {
    static const size_t sizes[] = {1, 8, 16, 17, 24, 56, 128, 136, 200, 1000, 1024};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        objects_of(sizes[i]);
}

static void free_of_nothing(void **state) {
    (void)state;
    rb_slab_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_sizes),
                                       cmocka_unit_test(free_of_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
