#!/bin/sh
# Proves from the sources that every room stands on its own floor:
#
#   layering.sh ROOT          every violation is a line; exit 1 when there is one
#   layering.sh --self-test   breaks each rule once in a temp tree and expects the line
#
# The floors (each room may also use what is named above it):
#   config    libc with its threads, libev, libyaml
#   jobs      + config/, jansson, hiredis
#   worker    + jobs/, libcurl                   never notifier/
#   notifier  + jobs/, llhttp, OpenSSL, zlib     never worker/
# A few doors lead higher: jobs/jwt_key*.c (tokens are signed by the command and verified by
# the notifier), jobs/question.c (digests of requests) and jobs/definition_tls_pem.c (looks
# into certificates) alone see libcrypto, worker/identity.c alone looks into libcurl's OpenSSL,
# notifier/hook*.c alone sees libcurl (it asks the web app); no header of theirs shows it.
# And: only jobs/keys.c spells the names of keys in Redis; nobody calls the functions that
# cannot be bounded.
set -eu

libc='(aio|assert|byteswap|ctype|dirent|dlfcn|endian|errno|execinfo|fcntl|float|fnmatch|getopt|glob|grp|ifaddrs|inttypes|libgen|limits|locale|malloc|math|netdb|poll|pthread|pwd|regex|sched|search|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|syslog|termios|time|unistd|utime|(arpa|linux|net|netinet|sys)/[a-z0-9_]+)'
config="(<($libc|ev|yaml|uthash|utlist)\\.h>|\"config/[a-z0-9_]+\\.h\")"
jobs="($config|<(jansson|hiredis/[a-z0-9_/]+)\\.h>|\"jobs/([a-z0-9_]+/)?[a-z0-9_]+\\.h\")"
worker="($jobs|<(curl/[a-z0-9_]+)\\.h>|\"worker/[a-z0-9_]+\\.h\")"
notifier="($jobs|<(llhttp|zlib|openssl/[a-z0-9_]+)\\.h>|\"notifier/[a-z0-9_]+\\.h\")"

doors='^((jobs/(jwt_key[a-z_]*|question|definition_tls_pem)|worker/identity)\.c:[0-9]+:.*<openssl/[a-z0-9_]+\.h>|notifier/hook[a-z_]*\.c:[0-9]+:.*<curl/[a-z]+\.h>)'

banned='(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atoll|strtok|alloca|system)'
key_names='"[^"]*:(queue|retry|due|workers|held|dead|cache|rate|once|meta)(:[^"]*)?"'

# violations ROOT ROOM ALLOWED: includes of the room that its floor does not carry.
violations() {
    find "$1/$2" -name '*.[ch]' -exec grep -HnE '^[[:space:]]*#[[:space:]]*include' {} + 2>/dev/null |
        grep -vE "include[[:space:]]*$3([[:space:]]|\$)" |
        sed "s|^$1/||; s|\$|    (not for $2/)|" | grep -vE "$doors" || true
}

check() {
    root=$1
    {
        violations "$root" config "$config"
        violations "$root" jobs "$jobs"
        violations "$root" worker "$worker"
        violations "$root" notifier "$notifier"
        find "$root/config" "$root/jobs" "$root/worker" "$root/notifier" \
            \( -name '*.[ch]' -o -name '*.lua' \) ! -path "$root/jobs/keys.c" \
            -exec grep -HnE "$key_names" {} + 2>/dev/null |
            sed "s|^$root/||; s|\$|    (only jobs/keys.c spells keys)|" || true
        find "$root/config" "$root/jobs" "$root/worker" "$root/notifier" "$root/tests" \
            -name '*.[ch]' -exec grep -HnE "(^|[^A-Za-z0-9_])${banned}[[:space:]]*\\(" {} + 2>/dev/null |
            sed "s|^$root/||; s|\$|    (never called here)|" || true
    } >"$found"
    cat "$found"
    test ! -s "$found"
}

# expect NAME FILE LINE: a tree with only this line in this file is refused.
expect() {
    name=$1 file=$2 line=$3
    mkdir -p "$tree/config" "$tree/jobs/cli" "$tree/worker" "$tree/notifier" "$tree/tests"
    printf '%s\n' "$line" >"$tree/$file"
    if check "$tree" >"$found.said"; then
        echo "self-test: $name was not seen: $file: $line"
        failed=1
    elif ! grep -q "^$file:1:" "$found.said"; then
        echo "self-test: $name was not named: $(cat "$found.said")"
        failed=1
    fi
    rm -r "$tree"
}

allow() {
    file=$1 line=$2
    mkdir -p "$tree/config" "$tree/jobs/cli" "$tree/worker" "$tree/notifier" "$tree/tests"
    printf '%s\n' "$line" >"$tree/$file"
    if ! check "$tree"; then
        echo "self-test: this is legal: $file: $line"
        failed=1
    fi
    rm -r "$tree"
}

self_test() {
    tree=$temp/tree failed=0
    expect "config above its floor" config/a.c '#include "jobs/job.h"'
    expect "config with JSON" config/a.h '#include <jansson.h>'
    expect "jobs above its floor" jobs/a.c '#include "worker/call.h"'
    expect "the command above its floor" jobs/cli/a.c '#  include "notifier/wait.h"'
    expect "jobs with curl" jobs/a.c '#include <curl/curl.h>'
    expect "worker beside its floor" worker/a.c '#include "notifier/wait.h"'
    expect "worker with the HTTP parser" worker/a.h '#include <llhttp.h>'
    expect "notifier beside its floor" notifier/a.c '#include "worker/call.h"'
    expect "notifier with curl" notifier/a.c '#include <curl/curl.h>'
    expect "jobs with libcrypto" jobs/jwt.c '#include <openssl/evp.h>'
    expect "the section tls with libcrypto" jobs/definition_tls.c '#include <openssl/pem.h>'
    expect "a header with libcrypto" jobs/jwt_key.h '#include <openssl/evp.h>'
    expect "a header with curl" notifier/hook.h '#include <curl/curl.h>'
    expect "an unknown library" config/a.c '#include <glib.h>'
    expect "a header without its room" worker/a.c '#include "call.h"'
    expect "a key outside keys.c" worker/a.c 'f("ringback:queue:default");'
    expect "a key in a script" jobs/a.lua 'redis.call("GET", prefix .. ":held:" .. id)'
    expect "a banned function" notifier/a.c 'n = atoi(text);'
    expect "a banned function in a test" tests/a.c '    sprintf(a, "b");'
    allow config/a.c '#include <sys/socket.h>'
    allow jobs/a.c '#include <hiredis/hiredis.h>'
    allow jobs/jwt_key_read.c '#include <openssl/evp.h>'
    allow jobs/definition_tls_pem.c '#include <openssl/pem.h>'
    allow notifier/hook.c '#include <curl/curl.h>'
    allow jobs/keys.c 'f(":queue:");'
    allow worker/a.c '#include "jobs/job.h" /* why */'
    allow notifier/a.c 'n = rb_snprintf(a, b); file_system (c);'
    test "$failed" = 0
}

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT INT TERM
found=$temp/found

case ${1:-} in
--self-test) self_test && echo "layering: the self-test passed" ;;
"" | -*)
    echo "usage: layering.sh ROOT | --self-test" >&2
    exit 64
    ;;
*) check "$1" && echo "layering: every room stands on its floor" ;;
esac
