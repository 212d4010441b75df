/* From libcurl's codes to the words of the contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/failure.h"

static enum rb_failure of(struct rb_call_end end) {
    const char *sentence = NULL;
    enum rb_failure failure = rb_failure_of_call(&end, &sentence);
    assert_non_null(sentence);
    assert_int_equal(strlen(sentence) > 0, failure != RB_FAILURES);
    return failure;
}

static void test_codes(void **state) {
    (void)state;
    static const struct {
        CURLcode code;
        enum rb_failure failure;
    } cases[] = {
        {CURLE_OK, RB_FAILURES},
        {CURLE_COULDNT_CONNECT, RB_FAIL_CONNECT},
        {CURLE_COULDNT_RESOLVE_HOST, RB_FAIL_CONNECT},
        {CURLE_OPERATION_TIMEDOUT, RB_FAIL_CONNECT}, /* curl times nothing else */
        {CURLE_SSL_CONNECT_ERROR, RB_FAIL_TLS},
        {CURLE_PEER_FAILED_VERIFICATION, RB_FAIL_TLS},
        {CURLE_SSL_CACERT_BADFILE, RB_FAIL_TLS},
        {CURLE_WEIRD_SERVER_REPLY, RB_FAIL_BAD_RESPONSE},
        {CURLE_PARTIAL_FILE, RB_FAIL_BAD_RESPONSE},
        {CURLE_WRITE_ERROR, RB_FAIL_BAD_RESPONSE},
        {CURLE_BAD_CONTENT_ENCODING, RB_FAIL_BAD_RESPONSE},
        {CURLE_OUT_OF_MEMORY, RB_FAIL_INTERNAL},
        {CURLE_URL_MALFORMAT, RB_FAIL_INTERNAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(of((struct rb_call_end){.code = cases[i].code}),
                         cases[i].failure);
}

/* What we know ourselves says more than the code with which curl was made to stop. */
static void test_our_own_reasons(void **state) {
    (void)state;
    struct rb_call_end write = {.code = CURLE_WRITE_ERROR, .answered = true};
    write.body_too_large = true;
    assert_int_equal(of(write), RB_FAIL_TOO_LARGE);
    write.body_too_large = false;
    write.head_too_large = true;
    assert_int_equal(of(write), RB_FAIL_TOO_LARGE);
    write.head_too_large = false;
    write.no_memory = true;
    assert_int_equal(of(write), RB_FAIL_INTERNAL);
    assert_int_equal(
        of((struct rb_call_end){.code = CURLE_COULDNT_CONNECT, .denied = true}),
        RB_FAIL_CONNECT);
    assert_int_equal(of((struct rb_call_end){.timed_out = true, .connected = true}),
                     RB_FAIL_TIMEOUT);
    assert_int_equal(of((struct rb_call_end){.connect_overdue = true}), RB_FAIL_CONNECT);
    assert_int_equal(
        of((struct rb_call_end){.connect_overdue = true, .handshaking = true}),
        RB_FAIL_TLS);
    assert_int_equal(of((struct rb_call_end){.unresolved = true}), RB_FAIL_CONNECT);
}

/* Before the answer began nothing is known to have happened; after, half of one is here.
 */
static void test_broken_connections(void **state) {
    (void)state;
    static const CURLcode codes[] = {CURLE_GOT_NOTHING, CURLE_RECV_ERROR,
                                     CURLE_SEND_ERROR};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct rb_call_end end = {.code = codes[i], .connected = true};
        assert_int_equal(of(end), RB_FAIL_CONNECT);
        end.answered = true;
        assert_int_equal(of(end), RB_FAIL_BAD_RESPONSE);
    }
}

/* With TLS 1.3 a client certificate is refused behind the handshake. */
static void test_alerts(void **state) {
    (void)state;
    static const char said[] = "OpenSSL SSL_read: OpenSSL/3.0.22: error:0A00045C:SSL "
                               "routines::tlsv13 alert certificate required, errno 0";
    assert_true(rb_failure_is_alert(CURLE_RECV_ERROR, said));
    assert_true(rb_failure_is_alert(CURLE_SEND_ERROR, said));
    assert_false(rb_failure_is_alert(CURLE_RECV_ERROR, "Recv failure: reset by peer"));
    assert_false(rb_failure_is_alert(CURLE_RECV_ERROR, ""));
    assert_false(rb_failure_is_alert(CURLE_OK, said));
    const struct rb_call_end end = {
        .code = CURLE_RECV_ERROR, .connected = true, .alerted = true};
    assert_int_equal(of(end), RB_FAIL_TLS);
    assert_int_equal(rb_failure_cause(&end), RB_RETRY_TLS);
}

/* The alert may get lost; then it counts that we were asked who we are. An answer, or an
 * end of another kind, has nothing to do with it. */
static void test_hung_up_on_who_showed_nothing(void **state) {
    (void)state;
    static const CURLcode codes[] = {CURLE_GOT_NOTHING, CURLE_RECV_ERROR,
                                     CURLE_SEND_ERROR};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct rb_call_end end = {
            .code = codes[i], .connected = true, .unidentified = true};
        assert_int_equal(of(end), RB_FAIL_TLS);
        assert_int_equal(rb_failure_cause(&end), RB_RETRY_TLS);
        end.answered = true;
        assert_int_equal(of(end), RB_FAIL_BAD_RESPONSE);
        assert_int_equal(rb_failure_cause(&end), RB_RETRY_RESET);
    }
    const struct rb_call_end late = {
        .connected = true, .unidentified = true, .timed_out = true};
    assert_int_equal(of(late), RB_FAIL_TIMEOUT);
    const struct rb_call_end whole = {
        .connected = true, .unidentified = true, .answered = true, .headed = true};
    assert_int_equal(of(whole), RB_FAILURES);
}

/* The same ends as a retry policy names them. */
static void test_causes(void **state) {
    (void)state;
    static const struct {
        struct rb_call_end end;
        enum rb_retry_cause cause;
    } cases[] = {
        {{.code = CURLE_OK, .answered = true}, RB_RETRY_STATUS},
        {{.code = CURLE_COULDNT_CONNECT}, RB_RETRY_CONNECT},
        {{.code = CURLE_OPERATION_TIMEDOUT}, RB_RETRY_CONNECT},
        {{.unresolved = true}, RB_RETRY_CONNECT},
        {{.connect_overdue = true}, RB_RETRY_CONNECT},
        {{.connect_overdue = true, .handshaking = true}, RB_RETRY_CONNECT},
        {{.timed_out = true, .connected = true}, RB_RETRY_TIMEOUT},
        {{.code = CURLE_GOT_NOTHING, .connected = true}, RB_RETRY_RESET},
        {{.code = CURLE_RECV_ERROR, .answered = true}, RB_RETRY_RESET},
        {{.code = CURLE_SEND_ERROR}, RB_RETRY_RESET},
        {{.code = CURLE_PARTIAL_FILE, .answered = true}, RB_RETRY_RESET},
        {{.code = CURLE_SSL_CONNECT_ERROR}, RB_RETRY_TLS},
        {{.code = CURLE_PEER_FAILED_VERIFICATION}, RB_RETRY_TLS},
        {{.code = CURLE_COULDNT_CONNECT, .denied = true}, RB_RETRY_NEVER},
        {{.code = CURLE_WRITE_ERROR, .body_too_large = true}, RB_RETRY_NEVER},
        {{.code = CURLE_WRITE_ERROR, .head_too_large = true}, RB_RETRY_NEVER},
        {{.code = CURLE_WEIRD_SERVER_REPLY, .answered = true}, RB_RETRY_NEVER},
        {{.code = CURLE_OUT_OF_MEMORY}, RB_RETRY_NEVER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(rb_failure_cause(&cases[i].end), cases[i].cause);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_our_own_reasons),
        cmocka_unit_test(test_causes),
        cmocka_unit_test(test_broken_connections),
        cmocka_unit_test(test_alerts),
        cmocka_unit_test(test_hung_up_on_who_showed_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
