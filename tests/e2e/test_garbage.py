"""Nonsense on every input: it is named, nothing falls over, and the next honest one works."""

import json
import os
import re
import struct
from urllib.parse import quote as escape

import pytest
from peers.clients import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    Http,
    Response,
    Sse,
    Stream,
    WebSocket,
    get,
    poll,
)
from peers.process import wait_until
from peers.redis_proxy import RedisProxy

GOOD = {"service": "quote", "params": {"symbol": "NOVA"}, "channel": "good"}

# ---------------------------------------------------------------------- the job list

NO_CHANNEL = {
    "empty": b"",
    "not JSON": b"hello",
    "cut": b'{"service":"quote","params":{"symbol":"N',
    "an array": b"[]",
    "NUL bytes": b"\0\0\0",
    "not UTF-8": b'{"service":"\xff\xfe"}',
    "deep": b"[" * 100_000,
    "a number": b"1e999999",
    "no service": b"{}",
}

WITH_CHANNEL = {
    "unknown service": ({"service": "nope"}, "unknown_service"),
    "unknown member": ({**GOOD, "chanel": "x"}, "invalid_job"),
    "params no object": ({**GOOD, "params": [1]}, "invalid_job"),
    "wrong type": ({**GOOD, "expires": "soon"}, "invalid_job"),
    "unknown parameter": ({**GOOD, "params": {"symbl": "NOVA"}}, "invalid_params"),
    "parameter's type": ({**GOOD, "params": {"symbol": 7}}, "invalid_params"),
    "expired": ({**GOOD, "expires": 1}, "expired"),
}


def good_job_works(redis, service):
    before = len(redis.terminal("good"))
    redis.push(GOOD)
    wait_until(lambda: len(redis.terminal("good")) == before + 1, what="the honest job")
    assert redis.terminal("good")[-1]["event"] == "done"


@pytest.fixture
def quotes(redis, service, worker):
    service.define("quote", "/v1/${symbol}", {"symbol": {"type": "string", "required": True}})
    return worker()


@pytest.mark.parametrize("claim", ["lease", "blpop"])
def test_jobs_that_are_none(redis, service, worker, claim):
    service.define("quote", "/v1/${symbol}", ["symbol"])
    worker(claim=claim)
    redis.push(*NO_CHANNEL.values())
    if claim == "lease":
        wait_until(lambda: redis.client.zcard("ringback:dead") == len(NO_CHANNEL),
                   what="all of them to be dead")  # fmt: skip
    good_job_works(redis, service)
    assert service.book()["total"] == 1


@pytest.mark.parametrize("name", WITH_CHANNEL)
def test_wrong_jobs_are_told(redis, quotes, name):
    job, code = WITH_CHANNEL[name]
    redis.push({**job, "channel": "c1"})
    event = wait_until(lambda: redis.terminal("c1"))[0]
    assert event["event"] == "failed" and event["error"]["code"] == code
    assert event["error"]["message"]


def test_wrong_parameters_are_told_on_the_definitions_channel(redis, service, worker):
    params = {"order": {"type": "integer"}, "size": {"type": "integer"}}
    service.define("order", "/${order}?size=${size}", params, channel="order:${order}")
    worker()
    redis.push({"service": "order", "params": {"order": 42, "size": "big"}})
    event = wait_until(lambda: redis.terminal("order:42"))[0]
    assert event["error"]["code"] == "invalid_params" and "size" in event["error"]["message"]
    assert service.book()["total"] == 0


@pytest.mark.parametrize("wrong", [{"bogus": 1}, {"expires": "soon"}, {"channel": "a b"}])
def test_a_broken_job_is_told_on_the_definitions_channel(redis, service, worker, wrong):
    service.define("order", "/${order}", {"order": {"type": "integer"}}, channel="order:${order}")
    worker()
    redis.push({"service": "order", "params": {"order": 42}, **wrong})
    event = wait_until(lambda: redis.terminal("order:42"))[0]
    assert event["error"]["code"] == "invalid_job" and next(iter(wrong)) in event["error"]["message"]
    wait_until(lambda: redis.client.zcard("ringback:dead") == 1, what="it to be dead")


def test_a_job_that_breaks_off_is_told_on_no_guessed_channel(redis, service, worker):
    """Its parameters are not known, so neither is the channel that they would name."""
    service.define("order", "/${order}", ["order"], channel="order:${order}")
    worker()
    redis.push('{"service":"order","params":{"order":"4')
    wait_until(lambda: redis.client.zcard("ringback:dead") == 1, what="it to be dead")
    assert not redis.client.keys("ringback:ch:*")


def test_a_job_too_large(redis, service, quotes):
    redis.push(json.dumps({**GOOD, "params": {"symbol": "N" * 2_000_000}}))
    wait_until(lambda: redis.client.zcard("ringback:dead") == 1, what="it to be dead")
    good_job_works(redis, service)


# ---------------------------------------------------------------------- definitions, config

DEFINITIONS = {
    "not YAML": ("service: [", r"quote\.yaml:\d+:\d+: "),
    "unknown key": ("service: quote\nreqest: {url: 'http://x.example/'}\n", r"quote\.yaml:2:1: .*request"),
    "no request": ("service: quote\n", r"quote\.yaml:\d+:\d+: .*request"),
    "another name": ("service: other\nrequest: {url: 'http://x.example/'}\n", r"quote\.yaml:1:10: "),
    "unknown parameter": ("service: quote\nrequest:\n  url: http://x.example/${nope}\n", r"quote\.yaml:3:\d+: .*nope"),
    "host not fixed": ("service: quote\nparams: {h: {type: string}}\nrequest:\n  url: http://${h}/\n", r"quote\.yaml:4:\d+: .*host"),
    "a duration": ("service: quote\nrequest: {url: 'http://x.example/'}\ntimeout: {total: soon}\n", r"quote\.yaml:3:\d+: .*soon"),
    "twice": ("service: quote\nservice: quote\n", r"quote\.yaml:2:1: "),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFINITIONS)
def test_wrong_definitions_are_refused(redis, service, ringback, worker, name):
    text, said = DEFINITIONS[name]
    service.write("quote", text)
    done = ringback("check")
    assert done.returncode == 78, done
    assert re.search(said, done.stdout + done.stderr), done
    daemon = worker(wait=False)
    assert daemon.wait() == 78 and re.search(said, daemon.log), daemon.log


CONFIGS = {
    "unknown key": ({"worker": {"leese": "1s"}}, r"\.yaml:\d+:\d+: .*worker\.leese.*lease"),
    "a word": ({"worker": {"claim": "maybe"}}, r"\.yaml:\d+:\d+: .*worker\.claim.*blpop"),
    "out of range": ({"worker": {"max_in_flight": 0}}, r"\.yaml:\d+:\d+: .*worker\.max_in_flight"),
    "wrong type": ({"notifier": {"listen": {"a": 1}}}, r"\.yaml:\d+:\d+: .*notifier\.listen"),
    "an address": ({"redis": {"url": "http://x"}}, r"redis[._]url"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_wrong_configs_are_refused(redis, worker, notifier, ringback, name):
    settings, said = CONFIGS[name]
    done = ringback("check", settings=settings)
    assert done.returncode == 78 and re.search(said, done.stdout + done.stderr), done
    for start in (worker, notifier):
        daemon = start(settings, wait=False)
        assert daemon.wait() == 78 and re.search(said, daemon.log), daemon.log


@pytest.mark.parametrize("place", ["definition", "secret", "config"])
def test_a_pipe_is_refused_and_not_waited_for(redis, service, folder, worker, ringback, place):
    """Whoever opens a FIFO to read it waits for somebody who writes."""
    pipe = service.folder / "pipe.yaml" if place == "definition" else folder / "pipe"
    os.mkfifo(pipe)
    words = ["check"]
    if place == "secret":
        service.define("quote", "/", secrets={"key": {"file": str(pipe)}})
    elif place == "config":
        words = ["-c", pipe, "check"]
    else:
        daemon = worker(wait=False)
        assert daemon.wait() == 78 and f"{pipe}: can't be read: not a regular file" in daemon.log
    done = ringback(*words)
    assert done.returncode == 78 and str(pipe) in done.stderr and "not a regular file" in done.stderr, done


def test_wrong_environment_is_named(redis, worker):
    daemon = worker(env={"RINGBACK_WORKER_LEASE": "soon"}, wait=False)
    assert daemon.wait() == 78 and "RINGBACK_WORKER_LEASE" in daemon.log


# ---------------------------------------------------------------------- HTTP

HEADS = {
    "noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no version": b"GET /wait/c\r\n\r\n",
    "no host": b"GET /wait/c HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /wait/c HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "both framings": b"POST /wait/c HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"GET /wait/c HTTP/1.1\r\nHost : a\r\n\r\n",
    "a bare LF": b"GET /wait/c HTTP/1.1\nHost: a\n\n",
    "a folded line": b"GET /wait/c HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
    "a huge head": b"GET /wait/c HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
    "many fields": b"GET /wait/c HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    "a NUL": b"GET /wait/c HTTP/1.1\r\nHost: a\r\nA: \0\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_wrong_requests_are_refused(redis, notifier, name):
    base = notifier().url
    with Http(base) as raw:
        try:
            raw.send(HEADS[name])
        except ConnectionError:
            pass  # it answered and closed before all was sent
        answer = Response(raw).read_body(raw)
        assert answer.status in (400, 413, 414, 431, 505), answer
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.json()["status"] == answer.status and answer.json()["title"]
        assert raw.rest() == b""
    assert get(base + "/ringback.js").status == 200


@pytest.mark.parametrize("channel", ["", "a/b", "a%00", "a" * 129, "%ff", "a,,b", "a b", "ä"])
def test_wrong_channels_are_refused(redis, notifier, channel):
    daemon = notifier()
    answer = get(f"{daemon.url}/wait/{escape(channel, safe=',%/')}")
    assert answer.status in (400, 404), answer
    assert answer.headers["content-type"].startswith("application/problem+json")
    counted = 'ringback_notifier_refused_total{reason="bad_request"} 1\n'
    assert answer.status == 404 or counted in get(f"{daemon.admin}/metrics").text


# ---------------------------------------------------------------------- WebSocket frames


def ws(opcode, payload=b"", **options):
    return WebSocket.frame(opcode, payload, **options)


FRAMES = {
    "not masked": (ws(TEXT, "{}", mask=False), 1002),
    "a reserved bit": (ws(TEXT, "{}", rsv=4), 1002),
    "a reserved opcode": (ws(0x3, "x"), 1002),
    "a reserved control": (ws(0xB, "x"), 1002),
    "a long ping": (ws(PING, "x" * 126), 1002),
    "half a ping": (ws(PING, "x", fin=False), 1002),
    "a continuation of nothing": (ws(0x0, "x"), 1002),
    "two messages at once": (ws(TEXT, "a", fin=False) + ws(TEXT, "b"), 1002),
    "not UTF-8": (ws(TEXT, b"\xc3\x28"), 1007),
    "a close of one byte": (ws(CLOSE, b"\x03"), 1002),
    "a close with 1005": (ws(CLOSE, struct.pack(">H", 1005)), 1002),
    "a close that is not UTF-8": (ws(CLOSE, b"\x03\xe8\xff"), 1007),
    "too long": (ws(TEXT, b"", length=1 << 40), 1009),
    "a negative length": (ws(BINARY, b"", length=(1 << 63) + 5), 1002),
}


@pytest.mark.parametrize("name", FRAMES)
def test_wrong_frames_close_with_their_code(redis, notifier, name):
    data, code = FRAMES[name]
    base = notifier().url
    client = WebSocket(base, "c1")
    client.send(data)
    assert client.close_code() in ((1002, 1009) if name == "a negative length" else (code,))
    other = WebSocket(base, "c1")
    redis.publish("c1", {"event": "news", "data": 1})
    assert other.event()["data"] == 1


# ---------------------------------------------------------------------- Redis

REPLIES = {
    "nonsense": b"hello\r\n",
    "a wrong length": b"$-7\r\n",
    "a huge length": b"$99999999999999\r\n",
    "a huge array": b"*2147483647\r\n",
    "nested": b"*1\r\n" * 64,
    "another type": b":1\r\n",
    "an error": b"-ERR unknown command\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "many answers": b"+OK\r\n" * 50,
    "nil": b"$-1\r\n",
}


@pytest.mark.parametrize("name", REPLIES)
def test_wrong_replies_do_not_fell_the_daemons(redis, service, worker, notifier, name):
    """A server that answers nonsense, then comes to its senses: all goes on by itself."""
    proxy = RedisProxy(redis)
    try:
        settings = {"redis": {"url": proxy.url, "connect_timeout": "1s", "command_timeout": "1s"}}
        service.define("quote", "/v1/${symbol}", ["symbol"])
        worker(settings, lease="1s")
        client = WebSocket(notifier(settings).url, "good")
        redis.push(GOOD)
        assert client.event()["event"] == "done"
        proxy.mode = REPLIES[name]
        redis.push(GOOD)
        wait_until(lambda: proxy.nonsense >= 8, 20, "both daemons to ask and be told nonsense")
        proxy.mode = "forward"
        proxy.cut()
        redis.push(GOOD)
        assert client.event()["event"] == "done"
        assert client.event()["event"] == "done"
        wait_until(lambda: len(redis.terminal("good")) == 3)
    finally:
        proxy.close()


def test_a_stream_with_foreign_entries(redis, notifier):
    """Another program wrote into the channel's keys: what is no event is passed over or
    told, and what is one still comes."""
    redis.client.xadd("ringback:ch:{c1}", {"other": "field"})
    redis.client.xadd("ringback:ch:{c1}", {"e": "no JSON"})
    id = redis.publish("c1", {"event": "news", "data": 1})
    client = WebSocket(notifier().url, "c1")
    while (event := client.recv()) and id not in event:
        pass
    redis.client.publish("ringback:ch:{c1}", "a raw live message")
    assert "a raw live message" in client.recv()


@pytest.mark.parametrize("entry", [
    "{oops}", "{}]});alert(1)//}", '{"a":1}{"b":2}', b'{"a":"\xff"}', '{"a":"\r"}', "", " ",
    '{"channel":"c1","event":"done",oops}', '{"id":"7-0","channel":"c1","event":"news"}',
    '{"a":' + "[" * 10_000 + "]" * 10_000 + "}",
], ids=lambda entry: str(entry)[:12])  # fmt: skip
def test_a_foreign_entry_spoils_no_other(redis, notifier, entry):
    """What comes with it in one answer is still JSON, and nobody's script."""
    daemon = notifier()
    ids = [redis.client.xadd("ringback:ch:{c1}", {"e": entry})]
    ids.append(redis.publish("c1", {"event": "news", "data": 1}))
    events = poll(daemon.url, "c1").json()["events"]
    assert [event["id"] for event in events] == ids
    script = poll(daemon.url, "c1", query="callback=f").text
    assert script.startswith("/**/f(") and script.endswith(");")
    assert json.loads(script[6:-2])["events"] == events
    assert get(f"{daemon.admin}/channels/c1").json()["last"] == events[1]
    others = [make(daemon.url, "c1") for make in (WebSocket, Sse, Stream)]
    assert [[client.event(), client.event()] for client in others] == [events] * 3
    redis.client.xadd("ringback:ch:{c1}", {"e": entry})
    assert get(f"{daemon.admin}/channels/c1").json()["count"] == 3


def test_who_says_he_follows_what_comes_later_is_not_believed(redis, notifier):
    event = '{"channel":"c1","event":"news"}'
    ids = [redis.client.xadd("ringback:ch:{c1}", {"e": event, "p": p})
           for p in ("0-0", "99999999999999-0", "no id")]  # fmt: skip
    assert [e["id"] for e in poll(notifier().url, "c1").json()["events"]] == ids


def test_the_channels_key_is_no_stream(redis, notifier):
    redis.client.set("ringback:ch:{c1}", "a string")
    daemon = notifier()
    with WebSocket(daemon.url, "c1"):
        daemon.wait_line("feed.read_failed", channel="c1")
    assert daemon.alive()
    redis.publish("c2", {"event": "news", "data": 1})
    assert WebSocket(daemon.url, "c2").event()["data"] == 1
