/* From libcurl's many codes to the few words of the contract (worker/README.md has the
 * table). */
#include "worker/failure.h"

#include <string.h>

static const struct {
    CURLcode code;
    enum rb_failure failure;
    const char *sentence;
} meanings[] = {
    {CURLE_COULDNT_CONNECT, RB_FAIL_CONNECT, "could not connect to the service"},
    {CURLE_COULDNT_RESOLVE_HOST, RB_FAIL_CONNECT,
     "the host name of the service could not be resolved"},
    {CURLE_OPERATION_TIMEDOUT, RB_FAIL_CONNECT,
     "the service did not accept a connection in time"},
    {CURLE_SSL_CONNECT_ERROR, RB_FAIL_TLS, "the TLS handshake with the service failed"},
    {CURLE_PEER_FAILED_VERIFICATION, RB_FAIL_TLS,
     "the certificate of the service could not be verified"},
    {CURLE_SSL_CACERT_BADFILE, RB_FAIL_TLS,
     "the certificates to verify the service with could not be read"},
    {CURLE_SSL_CIPHER, RB_FAIL_TLS, "no TLS cipher in common with the service"},
    {CURLE_SSL_ISSUER_ERROR, RB_FAIL_TLS,
     "the certificate of the service could not be verified"},
    {CURLE_SSL_CERTPROBLEM, RB_FAIL_TLS, "the client certificate could not be used"},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, RB_FAIL_TLS,
     "the key of the service is not the pinned one"},
    {CURLE_SSL_INVALIDCERTSTATUS, RB_FAIL_TLS,
     "the certificate status of the service is not valid"},
    {CURLE_USE_SSL_FAILED, RB_FAIL_TLS, "TLS with the service failed"},
    {CURLE_WEIRD_SERVER_REPLY, RB_FAIL_BAD_RESPONSE,
     "the service answered something that is not HTTP"},
    {CURLE_HTTP2, RB_FAIL_BAD_RESPONSE, "the service broke the HTTP protocol"},
    {CURLE_HTTP2_STREAM, RB_FAIL_BAD_RESPONSE, "the service broke the HTTP protocol"},
    {CURLE_BAD_CONTENT_ENCODING, RB_FAIL_BAD_RESPONSE,
     "the content encoding of the answer is broken"},
    {CURLE_WRITE_ERROR, RB_FAIL_BAD_RESPONSE, /* of the decoder: ours are flags above */
     "the content encoding of the answer is broken"},
    {CURLE_PARTIAL_FILE, RB_FAIL_BAD_RESPONSE,
     "the service closed the connection before its answer was whole"},
    {CURLE_UNSUPPORTED_PROTOCOL, RB_FAIL_BAD_RESPONSE,
     "the service answered something that is not HTTP"},
    {CURLE_FILESIZE_EXCEEDED, RB_FAIL_TOO_LARGE,
     "the answer is larger than result.max_bytes"},
};

static enum rb_failure say(enum rb_failure failure, const char *words,
                           const char **sentence) {
    *sentence = words;
    return failure;
}

/* The connection was there and broke. */
static bool is_reset(CURLcode code) {
    return code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ||
           code == CURLE_SEND_ERROR || code == CURLE_PARTIAL_FILE ||
           code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM;
}

static bool is_broken(CURLcode code) {
    return code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ||
           code == CURLE_SEND_ERROR;
}

/* Its alert gets lost where the service hangs up while we still send. */
static bool is_turned_away(const struct rb_call_end *end) {
    return end->alerted || (end->unidentified && !end->answered && is_broken(end->code));
}

/* OpenSSL's words for what the peer told it, as in "sslv3 alert bad certificate": with
 * TLS 1.3 a client certificate is judged when the handshake is over for us. */
bool rb_failure_is_alert(CURLcode code, const char *detail) {
    return (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR) &&
           strstr(detail, " alert ");
}

enum rb_retry_cause rb_failure_cause(const struct rb_call_end *end) {
    const char *sentence;
    if (end->denied || end->body_too_large || end->head_too_large)
        return RB_RETRY_NEVER;
    if (end->unresolved || end->connect_overdue)
        return RB_RETRY_CONNECT;
    if (end->timed_out)
        return RB_RETRY_TIMEOUT;
    if (is_reset(end->code) && !is_turned_away(end))
        return RB_RETRY_RESET;
    switch (rb_failure_of_call(end, &sentence)) {
    case RB_FAILURES:
        return RB_RETRY_STATUS;
    case RB_FAIL_CONNECT:
        return RB_RETRY_CONNECT;
    case RB_FAIL_TLS:
        return RB_RETRY_TLS;
    default:
        return RB_RETRY_NEVER;
    }
}

enum rb_failure rb_failure_of_call(const struct rb_call_end *end, const char **sentence) {
    if (end->denied)
        return say(RB_FAIL_CONNECT,
                   "the address of the service is not allowed by the network rules",
                   sentence);
    if (end->unresolved)
        return say(RB_FAIL_CONNECT, "the host name of the service could not be resolved",
                   sentence);
    if (end->body_too_large)
        return say(RB_FAIL_TOO_LARGE, "the answer is larger than result.max_bytes",
                   sentence);
    if (end->head_too_large)
        return say(RB_FAIL_TOO_LARGE, "the head of the answer is too large", sentence);
    if (end->no_memory)
        return say(RB_FAIL_INTERNAL, "out of memory", sentence);
    if (end->connect_overdue && end->handshaking)
        return say(RB_FAIL_TLS, "the TLS handshake with the service took too long",
                   sentence);
    if (end->connect_overdue)
        return say(RB_FAIL_CONNECT, "the service did not accept a connection in time",
                   sentence);
    if (end->timed_out)
        return say(RB_FAIL_TIMEOUT, "the service did not answer in time", sentence);
    if (end->code == CURLE_OK)
        return say(RB_FAILURES, "", sentence);
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (meanings[i].code == end->code)
            return say(meanings[i].failure, meanings[i].sentence, sentence);

    if (end->alerted)
        return say(RB_FAIL_TLS, "the service ended TLS with an alert", sentence);
    if (is_turned_away(end))
        return say(RB_FAIL_TLS,
                   "the service asked for a client certificate, got none and hung up",
                   sentence);
    /* The connection broke: whether that is the way there or the answer depends on how
     * far it had come. */
    if (is_broken(end->code)) {
        if (end->answered)
            return say(RB_FAIL_BAD_RESPONSE,
                       "the connection broke before the answer was whole", sentence);
        return say(RB_FAIL_CONNECT, "the service closed the connection without an answer",
                   sentence);
    }
    return say(RB_FAIL_INTERNAL, "the call could not be made", sentence);
}
