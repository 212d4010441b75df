/* The floor under one job on an idle system: BLPOP, one call, PUBLISH, over and over,
 * with no lease, no stream and no promise.
 *
 *     floor_job REDIS_SOCKET URL        runs until it is ended */
#include <curl/curl.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t drop(char *at, size_t size, size_t n, void *ctx) {
    (void)at;
    (void)ctx;
    return size * n;
}

/* The channel's name out of {"service":…,"channel":"<name>"}. */
static void tell(redisContext *redis, const char *job) {
    char name[128];
    const char *found = strstr(job, "\"channel\":\"");
    if (!found || sscanf(found + 11, "%127[^\"]", name) != 1)
        return;
    redisReply *reply = redisCommand(
        redis, "PUBLISH ringback:ch:{%s} {\"event\":\"done\",\"channel\":\"%s\"}", name,
        name);
    freeReplyObject(reply);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s REDIS_SOCKET URL\n", argv[0]);
        return 64;
    }
    redisContext *redis = redisConnectUnix(argv[1]);
    CURL *easy = curl_easy_init();
    if (!redis || redis->err || !easy)
        return 1;
    curl_easy_setopt(easy, CURLOPT_URL, argv[2]);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_perform(easy);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        redisReply *reply = redisCommand(redis, "BLPOP ringback:queue:default 0");
        if (!reply)
            return 1;
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
            curl_easy_perform(easy) == CURLE_OK)
            tell(redis, reply->element[1]->str);
        freeReplyObject(reply);
    }
}
