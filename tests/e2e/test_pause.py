"""Queues and services that rest until they are resumed."""

import time

from peers.clients import ask, get, post
from peers.process import patience, wait_until


def quote(channel, **more):
    return {"service": "quote", "channel": channel, **more}


def done(redis, channel):
    return wait_until(lambda: redis.terminal(channel), 10, f"the end of {channel}")[0]


def scripts(redis):
    """How many ran so far."""
    return redis.client.info("commandstats")["cmdstat_evalsha"]["calls"]


def test_a_queue(redis, service, worker, ringback):
    service.define("quote", "/")
    assert ringback("pause", "b", check=True).stdout == "1 paused\n"
    assert ringback("pause", "b", check=True).stdout == "0 paused\n"
    daemon = worker(queues=["a", "b"], lease="5m")
    redis.push(*(quote(f"b{n}") for n in range(10)), queue="b")
    redis.push(quote("a0"), queue="a")
    assert done(redis, "a0")["event"] == "done"  # the other one goes on
    before = daemon.cpu_seconds(), scripts(redis)
    for n in range(10):
        redis.push(quote(f"a1{n}"), queue="a")
        assert done(redis, f"a1{n}")["event"] == "done"
    assert scripts(redis) - before[1] < 100  # nobody asks again and again
    assert daemon.cpu_seconds() - before[0] < 0.1 * patience(1)
    assert redis.client.llen("ringback:queue:b") == 10
    begun = time.monotonic()
    assert ringback("resume", "b", check=True).stdout == "1 resumed\n"
    for n in range(10):
        assert done(redis, f"b{n}")["event"] == "done"
    assert time.monotonic() - begun < min(patience(5), 50)  # told: a heartbeat is each minute


def test_pausing_while_it_works(redis, service, worker, ringback):
    service.define("quote", "/?gate=g")
    worker(lease="1s")
    redis.push(quote("c0"))
    service.wait_open(1)
    ringback("pause", "default", check=True)
    redis.push(quote("c1"))
    service.open("g")
    assert done(redis, "c0")["event"] == "done"  # what is in hand goes on
    begun = scripts(redis)
    wait_until(lambda: scripts(redis) > begun + 4)  # it looked, and more than once
    assert redis.client.llen("ringback:queue:default") == 1
    ringback("resume", "default", check=True)
    assert done(redis, "c1")["event"] == "done"


def test_a_drain_does_not_wait_for_what_is_paused(redis, service, worker, ringback):
    service.define("quote", "/")
    ringback("pause", "default", check=True)
    redis.push(quote("c"))
    daemon = worker(args=["--drain"], wait=False)
    assert daemon.wait() == 0
    assert redis.client.llen("ringback:queue:default") == 1


def test_a_service(redis, service, worker, ringback):
    service.define("quote", "/")
    service.define("other", "/")
    ringback("pause", "--service", "quote", check=True)
    worker()
    redis.push(quote("c", id="j"), quote("x", id="k"), {"service": "other", "channel": "d"})
    assert done(redis, "d")["event"] == "done"
    wait_until(lambda: redis.client.zcard("ringback:due") == 2)
    ringback("cancel", "k", check=True)
    assert done(redis, "x")["error"]["code"] == "cancelled"
    assert service.book()["total"] == 1
    ringback("resume", "--service", "quote", check=True)
    assert done(redis, "c")["event"] == "done"


def test_what_expires_while_it_is_put_aside_is_told_then(redis, service, worker, ringback):
    service.define("quote", "/")
    ringback("pause", "--service", "quote", check=True)
    worker()
    expires = redis.now_ms() + int(patience(1500))
    redis.push(quote("c", expires=expires))
    aside = wait_until(lambda: redis.client.zrange("ringback:due", 0, -1, withscores=True))
    assert aside[0][1] <= expires + 50
    assert done(redis, "c")["error"]["code"] == "expired"
    assert service.book()["total"] == 0


def test_a_long_backlog_of_a_paused_service(redis, service, worker, ringback):
    """It goes around in due, and others pass it by."""
    service.define("quote", "/")
    service.define("other", "/")
    ringback("pause", "--service", "quote", check=True)
    worker({"log": {"level": "info"}})
    for n in range(5):
        redis.push(*(quote(f"c{n}.{m}") for m in range(1000)))
    wait_until(lambda: redis.client.zcard("ringback:due") > 4000, 20)
    for n in range(10):
        begun = time.monotonic()
        redis.push({"service": "other", "channel": f"d{n}"})
        assert done(redis, f"d{n}")["event"] == "done"
        assert time.monotonic() - begun < patience(1)
    assert service.book()["total"] == 10
    spread = redis.client.zrange("ringback:due", -1, -1, withscores=True)[0][1] - redis.now_ms()
    assert 3000 < spread < 30000  # a thousand a second
    assert redis.client.zcard("ringback:due") + 600 > 5000 - sum(
        redis.client.llen(f"ringback:{list}:default") for list in ("queue", "retry"))  # fmt: skip


def test_by_http(redis, service, worker, notifier):
    service.define("quote", "/")
    front = notifier()
    assert get(front.admin + "/paused").json() == {"queues": [], "services": []}
    assert post(front.admin + "/paused/default").status == 204
    assert post(front.admin + "/paused/quote?kind=service").status == 204
    assert get(front.admin + "/paused").json() == {"queues": ["default"], "services": ["quote"]}
    worker()
    redis.push(quote("c"))
    assert ask(front.admin + "/paused/quote?kind=service", "DELETE").status == 204
    assert redis.client.llen("ringback:queue:default") == 1
    assert ask(front.admin + "/paused/default", "DELETE").status == 204
    assert done(redis, "c")["event"] == "done"
    assert post(front.admin + "/paused/a%20b").status == 400
    assert post(front.admin + "/paused/a?kind=x").status == 400
    assert post(front.admin + "/paused/A?kind=service").status == 400


def test_misuse(redis, ringback, service):
    assert ringback("pause").returncode == 64
    assert ringback("resume", "a b").returncode == 64
    assert ringback("pause", "--service", "A").returncode == 64
