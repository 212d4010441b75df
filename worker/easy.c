/* Turning a request into options of an easy handle. */
#include "worker/easy.h"

#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "jobs/definition_tls.h"

/* Curl's buffer, one for each call in flight. Up to this size malloc takes it from its
 * fast lists. */
#define RECEIVE_BYTES 1024L
#define HEADERS_MAX 256

/* "5ed36f99.0", as c_rehash(1) names its links. */
static bool is_hash_link(const char *name) {
    return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9] >= '0' &&
           name[9] <= '9';
}

bool rb_easy_has_trust_folder(void) {
    const char *folder = curl_version_info(CURLVERSION_NOW)->capath;
    DIR *dir = folder ? opendir(folder) : NULL;
    const struct dirent *entry;
    bool found = false;
    if (!dir)
        return false;
    while (!found && (entry = readdir(dir)))
        found = is_hash_link(entry->d_name);
    closedir(dir);
    return found;
}

void rb_easy_set_common(CURL *easy, bool trust_folder) {
    curl_easy_setopt(easy, trust_folder ? CURLOPT_CAINFO : CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L); /* see redirect.c */
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* none, whatever the environment says … */
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* … and it is not even asked */
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, ""); /* decodes all it can */
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    /* What is in its cache is ours (dial.h), and is not looked through for each call. */
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, -1L);
}

/* The definition's memory is used where it is. */
static bool set_blob(CURL *easy, CURLoption option, char *at, size_t len) {
    struct curl_blob blob = {.data = at, .len = len, .flags = CURL_BLOB_NOCOPY};
    return curl_easy_setopt(easy, option, at ? &blob : NULL) == CURLE_OK;
}

bool rb_easy_set_tls(CURL *easy, const struct rb_call_tls *tls, bool identity,
                     bool trust_folder) {
    static const struct rb_call_tls none;
    bool folder = trust_folder && !(tls && tls->ca);
    if (!tls)
        tls = &none;
    return curl_easy_setopt(easy, CURLOPT_CAPATH,
                            folder ? curl_version_info(CURLVERSION_NOW)->capath : NULL) ==
               CURLE_OK &&
           set_blob(easy, CURLOPT_CAINFO_BLOB, tls->ca, tls->ca_len) &&
           set_blob(easy, CURLOPT_SSLCERT_BLOB, identity ? tls->certificate : NULL,
                    tls->certificate_len) &&
           set_blob(easy, CURLOPT_SSLKEY_BLOB, identity ? tls->key : NULL,
                    tls->key_len) &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION,
                            tls->newest ? (long)CURL_SSLVERSION_TLSv1_3
                                        : (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
}

static bool same_name(const char *a, const char *b) {
    if ((a[0] ^ b[0]) & ~('a' ^ 'A'))
        return false;
    size_t len = strcspn(a, ":");
    return strcspn(b, ":") == len && strncasecmp(a, b, len) == 0;
}

static bool has_header(char *const *headers, const char *name) {
    for (; headers && *headers; headers++)
        if (same_name(*headers, name))
            return true;
    return false;
}

/* As lines, since curl formats the values of its own options anew for each request. */
static const char *const common[] = {"User-Agent: ringback/" RINGBACK_VERSION,
                                     "Accept-Encoding: gzip"};

/* Links the header lines into a list as curl wants it. */
static bool set_headers(CURL *easy, struct rb_header_list *list,
                        const struct rb_call_order *order) {
    char *const *own = order->request->headers;
    const char *line[HEADERS_MAX];
    size_t count = 0;

    for (char *const *h = own; h && *h && count < HEADERS_MAX; h++)
        line[count++] = *h;
    for (size_t i = 0; i < RB_CALL_EXTRA_HEADERS; i++)
        if (order->extra[i] && !has_header(own, order->extra[i]) && count < HEADERS_MAX)
            line[count++] = order->extra[i];
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        if (!has_header(own, common[i]) && count < HEADERS_MAX)
            line[count++] = common[i];
    if (order->request->body && !has_header(own, "Content-Type") && count < HEADERS_MAX)
        line[count++] = "Content-Type:"; /* or curl says that it is a form */
    if (count >= HEADERS_MAX)
        return false;
    if (count > list->room) {
        struct curl_slist *grown = realloc(list->at, count * sizeof *grown);
        if (!grown)
            return false;
        list->at = grown;
        list->room = count;
    }
    for (size_t i = 0; i < count; i++)
        list->at[i] = (struct curl_slist){(char *)(uintptr_t)line[i],
                                          i + 1 < count ? &list->at[i + 1] : NULL};
    return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, count ? list->at : NULL) ==
           CURLE_OK;
}

bool rb_easy_set_url(CURL *easy, CURLU *origin, const char *target) {
    return curl_easy_setopt(easy, CURLOPT_CURLU, origin) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, origin ? target : NULL) ==
               CURLE_OK &&
           (origin || curl_easy_setopt(easy, CURLOPT_URL, target) == CURLE_OK);
}

/* Every option that one call may have changed is set for each call. */
bool rb_easy_set_request(CURL *easy, struct rb_header_list *headers,
                         const struct rb_call_order *order) {
    const struct rb_request *request = order->request;
    bool head = strcmp(request->method, "HEAD") == 0;
    bool plain = head || (request->body ? strcmp(request->method, "POST") == 0
                                        : strcmp(request->method, "GET") == 0);

    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    if (head)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (request->body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)request->body_len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
    }
    return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
                            plain ? NULL : request->method) == CURLE_OK &&
           set_headers(easy, headers, order);
}
