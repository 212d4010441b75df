"""Scheduled, expiring, unique and recurring jobs."""

import re
import signal
import time

import pytest
from peers.policy import all_ended, ended, job, kinds
from peers.process import patience, wait_until


def test_a_job_runs_at_its_time(redis, service, worker):
    service.define("quote", path="/q")
    worker()
    at = redis.now_ms() + 700
    redis.push(job("quote", "c", run_at=at))
    end = ended(redis, "c")
    assert at <= end["at"] < at + patience(250)
    assert redis.client.zcard("ringback:due") == 0


def test_an_expired_job_is_not_called(redis, service, worker):
    service.define("quote", path="/q")
    redis.push(job("quote", "c", expires=redis.now_ms() - 1))
    worker()
    assert ended(redis, "c")["error"]["code"] == "expired"
    assert service.book()["total"] == 0


def test_max_queue_time(redis, service, worker):
    service.define("quote", path="/q", max_queue_time="10s")
    now = redis.now_ms()
    redis.push(job("quote", "old", at=now - 11000), job("quote", "new", at=now - 5000),
               job("quote", "planned", at=now - 60000, run_at=now - 1000))  # fmt: skip
    worker()
    old, new, planned = all_ended(redis, ["old", "new", "planned"])
    assert old["error"]["code"] == "expired"
    assert (new["event"], planned["event"]) == ("done", "done")


# ----------------------------------------------------------------------------- unique
@pytest.mark.parametrize("claim", ["lease", "blpop"])
def test_a_unique_job_is_done_once(redis, service, worker, claim):
    service.define("report", path="/r?gate=g")
    worker(claim=claim)
    redis.push(job("report", "a", unique="daily", id="j1"))
    service.wait_open(1)
    redis.push(job("report", "b", unique="daily", id="j2"))
    end = ended(redis, "b")
    assert (end["error"]["code"], end["job"]) == ("cancelled", "j2")
    redis.push(job("report", "c", unique="other"))
    service.wait_open(2)
    service.open("g")
    all_ended(redis, ["a", "c"])
    wait_until(lambda: not redis.client.keys("ringback:once:*"), 5, "the keys to go")
    redis.push(job("report", "d", unique="daily"))
    assert ended(redis, "d")["event"] == "done"
    assert service.book()["total"] == 3


def test_a_duplicate_on_the_same_channel_is_silent(redis, service, worker):
    service.define("report", path="/r?gate=g")
    process = worker()
    redis.push(job("report", "a", unique="daily", id="j1"))
    service.wait_open(1)
    redis.push(job("report", "a", unique="daily", id="j2"))
    process.wait_line("job.not_unique")
    service.open("g")
    assert ended(redis, "a")["job"] == "j1"
    assert kinds(redis, "a") == ["done"]
    assert service.book()["total"] == 1


def test_a_unique_job_that_comes_again_is_itself(redis, service, worker):
    service.define("report", path="/r?gate=g")
    first = worker(lease="1s")
    redis.push(job("report", "a", unique="daily", id="j1"))
    service.wait_open(1)
    first.kill()
    service.wait_open(0)
    worker(lease="1s", name="second")
    service.wait_open(1)
    service.open("g")
    assert ended(redis, "a")["event"] == "done"


def test_a_unique_job_waits_for_its_retry(redis, service, worker):
    service.define("report", path="/r?status=429,200&header=Retry-After:1", retry={"on": [429]})
    worker(lease="1s")
    redis.push(job("report", "a", unique="daily"))
    wait_until(lambda: redis.client.zcard("ringback:due"), 10, "the job to be parked")
    redis.push(job("report", "b", unique="daily"))
    assert ended(redis, "b")["error"]["code"] == "cancelled"
    assert ended(redis, "a")["event"] == "done"


@pytest.mark.parametrize("end", ["cancelled", "expired", "unknown_service"])
def test_a_key_is_free_when_its_job_ends_without_another_try(redis, service, worker, ringback, end):
    """Put aside, it has the key; back in hand it ends before it takes it again."""
    retry = {"on": [429], "max_retry_after": "1h"}
    service.define("report", path="/r?status=429&header=Retry-After:60", retry=retry,
                   timeout={"total": "1h"})  # fmt: skip
    service.define("other", path="/o")
    process = worker(lease="1s")
    redis.push(job("report", "a", unique="daily", id="j1", expires=redis.now_ms() + 3600_000))
    wait_until(lambda: redis.client.zcard("ringback:due"), 10, "the job to be parked")
    assert redis.client.keys("ringback:once:*")
    (envelope,) = redis.client.zrange("ringback:due", 0, -1)
    if end == "cancelled":
        ringback("cancel", "j1", check=True)
    elif end == "expired":
        redis.client.delete("ringback:due")
        soon = re.sub(r'("expires": ?)\d+', rf"\g<1>{redis.now_ms() - 1}", envelope)
        redis.client.rpush("ringback:retry:default", soon)
    else:
        (service.folder / "report.yaml").unlink()
        process.signal(signal.SIGHUP)
        process.wait_line("worker.reloaded")
        redis.client.delete("ringback:due")
        redis.client.rpush("ringback:retry:default", envelope)
    assert ended(redis, "a")["error"]["code"] == end
    wait_until(lambda: not redis.client.keys("ringback:once:*"), 5, "the key to go")
    redis.push(job("other", "b", unique="daily"))
    assert ended(redis, "b")["event"] == "done"


# -------------------------------------------------------------------------- recurring
def away_from_the_minutes_end(redis):
    """A minute that turns while a test looks at its tick brings another one."""
    wait_until(lambda: redis.now_ms() % 60000 < 60000 - min(patience(6), 40) * 1000, 60,
               "the next minute", 0.1)  # fmt: skip


@pytest.mark.parametrize("claim", ["lease", "blpop"])
def test_each_tick_is_queued_once(redis, service, worker, claim):
    service.define("report", path="/r/${kind}", params=["kind"], channel="reports",
                   schedule="* * * * *", schedule_params={"kind": "hourly"})  # fmt: skip
    away_from_the_minutes_end(redis)
    # The tick of this minute is made up for by the first, and by nobody else.
    workers = [worker(name=f"w{i}", claim=claim, processes=2) for i in range(2)]
    event = ended(redis, "reports")
    minute = redis.now_ms() // 60000 * 60
    assert event["job"] in (f"tick:report:{minute}", f"tick:report:{minute - 60}")
    (key,) = redis.client.keys("ringback:once:tick:report:*")
    assert key.rsplit(":", 1)[1] == event["job"].rsplit(":", 1)[1]
    assert sum(w.log.count("job.scheduled") for w in workers) == 1
    assert list(service.book()["paths"]) == ["/r/hourly"]


def test_a_tick_that_redis_refused_is_queued_later(redis, service, worker):
    service.define("report", path="/r", channel="reports", schedule="* * * * *")
    others = "queue:* retry:* workers held:* due cancelled paused stats:* ch:*".split()
    rules = ["resetkeys", *(f"~ringback:{name}" for name in others)]
    redis.client.execute_command("ACL", "SETUSER", "default", *rules)
    away_from_the_minutes_end(redis)
    process = worker(lease="30s")
    process.wait_line("redis.refused", what="tick")
    redis.client.execute_command("ACL", "SETUSER", "default", "allkeys")
    assert ended(redis, "reports")["event"] == "done"


def test_a_reload_takes_schedules_over(redis, service, worker):
    service.define("report", path="/r")
    process = worker()
    assert not process.lines("schedule.next")
    service.define("report", path="/r", channel="reports", schedule="0 0 1 1 *",
                   time_zone="Europe/Berlin")  # fmt: skip
    process.signal(signal.SIGHUP)
    at = int(process.wait_line("schedule.next", service="report")["at"])
    assert time.gmtime(at)[1:6] == (12, 31, 23, 0, 0)


def test_what_happened_long_before_is_not_made_up_for(redis, service, worker):
    service.define("report", path="/r", channel="reports", schedule="0 0 1 1 *")
    process = worker()
    process.wait_line("schedule.next")
    assert not redis.client.keys("ringback:once:*")
