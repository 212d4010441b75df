"""The admin listener: jobs and events by HTTP, channels, health, and who waits where."""

import json
import re

import pytest
from peers.clients import Http, Sse, WebSocket, ask, get, poll, post
from peers.process import wait_until


@pytest.fixture
def ready(redis, notifier):
    """A notifier that has found its Redis."""

    def start(**members):
        started = notifier(**members)
        wait_until(lambda: get(started.admin + "/readyz").status == 200, what="readyz")
        return started

    return start


@pytest.fixture
def quotes(redis, service, worker):
    service.define("quote", "/v1/${symbol}", {"symbol": {"type": "string", "required": True}})
    return worker()


def problem(answer, status):
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status and told["title"] and told["type"] == "about:blank"
    return told["detail"]


def prefer(text):
    return {"Prefer": text, "Content-Type": "application/json"}


# ------------------------------------------------------------------ jobs


def test_a_job_is_accepted_and_done(redis, quotes, ready):
    started = ready()
    answer = post(started.admin + "/jobs/quote?channel=page:1", {"symbol": "NOVA"})
    assert answer.status == 202, answer
    job = answer.json()
    assert set(job) == {"id", "channel", "wait", "waiters"} and job["waiters"] == 0
    assert job["channel"] == "page:1" and job["wait"] == "/wait/page:1?until=done"
    assert answer.headers["location"] == job["wait"]
    assert answer.headers["cache-control"] == "no-store"
    with WebSocket(started.url, path=job["wait"]) as client:
        event = client.event()
        assert event["event"] == "done" and event["job"] == job["id"]


def test_without_a_channel_it_gets_one_of_its_own(redis, quotes, ready):
    started = ready()
    jobs = [post(started.admin + "/jobs/quote", {"symbol": "NOVA"}).json() for _ in range(3)]
    assert len({job["channel"] for job in jobs}) == 3
    for job in jobs:
        events = get(started.url + job["wait"]).json()["events"]
        assert [event["job"] for event in events] == [job["id"]]


def test_what_is_pushed(redis, ready):
    started = ready()
    body = '{"price": 1.10, "big": 12345678901234567890123e-5, "n": {"b": [1, 2.0]}}'
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = ask(started.admin + "/jobs/quote?queue=slow", "POST", {"traceparent": trace}, body)
    assert answer.status == 202
    raw = redis.client.lpop("ringback:queue:slow")
    assert f'"params":{body}' in raw
    job = json.loads(raw)
    assert job["service"] == "quote" and job["id"] == answer.json()["id"]
    assert re.fullmatch("[0-9a-f]{32}", job["id"]) and job["channel"] == f"job:{job['id']}"
    assert job["trace"] == trace and job["at"] > 1_600_000_000_000
    # A traceparent that is none is ignored, an empty body is no parameters.
    ask(started.admin + "/jobs/quote", "POST", {"traceparent": "nonsense"})
    job = json.loads(redis.client.lpop("ringback:queue:default"))
    assert "trace" not in job and job["params"] == {}


def test_prefer_wait(redis, quotes, service, ready):
    started = ready()
    answer = post(started.admin + "/jobs/quote", {"symbol": "NOVA"}, prefer("wait=10"))
    assert answer.status == 200, answer
    assert answer.headers["preference-applied"] == "wait=10"
    event = answer.json()
    assert event["event"] == "done" and event["id"] and event["channel"] == f"job:{event['job']}"
    failed = post(started.admin + "/jobs/quote", {"symbol": 7}, prefer("wait=10"))
    assert failed.status == 200 and failed.json()["error"]["code"] == "invalid_params"
    # Others' results on the same channel are not its own.
    url = started.admin + "/jobs/quote?channel=shared"
    for symbol in ("A", "B", "C"):
        answer = post(url, {"symbol": symbol}, prefer("respond-async, wait=10"))
        assert answer.status == 200 and answer.headers["preference-applied"] == "wait=10"
    ids = [event["job"] for event in redis.terminal("shared")]
    assert len(set(ids)) == 3 and answer.json()["job"] == ids[-1]


def test_prefer_wait_in_vain(redis, ready):
    started = ready()
    answer = post(started.admin + "/jobs/quote", {}, prefer("wait=1"), timeout=5)
    assert answer.status == 202 and answer.headers["preference-applied"] == "wait=1"
    answer = post(started.admin + "/jobs/quote", {}, prefer("respond-async"))
    assert answer.status == 202 and answer.headers["preference-applied"] == "respond-async"
    for none in ("wait=0", "wait=x", "wait", "handling=strict", "wait=-1"):
        answer = post(started.admin + "/jobs/quote", {}, prefer(none))
        assert answer.status == 202 and "preference-applied" not in answer.headers, none


def test_a_client_that_does_not_wait_for_the_end(redis, service, worker, ready):
    service.define("quote", "/v1/x?gate=g", [])
    worker()
    started = ready()
    client = Http(started.admin)
    client.request("POST", "/jobs/quote?channel=left", {"Prefer": "wait=30"}, "{}")
    service.wait_open(1)
    client.reset()
    service.open("g")
    wait_until(lambda: redis.terminal("left"), what="the job all the same")
    wait_until(lambda: get(started.admin + "/channels/left").json()["waiters"] == 0,
               what="nobody to wait")  # fmt: skip


def test_a_notifier_that_ends_does_not_keep_them_waiting(redis, ready):
    started = ready(drain_timeout="60s")
    with Http(started.admin) as client:
        client.request("POST", "/jobs/quote?channel=c", {"Prefer": "wait=30"}, "{}")
        wait_until(lambda: get(started.admin + "/channels/c").json()["waiters"] == 1)
        started.terminate()
        answer = client.response()
        assert answer.status == 202 and answer.json()["channel"] == "c"
        assert answer.headers["connection"] == "close"
    assert started.wait() == 0


@pytest.mark.parametrize("path,body,status", [
    ("/jobs/quote", "[]", 400), ("/jobs/quote", "x", 400), ("/jobs/quote", "{", 400),
    ("/jobs/quote", "{} {}", 400), ("/jobs/quote", '{"a":1,"a":2}', 400), ("/jobs/quote", "null", 400),
    ("/jobs/quote", b'{"a":"\xff"}', 400), ("/jobs/Quote", "{}", 400), ("/jobs/%00", "{}", 400),
    ("/jobs/a%2fb", "{}", 400), ("/jobs/", "{}", 404), ("/jobs", "{}", 404), ("/jobs/a/b", "{}", 404),
    ("/jobs/quote?channel=a%20b", "{}", 400), ("/jobs/quote?channel=", "{}", 400),
    ("/jobs/quote?queue=a/b", "{}", 400), ("/jobs/quote", '{"a":"' + "x" * 1048570 + '"}', 413),
], ids=range(17))  # fmt: skip
def test_wrong_jobs(redis, ready, path, body, status):
    assert problem(ask(ready().admin + path, "POST", None, body), status)
    assert redis.client.keys("ringback:queue:*") == []


# ------------------------------------------------------------------ publish


@pytest.mark.parametrize("kind,body,data", [
    ("application/json", b'{"a": 1.10}', {"a": 1.1}), ("application/json; charset=utf-8", b"[]", []),
    ("application/vnd.x+json", b"7", 7), ("text/plain", b"hello", "hello"), (None, b"{}", "{}"),
    ("application/x-www-form-urlencoded", b"a=b", "a=b"), ("text/plain", "é\n".encode(), "é\n"),
    ("application/json", b"", None), (None, b"", None),
])  # fmt: skip
def test_published_data(redis, ready, kind, body, data):
    started = ready()
    with Sse(started.url, "news") as client:
        wait_until(lambda: get(started.admin + "/channels/news").json()["waiters"] == 1)
        answer = ask(started.admin + "/publish/news?event=flash", "POST",
                     {"Content-Type": kind} if kind else None, body)  # fmt: skip
        assert answer.status == 200 and set(answer.json()) == {"id", "channel"}
        id, name, text = client.next()
        assert (id, name) == (answer.json()["id"], "flash")
        event = json.loads(text)
        assert event["data"] == data and event["event"] == "flash" and event["channel"] == "news"
        assert event["id"] == id and isinstance(event["at"], int)


def test_numbers_keep_their_digits(redis, ready):
    started = ready()
    post(started.admin + "/publish/c", b'{"a": 1.10, "b": 123456789012345678901234567890}',
         {"Content-Type": "application/json"})  # fmt: skip
    assert b'"data":{"a": 1.10, "b": 123456789012345678901234567890}' in poll(started.url, "c").body


def test_a_published_done_ends_a_wait(redis, ready):
    started = ready()
    post(started.admin + "/publish/c?event=done", {"ok": True})
    answer = get(started.url + "/wait/c?until=done")
    assert [event["event"] for event in answer.json()["events"]] == ["done"]
    assert get(f"{started.url}/wait/c?until=done&since={answer.json()['cursor']}").status == 204


@pytest.mark.parametrize("path,kind,body,status", [
    ("/publish/c", "application/json", "{", 400), ("/publish/c", "application/json", "{} 1", 400),
    ("/publish/c", "text/plain", b"\xff", 400), ("/publish/a%20b", "text/plain", "x", 400),
    ("/publish/c?event=a%20b", "text/plain", "x", 400), ("/publish/c?event=", "text/plain", "x", 400),
    ("/publish/c?event=gap", "text/plain", "x", 400), ("/publish/", "text/plain", "x", 404),
    ("/publish/" + "c" * 129, "text/plain", "x", 400), ("/publish/c", "text/plain", b"x" * 1048577, 413),
], ids=range(10))  # fmt: skip
def test_wrong_publications(redis, ready, path, kind, body, status):
    started = ready()
    assert problem(ask(started.admin + path, "POST", {"Content-Type": kind}, body), status)
    assert redis.client.keys("ringback:ch:*") == []


# ------------------------------------------------------------------ channels


def test_a_channel_is_shown_and_forgotten(redis, ready):
    started = ready()
    url = started.admin + "/channels/c"
    assert get(url).json() == {"channel": "c", "last": None, "last_id": None, "count": 0,
                               "waiters": 0, "complete": True, "receipts": None}  # fmt: skip
    post(started.admin + "/publish/c", 1)
    last = post(started.admin + "/publish/c", 2).json()["id"]
    shown = get(url).json()
    assert shown["count"] == 2 and shown["last_id"] == last
    assert shown["last"]["id"] == last and shown["last"]["data"] == 2
    answer = ask(url, "DELETE")
    assert answer.status == 204 and answer.body == b""
    shown = get(url).json()
    assert shown["count"] == 0 and shown["last"] is None
    assert problem(get(started.admin + "/channels/a%20b"), 400)


def test_waiters_of_all_processes_and_notifiers_are_counted(redis, ready):
    several = ready(processes=3)
    other = ready(name="other")
    clients = [WebSocket(several.url, "c1,c2") for _ in range(12)] + [Sse(other.url, "c1")]
    for admin in (several.admin, other.admin):
        for channel, count in (("c1", 13), ("c2", 12), ("c3", 0)):
            wait_until(lambda: (lambda told: told["waiters"] == count and told["complete"])(
                get(f"{admin}/channels/{channel}").json()), what=f"{count} on {channel}")  # fmt: skip
    for client in clients:
        client.close()
    wait_until(lambda: get(several.admin + "/channels/c1").json()["waiters"] == 0)


def test_a_process_that_does_not_answer_is_not_waited_for(redis, ready):
    started = ready()
    listener = redis.client.pubsub()
    listener.subscribe("ringback:ch:notifiers")
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    shown = get(started.admin + "/channels/c").json()
    assert shown["complete"] is False and shown["waiters"] == 0
    for nonsense in ("", "x", "a b c", "a 1 b c", f"{'a' * 300} 1 c", "a -1 c", "a 1 c,d"):
        redis.client.publish("ringback:ch:notifiers", nonsense)
    assert get(started.admin + "/healthz").status == 200
    listener.close()


# ------------------------------------------------------------------ health


def test_health(redis, ready):
    started = ready()
    assert get(started.admin + "/healthz").json() == {"status": "ok"}
    assert get(started.admin + "/readyz").json() == {"status": "ready"}
    metrics = get(started.admin + "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "\n# TYPE ringback_notifier_" in metrics.text
    assert problem(get(started.admin + "/nothing"), 404)
    assert get(started.admin + "/").headers["content-type"].startswith("text/html")


def test_without_redis(redis, ready):
    started = ready()
    redis.stop()
    answer = wait_until(lambda: (lambda a: a.status == 503 and a)(get(started.admin + "/readyz")))
    assert answer.headers["retry-after"] and problem(answer, 503)
    assert get(started.admin + "/healthz").status == 200
    for method, path in (("POST", "/jobs/quote"), ("POST", "/publish/c"), ("GET", "/channels/c"),
                         ("DELETE", "/channels/c")):  # fmt: skip
        answer = ask(started.admin + path, method, prefer("wait=5"))
        assert answer.headers["retry-after"] and problem(answer, 503), path


def test_pages_in_a_browser_are_refused(redis, ready):
    started = ready()
    for origin in ("http://evil.example", "null"):
        answer = post(started.admin + "/publish/c", "x", {"Origin": origin})
        assert problem(answer, 403) and "access-control-allow-origin" not in answer.headers
    assert redis.client.keys("*") == []
