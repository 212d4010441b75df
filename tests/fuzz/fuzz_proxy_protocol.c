/* The PROXY protocol: however the bytes are cut, the same comes out, and no byte of the
 * client's is taken. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "notifier/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

static enum rb_proxy_result feed(const char *bytes, size_t len, size_t step,
                                 size_t *taken, struct sockaddr_storage *client) {
    struct rb_proxy_header header = {0};
    enum rb_proxy_result result = RB_PROXY_MORE;
    *taken = 0;
    while (result == RB_PROXY_MORE && *taken < len) {
        size_t some = len - *taken < step ? len - *taken : step, used;
        result = rb_proxy_feed(&header, bytes + *taken, some, &used, client);
        require(used <= some && (used == some || result != RB_PROXY_MORE));
        *taken += used;
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sockaddr_storage once, again;
    size_t taken, other;
    const char *bytes = (const char *)data;
    enum rb_proxy_result result = feed(bytes, size, size + 1, &taken, &once);
    for (size_t step = 1; step < 20; step += 6) {
        require(feed(bytes, size, step, &other, &again) == result && other == taken);
        require(result != RB_PROXY_KNOWN || memcmp(&once, &again, sizeof once) == 0);
    }
    if (result == RB_PROXY_KNOWN)
        require(once.ss_family == AF_INET || once.ss_family == AF_INET6);
    if (result == RB_PROXY_KNOWN || result == RB_PROXY_LOCAL)
        require(feed(bytes, taken - 1, size, &other, &again) == RB_PROXY_MORE);
    return 0;
}
