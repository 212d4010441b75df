/* SipHash-1-3. */
#include "notifier/hash.h"

#include <endian.h>
#include <string.h>

static uint64_t rotate(uint64_t x, unsigned bits) { return x << bits | x >> (64 - bits); }

static void round_of(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static uint64_t word_of(const char *at, size_t len) {
    uint64_t word = 0;
    memcpy(&word, at, len);
    return le64toh(word);
}

static void compress(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    round_of(v);
    v[0] ^= word;
}

uint64_t rb_hash(const uint64_t seed[2], struct rb_text text) {
    uint64_t v[4] = {
        seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
        seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573)};
    const char *at = text.at;
    size_t left = text.len;
    for (; left >= 8; at += 8, left -= 8)
        compress(v, word_of(at, 8));
    uint64_t last = left > 0 ? word_of(at, left) : 0;
    compress(v, (uint64_t)text.len << 56 | last);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        round_of(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
