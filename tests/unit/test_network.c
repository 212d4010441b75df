/* Sets of addresses: words, prefixes, IPv4 inside IPv6, and who wins. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include <cmocka.h>

#include "config/network.h"

static struct sockaddr_storage address_of(const char *text) {
    struct sockaddr_storage out = {0};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        memcpy(&out, &v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        memcpy(&out, &v6, sizeof v6);
    else
        fail_msg("%s is no address", text);
    return out;
}

/* Rules are separated by spaces. */
static struct rb_network *network_of(const char *rules) {
    struct rb_network *network = rb_network_new();
    struct rb_text rest = rb_text_of(rules), rule;
    assert_non_null(network);
    while (rb_text_next(&rest, ' ', &rule))
        assert_int_equal(rb_network_add(network, rule, NULL), RB_OK);
    return network;
}

static bool in(const char *rules, const char *text) {
    struct rb_network *network = network_of(rules);
    struct sockaddr_storage address = address_of(text);
    bool found = rb_network_contains(network, (struct sockaddr *)&address);
    rb_network_free(network);
    return found;
}

static bool allows(const char *allow, const char *deny, const char *text) {
    struct rb_network *a = allow ? network_of(allow) : NULL;
    struct rb_network *d = deny ? network_of(deny) : NULL;
    struct sockaddr_storage address = address_of(text);
    bool allowed = rb_network_allows(a, d, (struct sockaddr *)&address);
    rb_network_free(a);
    rb_network_free(d);
    return allowed;
}

static void in_words(void **state) {
    (void)state;
    static const struct {
        const char *address, *words; /* all that it is in */
    } cases[] = {
        {"127.0.0.1", "loopback"},
        {"127.255.255.255", "loopback"},
        {"0.0.0.0", "loopback"},
        {"::1", "loopback"},
        {"::", "loopback"},
        {"10.0.0.1", "private"},
        {"10.255.255.255", "private"},
        {"172.16.0.0", "private"},
        {"172.31.255.255", "private"},
        {"192.168.1.1", "private"},
        {"100.64.0.1", "private"},
        {"100.127.255.255", "private"},
        {"fc00::1", "private"},
        {"fdff::1", "private"},
        {"fec0::1", "private"},
        {"169.254.0.1", "link-local"},
        {"fe80::1", "link-local"},
        {"febf::1", "link-local"},
        {"169.254.169.254", "link-local metadata"},
        {"169.254.170.2", "link-local metadata"},
        {"169.254.170.23", "link-local metadata"},
        {"100.100.100.200", "private metadata"},
        {"192.0.0.192", "metadata"},
        {"168.63.129.16", "metadata"},
        {"fd00:ec2::254", "private metadata"},
        {"fd00:ec2::23", "private metadata"},
        {"fd20:ce::254", "private metadata"},
        {"9.255.255.255", "public"},
        {"11.0.0.0", "public"},
        {"172.15.255.255", "public"},
        {"172.32.0.0", "public"},
        {"100.63.255.255", "public"},
        {"100.128.0.0", "public"},
        {"169.253.255.255", "public"},
        {"128.0.0.1", "public"},
        {"8.8.8.8", "public"},
        {"2001:db8::1", "public"},
        {"::2", "public"},
        {"fe00::1", "public"},
        /* The IPv4 inside counts. */
        {"::ffff:127.0.0.1", "loopback"},
        {"::ffff:169.254.169.254", "link-local metadata"},
        {"::ffff:8.8.8.8", "public"},
        {"64:ff9b::10.0.0.1", "private"},
        {"64:ff9b::a9fe:a9fe", "link-local metadata"},
    };
    static const char *const words[] = {"loopback", "private", "link-local", "metadata",
                                        "public"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t w = 0; w < 5; w++)
            if (in(words[w], cases[i].address) !=
                (strstr(cases[i].words, words[w]) != NULL))
                fail_msg("%s and %s", cases[i].address, words[w]);
}

static void in_prefixes(void **state) {
    (void)state;
    assert_true(in("10.2.0.0/16", "10.2.255.255"));
    assert_false(in("10.2.0.0/16", "10.3.0.0"));
    assert_true(in("10.2.128.0/17", "10.2.128.1"));
    assert_false(in("10.2.128.0/17", "10.2.127.255"));
    assert_true(in("192.0.2.7", "192.0.2.7"));
    assert_false(in("192.0.2.7", "192.0.2.6"));
    assert_true(in("0.0.0.0/0", "203.0.113.9"));
    assert_false(in("0.0.0.0/0", "2001:db8::1"));
    assert_true(in("::/0", "2001:db8::1"));
    assert_true(in("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(in("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(in("2001:db8::7", "2001:db8::7"));
    assert_true(in("10.0.0.0/8 2001:db8::/32 private", "192.168.0.1"));
    /* A rule and an address may wear IPv6 round IPv4, or not. */
    assert_true(in("10.2.0.0/16", "::ffff:10.2.0.1"));
    assert_true(in("::ffff:10.2.0.0/112", "10.2.0.1"));
    assert_true(in("::ffff:0.0.0.0/96", "203.0.113.9"));
    assert_false(in("::/0", "::ffff:10.2.0.1"));
    assert_false(in("", "10.0.0.1"));
}

static void refuses(void **state) {
    (void)state;
    static const struct {
        const char *rule, *sentence;
    } bad[] = {
        {"", "\"\" is no address, prefix or word (loopback, private, link-local, "
             "metadata, public)"},
        {"privat", "\"privat\" is no address, prefix or word (loopback, private, "
                   "link-local, metadata, public); did you mean \"private\"?"},
        {"10.2.0.0/33", "the prefix length of \"10.2.0.0/33\" must be 0 to 32"},
        {"10.2.0.0/", "the prefix length of \"10.2.0.0/\" must be 0 to 32"},
        {"10.2.0.0/-1", "the prefix length of \"10.2.0.0/-1\" must be 0 to 32"},
        {"10.2.0.0/8/8", "the prefix length of \"10.2.0.0/8/8\" must be 0 to 32"},
        {"::/129", "the prefix length of \"::/129\" must be 0 to 128"},
        {"10.2.0.1/16", "\"10.2.0.1/16\" has bits set behind its prefix"},
        {"2001:db8::1/32", "\"2001:db8::1/32\" has bits set behind its prefix"},
    };
    struct rb_network *network = rb_network_new();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rb_error error;
        assert_int_equal(rb_network_add(network, rb_text_of(bad[i].rule), &error),
                         RB_INVALID);
        assert_string_equal(error.text, bad[i].sentence);
    }
    static const char *const none[] = {"10.2", "256.0.0.1", "example.com",  "010.0.0.1",
                                       "1:2",  " 10.0.0.1", "fe80::1%eth0", "/8"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_int_equal(rb_network_add(network, rb_text_of(none[i]), NULL), RB_INVALID);
    assert_int_equal(rb_network_add(network, rb_text("10.0.0.1\0", 9), NULL), RB_INVALID);
    rb_network_free(network);
    rb_network_free(NULL);
}

static void allow_wins(void **state) {
    (void)state;
    assert_true(allows(NULL, NULL, "10.0.0.1"));
    assert_false(allows(NULL, "private", "10.0.0.1"));
    assert_true(allows(NULL, "private", "8.8.8.8"));
    assert_true(allows("10.2.0.0/16", "private", "10.2.0.1"));
    assert_false(allows("10.2.0.0/16", "private", "10.3.0.1"));
    assert_true(allows("8.8.8.8", "public", "8.8.8.8"));
    assert_false(allows(NULL, "link-local metadata", "::ffff:169.254.169.254"));
}

/* The word private must not open what hands out credentials. */
static void metadata_stays_shut(void **state) {
    (void)state;
    assert_false(allows("private", "metadata", "100.100.100.200"));
    assert_false(allows("private link-local", "metadata", "169.254.169.254"));
    assert_false(allows("private", "private", "fd00:ec2::254"));
    assert_true(allows("metadata", "link-local metadata", "169.254.169.254"));
    assert_true(allows("169.254.169.254", "link-local metadata", "169.254.169.254"));
    assert_true(allows("169.254.0.0/16", "link-local metadata", "169.254.169.254"));
    assert_false(allows(NULL, "link-local", "169.254.169.254"));
}

static void other_families(void **state) {
    (void)state;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct rb_network *network = network_of("public 0.0.0.0/0 ::/0");
    assert_false(rb_network_contains(network, (struct sockaddr *)&local));
    assert_true(rb_network_allows(NULL, network, (struct sockaddr *)&local));
    rb_network_free(network);
}

static void bounded(void **state) {
    (void)state;
    struct rb_network *network = rb_network_new();
    for (int i = 0; i < 1024; i++)
        assert_int_equal(rb_network_add(network, RB_TEXT("10.0.0.1"), NULL), RB_OK);
    assert_int_equal(rb_network_add(network, RB_TEXT("10.0.0.1"), NULL), RB_INVALID);
    assert_int_equal(rb_network_add(network, RB_TEXT("private"), NULL), RB_OK);
    rb_network_free(network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_words),       cmocka_unit_test(in_prefixes),
        cmocka_unit_test(refuses),        cmocka_unit_test(allow_wins),
        cmocka_unit_test(other_families), cmocka_unit_test(metadata_stays_shut),
        cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
