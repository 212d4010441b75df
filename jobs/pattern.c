/* Patterns of parameters: regcomp with a fence around it. */
#include "jobs/pattern.h"

#include <regex.h>
#include <stdlib.h>

#define PATTERN_MAX 512
#define ATOMS_MAX 10000
#define GROUPS_MAX 32

struct rb_pattern {
    regex_t regex;
    char *text;
};

/* Past a bracket expression; classes like [:alpha:] may stand inside. */
static size_t skip_brackets(struct rb_text t, size_t i) {
    i++;
    if (i < t.len && t.at[i] == '^')
        i++;
    if (i < t.len && t.at[i] == ']')
        i++;
    while (i < t.len && t.at[i] != ']') {
        char kind = i + 1 < t.len ? t.at[i + 1] : '\0';
        if (t.at[i] == '[' && (kind == ':' || kind == '.' || kind == '=')) {
            i += 2;
            while (i + 1 < t.len && !(t.at[i] == kind && t.at[i + 1] == ']'))
                i++;
            i++;
        }
        i++;
    }
    return i < t.len ? i + 1 : t.len;
}

/* Past "{2}", "{2,}" or "{2,5}"; *times is the larger number, 1 when there is none. */
static size_t skip_repetition(struct rb_text t, size_t i, unsigned long *times) {
    unsigned long n = 0;
    *times = 1;
    for (i++; i < t.len && t.at[i] != '}'; i++) {
        if (t.at[i] == ',')
            n = 0;
        else if (t.at[i] >= '0' && t.at[i] <= '9' && n < ATOMS_MAX)
            n = n * 10 + (unsigned long)(t.at[i] - '0');
        *times = n > *times ? n : *times;
    }
    return i < t.len ? i + 1 : t.len;
}

/* glibc writes repetitions out, so {1,255} in {1,255} in {1,255} takes gigabytes. Whether
 * the grammar holds is regcomp's to say; here only the size counts. */
static const char *too_big(struct rb_text t) {
    unsigned long sums[GROUPS_MAX + 1] = {0}, last = 0;
    size_t depth = 0;
    for (size_t i = 0; i < t.len;) {
        char c = t.at[i];
        if (c == '{') {
            unsigned long times;
            i = skip_repetition(t, i, &times);
            sums[depth] += last * (times - 1);
            last *= times;
        } else if (c == '*' || c == '+' || c == '?') {
            i++;
        } else if (c == '(') {
            if (depth == GROUPS_MAX)
                return "groups are nested more than 32 deep";
            sums[++depth] = 0;
            i++;
        } else if (c == ')' && depth > 0) {
            last = sums[depth--] + 1;
            sums[depth] += last;
            i++;
        } else {
            if (c == '\\' && i + 1 < t.len && t.at[i + 1] >= '1' && t.at[i + 1] <= '9')
                return "back references (\\1) are not supported";
            i = c == '[' ? skip_brackets(t, i) : c == '\\' ? i + 2 : i + 1;
            last = 1;
            sums[depth]++;
        }
        if (sums[depth] > ATOMS_MAX)
            return "it stands for more than 10000 characters once repetitions are "
                   "written "
                   "out";
    }
    return NULL;
}

struct rb_pattern *rb_pattern_new(struct rb_text text, struct rb_error *error) {
    const char *why = NULL;
    if (text.len > PATTERN_MAX)
        why = "it is longer than 512 bytes";
    else if (text.len > 0 && memchr(text.at, '\0', text.len))
        why = "it holds NUL";
    else
        why = too_big(text);
    if (why) {
        rb_error_set(error, NULL, 0, 0, "the pattern can't be used: %s", why);
        return NULL;
    }
    struct rb_pattern *pattern = calloc(1, sizeof *pattern);
    char *copy = rb_text_copy(text);
    if (!pattern || !copy) {
        free(pattern);
        free(copy);
        rb_error_set(error, NULL, 0, 0, "out of memory");
        return NULL;
    }
    pattern->text = copy;
    int code = regcomp(&pattern->regex, copy, REG_EXTENDED | REG_NOSUB);
    if (code == 0)
        return pattern;
    char words[128];
    regerror(code, &pattern->regex, words, sizeof words);
    rb_error_set(error, NULL, 0, 0, "the pattern is no extended regular expression: %s",
                 words);
    free(copy);
    free(pattern);
    return NULL;
}

void rb_pattern_free(struct rb_pattern *pattern) {
    if (!pattern)
        return;
    regfree(&pattern->regex);
    free(pattern->text);
    free(pattern);
}

enum rb_status rb_pattern_match(const struct rb_pattern *pattern, const char *string) {
    int code = regexec(&pattern->regex, string, 0, NULL, 0);
    return code == 0 ? RB_OK : code == REG_NOMATCH ? RB_INVALID : RB_NOMEM;
}

const char *rb_pattern_text(const struct rb_pattern *pattern) { return pattern->text; }
