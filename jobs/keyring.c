/* Keys from files, all of them or none. */
#include "jobs/keyring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/file.h"

struct rb_keyring {
    size_t count;
    struct rb_jwt_key *keys[RB_KEYRING_MAX];
};

void rb_keyring_free(struct rb_keyring *ring) {
    for (size_t i = 0; ring && i < ring->count; i++)
        rb_jwt_key_free(ring->keys[i]);
    free(ring);
}

size_t rb_keyring_count(const struct rb_keyring *ring) { return ring->count; }

const struct rb_jwt_key *rb_keyring_at(const struct rb_keyring *ring, size_t i) {
    return ring->keys[i];
}

/* Takes the key. */
static enum rb_status add_key(struct rb_keyring *ring, struct rb_jwt_key *key,
                              const char *file, struct rb_errors *errors) {
    if (ring->count == RB_KEYRING_MAX) {
        rb_jwt_key_free(key);
        rb_errors_add(errors, file, 0, 0, "at most %d keys are read", RB_KEYRING_MAX);
        return RB_INVALID;
    }
    ring->keys[ring->count++] = key;
    return RB_OK;
}

static enum rb_status complain(enum rb_status status, const char *file,
                               const struct rb_error *error, struct rb_errors *errors) {
    if (status == RB_INVALID)
        rb_errors_add(errors, file, 0, 0, "%s", error->text);
    return status;
}

static enum rb_status read_pem(struct rb_keyring *ring, const char *file,
                               struct rb_text pem, struct rb_errors *errors) {
    struct rb_error error = {0};
    struct rb_jwt_key *key;
    size_t found = 0;
    enum rb_status status;
    while ((status = rb_jwt_key_pem(pem, &pem, &key, &error)) == RB_OK) {
        found++;
        status = add_key(ring, key, file, errors);
        if (status != RB_OK)
            return status;
    }
    if (status == RB_NOT_FOUND && found > 0)
        return RB_OK;
    if (status == RB_NOT_FOUND)
        status = rb_error_set(&error, NULL, 0, 0, "there is no key in it");
    return complain(status, file, &error, errors);
}

/* A set passes over what it does not understand (§5), a key that stands alone may not be
 * passed over. */
static enum rb_status read_set(struct rb_keyring *ring, const char *file,
                               const json_t *set, struct rb_errors *errors) {
    struct rb_error error = {0};
    const json_t *keys = json_object_get(set, "keys"), *jwk;
    size_t i, found = 0;
    if (!json_is_array(keys)) {
        rb_errors_add(errors, file, 0, 0, "\"keys\" is not a list");
        return RB_INVALID;
    }
    json_array_foreach(keys, i, jwk) {
        struct rb_jwt_key *key;
        enum rb_status status = rb_jwt_key_jwk(jwk, &key, &error);
        if (status == RB_NOT_FOUND)
            continue;
        if (status == RB_OK)
            status = add_key(ring, key, file, errors);
        else
            complain(status, file, &error, errors);
        if (status != RB_OK)
            return status;
        found++;
    }
    if (found > 0)
        return RB_OK;
    rb_errors_add(errors, file, 0, 0, "there is no key for HS256, RS256 or ES256 in it");
    return RB_INVALID;
}

static enum rb_status read_json(struct rb_keyring *ring, const char *file,
                                struct rb_text text, struct rb_errors *errors) {
    json_error_t wrong;
    json_t *root = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, &wrong);
    enum rb_status status = RB_INVALID;
    if (!root) {
        rb_errors_add(errors, file, wrong.line, wrong.column, "%s", wrong.text);
        return RB_INVALID;
    }
    if (json_object_get(root, "keys")) {
        status = read_set(ring, file, root, errors);
    } else {
        struct rb_error error = {0};
        struct rb_jwt_key *key;
        status = rb_jwt_key_jwk(root, &key, &error);
        if (status == RB_NOT_FOUND)
            status = RB_INVALID;
        status = status == RB_OK ? add_key(ring, key, file, errors)
                                 : complain(status, file, &error, errors);
    }
    json_decref(root);
    return status;
}

static enum rb_status read_secret(struct rb_keyring *ring, const char *file,
                                  struct rb_text secret, struct rb_errors *errors) {
    struct rb_error error = {0};
    struct rb_jwt_key *key;
    if (secret.len > 0 && secret.at[secret.len - 1] == '\n')
        secret.len--;
    if (secret.len > 0 && secret.at[secret.len - 1] == '\r')
        secret.len--;
    enum rb_status status = rb_jwt_key_secret(secret, &key, &error);
    return status == RB_OK ? add_key(ring, key, file, errors)
                           : complain(status, file, &error, errors);
}

static enum rb_status read_text(struct rb_keyring *ring, const char *file,
                                struct rb_text text, struct rb_errors *errors) {
    struct rb_text shown = text;
    while (shown.len > 0 && strchr(" \t\r\n", *shown.at) && *shown.at != '\0')
        shown = rb_text(shown.at + 1, shown.len - 1);
    if (rb_text_starts(shown, RB_TEXT("{")))
        return read_json(ring, file, shown, errors);
    if (memmem(text.at ? text.at : "", text.len, "-----BEGIN ", 11))
        return read_pem(ring, file, text, errors);
    return read_secret(ring, file, text, errors);
}

static enum rb_status read_file(struct rb_keyring *ring, const char *path, char *room,
                                struct rb_errors *errors) {
    const char *why;
    int fd = rb_file_open(path, &why);
    if (fd < 0) {
        rb_errors_add(errors, path, 0, 0, "the key can't be read: %s", why);
        return RB_SYSTEM;
    }
    size_t len = 0;
    ssize_t got;
    while (len <= RB_KEYRING_FILE_BYTES &&
           (got = read(fd, room + len, RB_KEYRING_FILE_BYTES + 1 - len)) > 0)
        len += (size_t)got;
    bool failed = len <= RB_KEYRING_FILE_BYTES && got < 0;
    close(fd);
    if (failed || len > RB_KEYRING_FILE_BYTES) {
        rb_errors_add(errors, path, 0, 0, "%s",
                      failed ? "the key can't be read" : "the file is too large");
        return failed ? RB_SYSTEM : RB_INVALID;
    }
    return read_text(ring, path, rb_text(room, len), errors);
}

enum rb_status rb_keyring_read(const char *name, struct rb_text text,
                               struct rb_keyring **ring, struct rb_errors *errors) {
    *ring = calloc(1, sizeof **ring);
    if (!*ring)
        return RB_NOMEM;
    enum rb_status status = read_text(*ring, name, text, errors);
    if (status != RB_OK) {
        rb_keyring_free(*ring);
        *ring = NULL;
    }
    return status;
}

enum rb_status rb_keyring_load(const struct rb_list *files, struct rb_keyring **ring,
                               struct rb_errors *errors) {
    char *room = malloc(RB_KEYRING_FILE_BYTES + 1);
    enum rb_status status = RB_OK;
    *ring = calloc(1, sizeof **ring);
    if (!room || !*ring) {
        status = RB_NOMEM;
        goto out;
    }
    for (size_t i = 0; i < files->count; i++) {
        enum rb_status one = read_file(*ring, files->items[i], room, errors);
        if (one != RB_OK)
            status = one;
    }
out:
    if (room)
        explicit_bzero(room, RB_KEYRING_FILE_BYTES + 1);
    free(room);
    if (status != RB_OK) {
        rb_keyring_free(*ring);
        *ring = NULL;
    }
    return status;
}
