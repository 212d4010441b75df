/* A keyed hash for tables whose keys strangers choose: SipHash-1-3 (Aumasson and
 * Bernstein, "SipHash: a fast short-input PRF"; the variant of many languages' tables).
 */
#ifndef RB_NOTIFIER_HASH_H
#define RB_NOTIFIER_HASH_H

#include <stdint.h>

#include "config/text.h"

uint64_t rb_hash(const uint64_t seed[2], struct rb_text text);

#endif
