"""The circuit breaker: opens, refuses, tries, closes, and says so."""

from peers.policy import all_ended, ended, job
from peers.process import lasting, wait_until

# Open for long enough to be found so.
BREAKER = {"failure_rate": 50, "minimum_calls": 4, "half_open_calls": 1, "open_for": lasting(0.7)}


def fail_times(redis, service, n=4):
    channels = [f"bad{i}" for i in range(n)]
    redis.push(*[job(service, c) for c in channels])
    all_ended(redis, channels)


def test_opens_and_closes(redis, service, worker):
    service.define("shaky", path="/s?status=500,500,500,500,200", circuit_breaker=BREAKER)
    process = worker()
    fail_times(redis, "shaky")
    process.wait_line("breaker.changed")
    redis.push(job("shaky", "refused"))
    end = ended(redis, "refused")
    assert end["error"]["code"] == "circuit_open"
    assert service.book()["total"] == 4

    tries = iter(range(1000))

    def through():
        channel = f"try{next(tries)}"
        redis.push(job("shaky", channel))
        return ended(redis, channel)["event"] == "done"

    wait_until(through, 5, "the breaker to let a call through", interval=0.1)
    process.wait_line("breaker.changed", 5, to="closed")
    assert service.book()["total"] == 5


def test_a_probe_that_fails_keeps_it_open(redis, service, worker):
    service.define("shaky", path="/s?status=500", circuit_breaker=BREAKER)
    process = worker()
    fail_times(redis, "shaky")

    def probed():
        redis.push(job("shaky", "probe"))
        return service.book()["total"] >= 5

    wait_until(probed, 5, "a probe", interval=0.05)
    process.wait_line("breaker.changed", 5, **{"from": "half_open", "to": "open"})


def test_slow_calls_open_it(redis, service, worker):
    service.define("lame", path="/s?delay=0.15",
                   circuit_breaker={**BREAKER, "slow_call": "100ms", "slow_call_rate": 60})  # fmt: skip
    process = worker()
    channels = [f"c{i}" for i in range(4)]
    redis.push(*[job("lame", c) for c in channels])
    assert {e["event"] for e in all_ended(redis, channels)} == {"done"}
    process.wait_line("breaker.changed")
    redis.push(job("lame", "refused"))
    assert ended(redis, "refused")["error"]["code"] == "circuit_open"


def test_client_errors_do_not_open_it(redis, service, worker):
    service.define("strict", path="/s?status=404", circuit_breaker=BREAKER)
    process = worker()
    fail_times(redis, "strict", 12)
    assert service.book()["total"] == 12
    assert "breaker.changed" not in process.log


def test_waits_for_it_where_the_policy_says_so(redis, service, worker):
    service.define("shaky", path="/s?status=500,500,500,500,200", circuit_breaker=BREAKER,
                   retry={"on": ["circuit_open"], "backoff": {"base": "10ms", "max": "10ms"}})  # fmt: skip
    process = worker()
    fail_times(redis, "shaky")
    process.wait_line("breaker.changed")
    redis.push(job("shaky", "patient"))
    assert ended(redis, "patient")["event"] == "done"
    first = redis.events("patient")[0]
    assert (first["event"], first["error"]["code"]) == ("retrying", "circuit_open")


def test_those_in_line_are_told_when_it_opens(redis, service, worker):
    service.define("stuck", path="/s?gate=g&status=500", concurrency=4, circuit_breaker=BREAKER)
    worker()
    channels = [f"c{i}" for i in range(20)]
    redis.push(*[job("stuck", c) for c in channels])
    service.wait_open(4)
    service.open("g")
    codes = [e["error"]["code"] for e in all_ended(redis, channels)]
    assert sorted(set(codes)) == ["circuit_open", "http_status"]
    assert codes.count("http_status") <= 8
