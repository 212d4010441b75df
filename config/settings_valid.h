/* Whether a text may be the value of a setting, or of one item of a list: its kinds
 * beyond those that config/address.h tells. */
#ifndef RB_CONFIG_SETTINGS_VALID_H
#define RB_CONFIG_SETTINGS_VALID_H

#include <stdbool.h>

#include "config/text.h"

bool rb_setting_not_empty(struct rb_text text);
bool rb_setting_is_queue(struct rb_text text);
bool rb_setting_is_weight(struct rb_text text);
bool rb_setting_is_prefix(struct rb_text text);
bool rb_setting_is_network(struct rb_text text);
bool rb_setting_is_listen_or_empty(struct rb_text text);
bool rb_setting_is_host(struct rb_text text);
bool rb_setting_is_master_or_empty(struct rb_text text);
bool rb_setting_is_node(struct rb_text text);
bool rb_setting_is_url_or_empty(struct rb_text text);
bool rb_setting_is_digest(struct rb_text text);
bool rb_setting_is_service_pattern(struct rb_text text);
bool rb_setting_is_path_or_empty(struct rb_text text);
bool rb_setting_is_short(struct rb_text text);
bool rb_setting_is_cookie_or_empty(struct rb_text text);

#endif
