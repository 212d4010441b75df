/* Locations as services may write them: what is followed leads to the request's own host
 * or to one in the list, and everybody reads its host alike. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "worker/dial.h"
#include "worker/redirect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise) {
    if (!promise)
        abort();
}

static void judge(char *own, const char *to) {
    static char name[] = "b.example", method[] = "GET";
    static struct rb_redirect_host hosts[] = {{name, 0}};
    static const struct rb_redirects rules = {.max = 3, .hosts = hosts, .count = 1};
    struct rb_request request = {.method = method, .url = own};
    const struct rb_call_order order = {.request = &request, .redirects = &rules};
    struct rb_hop hop = {0};
    char why[RB_HOP_WHY_BYTES] = "";
    struct rb_text host;
    int port;

    if (rb_redirect_judge(&order, own, 302, to, &hop, why) != RB_OK) {
        require(why[0] != '\0' && !hop.url && hop.made == 0);
        return;
    }
    bool secure = strncmp(hop.url, "https://", 8) == 0;
    require(hop.made == 1);
    require(secure || strncmp(own, "http://", 7) == 0);
    require(rb_dial_parse(rb_text_of(hop.url), &host, &port) == RB_OK);
    if (hop.own)
        require(rb_text_is(host, "a.example") && (port == 8443) == secure);
    else
        require(rb_text_is(host, name) && port == (secure ? 443 : 80));
    rb_hop_fini(&hop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char secure[] = "https://a.example:8443/v1", plain[] = "http://a.example/v1";
    char *to = rb_text_copy(rb_text((const char *)data, size));
    if (to) {
        judge(secure, to);
        judge(plain, to);
    }
    free(to);
    return 0;
}
