"""Concurrency, rate limits and pushing back: what a service is spared, and that nobody
else pays for it."""

import pytest
from peers.policy import all_ended, ended, job, starts
from peers.process import lasting, patience, wait_until


def test_concurrency_of_a_process(redis, service, worker):
    service.define("slow", path="/s?delay=0.05", concurrency=3)
    worker()
    channels = [f"c{i}" for i in range(40)]
    redis.push(*[job("slow", c) for c in channels])
    assert {e["event"] for e in all_ended(redis, channels)} == {"done"}
    assert service.book()["peak"] == 3


def test_one_service_does_not_starve_the_others(redis, service, worker):
    service.define("stuck", path="/s?gate=g", concurrency=2)
    service.define("quick", path="/q")
    worker(max_in_flight=10)
    stuck = [f"c{i}" for i in range(200)]
    redis.push(*[job("stuck", c) for c in stuck])
    service.wait_open(2)
    redis.push(job("quick", "fast"))
    assert ended(redis, "fast")["event"] == "done"
    assert service.book()["open"] == 2
    service.open("g")
    assert {e["event"] for e in all_ended(redis, stuck, 60)} == {"done"}
    assert service.book()["peak"] <= 3


def test_global_concurrency(redis, service, worker):
    service.define("slow", path="/s?delay=0.05", concurrency={"limit": 3, "scope": "global"})
    worker(name="one")
    worker(name="two")
    channels = [f"c{i}" for i in range(40)]
    redis.push(*[job("slow", c) for c in channels])
    assert {e["event"] for e in all_ended(redis, channels, 30)} == {"done"}
    assert service.book()["peak"] <= 3
    wait_until(lambda: not redis.client.exists("ringback:slots:slow"), 5, "all places back")


def test_global_places_of_a_dead_worker(redis, service, worker):
    service.define("slow", path="/s?gate=g", concurrency={"limit": 2, "scope": "global"},
                   timeout={"per_try": "20s", "total": "30s"})  # fmt: skip
    first = worker(name="one", lease="1s")
    redis.push(job("slow", "a"), job("slow", "b"))
    service.wait_open(2)
    first.kill()
    service.wait_open(0)
    worker(name="two", lease="1s")
    # Nobody but time gives them back; a minute is a long test, so it passes here.
    for place in redis.client.zrange("ringback:slots:slow", 0, -1):
        redis.client.zadd("ringback:slots:slow", {place: redis.now_ms()})
    service.open("g")
    assert {e["event"] for e in all_ended(redis, ["a", "b"])} == {"done"}


@pytest.mark.parametrize("claim", ["lease", "blpop"])
def test_rate_limit(redis, service, worker, claim):
    service.define("paced", path="/p", rate_limit={"limit": 20, "period": "1s"})
    worker(claim=claim)
    channels = [f"c{i}" for i in range(21)]
    redis.push(*[job("paced", c) for c in channels])
    assert {e["event"] for e in all_ended(redis, channels)} == {"done"}
    times = starts(service)
    assert 0.95 < times[-1] - times[0] < patience(2.5)


def test_rate_limit_over_all_workers(redis, service, worker):
    service.define("paced", path="/p", rate_limit={"limit": 20, "period": "1s", "burst": 5})
    worker(name="one", processes=2)
    worker(name="two")
    channels = [f"c{i}" for i in range(45)]
    redis.push(*[job("paced", c) for c in channels])
    assert {e["event"] for e in all_ended(redis, channels)} == {"done"}
    times = starts(service)
    # In any stretch of time t at most burst + 20 t: with some room for the way there.
    for i, start in enumerate(times):
        for j in range(i, len(times)):
            assert j - i + 1 <= 5 + 20 * (times[j] - start + patience(0.15)) + 1
    assert times[-1] - times[0] < patience(4)


def test_a_rate_limit_leaves_room_for_others(redis, service, worker):
    service.define("paced", path="/p", rate_limit={"limit": 1, "period": "1h"})
    service.define("quick", path="/q")
    worker(max_in_flight=10)
    redis.push(*[job("paced", f"c{i}") for i in range(300)])
    redis.push(job("quick", "fast"))
    assert ended(redis, "fast")["event"] == "done"
    assert ended(redis, "c0")["event"] == "done"


def test_waiting_ends_when_nobody_waits_any_more(redis, service, worker):
    service.define("paced", path="/p", rate_limit={"limit": 1, "period": "1h"})
    service.define("queued", path="/q?gate=g", concurrency=1, max_queue_time=lasting(0.4))
    worker()
    redis.push(job("paced", "a"), job("queued", "d"))
    ended(redis, "a")
    service.wait_open(1)
    redis.push(job("paced", "b", expires=redis.now_ms() + 300), job("queued", "e"))
    assert ended(redis, "b")["error"]["code"] == "expired"
    assert ended(redis, "e")["error"]["code"] == "expired"
    service.open("g")
    assert ended(redis, "d")["event"] == "done"


def test_a_rate_limit_that_keeps_a_job_too_long(redis, service, worker):
    service.define("paced", path="/p", rate_limit={"limit": 1, "period": "1h"},
                   max_queue_time=lasting(0.4))  # fmt: skip
    worker()
    redis.push(job("paced", "a"))
    ended(redis, "a")
    redis.push(job("paced", "b"))
    assert ended(redis, "b")["error"]["code"] == "rate_limited"


def test_429_slows_all_calls_down(redis, service, worker):
    service.define("busy", path="/b?status=429,200&header=Retry-After:1",
                   retry={"on": [429], "backoff": {"base": "10ms", "max": "10ms"}})  # fmt: skip
    process = worker()
    redis.push(job("busy", "a"))
    process.wait_line("service.pushed_back")
    redis.push(*[job("busy", f"c{i}") for i in range(5)])
    assert {e["event"] for e in all_ended(redis, ["a", *[f"c{i}" for i in range(5)]])} == {"done"}
    times = starts(service)
    assert len(times) == 7
    assert times[1] - times[0] >= 0.99
