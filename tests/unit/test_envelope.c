/* Envelopes: what is written is read, what is none is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/envelope.h"

static void assert_text(struct rb_text text, const char *expected) {
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.len ? text.at : "", expected, text.len);
}

static void round_trip(void **state) {
    (void)state;
    struct rb_buffer out;
    rb_buffer_init(&out, 1024);
    struct rb_envelope e = {.id = RB_TEXT("a:b=c~1"),
                            .queue = RB_TEXT("q=1"),
                            .deliveries = 3,
                            .attempts = 2,
                            .at = 1700000000000,
                            .until = 1700000000001,
                            .job = RB_TEXT("{\"a\":\n1} id=x\nqueue=y")};
    rb_envelope_write(&out, &e);
    assert_text(rb_buffer_view(&out),
                "rb1 id=a:b=c~1 queue=q=1 deliveries=3 attempts=2 at=1700000000000 "
                "until=1700000000001\n"
                "{\"a\":\n1} id=x\nqueue=y");
    struct rb_envelope read;
    assert_int_equal(rb_envelope_parse(rb_buffer_view(&out), &read), RB_OK);
    assert_text(read.id, "a:b=c~1");
    assert_text(read.queue, "q=1");
    assert_int_equal(read.deliveries, 3);
    assert_int_equal(read.attempts, 2);
    assert_true(read.until == 1700000000001);
    assert_true(read.at == 1700000000000);
    assert_text(read.job, "{\"a\":\n1} id=x\nqueue=y");
    rb_buffer_fini(&out);
}

static void reads(void **state) {
    (void)state;
    struct rb_envelope e;
    struct rb_text value;
    assert_int_equal(rb_envelope_parse(RB_TEXT("rb1 more=a%20b queue=q id=1 x=\n"), &e),
                     RB_OK);
    assert_text(e.fields, "more=a%20b queue=q id=1 x=");
    assert_text(e.job, "");
    assert_int_equal(e.deliveries + e.attempts + e.at, 0);
    assert_true(rb_envelope_field(&e, "more", &value));
    assert_text(value, "a%20b");
    assert_true(rb_envelope_field(&e, "x", &value));
    assert_text(value, "");
    assert_true(rb_envelope_field(&e, "id", &value));
    assert_text(value, "1");
    assert_false(rb_envelope_field(&e, "mor", &value));
    assert_false(rb_envelope_field(&e, "a%20b", &value));
    /* A job may be any bytes. */
    assert_int_equal(rb_envelope_parse(rb_text("rb1 id=1 queue=q\n\0\xff\n", 20), &e),
                     RB_OK);
    assert_int_equal(e.job.len, 3);
}

static void refuses(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "rb1",
        "rb1 ",
        "rb1 \n",
        "{}",
        "{\"service\":\"x\"}",
        "rb1 id=1 queue=q",
        "rb2 id=1 queue=q\n",
        "rb1  id=1 queue=q\n",
        "rb1 id=1  queue=q\n",
        "rb1 id=1 queue=q \n",
        "rb1 id=1\n",
        "rb1 queue=q\n",
        "rb1 id= queue=q\n",
        "rb1 id=1 id=2 queue=q\n",
        "rb1 id=1 queue=q queue=r\n",
        "rb1 id=a/b queue=q\n",
        "rb1 id=a%20b queue=q\n",
        "rb1 id=1 queue=a/b\n",
        "rb1 id=1 queue=q =x\n",
        "rb1 id=1 queue=q x\n",
        "rb1 id=1 queue=q x=%\n",
        "rb1 id=1 queue=q x=%2\n",
        "rb1 id=1 queue=q x=%2g\n",
        "rb1 id=1 queue=q x=a\tb\n",
        "rb1 id=1 queue=q x=\xc3\xa4\n",
        "rb1 id=1 queue=q deliveries=\n",
        "rb1 id=1 queue=q deliveries=-1\n",
        "rb1 id=1 queue=q deliveries=1x\n",
        "rb1 id=1 queue=q attempts=99999999999999999999\n",
        "rb1 id=1 queue=q attempts=9007199254740993\n",
        "rb1 id=1 queue=q at=1.5\n",
        "rb1 id=1 queue=q at=9223372036854775807\n",
        "rb1 id=1 queue=q until=-9223372036854775808\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rb_envelope e;
        assert_int_equal(rb_envelope_parse(rb_text_of(bad[i]), &e), RB_INVALID);
        assert_int_equal(e.id.len + e.fields.len + e.job.len, 0);
    }
}

static void escapes(void **state) {
    (void)state;
    struct rb_buffer out, back;
    rb_buffer_init(&out, 4096);
    rb_buffer_init(&back, 4096);
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    rb_envelope_encode(&out, rb_text(all, 256));
    for (size_t i = 0; i < out.len; i++)
        assert_true(out.at[i] > 0x20 && out.at[i] < 0x7f && out.at[i] != '=');
    assert_int_equal(rb_envelope_decode(&back, rb_buffer_view(&out)), RB_OK);
    assert_int_equal(back.len, 256);
    assert_memory_equal(back.at, all, 256);

    rb_buffer_clear(&out);
    rb_envelope_encode(&out, RB_TEXT("a b=%\n\x7f"));
    assert_text(rb_buffer_view(&out), "a%20b%3D%25%0A%7F");
    rb_buffer_clear(&back);
    assert_int_equal(rb_envelope_decode(&back, RB_TEXT("%c3%A4")), RB_OK);
    assert_text(rb_buffer_view(&back), "\xc3\xa4");
    assert_int_equal(rb_envelope_decode(&back, RB_TEXT("%")), RB_INVALID);
    assert_int_equal(rb_envelope_decode(&back, RB_TEXT("%1")), RB_INVALID);
    assert_int_equal(rb_envelope_decode(&back, RB_TEXT("%zz")), RB_INVALID);
    rb_buffer_fini(&out);
    rb_buffer_fini(&back);
    rb_buffer_init(&back, 2);
    assert_int_equal(rb_envelope_decode(&back, RB_TEXT("abc")), RB_TOO_LARGE);
    rb_buffer_fini(&back);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
