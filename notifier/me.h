/* A client's private channel, @me: "me:" and 128 random bits in base64url. Who knows such
 * a name may hear it, in every auth.mode: nobody guesses it, and it is told to its client
 * alone. So a client that was cut off comes back to what it missed. */
#ifndef RB_NOTIFIER_ME_H
#define RB_NOTIFIER_ME_H

#include <stdbool.h>

#include "config/text.h"

#define RB_ME_LEN 25

/* Makes one, with a NUL behind it. */
void rb_me_make(char out[RB_ME_LEN + 1]);
/* Does the name look like one? */
bool rb_me_is(struct rb_text name);

#endif
