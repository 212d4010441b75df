/* `redirects:`: how often an answer that leads elsewhere is followed, and where to. */
#include "jobs/definition_redirects.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "jobs/request_template.h"
#include "jobs/section.h"
#include "jobs/yaml_value.h"

#define MAX_DEFAULT 3
#define MAX_MOST 20

bool rb_redirects_carry(struct rb_text name) {
    static const char *const carried[] = {"Accept", "Accept-Encoding", "Accept-Language",
                                          "User-Agent"};
    for (size_t i = 0; i < sizeof carried / sizeof carried[0]; i++)
        if (rb_text_equal_nocase(name, rb_text_of(carried[i])))
            return true;
    return false;
}

/* In lower case, and an IPv6 address as RFC 5952 has it: so libcurl says where a redirect
 * leads. NULL when out of memory. */
static char *write_name(struct rb_text host) {
    char text[INET6_ADDRSTRLEN], name[INET6_ADDRSTRLEN + 2] = "";
    struct in6_addr address;
    char *copy = rb_text_copy(host);
    rb_text_lower(copy);
    if (!copy || host.at[0] != '[')
        return copy;
    copy[host.len - 1] = '\0';
    if (inet_pton(AF_INET6, copy + 1, &address) == 1 &&
        inet_ntop(AF_INET6, &address, text, sizeof text))
        snprintf(name, sizeof name, "[%s]", text);
    free(copy);
    return rb_text_copy(name[0] ? rb_text_of(name) : host);
}

/* host[:port], checked already. */
static bool keep_host(struct rb_redirect_host *host, struct rb_text authority) {
    uint64_t port = 0;
    size_t end = authority.len;
    while (end > 0 && authority.at[end - 1] >= '0' && authority.at[end - 1] <= '9')
        end--;
    if (end > 0 && authority.at[end - 1] == ':' &&
        authority.at[authority.len - 1] != ']' &&
        rb_text_uint64(rb_text(authority.at + end, authority.len - end), &port) == RB_OK)
        authority.len = end - 1;
    host->port = (int)port;
    host->name = write_name(authority);
    return host->name != NULL;
}

static void read_hosts(struct rb_reading *r, const struct rb_yaml *node) {
    struct rb_redirects *redirects = &r->definition->redirects;
    size_t count = rb_value_count(node);
    redirects->hosts = calloc(count + 1, sizeof *redirects->hosts);
    for (size_t i = 0; i < count && redirects->hosts; i++) {
        const struct rb_yaml *item = rb_value_at(node, i);
        struct rb_text host;
        if (!rb_value_text(item, &host, r->errors))
            continue;
        const char *wrong = rb_request_check_authority(host);
        if (wrong)
            rb_yaml_error(item, r->errors, "%s", wrong);
        else if (!keep_host(&redirects->hosts[redirects->count++], host))
            rb_yaml_error(item, r->errors, "out of memory");
    }
    if (!redirects->hosts)
        rb_yaml_error(node, r->errors, "out of memory");
}

/* What other hosts see must not hold a secret. */
static void check_headers(struct rb_reading *r, const struct rb_yaml *node) {
    const struct rb_request_template *request = r->definition->request;
    for (size_t i = 0; request && i < request->headers.count; i++) {
        const struct rb_header *header = &request->headers.items[i];
        if (header->value && rb_redirects_carry(rb_text_of(header->name)) &&
            rb_template_has_secret(header->value))
            rb_yaml_key_error(node, r->errors,
                              "%s is also sent to other hosts and must not hold a secret",
                              header->name);
    }
}

void rb_read_redirects(struct rb_reading *r, const struct rb_yaml *node) {
    static const char *const known[] = {"max", "allow", NULL};
    if (!node || !rb_section_open(node, known, NULL, r->errors))
        return;
    if (rb_yaml_get(r->root, "calls")) {
        rb_yaml_key_error(node, r->errors, "redirects stands with each of the calls");
        return;
    }
    const struct rb_yaml *allow = rb_yaml_get(node, "allow");
    r->definition->redirects.max = MAX_DEFAULT;
    rb_section_int(node, "max", 0, MAX_MOST, &r->definition->redirects.max, r->errors);
    if (!allow)
        return;
    read_hosts(r, allow);
    check_headers(r, allow);
}

void rb_redirects_fini(struct rb_redirects *redirects) {
    for (size_t i = 0; i < redirects->count; i++)
        free(redirects->hosts[i].name);
    free(redirects->hosts);
}
