/* Reading X-Forwarded-For from its end, where the nearest hop has written. */
#include "notifier/forwarded.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* "192.0.2.7", "2001:db8::1", both with a port: "192.0.2.7:1234", "[2001:db8::1]:1234".
 */
static bool read_address(struct rb_text text, struct sockaddr_storage *address) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    char copy[INET6_ADDRSTRLEN + 1];
    const char *end = NULL, *colon;
    text = rb_text_trim(text);
    if (text.len > 0 && text.at[0] == '[') {
        text = rb_text(text.at + 1, text.len - 1);
        end = memchr(text.at, ']', text.len);
        if (!end)
            return false;
    } else if (text.len > 0 && (colon = memchr(text.at, ':', text.len)) &&
               memchr(text.at, '.', (size_t)(colon - text.at))) {
        end = colon;
    }
    if (end)
        text.len = (size_t)(end - text.at);
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    bool is_v4 = inet_pton(AF_INET, copy, &v4.sin_addr) == 1;
    if (!is_v4 && inet_pton(AF_INET6, copy, &v6.sin6_addr) != 1)
        return false;
    memset(address, 0, sizeof *address);
    if (is_v4)
        memcpy(address, &v4, sizeof v4);
    else
        memcpy(address, &v6, sizeof v6);
    return true;
}

/* Takes the last item off the list; false when it is empty. */
static bool take_last(struct rb_text *list, struct rb_text *item) {
    if (!list->at)
        return false;
    const char *comma = list->len > 0 ? memrchr(list->at, ',', list->len) : NULL;
    size_t from = comma ? (size_t)(comma - list->at) + 1 : 0;
    *item = rb_text(list->at + from, list->len - from);
    *list = comma ? rb_text(list->at, from - 1) : (struct rb_text){NULL, 0};
    return true;
}

void rb_forwarded_client(const struct rb_access *access,
                         const struct rb_http_request *request,
                         struct sockaddr_storage *address) {
    struct rb_text item;
    for (size_t i = request->header_count; i-- > 0;) {
        struct rb_text list = request->headers[i].value;
        if (!rb_text_equal_nocase(request->headers[i].name, RB_TEXT("x-forwarded-for")))
            continue;
        while (take_last(&list, &item))
            if (!rb_access_trusts(access, (const struct sockaddr *)address) ||
                !read_address(item, address))
                return;
    }
}
