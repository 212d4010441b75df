/* Runs a fuzz target without libFuzzer: first the seeds as they are, then mutations of
 * them, the same on every machine.
 *
 *     fuzz_job [-runs=5000] [FILE or FOLDER]…
 *
 * When an input breaks the target, it is left in ./fuzz-crash: run it with -runs=0. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEEDS_MAX 64
#define INPUT_MAX 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    size_t len;
    uint8_t at[INPUT_MAX];
};

static struct input seeds[SEEDS_MAX];
static size_t seed_count;
static struct input current;

/* xorshift64: small, and the same everywhere. */
static uint64_t random_state = 0x9e3779b97f4a7c15;

static size_t below(size_t bound) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return bound > 0 ? (size_t)(random_state % bound) : 0;
}

static void read_seed(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || seed_count == SEEDS_MAX) {
        fprintf(stderr, "%s: %s\n", path, file ? "too many seeds" : "can't be read");
        exit(2);
    }
    struct input *seed = &seeds[seed_count++];
    seed->len = fread(seed->at, 1, sizeof seed->at, file);
    fclose(file);
}

static void read_seeds(const char *path) {
    struct stat about;
    struct dirent **entries;
    if (stat(path, &about) == 0 && !S_ISDIR(about.st_mode)) {
        read_seed(path);
        return;
    }
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        perror(path);
        exit(2);
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            read_seed(file);
        free(entries[i]);
    }
    free(entries);
}

static void insert(struct input *in, size_t at, const uint8_t *bytes, size_t len) {
    if (len > sizeof in->at - in->len)
        return;
    memmove(in->at + at + len, in->at + at, in->len - at);
    memcpy(in->at + at, bytes, len);
    in->len += len;
}

/* What parsers stumble over. */
static void insert_token(struct input *in) {
    static const char *const tokens[] = {
        "\"",
        "\\",
        "\\u",
        "\\ud800",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "${",
        "$${",
        "}",
        "/",
        "..",
        "%2e",
        "%",
        "\r\n",
        "\n",
        "\n\n",
        "  ",
        "\t",
        "- ",
        "-",
        "0",
        "1e9",
        "18446744073709551616",
        "~",
        "&",
        "*",
        "#",
        "|",
        "\xff",
        "\xc3",
        "\xed\xa0\x80",
        "\xef\xbb\xbf",
        "'",
        "<",
        "null",
        "true",
        "{}",
        "[]",
        "\"a\":",
        "=",
        "@",
    };
    const char *token = tokens[below(sizeof tokens / sizeof tokens[0])];
    insert(in, below(in->len + 1), (const uint8_t *)token, strlen(token));
}

static void cut(struct input *in) {
    size_t from = below(in->len), len = 1 + below(in->len - from);
    if (len > 16 && below(4) > 0)
        len = 1 + below(16);
    memmove(in->at + from, in->at + from + len, in->len - from - len);
    in->len -= len;
}

static void copy_part(struct input *in, const struct input *from) {
    size_t at = below(from->len),
           len = 1 + below(from->len - at < 64 ? from->len - at : 64);
    uint8_t part[64];
    memcpy(part, from->at + at, len);
    insert(in, below(in->len + 1), part, len);
}

static void mutate(struct input *in) {
    size_t kind = below(8);
    uint8_t byte = (uint8_t)below(256);
    if (kind == 0 || in->len == 0)
        insert(in, below(in->len + 1), &byte, 1);
    else if (kind == 1)
        in->at[below(in->len)] = byte;
    else if (kind == 2)
        in->at[below(in->len)] ^= (uint8_t)(1u << below(8));
    else if (kind == 3)
        cut(in);
    else if (kind == 4)
        in->len = below(in->len + 1);
    else if (kind == 5)
        copy_part(in, in);
    else if (kind == 6 && seeds[byte % seed_count].len > 0)
        copy_part(in, &seeds[byte % seed_count]);
    else
        insert_token(in);
}

/* In memory of exactly its size, so that a sanitizer sees each byte read too much. */
static void run(const struct input *in) {
    uint8_t *exact = malloc(in->len + 1);
    if (!exact)
        abort();
    memcpy(exact + 1, in->at, in->len);
    current = *in;
    LLVMFuzzerTestOneInput(exact + 1, in->len);
    free(exact);
}

static void keep_input(int number) {
    int fd = open("fuzz-crash", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool kept = fd >= 0 && write(fd, current.at, current.len) == (ssize_t)current.len;
    static const char kept_text[] = "the input is in ./fuzz-crash\n";
    if (kept && write(STDERR_FILENO, kept_text, sizeof kept_text - 1) < 0)
        _exit(2);
    signal(number, SIG_DFL);
    raise(number);
}

int main(int argc, char **argv) {
    long runs = 5000;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-runs=", 6) == 0)
            runs = strtol(argv[i] + 6, NULL, 10);
        else
            read_seeds(argv[i]);
    }
    if (seed_count == 0)
        seed_count = 1; /* an empty one */
    signal(SIGABRT, keep_input);
    for (size_t i = 0; i < seed_count; i++)
        run(&seeds[i]);
    for (long r = 0; r < runs; r++) {
        static struct input in;
        in = seeds[below(seed_count)];
        for (size_t mutations = 1 + below(8); mutations > 0; mutations--)
            mutate(&in);
        run(&in);
    }
    printf("%zu seeds, %ld mutations\n", seed_count, runs);
    return 0;
}
