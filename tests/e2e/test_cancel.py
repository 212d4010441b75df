"""Cancelled jobs: whatever they were doing, they end once, as failed and cancelled, and one
that was not begun before never is."""

import threading
from pathlib import Path

import pytest
from peers.clients import ask, get, post
from peers.process import free_port, wait_until
from peers.redis_proxy import RedisProxy

SCRIPTS = Path(__file__).resolve().parents[2] / "jobs" / "scripts"


def quote(channel, **more):
    return {"service": "quote", "channel": channel, **more}


def ended(redis, channel):
    events = wait_until(lambda: redis.terminal(channel), 10, f"the end of {channel}")
    assert len(events) == 1
    return events[0]


def assert_cancelled(redis, channel, job):
    event = ended(redis, channel)
    assert event["event"] == "failed" and event["job"] == job
    assert event["error"] == {"code": "cancelled", "message": "the job was cancelled"}


def nothing_held(redis):
    wait_until(lambda: not redis.client.keys("ringback:held:*"), 10, "nothing to be held")


def test_in_flight(redis, service, worker, ringback):
    service.define("quote", "/?gate=g")
    worker()
    redis.push(quote("c1", id="j1"), quote("c2", id="j2"))
    service.wait_open(2)
    said = ringback("cancel", "j1", check=True)
    assert said.stdout == "1 cancelled\n"
    assert_cancelled(redis, "c1", "j1")
    service.wait_open(1)  # the transfer was broken off
    service.open("g")
    assert ended(redis, "c2")["event"] == "done"
    nothing_held(redis)
    assert not redis.client.exists("ringback:dead")


@pytest.mark.parametrize(
    "text",
    [
        '{"service":"quote","channel":"c","id":"j"}',
        '{"service":"quote","channel":"c","id" :\t"j"}',
        '{"service":"quote","channel":"c","\\u0069d":"\\u006a"}',
        '{"params":{},"id":"j","service":"quote","channel":"c"}',
        '{"service":"quote","channel":"c","params":{"a":"\\u0022id\\u0022:"},"id":"j"}',
        '{"service":"quote","channel":"c","params":{"a":"\\"id\\":"},"id":"j"}',
        '{"service":"quote","channel":"c","params":{"a":"\\u005cu0022id"},"id":"j"}',
    ],
)
def test_queued_is_never_begun(redis, service, worker, ringback, text):
    service.define("quote", "/")
    redis.push(text)
    ringback("cancel", "j", check=True)
    worker()
    assert_cancelled(redis, "c", "j")
    assert service.book()["total"] == 0
    nothing_held(redis)


def test_queued_for_the_channel_of_its_definition(redis, service, worker, ringback):
    service.define("quote", "/?n=${n}", ["n"], channel="order:${n}:${job.id}")
    redis.push({"service": "quote", "id": "j", "params": {"n": "42"}})
    ringback("cancel", "j", check=True)
    worker()
    assert_cancelled(redis, "order:42:j", "j")
    assert service.book()["total"] == 0
    assert not redis.client.exists("ringback:dead")


def test_only_the_jobs_own_id_counts(redis, service, worker, ringback):
    """What looks like it, in the parameters, is another one's."""
    service.define("quote", "/?n=${id}", ["id"])
    ringback("cancel", "j", check=True)
    worker()
    redis.push(quote("c1", id="k", params={"id": "j"}), quote("c2", params={"id": "j"}))
    assert ended(redis, "c1")["event"] == "done" and ended(redis, "c2")["event"] == "done"


def test_a_scheduled_one_ends_now(redis, service, worker, ringback):
    service.define("quote", "/")
    worker()
    later = redis.now_ms() + 3600_000
    redis.push(*(quote(f"c{n}", id=f"j{n}", run_at=later) for n in range(1200)))
    wait_until(lambda: redis.client.zcard("ringback:due") == 1200)
    ringback("cancel", "j7", "j1100", check=True)
    assert_cancelled(redis, "c7", "j7")
    assert_cancelled(redis, "c1100", "j1100")
    assert redis.client.zcard("ringback:due") == 1198
    assert service.book()["total"] == 0


def test_one_that_is_being_put_aside(redis):
    """Cancelled before it came to due: it goes to its queue, and is told there."""
    script = redis.client.register_script((SCRIPTS / "park.lua").read_text())
    keys = ["ringback:held:w", "ringback:due", "ringback:cancelled"]
    for n, id in enumerate(["j", "k"]):
        redis.client.hset(keys[0], n, f"rb1 id={id} queue=q deliveries=0 at=1\n{{}}")
    redis.client.zadd(keys[2], {"j": 1})
    for n, id in enumerate(["j", "k"]):
        script(keys, [n, redis.now_ms() + 60000, 2, 0, id, "ringback:retry:"])
    assert redis.client.lrange("ringback:retry:q", 0, -1) == [
        "rb1 id=j queue=q deliveries=0 at=1 attempts=2\n{}"]  # fmt: skip
    assert "id=k" in redis.client.zrange("ringback:due", 0, -1)[0]
    assert not redis.client.exists(keys[0])


def test_one_that_waits_for_its_retry(redis, service, worker, ringback):
    backoff = {"base": "30m", "max": "30m"}  # somewhere in it: surely after the cancel
    service.define("quote", "/?status=500", timeout={"total": "1h"},
                   retry={"max_attempts": 5, "backoff": backoff, "on": ["5xx"]})  # fmt: skip
    worker()
    redis.push(quote("c", id="j"))
    service.wait_calls(1)
    service.wait_open(0)
    ringback("cancel", "j", check=True)
    assert_cancelled(redis, "c", "j")
    assert service.book()["total"] == 1
    nothing_held(redis)


def test_the_leader_of_a_question(redis, service, worker, ringback):
    """Who asked the same goes on without it."""
    service.define("quote", "/?gate=g", cache={"ttl": "1m", "coalesce": True})
    worker()
    redis.push(quote("c1", id="j1"))
    service.wait_open(1)
    redis.push(quote("c2", id="j2"))
    wait_until(lambda: len(redis.client.hgetall(redis.client.keys("ringback:held:*")[0])) == 2)
    ringback("cancel", "j1", check=True)
    assert_cancelled(redis, "c1", "j1")
    service.open("g")
    assert ended(redis, "c2")["event"] == "done"
    nothing_held(redis)


def test_a_done_one_stays_done(redis, service, worker, ringback):
    service.define("quote", "/")
    worker()
    redis.push(quote("c", id="j"))
    assert ended(redis, "c")["event"] == "done"
    ringback("cancel", "j", check=True)
    assert ended(redis, "c")["event"] == "done"
    redis.push(quote("d", id="j"))  # the id stays cancelled
    assert_cancelled(redis, "d", "j")


def test_what_was_said_while_the_worker_was_deaf(redis, service, worker, ringback):
    service.define("quote", "/?gate=g")
    proxy = RedisProxy(redis)
    try:
        worker({"redis": {"url": proxy.url}}, lease="30s")
        redis.push(quote("c", id="j"))
        service.wait_open(1)
        proxy.mode = "refuse"
        proxy.cut()
        ringback("cancel", "j", check=True)
        proxy.mode = "forward"
        assert_cancelled(redis, "c", "j")
        service.wait_open(0)
        service.open("g")
        nothing_held(redis)
    finally:
        proxy.close()


class LateAnswers(RedisProxy):
    """Holds up what holds `text`, until it is let go."""

    def __init__(self, redis, text):
        self.text = text
        self.held, self.go, self.told = threading.Event(), threading.Event(), threading.Event()
        super().__init__(redis)

    def _forwarded(self, data, target, asked):
        if not asked and self.text in data:
            self.held.set()
            self.go.wait(10)
        target.sendall(data)
        if not asked and b"\r\nj\r\n" in data:
            self.told.set()


@pytest.mark.parametrize("crowd", [0, 200])
def test_one_whose_claim_is_answered_late(redis, service, worker, ringback, crowd):
    """The worker hears of the cancel first, and then that it has the job in hand."""
    service.define("quote", "/?gate=g")
    proxy, port = LateAnswers(redis, b'"id":"j"'), free_port()
    try:
        worker({"redis": {"url": proxy.url}}, lease="30s", metrics=f"127.0.0.1:{port}")
        redis.push('{"service":"quote","channel":"c","id":"j"}')
        assert proxy.held.wait(10)
        ringback("cancel", *(f"k{n}" for n in range(crowd)), "j", check=True)
        assert proxy.told.wait(10)
        for _ in range(3):  # turns of its loop
            assert get(f"http://127.0.0.1:{port}/metrics").status == 200
        proxy.go.set()
        assert_cancelled(redis, "c", "j")
        assert service.book()["total"] <= 1
        service.open("g")
        nothing_held(redis)
    finally:
        proxy.go.set()
        proxy.close()


def test_cancelling_while_workers_run(redis, service, worker, ringback):
    """Half of a crowd is cancelled from three sides at any moment: each has one end, and one
    that is cancelled before it was pushed is never called."""
    service.define("quote", "/?delay=0.02")
    for n in range(2):
        worker(max_in_flight=20, name=f"worker{n}")
    never = [f"n{n}" for n in range(20)]
    ringback("cancel", *never, check=True)
    redis.push(*(quote(f"c-{id}", id=id) for n in range(20) for id in (f"n{n}", f"j{n}", f"k{n}")))
    for n in range(0, 20, 5):
        ringback("cancel", *(f"k{n + i}" for i in range(5)), check=True)
    events = {id: ended(redis, f"c-{id}") for n in range(20) for id in (f"n{n}", f"j{n}", f"k{n}")}
    assert all(events[f"j{n}"]["event"] == "done" for n in range(20))
    assert all(events[id]["error"]["code"] == "cancelled" for id in never)
    assert not set(never) & set(service.book()["keys"])
    nothing_held(redis)


def test_under_blpop_what_is_in_hand(redis, service, worker, ringback):
    service.define("quote", "/?gate=g")
    worker(claim="blpop")
    redis.push(quote("c", id="j"))
    service.wait_open(1)
    ringback("cancel", "j", settings={"worker": {"claim": "blpop"}}, check=True)
    assert_cancelled(redis, "c", "j")
    service.wait_open(0)
    service.open("g")


def test_misuse(redis, ringback, service):
    assert ringback("cancel").returncode == 64
    assert ringback("cancel", "a b").returncode == 64
    redis.client.set("ringback:cancelled", "x")
    said = ringback("cancel", "j")
    assert said.returncode == 1 and "WRONGTYPE" in said.stderr


def test_by_http(redis, service, worker, notifier):
    service.define("quote", "/?gate=g")
    worker()
    front = notifier()
    job = post(front.admin + "/jobs/quote", {}).json()
    service.wait_open(1)
    assert ask(front.admin + f"/jobs/{job['id']}", "DELETE").status == 202
    assert_cancelled(redis, job["channel"], job["id"])
    service.wait_open(0)
    service.open("g")
    assert ask(front.admin + "/jobs/a%20b", "DELETE").status == 400
    assert post(front.admin + "/jobs/A", {}).status == 400
    refused = ask(front.admin + "/jobs/x", "PUT")
    assert refused.status == 405 and refused.headers["allow"] == "GET, HEAD, POST, DELETE"
    redis.client.delete("ringback:cancelled")
    redis.client.set("ringback:cancelled", "x")
    assert ask(front.admin + "/jobs/x", "DELETE").status == 503
