"""ringback status: figures of queues, workers and services, once and again and again."""

import json

import pytest
from peers.daemons import program
from peers.process import free_port, wait_until


def quote(channel, **more):
    return {"service": "quote", "channel": channel, **more}


@pytest.fixture
def metrics(worker):
    port = free_port()
    return {"worker": {"metrics": f"127.0.0.1:{port}"}}


def status(ringback, settings):
    return json.loads(ringback("status", "--json", settings=settings, check=True).stdout)


def test_services(redis, service, worker, ringback, metrics):
    service.define("quote", "/?delay=0.03", cache={"ttl": "1m"},
                   circuit_breaker={"failure_rate": 50, "minimum_calls": 5})  # fmt: skip
    service.define("broken", "/?status=500",
                   circuit_breaker={"failure_rate": 50, "minimum_calls": 5})  # fmt: skip
    worker(metrics)
    for n in range(4):
        redis.push(quote(f"c{n}"))
        wait_until(lambda: redis.terminal(f"c{n}"))
    redis.push(*({"service": "broken", "channel": f"b{n}"} for n in range(8)))
    wait_until(lambda: all(redis.terminal(f"b{n}") for n in range(8)))
    told = wait_until(lambda: (s := status(ringback, metrics)["services"])["broken"]["breaker"] == "open" and s)
    one = told["quote"]
    assert one["done"] == 4 and one["failed"] == 0 and one["calls"] == 1
    assert one["cache_hits"] == 3 and one["cache_lookups"] == 4 and one["breaker"] == "closed"
    assert 0.025 <= one["p50_s"] <= 1 and one["p50_s"] <= one["p95_s"]
    assert one["calls_per_s"] is None
    assert told["broken"]["failed"] == 8
    text = ringback("status", settings=metrics, check=True).stdout
    assert "SERVICE" in text and "75%" in text and "open" in text


def test_queues(redis, service, worker, ringback):
    now = redis.now_ms()
    settings = {"worker": {"queues": ["a", "b", "c"]}}
    redis.push(quote("x", at=now - 60000), quote("y", at=now), queue="a")
    redis.client.rpush("ringback:retry:b", f"rb1 id=x queue=b deliveries=0 at={now - 5000}\n{{}}")
    redis.push("{", queue="c")
    ringback("pause", "b", check=True)
    ringback("pause", "--service", "quote", check=True)
    told = status(ringback, settings)
    assert 59 < told["queues"]["a"]["oldest_s"] < 90 and 4 < told["queues"]["b"]["oldest_s"] < 40
    assert told["queues"]["c"]["oldest_s"] is None
    assert [told["queues"][q]["paused"] for q in "abc"] == [False, True, False]
    assert told["paused_services"] == ["quote"] and told["services"] == {}
    text = ringback("status", settings=settings, check=True).stdout
    assert "paused services: quote" in text


def test_watch(redis, service, worker, ringback, metrics, processes, config, folder):
    service.define("quote", "/")
    worker(metrics)
    file = folder / "watch.yaml"
    file.write_text(json.dumps(config(metrics)))
    watch = processes.start(
        [program("ringback"), "-c", file, "status", "--watch", "--every", "100ms", "--json"], "watch")  # fmt: skip
    seen = []

    def told():
        seen[:] = [json.loads(line) for line in watch.log.splitlines() if line.endswith("}")]
        return seen

    wait_until(lambda: len(told()) >= 2)
    redis.push(*(quote(f"c{n}") for n in range(20)))
    wait_until(lambda: any((s["services"].get("quote") or {}).get("calls_per_s") for s in told()))
    redis.restart()
    count = len(told())
    wait_until(lambda: len(told()) > count + 2)
    watch.kill()


def test_misuse(ringback, redis, service):
    assert ringback("status", "--every", "1ms").returncode == 64
    assert ringback("status", "--every", "x").returncode == 64
    for address in ("127.0.0.1:1", "unix:/nowhere", "[::1]:1", "*:1"):
        settings = {"worker": {"metrics": address}}
        assert status(ringback, settings)["services"] == {}
