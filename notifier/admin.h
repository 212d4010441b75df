/* What the admin listener answers: jobs are enqueued and cancelled, queues paused, events
 * published, channels looked at and forgotten, and the process tells how it is. */
#ifndef RB_NOTIFIER_ADMIN_H
#define RB_NOTIFIER_ADMIN_H

#include "config/status.h"
#include "notifier/exchange.h"

/* The largest body: a batch of messages. What a job or one message may have is less. */
#define RB_ADMIN_BODY_BYTES ((size_t)8 * 1024 * 1024)

/* rb_handler_fn of the admin listener. */
void rb_route_admin(struct rb_exchange *exchange);

/* May it be asked? False after the refusal, or when the client is gone. The head of the
 * request is enough: nobody else's body is taken in. */
bool rb_admin_admits(struct rb_exchange *exchange);

/* Its parts, each for one path; names are decoded and checked by the caller. */
void rb_admin_enqueue(struct rb_exchange *exchange, struct rb_text service);
void rb_admin_cancel(struct rb_exchange *exchange, struct rb_text id);
void rb_admin_pause(struct rb_exchange *exchange, struct rb_text name);
void rb_admin_resume(struct rb_exchange *exchange, struct rb_text name);
void rb_admin_show_paused(struct rb_exchange *exchange, struct rb_text none);
void rb_admin_list_dead(struct rb_exchange *exchange, struct rb_text none);
void rb_admin_show_dead(struct rb_exchange *exchange, struct rb_text id);
void rb_admin_retry_dead(struct rb_exchange *exchange, struct rb_text id);
void rb_admin_drop_dead(struct rb_exchange *exchange, struct rb_text id);
/* The channels are still encoded. */
void rb_admin_publish(struct rb_exchange *exchange, struct rb_text channels);
void rb_admin_publish_many(struct rb_exchange *exchange, struct rb_text none);
void rb_admin_list_channels(struct rb_exchange *exchange, struct rb_text none);
void rb_admin_list_connections(struct rb_exchange *exchange, struct rb_text none);
void rb_admin_drop_connection(struct rb_exchange *exchange, struct rb_text id);
void rb_admin_show_channel(struct rb_exchange *exchange, struct rb_text channel);
void rb_admin_forget_channel(struct rb_exchange *exchange, struct rb_text channel);

void rb_admin_show_status(struct rb_exchange *exchange, struct rb_text none);
void rb_admin_show_job(struct rb_exchange *exchange, struct rb_text id);
/* The operator's page and what it loads. */
void rb_admin_show_page(struct rb_exchange *exchange, struct rb_text none);
void rb_admin_show_style(struct rb_exchange *exchange, struct rb_text none);
void rb_admin_show_script(struct rb_exchange *exchange, struct rb_text none);
void rb_admin_show_parts(struct rb_exchange *exchange, struct rb_text none);

/* Answers 503 with Retry-After for a command that Redis did not carry out. words: Redis's
 * own, or "". */
void rb_admin_redis_failed(struct rb_exchange *exchange, enum rb_status status,
                           const char *words);
/* Answers JSON that is never to be cached; 503 when the buffer failed. */
void rb_admin_answer_json(struct rb_exchange *exchange, int status,
                          const struct rb_buffer *json, struct rb_text fields);

#endif
