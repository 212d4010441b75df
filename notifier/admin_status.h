/* GET /status: how it all stands, once, or as server-sent events, one a second. Redis is
 * asked by a process once for all who watch and ask at the moment, and not at all when
 * nobody does. What a watcher gets is whole each time: one who reads too slowly for a
 * while misses some, and is closed when that does not end. */
#ifndef RB_NOTIFIER_ADMIN_STATUS_H
#define RB_NOTIFIER_ADMIN_STATUS_H

struct rb_admin_status;
struct rb_server;

/* After the feed is made. NULL when out of memory. */
struct rb_admin_status *rb_admin_status_new(struct rb_server *server);
/* After the feed is freed, which answers what was asked. NULL is legal. */
void rb_admin_status_free(struct rb_admin_status *status);

#endif
