/* The operator's page: four files that the program carries. They need no token, since
 * they tell nothing; what they ask for does. */
#include "notifier/admin.h"
#include "notifier/asset.h"
#include "notifier/route.h"

/* Nothing but what comes from here, no script or style within the page, and no page
 * around it. */
static const char fields[] =
    "Cache-Control: no-cache\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Referrer-Policy: same-origin\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n";

void rb_admin_show_page(struct rb_exchange *x, struct rb_text none) {
    (void)none;
    rb_route_file(x, &rb_asset_index_html, "text/html; charset=utf-8", fields);
}

void rb_admin_show_style(struct rb_exchange *x, struct rb_text none) {
    (void)none;
    rb_route_file(x, &rb_asset_dashboard_css, "text/css; charset=utf-8", fields);
}

void rb_admin_show_script(struct rb_exchange *x, struct rb_text none) {
    (void)none;
    rb_route_file(x, &rb_asset_dashboard_js, "text/javascript; charset=utf-8", fields);
}

void rb_admin_show_parts(struct rb_exchange *x, struct rb_text none) {
    (void)none;
    rb_route_file(x, &rb_asset_dashboard_parts_js, "text/javascript; charset=utf-8",
                  fields);
}
