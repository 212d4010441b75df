"""Jobs that wait for a time are queued when it has come: soon, by any worker, and once."""

import pytest
from peers.policy import all_ended, ended, job
from peers.process import patience, wait_until

LATE_MS = 50


def started(redis, channel):
    """When its call began, in ms of Redis's clock."""
    return next(e["at"] for e in redis.events(channel) if e["event"] == "started")


def test_they_are_not_late(redis, service, worker):
    """In the middle of the lease's heartbeats, one by one, with nothing else to wake by."""
    service.define("quote", "/", progress=["started"])
    worker(lease="30s")
    times = [redis.now_ms() + 300 + 97 * n for n in range(15)]
    redis.push(*(job("quote", f"c{n}", run_at=at) for n, at in enumerate(times)))
    all_ended(redis, [f"c{n}" for n in range(15)])
    late = sorted(started(redis, f"c{n}") - at for n, at in enumerate(times))
    assert late[0] >= 0  # and never early
    assert late[len(late) // 2] < patience(LATE_MS)
    assert late[-1] < patience(2 * LATE_MS)  # the machine may stop us once


def test_an_earlier_one_comes_first(redis, service, worker):
    """What is due next is heard anew with each job that is put aside."""
    service.define("quote", "/", progress=["started"])
    worker(lease="30s")
    later, sooner = redis.now_ms() + 3600_000, redis.now_ms() + 500
    redis.push(job("quote", "later", run_at=later))
    wait_until(lambda: redis.client.zcard("ringback:due") == 1)
    redis.push(job("quote", "sooner", run_at=sooner))
    ended(redis, "sooner")
    assert 0 <= started(redis, "sooner") - sooner < patience(2 * LATE_MS)
    assert redis.client.zcard("ringback:due") == 1


def test_another_worker_does_it(redis, service, worker):
    """Who put it aside is dead when its time comes."""
    service.define("quote", "/", progress=["started"])
    first = worker(lease="1s")
    at = redis.now_ms() + int(patience(1200))
    redis.push(job("quote", "c", run_at=at))
    first.wait_line("job.parked")
    second = worker(lease="1s")  # hears of it with its first heartbeat
    first.kill()
    ended(redis, "c")
    assert 0 <= started(redis, "c") - at < patience(2 * LATE_MS)
    assert not second.lines("job.parked")


@pytest.mark.parametrize("count", [700])
def test_two_workers_do_it_once(redis, service, worker, count):
    """More than one portion, due in the same moment for both."""
    service.define("quote", "/")
    for n in range(2):
        worker({"log": {"level": "info"}}, lease="1s", name=f"worker{n}")
    at = redis.now_ms() + int(patience(2000))
    redis.push(*(job("quote", f"c{n}", id=f"j{n}", run_at=at) for n in range(count)))
    wait_until(lambda: redis.client.zcard("ringback:due") == count)
    all_ended(redis, [f"c{n}" for n in range(count)])
    calls = service.book()["keys"]
    assert len(calls) == count and set(calls.values()) == {1}
    wait_until(lambda: not redis.client.keys("ringback:held:*"))
    assert not redis.client.exists("ringback:due", "ringback:retry:default")
