/* Where Redis is, as the settings say it: an address, or Sentinels to be asked for one.
 */
#include <stdlib.h>

#include "config/settings.h"
#include "jobs/redis_address.h"

/* Puts the key's name in front of what is wrong with its value. */
static enum rb_status name_key(struct rb_error *error, const char *key,
                               enum rb_status status) {
    struct rb_error plain = *error;
    if (status != RB_OK)
        rb_error_set(error, NULL, 0, 0, "%s: %.400s", key, plain.text);
    return status;
}

static enum rb_status add_sentinel(const struct rb_settings *settings,
                                   struct rb_redis_address *address,
                                   struct rb_error *error) {
    const struct rb_list *nodes = &settings->redis.sentinel_nodes;
    struct rb_redis_sentinel *sentinel = calloc(1, sizeof *sentinel);
    address->sentinel = sentinel;
    if (!sentinel)
        return RB_NOMEM;
    sentinel->master = rb_text_copy(rb_text_of(settings->redis.sentinel_master));
    sentinel->nodes = calloc(nodes->count, sizeof *sentinel->nodes);
    if (!sentinel->master || !sentinel->nodes)
        return RB_NOMEM;
    for (size_t i = 0; i < nodes->count; i++) {
        enum rb_status status = rb_redis_address_parse_node(rb_text_of(nodes->items[i]),
                                                            &sentinel->nodes[i], error);
        if (status != RB_OK)
            return name_key(error, "redis.sentinel.nodes", status);
        sentinel->node_count++;
    }
    return RB_OK;
}

enum rb_status rb_redis_address_of_settings(const struct rb_settings *settings,
                                            struct rb_redis_address *address,
                                            struct rb_error *error) {
    bool master = settings->redis.sentinel_master[0] != '\0';
    bool nodes = settings->redis.sentinel_nodes.count > 0;
    const char *key = "redis.url"; /* that is to blame */
    struct rb_error why = {0};
    enum rb_status status =
        rb_redis_address_parse(rb_text_of(settings->redis.url), address, &why);
    if (status != RB_OK) {
        name_key(&why, "redis.url", status);
    } else if (master && nodes && address->path) {
        status = rb_error_set(&why, NULL, 0, 0,
                              "redis.url: expected redis://…, since Sentinels know hosts "
                              "and ports, not unix sockets");
    } else if (master && nodes) {
        status = add_sentinel(settings, address, &why);
        key = "redis.sentinel.nodes";
        if (status == RB_NOMEM)
            rb_error_set(&why, NULL, 0, 0, "out of memory");
    } else if (master || nodes) {
        key = master ? "redis.sentinel.master" : "redis.sentinel.nodes";
        status = rb_error_set(&why, NULL, 0, 0, "redis.sentinel: expected %s",
                              master ? "nodes too: the Sentinels that are asked for it"
                                     : "master too: the name that the nodes know it by");
    }
    if (status != RB_OK)
        rb_redis_address_fini(address);
    if (error && status != RB_OK) {
        *error = why;
        rb_settings_place(settings, key, error);
    }
    return status;
}
