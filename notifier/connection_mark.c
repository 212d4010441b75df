/* A connection's number and age, in the word that libev leaves to the watcher's owner. */
#include "config/clock.h"
#include "notifier/connection.h"

#define HALF 32u /* bits; the seconds stand above where there are as many more */

static uint64_t word_of(const struct rb_connection *c) {
    return (uint64_t)(uintptr_t)c->io.data;
}

void rb_connection_mark(struct rb_connection *c) {
    uint64_t since_s = (uint64_t)(rb_clock_unix_ms() / 1000);
    uint64_t word = since_s << HALF | ++c->server->accepted;
    c->io.data = (void *)(uintptr_t)word; /* a small pointer keeps the number */
}

uint32_t rb_connection_number(const struct rb_connection *c) {
    return (uint32_t)word_of(c);
}

int64_t rb_connection_since_ms(const struct rb_connection *c) {
    return (int64_t)(word_of(c) >> HALF) * 1000;
}
