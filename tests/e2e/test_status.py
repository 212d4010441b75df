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


def services(ringback, settings):
    """None while a worker has not told of both yet."""
    told = status(ringback, settings)["services"]
    return told if told.keys() >= {"quote", "broken"} else None


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
    told = wait_until(lambda: (s := services(ringback, metrics)) and s["quote"]["done"] == 4 and s["broken"]["failed"] == 8 and s)
    one = told["quote"]
    assert one["done"] == 4 and one["failed"] == 0 and one["calls"] == 1
    assert one["cache_hits"] == 3 and one["cache_lookups"] == 4 and one["breaker"] == "closed"
    assert 0.025 <= one["p50_s"] <= 1 and one["p50_s"] <= one["p95_s"]
    assert one["calls_per_s"] is None
    assert told["broken"]["breaker"] == "open"
    text = ringback("status", settings=metrics, check=True).stdout
    assert "SERVICE" in text and "75%" in text and "open" in text


def test_all_workers_tell(redis, service, worker, ringback):
    """Those of other hosts too: nothing here listens on worker.metrics."""
    service.define("quote", "/?gate=${n}", ["n"])
    workers = [worker(lease="1s", name=f"worker{n}", max_in_flight=2) for n in range(2)]
    redis.push(*(quote(f"c{n}", params={"n": "a"}) for n in range(4)))
    service.wait_open(4)
    told = lambda: status(ringback, {})["services"].get("quote", {})  # noqa: E731
    wait_until(lambda: told().get("in_flight") == 4)
    service.open("a")
    wait_until(lambda: told().get("done") == 4)
    assert told()["calls"] == 4 and told()["p50_s"] > 0 and told()["in_flight"] == 0
    keys = redis.client.keys("ringback:stats:*")
    assert len(keys) == 2 and all(0 < redis.client.pttl(key) <= 3000 for key in keys)
    workers[0].kill()  # and what it told is not shown any more, nor kept
    wait_until(lambda: 0 < told()["done"] < 4 or len(redis.client.zrange("ringback:workers", 0, -1)) == 1)
    wait_until(lambda: len(redis.client.keys("ringback:stats:*")) == 1)


def test_what_no_worker_said(redis, service, worker, ringback):
    """Whatever stands under the key of a worker, status lives through it."""
    redis.client.zadd("ringback:workers", {"w": redis.now_ms() + 60000})
    for text in ("{", "[]", '{"services":1}', '{"services":{"A":{}, "a":[]}, "at":"x"}',
                 '{"services":{"a":{"calls":[1e400]}}}', '{"bounds_s":[1],"services":{"a":{"calls":[-1,"x"]}}}'):
        redis.client.set("ringback:stats:w", text)
        assert "A" not in status(ringback, {})["services"]
    redis.client.delete("ringback:stats:w")
    redis.client.lpush("ringback:stats:w", "x")
    assert status(ringback, {})["services"] == {}


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
