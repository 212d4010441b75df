"""Who waits, jobs that end since nobody does, and receipts: over two notifiers with two
processes each."""

import json
import socket
from pathlib import Path

import pytest
from peers.clients import Http, Sse, Stream, WebSocket, get, poll, post
from peers.process import free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
ALONE = {"code": "cancelled", "message": "nobody waited for the result any more"}


@pytest.fixture
def two(redis, notifier):
    """Two notifiers that have found their Redis."""

    def start(**members):
        members = {"processes": 2, "receipts": True, **members}
        started = [notifier(name=f"notifier{n}", **members) for n in range(2)]
        for each in started:
            wait_until(lambda: get(each.admin + "/readyz").status == 200, what="readyz")
        return started

    return start


def metric(admin, name):
    text = get(admin + "/metrics").text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


def waiters(daemon, channel):
    return get(f"{daemon.admin}/channels/{channel}").json()["waiters"]


def quote(channel, **more):
    return {"service": "quote", "channel": channel, **more}


def ended(redis, channel, timeout=20):
    events = wait_until(lambda: redis.terminal(channel), timeout, f"the end of {channel}")
    assert len(events) == 1
    return events[0]


def assert_alone(redis, channel, job):
    event = ended(redis, channel)
    assert event["event"] == "failed" and event["job"] == job and event["error"] == ALONE


def looks(redis):
    stats = redis.client.info("commandstats")
    return stats.get("cmdstat_pubsub|numsub", {}).get("calls", 0)


def wait_looks(redis, count):
    """So many looks more at who waits: each worker takes one a second at most."""
    until = looks(redis) + count
    wait_until(lambda: looks(redis) >= until, 20, f"{count} looks")


class Subscriber:
    """An app that has subscribed by itself counts as one who waits; unlike a notifier it is
    gone at once."""

    def __init__(self, redis, channel):
        self.listener, self.channel = redis.client.pubsub(), f"ringback:ch:{{{channel}}}"
        self.come()

    def _says(self, kind):
        wait_until(lambda: (self.listener.get_message(timeout=1) or {}).get("type") == kind)

    def come(self):
        self.listener.subscribe(self.channel)
        self._says("subscribe")

    def go(self):
        self.listener.unsubscribe(self.channel)
        self._says("unsubscribe")


# ------------------------------------------------------------------ who waits


def test_waiters_are_told_when_a_job_is_posted(redis, two):
    started = two()
    url = "/jobs/quote?channel=c1"
    assert post(started[0].admin + url, "").json()["waiters"] == 0
    clients = []
    for n, each in enumerate(started * 4):
        kind = (WebSocket, Sse, Stream)[n % 3]
        clients.append(kind(each.url, "c1"))
    poller = Http(started[1].url)
    poller.request("GET", "/wait/c1,c2")
    for each in started:
        wait_until(lambda: waiters(each, "c1") == 9, what="nine to wait")
        assert post(each.admin + url, "").json()["waiters"] == 9
        assert waiters(each, "c2") == 1
        assert post(each.admin + "/jobs/quote?channel=c2", "").json()["waiters"] == 1
        assert post(each.admin + "/jobs/quote", "").json()["waiters"] == 0
    for client in [*clients, poller]:
        client.close()
    for each in started:
        wait_until(lambda: post(each.admin + url, "").json()["waiters"] == 0, what="none to wait")


def test_who_asks_for_the_result_is_none_of_them(redis, two):
    started = two()
    prefer = {"Prefer": "wait=1", "Content-Type": "application/json"}
    answer = post(started[0].admin + "/jobs/quote?channel=c", "{}", prefer)
    assert answer.status == 202 and answer.json()["waiters"] == 0
    with Sse(started[1].url, "c"):
        wait_until(lambda: waiters(started[1], "c") == 1)
        answer = post(started[0].admin + "/jobs/quote?channel=c", "{}", prefer)
        assert answer.status == 202 and answer.json()["waiters"] == 1


# ------------------------------------------------------------------ jobs left alone


@pytest.mark.parametrize("claim", ["lease", "blpop"])
def test_one_in_flight_is_broken_off(redis, service, worker, claim):
    service.define("quote", "/?gate=g", cancel_when_alone={"grace": "1s"})
    redis.push(quote("c", id="j"))  # queued before there is a worker
    port = free_port()
    started = worker(claim=claim, metrics=f"127.0.0.1:{port}")
    service.wait_open(1)
    assert_alone(redis, "c", "j")
    name = "ringback_worker_alone_cancelled_total"
    wait_until(lambda: metric(f"http://127.0.0.1:{port}", name) == 1)
    service.wait_open(0)
    started.process.wait_line("job.alone")
    wait_until(lambda: not redis.client.keys("ringback:held:*"), what="it to be settled")
    assert not redis.client.exists("ringback:dead")


def test_one_that_waits_for_its_retry_or_its_turn(redis, service, worker):
    service.define("quote", "/?status=500", cancel_when_alone={"grace": "1s"},
                   timeout={"total": "1h"}, retry={"max_attempts": 100, "on": ["5xx"],
                   "backoff": {"base": "20s", "max": "20s"}})  # fmt: skip
    service.define("full", "/?gate=g", cancel_when_alone={"grace": "1s"}, concurrency=1)
    company = Subscriber(redis, "heard")
    worker(lease="1m")
    redis.push(quote("heard", id="j1") | {"service": "full"})
    service.wait_open(1)
    redis.push(quote("turn", id="j2") | {"service": "full"}, quote("retry", id="j3"))
    assert_alone(redis, "turn", "j2")
    assert_alone(redis, "retry", "j3")
    assert service.book()["open"] == 1
    service.open("g")
    assert ended(redis, "heard")["event"] == "done"
    company.go()


def test_several_calls_are_broken_off(redis, service, worker):
    calls = {name: {"request": {"url": f"{service.url}/{name}?gate=g"}} for name in "ab"}
    service.write("quote", json.dumps({"service": "quote", "calls": calls,
                                       "cancel_when_alone": {"grace": "1s"}}))  # fmt: skip
    worker()
    redis.push(quote("c", id="j"))
    service.wait_open(2)
    assert_alone(redis, "c", "j")
    service.wait_open(0)


def test_who_asked_the_same_goes_on(redis, service, worker):
    service.define("quote", "/?gate=g", cache={"ttl": "1m", "coalesce": True},
                   cancel_when_alone={"grace": "2s"})  # fmt: skip
    company = Subscriber(redis, "c2")
    worker()
    redis.push(quote("c1", id="j1"))
    service.wait_open(1)
    redis.push(quote("c2", id="j2"))
    assert_alone(redis, "c1", "j1")
    service.open("g")
    assert ended(redis, "c2")["event"] == "done"
    company.go()


def test_who_comes_back_in_time_keeps_it(redis, service, worker):
    service.define("quote", "/?gate=g", cancel_when_alone={"grace": "4s"})
    company = Subscriber(redis, "c")
    worker()
    redis.push(quote("c", id="j"), {"service": "quote"})
    service.wait_open(2)
    for _ in range(3):  # longer than the grace, all in all
        company.go()
        wait_looks(redis, 1)
        company.come()
        wait_looks(redis, 1)
    assert not redis.terminal("c")
    company.go()
    assert_alone(redis, "c", "j")
    service.wait_open(1)  # who has no channel is never alone
    service.open("g")


def test_clients_of_a_notifier_keep_it(redis, service, worker, two):
    """A poll client is gone between two polls; a channel stays subscribed for longer."""
    service.define("quote", "/?gate=g", cancel_when_alone={"grace": "1s"})
    started = two(poll_timeout="1s")
    worker()
    with WebSocket(started[0].url, "socket") as client:
        redis.push(quote("socket", id="j1"), quote("poll", id="j2"), quote("left", id="j3"))
        Sse(started[1].url, "left").close()
        service.wait_open(3)

        def left():
            assert poll(started[1].url, "poll").status == 204
            return redis.terminal("left")

        wait_until(left, 30, "the end of left")
        assert_alone(redis, "left", "j3")
        service.open("g")
        assert client.event()["event"] == "done"
    assert ended(redis, "poll")["event"] == "done"


def test_looks_that_fail_end_nothing(redis, service, worker):
    service.define("quote", "/?gate=g", cancel_when_alone={"grace": "2s"})
    started = worker()
    redis.client.execute_command("ACL", "SETUSER", "default", "-pubsub|numsub")
    redis.push(quote("c", id="j"))
    service.wait_open(1)
    wait_until(lambda: started.process.log.count("what=numsub") >= 4, 20, "four looks to fail")
    assert not redis.terminal("c")
    redis.client.execute_command("ACL", "SETUSER", "default", "+pubsub|numsub")
    assert_alone(redis, "c", "j")


def test_it_is_explained_and_checked(service, ringback):
    service.define("quote", "/", cancel_when_alone={"grace": "90s"})
    said = ringback("check", check=True).stdout
    assert "nobody has waited on for 1.5m is cancelled" in said
    service.define("quote", "/", cancel_when_alone={"grace": "0s"})
    said = ringback("check")
    assert said.returncode == 78 and ":8:12: expected a duration from 1s to 1d" in said.stderr


# ------------------------------------------------------------------ receipts


def receipts(daemon, channel):
    return get(f"{daemon.admin}/channels/{channel}").json()["receipts"]


def delivered(daemon, channel):
    """When each job's end was first written, by job."""
    return {row["job"]: row["delivered_at"] for row in receipts(daemon, channel)}


def wait_delivered(daemon, channel, job):
    return wait_until(lambda: delivered(daemon, channel).get(job), what=f"a receipt of {job}")


def end_job(redis, channel, job, data="1"):
    """What a worker writes of a job that is done (jobs/scripts/publish.lua)."""
    key = f"ringback:ch:{{{channel}}}"
    event = (f'{{"channel":"{channel}","event":"done","job":"{job}","service":"quote",'
             f'"at":1,"data":{data}}}')  # fmt: skip
    last = redis.client.hget(key + ":meta", "last") or "0-0"
    entry = redis.client.xadd(key, {"e": event, "p": last})
    marks = {"last": entry, "terminal": entry, f"t:{job}": entry}
    redis.client.hset(key + ":meta", mapping=marks)
    redis.client.publish(key, f"{last} {entry} {event}")
    return entry


@pytest.mark.parametrize("kind", ["websocket", "sse", "stream", "poll"])
def test_a_receipt_by_each_transport(redis, service, worker, two, kind):
    service.define("quote", "/?gate=g")
    started = two()
    worker()
    if kind == "poll":
        client = Http(started[0].url)
        client.request("GET", "/wait/c?until=done")
    else:
        client = {"websocket": WebSocket, "sse": Sse, "stream": Stream}[kind](started[0].url, "c")
    wait_until(lambda: waiters(started[0], "c") == 1)
    before = redis.now_ms()
    redis.push(quote("c", id="j"))
    service.wait_open(1)
    assert receipts(started[1], "c") == []
    service.open("g")
    event = client.response().json()["events"][0] if kind == "poll" else client.event()
    assert event["event"] == "done"
    at = wait_delivered(started[1], "c", "j")
    assert before <= at <= redis.now_ms()
    shown = receipts(started[1], "c")
    assert shown == [{"job": "j", "event": event["id"], "delivered_at": at}]
    name = "ringback_notifier_terminal_written_total"
    wait_until(lambda: metric(started[0].admin, name) == 1)
    assert metric(started[1].admin, name) == 0
    client.close()


def test_who_comes_late_counts_and_only_the_first(redis, two):
    started = two()
    ids = [end_job(redis, "c", f"j{n}") for n in range(3)]
    assert delivered(started[0], "c") == {"j0": None, "j1": None, "j2": None}
    assert [row["event"] for row in receipts(started[0], "c")] == ids[::-1]
    assert len(poll(started[1].url, "c", since=ids[0]).json()["events"]) == 2
    first = wait_delivered(started[0], "c", "j2")
    assert wait_delivered(started[0], "c", "j1") and delivered(started[0], "c")["j0"] is None
    for each in started:
        for kind in (Sse, WebSocket, Stream):
            with kind(each.url, "c") as client:
                assert [client.event()["job"] for _ in range(3)] == ["j0", "j1", "j2"]
    wait_delivered(started[0], "c", "j0")
    assert delivered(started[0], "c")["j2"] == first


def test_events_of_no_job_have_none(redis, two):
    started = two()
    with WebSocket(started[0].url, "c") as client:
        post(started[0].admin + "/publish/c?event=done", {"a": 1})
        assert client.event()["event"] == "done"
        end_job(redis, "c", "j")
        assert client.event()["job"] == "j"
        assert wait_delivered(started[0], "c", "j")
        assert list(delivered(started[0], "c")) == ["j"]


def narrow(url, target):
    """A client that will not take much: its kernel holds little for it."""
    connection = Http.__new__(Http)
    connection.__dict__.update(Http(url).__dict__)
    connection.socket.close()
    connection.socket = socket.socket()
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.socket.settimeout(20)
    host, port = url.removeprefix("http://").split(":")
    connection.socket.connect((host, int(port)))
    connection.request("GET", target)
    return connection


def test_who_never_reads_makes_none(redis, two):
    started = two()
    client = narrow(started[0].url, "/wait/c?mode=stream")
    wait_until(lambda: waiters(started[0], "c") == 1)
    end_job(redis, "c", "j", data=json.dumps("x" * 12_000_000))
    delivered_total = 'ringback_notifier_delivered_total{transport="stream"}'
    wait_until(lambda: metric(started[0].admin, delivered_total) == 1)
    assert delivered(started[0], "c") == {"j": None}
    client.close()
    unwritten = "ringback_notifier_terminal_unwritten_total"
    wait_until(lambda: metric(started[0].admin, unwritten) == 1)
    assert delivered(started[0], "c") == {"j": None}
    with Stream(started[1].url, "c") as reader:
        assert reader.event()["job"] == "j"
        assert wait_delivered(started[0], "c", "j")


def test_off(redis, two):
    started = two(receipts=False)
    with WebSocket(started[0].url, "c") as client:
        end_job(redis, "c", "j")
        assert client.event()["job"] == "j"
    assert receipts(started[0], "c") is None
    assert redis.client.hget("ringback:ch:{c}:meta", "r:j") is None
    name = "ringback_notifier_terminal_written_total"
    wait_until(lambda: metric(started[0].admin, name) == 1)


def test_a_channel_that_was_swept_stays_so(redis, two):
    """No key comes to life by a receipt."""
    started = two()
    with WebSocket(started[0].url, "c") as client:
        wait_until(lambda: waiters(started[0], "c") == 1)
        key = "ringback:ch:{c}"
        event = '{"channel":"c","event":"done","job":"j","at":1,"data":1}'
        redis.client.publish(key, f"0-0 5-0 {event}")
        assert client.event()["job"] == "j"
        name = "ringback_notifier_terminal_written_total"
        wait_until(lambda: metric(started[0].admin, name) == 1)
        assert post(started[0].admin + "/publish/other", 1).status == 200
        assert not redis.client.exists(key + ":meta")


def test_the_ends_without_waiters_are_counted(redis, two):
    started = two()
    with WebSocket(started[0].url, "c"):
        wait_until(lambda: waiters(started[0], "c") == 1)
    wait_until(lambda: waiters(started[0], "c") == 0)
    end_job(redis, "c", "j")
    name = "ringback_notifier_terminal_without_waiter_total"
    wait_until(lambda: metric(started[0].admin, name) == 1)
    assert metric(started[1].admin, name) == 0


@pytest.mark.parametrize("burst", [1, 2, 8])
@pytest.mark.parametrize("odd", [False, True])
def test_a_channel_that_never_rests_keeps_no_old_ones(redis, burst, odd):
    """The script of the workers sweeps receipts with their markers, in whatever steps the
    two come."""
    publish = redis.client.register_script((ROOT / "jobs/scripts/publish.lua").read_text())
    receipt = redis.client.register_script((ROOT / "jobs/scripts/receipt.lua").read_text())
    key, meta = "ringback:ch:{c}", "ringback:ch:{c}:meta"
    old = {f"{kind}:old{n}": at for n in range(900) for kind, at in (("t", "1-0"), ("r", "1"))}
    now = redis.now_ms()
    redis.client.hset(meta, mapping={**old, "t:new": f"{now}-0", "r:new": str(now)})
    if odd:
        redis.client.hset(meta, "t:newer", f"{now}-1")
    for n in range(0, 304, burst):
        jobs = [f"j{n + i}" for i in range(burst)]
        for job in jobs:
            event = f'{{"channel":"c","event":"done","job":"{job}","at":1,"data":1}}'
            publish([key, meta], [event, job, "1", "10", "60000", "660000"])
        for job in jobs:
            assert receipt([meta], [job]) == 1
    left = redis.client.hgetall(meta)
    for kind in ("t:old", "r:old"):
        assert len([field for field in left if field.startswith(kind)]) < 750
    assert left["r:new"] == str(now) and "t:j0" in left
