"""Retries: by policy, in time, within the budget, in memory or in Redis."""

import time
from email.utils import formatdate

import pytest
from peers.policy import all_ended, ended, job, kinds, starts
from peers.process import free_port, lasting, patience, wait_until

FAST = {"base": "10ms", "max": "50ms"}


def test_tries_again_until_it_works(redis, service, worker):
    service.define("quote", path="/q?status=503,503,200", retry={"backoff": FAST})
    worker()
    redis.push(job("quote", "c", id="j1"))
    assert ended(redis, "c")["event"] == "done"
    first, second, _ = redis.events("c")
    for attempt, event in ((2, first), (3, second)):
        assert event["event"] == "retrying"
        assert event["attempt"] == attempt
        assert 0 <= event["delay"] <= 50
        assert event["error"]["code"] == "http_status"
        assert event["error"]["status"] == 503
        assert event["job"] == "j1"
    assert service.book()["keys"] == {"j1": 3}


def test_gives_up_after_max_attempts(redis, service, worker):
    service.define("quote", path="/q?status=503", retry={"max_attempts": 4, "backoff": FAST})
    worker()
    redis.push(job("quote", "c"))
    end = ended(redis, "c")
    assert (end["event"], end["error"]["code"], end["error"]["status"]) == (
        "failed", "http_status", 503)  # fmt: skip
    assert kinds(redis, "c") == ["retrying"] * 3 + ["failed"]
    assert service.book()["total"] == 4


def test_only_what_is_named_is_tried_again(redis, service, worker):
    service.define("quote", path="/q?status=500", retry={"on": [503], "backoff": FAST})
    service.define("plain", path="/p?status=503")
    worker()
    redis.push(job("quote", "c"), job("plain", "d"))
    all_ended(redis, ["c", "d"])
    assert kinds(redis, "c") == kinds(redis, "d") == ["failed"]
    assert service.book()["total"] == 2


def test_progress_can_be_switched_off(redis, service, worker):
    service.define("quote", path="/q?status=503,200", retry={"backoff": FAST}, progress=["started"])
    worker()
    redis.push(job("quote", "c"))
    assert ended(redis, "c")["event"] == "done"
    assert kinds(redis, "c") == ["started", "done"]


@pytest.mark.parametrize(
    "cause, path, code",
    [
        ("reset", "/q?close=connect", "connect"),
        ("reset", "/q?close=body", "bad_response"),
        ("timeout", "/q?hang=1", "timeout"),
    ],
)
def test_broken_calls(redis, service, worker, cause, path, code):
    service.define("named", path=path, retry={"on": [cause], "backoff": FAST, "max_attempts": 2},
                   timeout={"per_try": lasting(0.4), "total": "20s"})  # fmt: skip
    service.define("other", path=path, retry={"on": ["tls", 429], "backoff": FAST},
                   timeout={"per_try": lasting(0.4), "total": "20s"})  # fmt: skip
    worker()
    redis.push(job("named", "c"), job("other", "d"))
    ends = all_ended(redis, ["c", "d"])
    assert [end["error"]["code"] for end in ends] == [code, code]
    assert kinds(redis, "c") == ["retrying", "failed"]
    assert kinds(redis, "d") == ["failed"]


def test_a_refused_connection(redis, service, worker):
    url = f"http://127.0.0.1:{free_port()}/"
    service.define("gone", request={"url": url}, retry={"on": ["connect"], "backoff": FAST})
    worker()
    redis.push(job("gone", "c"))
    assert ended(redis, "c")["error"]["code"] == "connect"
    assert kinds(redis, "c") == ["retrying", "retrying", "failed"]


def test_calls_of_a_dead_worker_count(redis, service, worker):
    """It had made two of three calls, and dies while it waits for the third, or makes it."""
    service.define("quote", path="/q?status=503&delay=0.3",
                   retry={"max_attempts": 3, "backoff": {"base": "400ms", "max": "400ms"}})  # fmt: skip
    first = worker(lease="1s")
    redis.push(job("quote", "c", id="j"))

    def noted():
        held = [e for key in redis.client.keys("ringback:held:*") for e in redis.client.hvals(key)]
        return any(" attempts=2 " in e and " until=" in e for e in held)

    wait_until(noted)
    first.kill()
    worker(lease="1s")
    assert ended(redis, "c")["error"]["code"] == "http_status"
    assert 3 <= service.book()["keys"]["j"] <= 4  # the third may have been on its way


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept(redis, service, worker, form):
    date = int(time.time()) + 3
    value = "1" if form == "seconds" else formatdate(date, usegmt=True)
    service.define("quote", path=f"/q?status=429,200&header=Retry-After:{value.replace(' ', '%20')}",
                   retry={"backoff": FAST})  # fmt: skip
    worker()
    redis.push(job("quote", "c"))
    assert ended(redis, "c")["event"] == "done"
    first, second = starts(service)
    told = redis.events("c")[0]
    if form == "seconds":
        assert second - first >= 0.99 and told["delay"] >= 1000
    else:
        assert second + time.time() - time.monotonic() >= date - 0.01
        assert told["at"] + told["delay"] >= date * 1000 - patience(20)


def test_a_longer_retry_after_ends_it(redis, service, worker):
    service.define("quote", path="/q?status=429&header=Retry-After:60",
                   retry={"max_retry_after": "2s", "backoff": FAST})  # fmt: skip
    worker()
    redis.push(job("quote", "c"))
    end = ended(redis, "c")
    assert (end["error"]["code"], end["error"]["status"]) == ("http_status", 429)
    assert service.book()["total"] == 1


def test_never_past_the_total_timeout(redis, service, worker):
    service.define("quote", path="/q?status=503",
                   retry={"max_attempts": 100, "backoff": {"base": "200ms", "max": "200ms"},
                          "budget": {"percent": 100, "per_second": 1000}},
                   timeout={"per_try": "1s", "total": "1s"})  # fmt: skip
    worker()
    redis.push(job("quote", "c"))
    assert ended(redis, "c")["error"]["code"] == "http_status"
    times = starts(service)
    assert times[-1] - times[0] <= 0.9 + patience(0.1)  # and the way to the service


def test_never_past_expires(redis, service, worker):
    service.define("quote", path="/q?status=503",
                   retry={"max_attempts": 100, "backoff": {"base": "100ms", "max": "100ms"}})  # fmt: skip
    worker()
    redis.push(job("quote", "c", expires=redis.now_ms() + 800))
    assert ended(redis, "c")["event"] == "failed"
    times = starts(service)
    assert times[-1] - times[0] <= 0.7 + patience(0.1)


@pytest.mark.redis(aof=True)
def test_a_long_wait_is_spent_in_redis_and_survives(redis, service, worker):
    service.define("quote", path="/q?status=429,200&header=Retry-After:2", retry={"backoff": FAST})
    first = worker(lease="1s")
    redis.push(job("quote", "c", id="j1"))
    wait_until(lambda: redis.client.zcard("ringback:due"), 10, "the job to be parked")
    (envelope,) = redis.client.zrange("ringback:due", 0, -1)
    assert " attempts=1 " in envelope and " until=" in envelope
    assert kinds(redis, "c") == ["retrying"]
    first.kill()
    redis.restart()
    worker(lease="1s", name="second")
    assert ended(redis, "c")["event"] == "done"
    book = service.book()
    assert book["keys"] == {"j1": 2}
    one, two = starts(service)
    assert two - one >= 1.99


def test_a_parked_job_keeps_count(redis, service, worker):
    service.define("quote", path="/q?status=429&header=Retry-After:1",
                   retry={"max_attempts": 3, "backoff": FAST})  # fmt: skip
    worker(lease="1s")
    redis.push(job("quote", "c"))
    assert ended(redis, "c")["error"]["status"] == 429
    assert service.book()["total"] == 3
    assert [e.get("attempt") for e in redis.events("c")] == [2, 3, None]


@pytest.mark.parametrize("claim", ["lease", "blpop"])
def test_a_drain_hands_waiting_retries_on(redis, service, worker, claim):
    service.define("quote", path="/q?status=503,200&header=Retry-After:2",
                   retry={"backoff": FAST})  # fmt: skip
    first = worker(lease="60s", claim=claim)
    redis.push(job("quote", "c"))
    wait_until(lambda: kinds(redis, "c") == ["retrying"], 10, "the retry")
    assert not redis.client.exists("ringback:due")
    assert first.stop() == 0
    (envelope,) = redis.client.zrange("ringback:due", 0, -1)
    assert " attempts=1 " in envelope
    assert " deliveries=0" in envelope
    worker(name="second", claim=claim)
    assert ended(redis, "c")["event"] == "done"
    assert service.book()["total"] == 2


def test_an_outage_makes_no_storm(redis, service, worker):
    service.define("quote", path="/q?status=503",
                   retry={"max_attempts": 5, "backoff": FAST,
                          "budget": {"percent": 10, "per_second": 1}},
                   timeout={"per_try": "1s", "total": "1s"})  # fmt: skip
    worker()
    channels = [f"c{i}" for i in range(100)]
    redis.push(*[job("quote", c) for c in channels])
    assert {e["error"]["status"] for e in all_ended(redis, channels)} == {503}
    # A hundred calls, ten retries saved, ten percent of the calls, and a second's one or two.
    times = starts(service)
    assert 100 < len(times) <= 123 + times[-1] - times[0]
