"""All policies at once, while workers die; and what the metrics say of them."""

import urllib.request

from peers.policy import all_ended, ended, job
from peers.process import free_port, wait_until


def test_everything_at_once_while_workers_die(redis, service, worker):
    service.define(
        "busy",
        path="/b/${n}?status=503,200&delay=0.02",
        params=["n"],
        retry={"max_attempts": 5, "on": ["connect", "reset", 503],
               "backoff": {"base": "50ms", "max": "1500ms"},
               "budget": {"percent": 100, "per_second": 1000}},
        concurrency={"limit": 20, "scope": "global"},
        rate_limit={"limit": 500, "period": "1s", "burst": 20},
        circuit_breaker={"failure_rate": 95, "minimum_calls": 1000},
        timeout={"per_try": "5s", "total": "60s"},
    )  # fmt: skip
    count = 400
    workers = [worker(name=f"w{i}", lease="1s", max_in_flight=50) for i in range(3)]
    channels = [f"c{i}" for i in range(count)]
    redis.push(*[job("busy", c, params={"n": c}, unique=c) for c in channels])
    for at, victim in ((100, 0), (250, 1)):
        wait_until(lambda: service.book()["total"] >= at, 30, f"{at} calls")
        workers[victim].kill()

    # Places of the dead end by themselves, after half a minute; here sooner.
    def ended_all():
        for place in redis.client.zrange("ringback:slots:busy", 0, -1):
            redis.client.zadd("ringback:slots:busy", {place: redis.now_ms() + 1000}, lt=True)
        return sum(bool(redis.terminal(c)) for c in channels) == count

    wait_until(ended_all, 60, "all jobs to end", interval=0.2)
    ends = all_ended(redis, channels)
    assert {event["event"] for event in ends} == {"done"}
    assert redis.client.zcard("ringback:due") == 0
    assert redis.client.zcard("ringback:dead") == 0
    book = service.book()
    assert set(book["paths"].values()) <= {2, 3, 4}
    assert 2 * count <= book["total"] <= 2 * count + 200


def test_metrics_of_policies(redis, service, worker):
    service.define("shaky", path="/s?status=503", retry={"max_attempts": 2, "backoff": {"base": "1ms"}},
                   circuit_breaker={"minimum_calls": 2})  # fmt: skip
    service.define("busy", path="/b?status=429")
    port = free_port()
    worker(metrics=f"127.0.0.1:{port}")
    redis.push(job("shaky", "a"), job("busy", "b"))
    all_ended(redis, ["a", "b"])
    redis.push(job("shaky", "c"))
    assert ended(redis, "c")["error"]["code"] == "circuit_open"

    def lines():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode().splitlines()

    for line in (
        'ringback_worker_retries_total{service="shaky"} 1',
        'ringback_worker_pushbacks_total{service="busy"} 1',
        'ringback_worker_breaker{service="shaky",state="open"} 1',
        'ringback_worker_breaker{service="shaky",state="closed"} 0',
        'ringback_worker_jobs_total{service="shaky",outcome="circuit_open"} 1',
        "ringback_worker_waiting 0",
    ):
        wait_until(lambda: line in lines(), what=line)  # noqa: B023
