/* The files of notifier/web/, carried inside the program. */
#ifndef RB_NOTIFIER_ASSET_H
#define RB_NOTIFIER_ASSET_H

#include <stddef.h>

struct rb_asset {
    const char *name; /* "ringback.js" */
    const char *bytes;
    size_t len;
    const char *sha1; /* 40 hex digits: the ETag */
};

extern const struct rb_asset rb_asset_ringback_js, rb_asset_ringback_mjs;
extern const struct rb_asset rb_asset_ringback_tabs_js, rb_asset_ring_back_js;
extern const struct rb_asset rb_asset_ringback_enqueue_js;
extern const struct rb_asset rb_asset_openapi_json;
extern const struct rb_asset rb_asset_index_html, rb_asset_dashboard_css;
extern const struct rb_asset rb_asset_dashboard_js, rb_asset_dashboard_parts_js;

#endif
