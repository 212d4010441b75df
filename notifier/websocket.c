/* The WebSocket codec: one loop over headers and payloads, everything checked as soon as
 * its byte is there. */
#include "notifier/websocket.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define CONTROL_MAX 125      /* RFC 6455 §5.5 */
#define CLIENT_HEADER_MAX 14 /* two bytes, eight of length, four of mask */
#define RSV1 0x40            /* the message is compressed */
#define FIRST_CLOSE_OF_APPS 3000
#define LAST_CLOSE_OF_APPS 4999

/* Where a text stands inside a character: what may still come (RFC 3629 §4). */
struct utf8 {
    unsigned char more;      /* bytes that the character still wants */
    unsigned char low, high; /* range of the next of them */
};

struct rb_ws_state {
    struct rb_buffer message; /* payload of the data message so far */
    uint64_t left;            /* payload bytes of the frame still to come */
    unsigned char mask[4];
    unsigned char mask_at;
    unsigned char message_opcode; /* 0: no data message is open */
    unsigned char frame_opcode;
    bool in_frame; /* header read, payload not whole */
    bool fin;
    bool packed; /* the message is compressed */
    struct utf8 utf8;
    unsigned char held_len;
    char held[CONTROL_MAX]; /* outside a frame: part of a header; inside: of a control
                               frame's payload */
};
static_assert(sizeof(struct rb_ws_state) < 200, "a partial frame is cheap");

struct header {
    size_t size; /* bytes of the header; 0: not whole yet */
    enum rb_ws_opcode opcode;
    bool fin, packed;
    uint64_t len;
    unsigned char mask[4];
};

/* What one call of rb_ws_feed carries around. */
struct feed {
    struct rb_ws_state **state;
    size_t max_message;
    const struct rb_ws_events *events;
    void *ctx;
    bool over; /* a close frame came or a callback said stop */
};

static bool utf8_feed(struct utf8 *u, const char *at, size_t len) {
    const unsigned char *s = (const unsigned char *)at;
    for (size_t i = 0; i < len;) {
        uint64_t word;
        if (u->more == 0 && len - i >= sizeof word) {
            memcpy(&word, s + i, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof word;
                continue;
            }
        }
        unsigned char c = s[i++];
        if (u->more > 0) {
            if (c < u->low || c > u->high)
                return false;
            u->more--;
            u->low = 0x80;
            u->high = 0xbf;
        } else if (c >= 0x80) {
            if (c < 0xc2 || c > 0xf4)
                return false;
            u->more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
            u->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
            u->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        }
    }
    return true;
}

static void unmask(char *at, size_t len, const unsigned char mask[4], unsigned offset) {
    unsigned char key[sizeof(uint64_t)];
    uint64_t key_word, word;
    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = mask[(offset + i) & 3];
    memcpy(&key_word, key, sizeof key_word);
    for (; len >= sizeof word; at += sizeof word, len -= sizeof word) {
        memcpy(&word, at, sizeof word);
        word ^= key_word;
        memcpy(at, &word, sizeof word);
    }
    for (size_t i = 0; i < len; i++)
        at[i] = (char)((unsigned char)at[i] ^ key[i]);
}

static bool is_control(unsigned opcode) { return (opcode & 8) != 0; }

/* What can't be compressed becomes a little longer by it: a header for each block that is
 * stored as it is. */
static size_t limit_of(const struct feed *f, bool packed) {
    return packed ? f->max_message + f->max_message / 64 + 64 : f->max_message;
}

/* Reads as much of a header as is there; a mistake in its first bytes is told before the
 * rest has come. Returns 0 or the close code. */
static uint16_t read_header(const char *bytes, size_t have, bool in_message,
                            bool may_be_packed, struct header *h) {
    const unsigned char *at = (const unsigned char *)bytes;
    h->size = 0;
    h->fin = (at[0] & 0x80) != 0;
    h->opcode = at[0] & 0x0f;
    h->packed = (at[0] & RSV1) != 0;
    if ((at[0] & 0x30) != 0)
        return RB_WS_PROTOCOL_ERROR; /* no extension gives these a meaning */
    /* RFC 7692 §6.1: on the first frame of a data message alone. */
    if (h->packed &&
        (!may_be_packed || is_control(h->opcode) || h->opcode == RB_WS_CONTINUATION))
        return RB_WS_PROTOCOL_ERROR;
    if (is_control(h->opcode)) {
        if (h->opcode > RB_WS_PONG || !h->fin)
            return RB_WS_PROTOCOL_ERROR;
    } else if (h->opcode > RB_WS_BINARY ||
               (h->opcode == RB_WS_CONTINUATION) != in_message) {
        return RB_WS_PROTOCOL_ERROR;
    }
    if (have < 2)
        return 0;
    unsigned code = at[1] & 0x7f;
    if ((at[1] & 0x80) == 0 || (is_control(h->opcode) && code > CONTROL_MAX))
        return RB_WS_PROTOCOL_ERROR;
    size_t extended = code == 127 ? 8 : code == 126 ? 2 : 0;
    if (have < 2 + extended)
        return 0;
    h->len = extended > 0 ? 0 : code;
    for (size_t i = 0; i < extended; i++)
        h->len = h->len << 8 | at[2 + i];
    /* §5.2: the shortest form that holds the length, the highest bit 0. */
    if ((extended == 2 && h->len < 126) ||
        (extended == 8 && (h->len < 65536 || h->len >> 63 != 0)))
        return RB_WS_PROTOCOL_ERROR;
    if (have < 2 + extended + sizeof h->mask)
        return 0;
    memcpy(h->mask, at + 2 + extended, sizeof h->mask);
    h->size = 2 + extended + sizeof h->mask;
    return 0;
}

/* §7.4.1 and the IANA registry: what a peer may put on the wire. */
static bool is_close_code(unsigned code) {
    if (code >= FIRST_CLOSE_OF_APPS)
        return code <= LAST_CLOSE_OF_APPS;
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

static uint16_t deliver_close(struct feed *f, struct rb_text data) {
    struct utf8 utf8 = {0};
    unsigned code = RB_WS_NO_STATUS;
    struct rb_text reason = {"", 0};
    if (data.len == 1)
        return RB_WS_PROTOCOL_ERROR;
    if (data.len >= 2) {
        code = (unsigned)(unsigned char)data.at[0] << 8 | (unsigned char)data.at[1];
        reason = rb_text(data.at + 2, data.len - 2);
        if (!is_close_code(code))
            return RB_WS_PROTOCOL_ERROR;
        if (!utf8_feed(&utf8, reason.at, reason.len) || utf8.more > 0)
            return RB_WS_INVALID_DATA;
    }
    f->over = true;
    f->events->on_close(f->ctx, (uint16_t)code, reason);
    return 0;
}

static uint16_t deliver_control(struct feed *f, unsigned opcode, struct rb_text data) {
    if (opcode == RB_WS_CLOSE)
        return deliver_close(f, data);
    bool (*on)(void *, struct rb_text) =
        opcode == RB_WS_PING ? f->events->on_ping : f->events->on_pong;
    f->over = !on(f->ctx, data);
    return 0;
}

/* A compressed text is checked when it is restored. */
static uint16_t deliver_message(struct feed *f, enum rb_ws_opcode opcode, bool packed,
                                struct rb_text data) {
    enum rb_status status = packed ? f->events->restore(f->ctx, data, &data) : RB_OK;
    if (status != RB_OK)
        return status == RB_TOO_LARGE ? RB_WS_TOO_BIG
               : status == RB_NOMEM   ? RB_WS_INTERNAL
                                      : RB_WS_INVALID_DATA;
    if (packed && opcode == RB_WS_TEXT && !rb_text_utf8(data))
        return RB_WS_INVALID_DATA;
    f->over = !f->events->on_message(f->ctx, opcode, data);
    return 0;
}

/* A whole unfragmented frame that lies in the caller's bytes: no copy, no allocation. */
static uint16_t deliver_in_place(struct feed *f, const struct header *h, char *payload) {
    struct rb_text data = rb_text(payload, (size_t)h->len);
    unmask(payload, data.len, h->mask, 0);
    if (is_control(h->opcode))
        return deliver_control(f, h->opcode, data);
    struct utf8 utf8 = {0};
    if (h->opcode == RB_WS_TEXT && !h->packed &&
        (!utf8_feed(&utf8, data.at, data.len) || utf8.more > 0))
        return RB_WS_INVALID_DATA;
    return deliver_message(f, h->opcode, h->packed, data);
}

static struct rb_ws_state *state_of(struct feed *f) {
    if (!*f->state) {
        *f->state = calloc(1, sizeof **f->state);
        if (*f->state)
            rb_buffer_init(&(*f->state)->message,
                           limit_of(f, f->events->restore != NULL));
    }
    return *f->state;
}

/* The payload of the frame is whole. The state is not touched after a callback that said
 * stop: its owner may have freed it. */
static uint16_t finish_frame(struct feed *f, struct rb_ws_state *s) {
    s->in_frame = false;
    if (is_control(s->frame_opcode)) {
        char data[CONTROL_MAX];
        size_t len = s->held_len;
        memcpy(data, s->held, len);
        s->held_len = 0;
        return deliver_control(f, s->frame_opcode, rb_text(data, len));
    }
    if (!s->fin)
        return 0;
    if (s->utf8.more > 0)
        return RB_WS_INVALID_DATA;
    *f->state = NULL;
    struct rb_text data = s->message.len > 0 ? rb_buffer_view(&s->message) : RB_TEXT("");
    uint16_t code = deliver_message(f, s->message_opcode, s->packed, data);
    rb_ws_state_free(s);
    return code;
}

static uint16_t begin_frame(struct feed *f, const struct header *h) {
    struct rb_ws_state *s = state_of(f);
    if (!s)
        return RB_WS_INTERNAL;
    s->held_len = 0;
    s->in_frame = true;
    s->left = h->len;
    s->fin = h->fin;
    s->frame_opcode = (unsigned char)h->opcode;
    s->mask_at = 0;
    memcpy(s->mask, h->mask, sizeof s->mask);
    if (h->opcode == RB_WS_TEXT || h->opcode == RB_WS_BINARY) {
        s->message_opcode = (unsigned char)h->opcode;
        s->packed = h->packed;
    }
    return s->left == 0 ? finish_frame(f, s) : 0;
}

static uint16_t take_header(struct feed *f, char *bytes, size_t len, size_t *used) {
    struct rb_ws_state *s = *f->state;
    size_t held = s ? s->held_len : 0, have = len;
    const char *at = bytes;
    struct header h;

    if (held > 0) {
        have = held + (len < CLIENT_HEADER_MAX - held ? len : CLIENT_HEADER_MAX - held);
        memcpy(s->held + held, bytes, have - held);
        at = s->held;
    }
    uint16_t code =
        read_header(at, have, s && s->message_opcode, f->events->restore != NULL, &h);
    if (code != 0)
        return code;
    if (h.size == 0) {
        if (!(s = state_of(f)))
            return RB_WS_INTERNAL;
        if (held == 0)
            memcpy(s->held, bytes, len);
        s->held_len = (unsigned char)have;
        *used = len;
        return 0;
    }
    if (f->events->on_frame &&
        !f->events->on_frame(f->ctx, (enum rb_ws_opcode)h.opcode)) {
        f->over = true;
        return 0;
    }
    size_t so_far = s ? s->message.len : 0;
    size_t limit = limit_of(f, h.packed || (s && s->packed));
    if (!is_control(h.opcode) && (so_far > limit || h.len > limit - so_far))
        return RB_WS_TOO_BIG;
    *used = h.size - held;
    bool alone = h.fin && h.opcode != RB_WS_CONTINUATION;
    if (!alone || h.len > len - *used)
        return begin_frame(f, &h);
    if (s)
        s->held_len = 0;
    char *payload = bytes + *used;
    *used += (size_t)h.len;
    return deliver_in_place(f, &h, payload);
}

static uint16_t take_payload(struct feed *f, char *bytes, size_t len, size_t *used) {
    struct rb_ws_state *s = *f->state;
    size_t n = s->left < len ? (size_t)s->left : len;
    unmask(bytes, n, s->mask, s->mask_at);
    if (is_control(s->frame_opcode)) {
        memcpy(s->held + s->held_len, bytes, n);
        s->held_len = (unsigned char)(s->held_len + n);
    } else {
        if (s->message_opcode == RB_WS_TEXT && !s->packed &&
            !utf8_feed(&s->utf8, bytes, n))
            return RB_WS_INVALID_DATA;
        rb_buffer_add(&s->message, bytes, n);
        if (s->message.status != RB_OK)
            return s->message.status == RB_NOMEM ? RB_WS_INTERNAL : RB_WS_TOO_BIG;
    }
    s->mask_at = (unsigned char)((s->mask_at + n) & 3);
    s->left -= n;
    *used = n;
    return s->left == 0 ? finish_frame(f, s) : 0;
}

enum rb_status rb_ws_feed(struct rb_ws_state **state, char *bytes, size_t len,
                          size_t max_message, const struct rb_ws_events *events,
                          void *ctx, uint16_t *close_code) {
    struct feed f = {state, max_message, events, ctx, false};
    uint16_t code = 0;

    while (len > 0 && code == 0 && !f.over) {
        size_t used = 0;
        if (*state && (*state)->in_frame)
            code = take_payload(&f, bytes, len, &used);
        else
            code = take_header(&f, bytes, len, &used);
        bytes += used;
        len -= used;
    }
    if (code != 0) {
        *close_code = code;
        return code == RB_WS_TOO_BIG    ? RB_TOO_LARGE
               : code == RB_WS_INTERNAL ? RB_NOMEM
                                        : RB_INVALID;
    }
    if (f.over)
        return RB_OK;
    struct rb_ws_state *s = *state;
    if (s && !s->in_frame && s->held_len == 0 && s->message_opcode == 0) {
        rb_ws_state_free(s);
        *state = NULL;
    }
    return RB_OK;
}

void rb_ws_state_free(struct rb_ws_state *state) {
    if (!state)
        return;
    rb_buffer_fini(&state->message);
    free(state);
}

size_t rb_ws_header(char out[RB_WS_HEADER_MAX], enum rb_ws_opcode opcode, uint64_t len) {
    size_t extended = len < 126 ? 0 : len < 65536 ? 2 : 8;
    out[0] = (char)(0x80 | opcode);
    out[1] = (char)(extended == 0 ? len : extended == 2 ? 126 : 127);
    for (size_t i = 0; i < extended; i++)
        out[2 + i] = (char)(len >> 8 * (extended - 1 - i));
    return 2 + extended;
}

void rb_ws_frame(struct rb_buffer *out, enum rb_ws_opcode opcode,
                 struct rb_text payload) {
    char header[RB_WS_HEADER_MAX];
    if (is_control(opcode) && payload.len > CONTROL_MAX)
        payload.len = CONTROL_MAX;
    size_t size = rb_ws_header(header, opcode, payload.len);
    /* One reservation, so that a full buffer never keeps a header without its payload. */
    char *to =
        payload.len > SIZE_MAX - size ? NULL : rb_buffer_reserve(out, size + payload.len);
    if (!to)
        return;
    memcpy(to, header, size);
    if (payload.len > 0)
        memcpy(to + size, payload.at, payload.len);
    rb_buffer_commit(out, size + payload.len);
}

void rb_ws_compressed_frame(struct rb_buffer *out, enum rb_ws_opcode opcode,
                            struct rb_text payload) {
    size_t before = out->len;
    rb_ws_frame(out, opcode, payload);
    if (out->status == RB_OK)
        out->at[before] = (char)((unsigned char)out->at[before] | RSV1);
}

void rb_ws_close_frame(struct rb_buffer *out, uint16_t code, struct rb_text reason) {
    char payload[CONTROL_MAX];
    if (code == RB_WS_NO_STATUS) {
        rb_ws_frame(out, RB_WS_CLOSE, RB_TEXT(""));
        return;
    }
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    size_t len = 2;
    while (reason.len > 0) {
        size_t step = rb_text_utf8_step(reason);
        if (step == 0 || step > sizeof payload - len)
            break;
        memcpy(payload + len, reason.at, step);
        len += step;
        reason = rb_text(reason.at + step, reason.len - step);
    }
    rb_ws_frame(out, RB_WS_CLOSE, rb_text(payload, len));
}

static bool is_base64(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           c == '+' || c == '/';
}

struct rb_ws_hash {
    EVP_MD *sha1;
    EVP_MD_CTX *work;
};

struct rb_ws_hash *rb_ws_hash_new(void) {
    struct rb_ws_hash *hash = calloc(1, sizeof *hash);
    if (!hash)
        return NULL;
    hash->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    hash->work = EVP_MD_CTX_new();
    if (hash->sha1 && hash->work)
        return hash;
    rb_ws_hash_free(hash);
    return NULL;
}

void rb_ws_hash_free(struct rb_ws_hash *hash) {
    if (!hash)
        return;
    EVP_MD_CTX_free(hash->work);
    EVP_MD_free(hash->sha1);
    free(hash);
}

enum rb_status rb_ws_accept_key(struct rb_ws_hash *hash, struct rb_text key,
                                char out[RB_WS_ACCEPT_LEN + 1]) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    enum { KEY_LEN = 24, GUID_LEN = sizeof guid - 1, SHA1_LEN = 20 };
    char joined[KEY_LEN + GUID_LEN];
    unsigned char digest[SHA1_LEN];

    if (key.len != KEY_LEN || key.at[22] != '=' || key.at[23] != '=')
        return RB_INVALID;
    for (size_t i = 0; i < 22; i++)
        if (!is_base64(key.at[i]))
            return RB_INVALID;
    memcpy(joined, key.at, KEY_LEN);
    memcpy(joined + KEY_LEN, guid, GUID_LEN);
    if (EVP_DigestInit_ex(hash->work, hash->sha1, NULL) != 1 ||
        EVP_DigestUpdate(hash->work, joined, sizeof joined) != 1 ||
        EVP_DigestFinal_ex(hash->work, digest, NULL) != 1)
        return RB_NOMEM;
    EVP_EncodeBlock((unsigned char *)out, digest, SHA1_LEN);
    return RB_OK;
}
