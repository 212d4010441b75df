"""The main job, end to end on real parts: a job in, a call out, the browser rung back."""

import json
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote as escape

import pytest
from peers.clients import Sse, Stream, WebSocket, poll
from peers.process import patience, wait_until

QUOTE = {"service": "quote", "params": {"symbol": "NOVA"}}


def quote(channel, **more):
    return {**QUOTE, "channel": channel, **more}


class Poller:
    """Long-poll as a client with the others' shape: event() gives the next one."""

    def __init__(self, base, channel, since=None):
        self.base, self.channel, self.cursor, self.kept = base, channel, since, []

    def event(self):
        while not self.kept:
            answer = poll(self.base, self.channel, self.cursor)
            if answer.status == 204:
                continue
            assert answer.status == 200, answer
            self.kept = answer.json()["events"]
            self.cursor = answer.json()["cursor"]
        return self.kept.pop(0)

    def reset(self):
        pass


def websocket(base, channel, since=None):
    return WebSocket(base, channel, f"?since={since}" if since else "")


def stream(base, channel, since=None):
    return Stream(base, channel, f"&since={since}" if since else "")


def sse(base, channel, since=None):
    return Sse(base, channel, since)


each_transport = pytest.mark.parametrize("connect", [websocket, sse, Poller, stream])


def terminal(client):
    """The next terminal event."""
    while True:
        event = client.event()
        if event["event"] in ("done", "failed"):
            return event


# ---------------------------------------------------------------------- the way through


@each_transport
def test_the_result_comes(redis, service, worker, notifier, connect):
    service.define("quote", "/v1/${symbol}?json=" + escape('{"price":184.20}'), ["symbol"])
    worker()
    client = connect(notifier().url, "c1")
    redis.push(quote("c1", id="job-1"))
    event = terminal(client)
    assert event["event"] == "done" and event["data"] == {"price": 184.20}
    assert event["channel"] == "c1" and event["service"] == "quote"
    assert event["job"] == "job-1" and event["id"] == redis.terminal("c1")[0]["id"]
    call = service.book()["calls"][0]
    assert call["path"] == "/v1/NOVA"
    assert call["headers"]["idempotency-key"] == "job-1"


@each_transport
def test_a_failure_is_told(redis, service, worker, notifier, connect):
    service.define("quote", "/v1/${symbol}?status=503", ["symbol"])
    worker()
    client = connect(notifier().url, "c1")
    redis.push(quote("c1"))
    event = terminal(client)
    assert event["event"] == "failed"
    assert event["error"]["code"] == "http_status" and event["error"]["status"] == 503


def test_the_event_says_when(redis, service, worker, notifier):
    """`at` is when the service had answered, by Redis's clock; not when the job began."""
    service.define("quote", "/v1/${symbol}?gate=g", ["symbol"])
    worker()
    client = WebSocket(notifier().url, "c1")
    redis.push(quote("c1"))
    service.wait_open(1)
    asked = redis.now_ms()
    wait_until(lambda: redis.now_ms() > asked + patience(300), what="the service to take its time")
    opened = redis.now_ms()
    service.open("g")
    event = terminal(client)
    # What the worker knows of Redis's clock is as old as an answer took to be read.
    assert opened - patience(20) <= event["at"] <= redis.now_ms() + 5, (opened, event["at"])


def test_numbers_keep_their_digits(redis, service, worker, notifier):
    digits = '{"price":0.1000,"big":123456789012345678901234567890,"e":1e400}'
    service.define("quote", "/?json=" + escape(digits), ["symbol"])
    worker()
    client = WebSocket(notifier().url, "c1")
    redis.push(quote("c1"))
    assert digits in client.recv()


def test_an_idle_worker_answers_without_a_tick(redis, service, worker, notifier):
    service.define("quote", "/v1/${symbol}?delay=0.05", ["symbol"])
    worker()
    client = WebSocket(notifier().url, "c1")
    waits, rings = [], []
    for n in range(15):
        asked = time.monotonic()
        redis.push(quote("c1"))
        terminal(client)
        here = time.monotonic()
        call = service.book()["calls"][n]
        waits.append((call["at"] - asked) * 1000)
        rings.append((here - call["answered"]) * 1000)
    print(f"RPUSH to call {statistics.median(waits):.1f} ms, answer to socket "
          f"{statistics.median(rings):.1f} ms (medians)")  # fmt: skip
    assert statistics.median(rings) < patience(8), rings
    assert statistics.median(waits) < patience(8), waits


# ---------------------------------------------------------------------- nothing is missed


@each_transport
def test_a_result_older_than_the_page(redis, service, worker, notifier, connect):
    service.define("quote", "/v1/${symbol}", ["symbol"])
    worker()
    base = notifier().url
    redis.push(quote("c1"))
    done = wait_until(lambda: redis.terminal("c1"))[0]
    born = int(done["id"].split("-")[0])
    wait_until(lambda: redis.now_ms() - born > 1000, what="the result to be a second old")
    assert terminal(connect(base, "c1"))["id"] == done["id"]


@each_transport
def test_a_client_that_comes_again_with_its_cursor(redis, notifier, connect):
    base = notifier().url
    client = connect(base, "c1")
    first = redis.publish("c1", {"event": "news", "data": 1})
    event = client.event()
    assert (event["id"], event["data"]) == (first, 1)
    client.reset()
    ids = [redis.publish("c1", {"event": "news", "data": n}) for n in (2, 3)]
    client = connect(base, "c1", since=first)
    ids.append(redis.publish("c1", {"event": "news", "data": 4}))
    assert [client.event()["id"] for _ in ids] == ids


@pytest.mark.redis(aof=True)
@each_transport
def test_redis_restarts_while_the_service_works(redis, service, worker, notifier, connect):
    service.define("quote", "/v1/${symbol}?gate=g", ["symbol"])
    worker()
    client = connect(notifier().url, "c1")
    redis.push(quote("c1", id="job-1"))
    service.wait_open(1)
    redis.stop()
    service.open("g")
    service.wait_open(0)
    redis.start()
    event = terminal(client)
    assert event["event"] == "done" and event["job"] == "job-1"
    assert len(redis.terminal("c1")) == 1
    wait_until(lambda: not list(redis.client.scan_iter("ringback:held:*")))


@pytest.mark.redis(aof=True)
def test_published_before_the_notifier_is_back(redis, notifier):
    daemon = notifier()
    client = WebSocket(daemon.url, "c1")
    redis.publish("c1", {"event": "news", "data": 0})
    assert client.event()["data"] == 0
    daemon.signal(signal.SIGSTOP)  # it cannot hear what comes now
    redis.kill()
    redis.start()
    ids = [redis.publish("c1", {"event": "news", "data": n}) for n in range(1, 6)]
    daemon.signal(signal.SIGCONT)
    assert [client.event()["id"] for _ in ids] == ids
    redis.publish("c1", {"event": "news", "data": 6})
    assert client.event()["data"] == 6


# ---------------------------------------------------------------------- crash and load


def test_kill_9_with_500_in_flight(redis, service, worker):
    service.define("quote", "/v1/${symbol}?gate=g", ["symbol"])
    first = worker(lease="1s")
    redis.push(*(quote(f"c{n}", id=f"job-{n}") for n in range(500)))
    service.wait_open(500)
    first.kill()
    service.open("g")
    worker(lease="1s")
    wait_until(lambda: sum(redis.client.exists(f"ringback:ch:{{c{n}}}") for n in range(500)) == 500,
               timeout=30, what="500 results", interval=0.1)  # fmt: skip
    for n in range(500):
        events = redis.terminal(f"c{n}")
        assert [e["job"] for e in events] == [f"job-{n}"] and events[0]["event"] == "done"
    book = service.book()
    assert set(book["keys"]) == {f"job-{n}" for n in range(500)}
    assert max(book["keys"].values()) <= 2
    wait_until(lambda: not list(redis.client.scan_iter("ringback:held:*")))


def test_2000_calls_of_a_second_at_once(redis, service, worker):
    service.define("quote", "/v1/${symbol}?delay=1", ["symbol"])
    worker({"channels": {"max_events": 5000}, "log": {"level": "info"}}, max_in_flight=2000)
    began = time.monotonic()
    redis.push(*(quote("load", id=f"job-{n}") for n in range(2000)))
    wait_until(lambda: redis.client.xlen("ringback:ch:{load}") >= 2000, 30, "2,000 results")
    took = time.monotonic() - began
    events = redis.terminal("load")
    print(f"2,000 calls of 1 s took {took:.2f} s")
    assert sorted({e["job"] for e in events}) == sorted(f"job-{n}" for n in range(2000))
    assert len(events) == 2000 and all(e["event"] == "done" for e in events)
    assert service.book()["total"] == 2000
    assert service.book()["peak"] > 1000 / patience(1)
    assert took < patience(3)


def test_10000_waiting_websockets_hear_their_own(redis, notifier, processes):
    """Client processes of 2,500, so that none runs out of descriptors."""
    count, each = 10_000, 2_500
    daemon = notifier({"log": {"level": "info"}}, max_connections=20_000)
    program = Path(__file__).with_name("peers") / "many_websockets.py"
    clients = [
        processes.start(
            [sys.executable, program, f"127.0.0.1:{daemon.port}", "own.", first, each],
            "browsers", stdin=subprocess.PIPE,
        )
        for first in range(0, count, each)
    ]  # fmt: skip
    for client in clients:
        client.wait_text(f"open {each}", timeout=60)
    print(f"{daemon.rss_bytes() // count} bytes resident a connection, all told")
    pipe = redis.client.pipeline(transaction=False)
    for n in range(count):
        text = json.dumps({"channel": f"own.{n}", "event": "news", "data": n})
        key = f"ringback:ch:{{own.{n}}}"
        pipe.eval("local id = redis.call('XADD', KEYS[1], '*', 'e', ARGV[1])\n"
                  "redis.call('PUBLISH', KEYS[1], '0-0 ' .. id .. ' ' .. ARGV[1])",
                  1, key, text)  # fmt: skip
    began = time.monotonic()
    pipe.execute()
    for client in clients:
        client.wait_text(f"heard {each}", timeout=60)
    print(f"10,000 messages in {time.monotonic() - began:.2f} s")
    for client in clients:
        client.popen.stdin.close()
        assert client.wait() == 0, client.log
