"""GET /status, once and live, and GET /jobs/<id>; and whom of those with a browser the admin
listener serves."""

import itertools
import json
import time

import pytest
from peers.clients import Closed, Http, Raw, ask, get, post
from peers.process import wait_until


@pytest.fixture
def ready(redis, notifier):
    def start(**members):
        started = notifier(**members)
        wait_until(lambda: get(started.admin + "/readyz").status == 200, what="readyz")
        return started

    return start


class Watch(Http):
    """GET /status as a stream: next() gives the status of each event."""

    def __init__(self, base, version="1.1"):
        super().__init__(base)
        self.send(f"GET /status HTTP/{version}\r\nHost: {self.host}\r\nAccept: text/event-stream\r\n\r\n")
        self.top = self.until(b"\r\n\r\n").decode().lower()
        self.chunked = "transfer-encoding: chunked" in self.top

    def next(self):
        if self.chunked:
            size = int(self.until(b"\r\n"), 16)
            if size == 0:
                raise Closed(b"")
            data = self.read(size + 2)[:-2]
        else:
            data = self.until(b"\n\n") + b"\n\n"
        event, text = data.decode().split("\n", 1)
        assert event == "event: status" and text.startswith("data: ") and text.endswith("\n\n")
        return json.loads(text[6:])


# ------------------------------------------------------------------ the status


def test_once(redis, service, worker, ready, ringback):
    service.define("quote", "/?delay=0.01")
    worker()
    started = ready(processes=2)
    redis.push({"service": "quote", "channel": "c"}, {"service": "none", "channel": "d"})

    def all_told():
        """The worker tells once a second; connections of the answers before may linger."""
        said = get(started.admin + "/status").json()
        counts = said["notifier"]["redis_up"], said["notifier"]["connections"]["admin"], said["dead"]
        return said if said["services"].get("quote", {}).get("calls") and counts == (2, 1, 1) else None

    told = wait_until(all_told, what="all to be told")
    assert sum(bucket["calls"] for bucket in told["services"]["quote"]["latency"]) == 1
    assert told["services"]["quote"]["latency"][-1]["le_s"] is None
    assert told["error"] is None and told["notifier"]["processes"] == 2
    assert told["notifier"]["version"] in ringback("--version").stdout
    assert ask(started.admin + "/status", "HEAD", {"Accept": "text/event-stream"}).status == 200
    # The command says the same of Redis, but for how long calls took.
    said = json.loads(ringback("status", "--json", check=True).stdout)
    del told["services"]["quote"]["latency"], told["services"]["unknown"]["latency"]
    assert said["services"] == told["services"] and said["queues"] == told["queues"]


def test_live(redis, ready):
    """Redis is asked once for all who watch, once a second, and not when nobody does."""
    started = ready(poll_timeout="2s")
    looks = lambda: redis.client.info("commandstats").get("cmdstat_time", {}).get("calls", 0)  # noqa: E731
    before, begun = looks(), time.monotonic()
    watches = [Watch(started.admin, version) for version in ("1.1", "1.0", "1.1")]
    assert "text/event-stream" in watches[0].top and not watches[1].chunked
    redis.push({"service": "x"})
    seen = []
    for watch in watches:
        told = wait_until(lambda: (s := watch.next())["queues"]["default"]["waiting"] == 1 and s)
        seen.append({told["at"], watch.next()["at"]})
        assert len(seen[-1]) == 2
    assert seen[0] & seen[1] & seen[2]  # all get the same
    for watch in watches:
        watch.close()
    admin = lambda: get(started.admin + "/metrics").text  # noqa: E731
    wait_until(lambda: 'connections{transport="admin"} 1\n' in admin(), what="them to be gone")
    now = looks()
    assert 2 <= now - before <= 4 + time.monotonic() - begun
    assert get(started.url + "/wait/nobody").status == 204  # a while later
    assert looks() == now


def test_shared(redis, ready):
    """Those who ask while Redis is asked get what it says then."""
    started = ready()
    looks = lambda: redis.client.info("commandstats")["cmdstat_time"]["calls"]  # noqa: E731
    get(started.admin + "/status")
    before = looks()
    asked = lambda: int(get(started.admin + "/metrics").text.split("\nringback_notifier_requests_total ")[1].split()[0])  # noqa: E731
    count, own = asked(), itertools.count(1)
    redis.pause()
    askers = [Http(started.admin) for _ in range(20)]
    for asker in askers:
        asker.request("GET", "/status")
    wait_until(lambda: asked() - next(own) >= count + 20, what="all of them to have asked")
    redis.resume()
    assert len({asker.response().json()["at"] for asker in askers}) == 1
    assert looks() == before + 1


def test_without_redis(redis, ready):
    started = ready()
    watch = Watch(started.admin)
    assert watch.next()["error"] is None
    redis.stop()
    told = wait_until(lambda: (s := watch.next())["error"] and s)
    assert "queues" not in told and told["notifier"]["connections"]["admin"] == 1
    assert get(started.admin + "/status").json()["notifier"]["ready"] is False
    redis.start()
    wait_until(lambda: watch.next().get("queues"), what="Redis to be back")
    started.terminate()  # says that the stream has ended
    with pytest.raises(Closed):
        for _ in range(9):
            watch.next()
    assert watch.rest() == b"\r\n"


def test_without_a_lease(redis, worker, ready):
    settings = {"worker": {"claim": "blpop"}}
    worker(settings)
    told = get(ready(settings=settings).admin + "/status").json()
    assert told["notifier"]["claim"] == "blpop" and told["workers"] == [] and told["services"] == {}


def test_bounded(redis, ready):
    started = ready()
    watches = [Watch(started.admin) for _ in range(64)]
    answer = get(started.admin + "/status", {"Accept": "text/event-stream"})
    assert answer.status == 503 and answer.headers["retry-after"] == "5"
    assert started.wait_line("admin.refused", why="watchers")
    assert 'refused_total{reason="admin"} 1\n' in get(started.admin + "/metrics").text
    assert get(started.admin + "/status").status == 200
    watches.pop().close()
    wait_until(lambda: Watch(started.admin).top.startswith("http/1.1 200"), what="room for another")


# ------------------------------------------------------------------ one job


def life(base, id, query=""):
    answer = get(f"{base}/jobs/{id}{query}")
    return answer.json() if answer.status == 200 else answer.status


def test_where_a_job_is(redis, service, worker, ready):
    settings = {"worker": {"queues": ["default", "slow"]}}
    base = ready(settings=settings).admin
    now = redis.now_ms()
    job = {"service": "held", "channel": "c", "at": now - 5000}
    redis.push(*({"service": "x", "id": f"x{n}"} for n in range(100)), {**job, "id": "waits"}, queue="slow")
    told = life(base, "waits")
    assert (told["place"], told["queue"], told["position"]) == ("queue", "slow", 100)
    assert told["service"] == "held" and told["channel"] == "c" and told["asked_at"] == now - 5000
    assert told["claimed_at"] is None and told["events"] == [] and told["complete"] is True
    text = json.dumps({**job, "id": "back"})
    redis.client.rpush("ringback:retry:default", f"rb1 id=w-7 queue=default deliveries=2 attempts=1 at={now}\n{text}")
    redis.client.zadd("ringback:due", {f"rb1 id=w-8 queue=slow deliveries=0 at={now}\n{text}".replace("back", "later"): now + 60000})
    redis.client.zadd("ringback:dead", {f"rb1 id=w-9 queue=slow deliveries=3 at={now} reason=poisoned\n{text}".replace("back", "gone"): now})
    for id in ("back", "w-7"):
        told = life(base, id)
        assert (told["place"], told["position"], told["deliveries"], told["attempts"]) == ("retry", 0, 2, 1)
    told = life(base, "later")
    assert (told["place"], told["queue"], told["due_at"]) == ("due", "slow", now + 60000)
    told = life(base, "gone")
    assert told["place"] == "dead" and told["dead"]["reason"] == "poisoned" and told["dead"]["died"] == now
    assert life(base, "nowhere") == 404 and life(base, "n%20") == 400 and life(base, "x", "?channel=%20") == 400


def test_the_life_of_a_job(redis, service, worker, ready):
    service.define("quote", "/?gate=${n}&size=5000", ["n"], progress=["started"])
    worker()
    started = ready(receipts=True)
    redis.push({"service": "quote", "id": "j1", "channel": "c", "params": {"n": "a"}, "at": redis.now_ms()})
    service.wait_open(1)
    told = wait_until(lambda: (t := life(started.admin, "j1"))["events"] and t)
    assert told["place"] == "held" and told["worker"] and told["lease_ms"] > 0
    assert told["asked_at"] <= told["claimed_at"] <= told["now"]
    assert [e["event"] for e in told["events"]] == ["started"] and told["ended"] is None
    service.open("a")
    wait_until(lambda: redis.terminal("c"))
    for n in range(60):  # of others, on the same channel
        redis.publish("c", {"channel": "c", "event": "note", "n": n})
    get(started.url + "/wait/c?until=done")
    told = wait_until(lambda: (t := life(started.admin, "j1", "?channel=c"))["delivered_at"]
                      and t["place"] == "ended" and t)  # fmt: skip
    assert told["worker"] is None and told["channel"] == "c"
    assert [e["event"] for e in told["events"]] == ["started", "done"]
    assert told["ended"] == told["events"][1]["id"] and "data" not in told["events"][1]
    assert life(started.admin, "j1") == 404  # whose channel was it? Nobody says it now
    post(started.admin + "/jobs/quote", {"n": "a"}, {"Prefer": "wait=10"})
    redis.client.zadd("ringback:cancelled", {"j2": redis.now_ms()})
    assert life(started.admin, "j2")["cancelled_at"]


def test_a_job_that_post_made(redis, service, worker, ready):
    service.define("quote", "/")
    worker()
    base = ready().admin
    id = post(base + "/jobs/quote", {}).json()["id"]
    told = wait_until(lambda: (t := life(base, id)) and t != 404 and t["ended"] and t)
    assert told["channel"] == f"job:{id}" and told["events"][-1]["event"] == "done"


def test_looking_is_bounded(redis, ready):
    base = ready().admin
    redis.push(*({"service": "x", "id": f"x{n}"} for n in range(6000)))
    told = life(base, "x4000")
    assert told["place"] == "queue" and told["position"] == 4000
    for n in (15, 16, 17, 47, 48, 49, 239, 240, 495, 496, 497):  # around the ends of pages
        assert life(base, f"x{n}")["position"] == n
    assert life(base, "x5999") == 404
    assert "not all places" in get(base + "/jobs/x5999").json()["detail"]


# ------------------------------------------------------------------ browsers


def paused(redis):
    return redis.client.smembers("ringback:paused")


def test_pages_of_others_do_nothing(redis, ready):
    started = ready()
    own = started.admin
    site = "Sec-Fetch-Site"
    for headers in ({"Origin": "https://evil.example", site: "cross-site"}, {"Origin": "null", site: "cross-site"},
                    {site: "cross-site"}, {site: "same-origin"}, {site: "same-site", "Origin": own},
                    {"Origin": own.replace("127.0.0.1", "localhost"), site: "same-site"},
                    {"Origin": own.replace("http:", "ftp:")}):  # fmt: skip
        answer = ask(own + "/paused/default", "POST", headers)
        assert answer.status == 403 and "access-control-allow-origin" not in answer.headers, headers
    assert paused(redis) == set()
    assert started.wait_line("admin.refused", why="browser", origin="https://evil.example")
    assert ask(own + "/paused/default", "POST", {"Origin": own, site: "same-origin"}).status == 204
    assert ask(own + "/paused/default", "DELETE", {}).status == 204  # a program's
    for headers, status in (({site: "cross-site"}, 403), ({site: "same-origin"}, 200), ({site: "none"}, 200)):
        assert get(own + "/status", headers).status == status
    link = {site: "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert get(own + "/", link).status == 200 and get(own + "/metrics", link).status == 403


@pytest.mark.parametrize("hosts", [[], ["ops.example.com"]])
def test_a_name_of_others_leads_here(redis, ready, hosts):
    """DNS rebinding: the page is of the same origin, but its name is nobody's of ours."""
    started = ready(admin_hosts=hosts)

    def status(host, *fields):
        with Raw(started.admin) as raw:
            raw.send("\r\n".join(["GET /status HTTP/1.1", f"Host: {host}", *fields, "Connection: close", "", ""]))
            return int(raw.rest().split()[1])

    for host in ("evil.example", f"evil.example:{started.admin_port}", "127.0.0.1.evil.example"):
        for mark in ("Accept-Language: en", "Sec-Fetch-Site: same-origin", f"Origin: http://{host}"):
            assert status(host, mark) == 403
        assert status(host) == 200  # a program, under a name of its network
    assert status("ops.example.com", "Accept-Language: en") == (200 if hosts else 403)
    assert status("localhost", "Accept-Language: en") == 200
