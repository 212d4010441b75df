"""{"enqueue":{job}} on a WebSocket: who may, what a job may say, and its result on @me."""

import json
import re
import time

import pytest
from peers.clients import CLOSE, Closed, Sse, WebSocket, get, post
from peers.process import free_port, wait_until
from peers.redis_proxy import RedisProxy
from peers.tokens import SECRET, token
from test_auth_hook import app, grant  # noqa: F401

PRIVATE = re.compile(r"me:[A-Za-z0-9_-]{22}")


def count(daemon, series):
    found = re.search(rf"^{re.escape(series)} (\S+)$", get(daemon.admin + "/metrics").text, re.M)
    return int(float(found.group(1))) if found else 0


def ask(client, job, **more):
    client.send_json({"enqueue": job, **more})
    return client.event()


def refused(client, job, **more):
    return ask(client, job, **more)["error"]["code"]


def raw_jobs(redis, queue="default"):
    return redis.client.lrange(f"ringback:queue:{queue}", 0, -1)


def queued(redis, queue="default"):
    return [json.loads(job) for job in raw_jobs(redis, queue)]


# ------------------------------------------------------------------ the result comes back


def test_the_result_comes_on_the_private_channel(redis, service, worker, notifier):
    service.define("quote", path="/v1/${symbol}?gate=g", params=["symbol"], progress=["started"])
    worker()
    client = WebSocket(notifier(enqueue=["quote"]).url, "page")
    asked = ask(client, {"service": "quote", "params": {"symbol": "X"}}, ref="a")
    assert asked["ref"] == "a" and PRIVATE.fullmatch(asked["enqueued"]["channel"])
    service.wait_open(1)
    service.open("g")
    started, done = client.event(), client.event()
    assert [started["event"], done["event"]] == ["started", "done"]
    for event in (started, done):
        assert event["job"] == asked["enqueued"]["id"]
        assert event["channel"] == asked["enqueued"]["channel"]
    # A second one comes on the same channel, and the page's own channel is heard too.
    again = ask(client, {"service": "quote", "params": {"symbol": "Y"}, "id": "mine"}, ref=7)
    assert again == {"enqueued": {"id": "mine", "channel": asked["enqueued"]["channel"]}, "ref": 7}
    assert [client.event()["event"] for _ in range(2)] == ["started", "done"]
    redis.publish("page", {"event": "tick"})
    assert client.event()["channel"] == "page"


PHP = """<?php
$in = json_decode(file_get_contents('php://input'), true);
header('Content-Type: application/json');
echo json_encode(['greeting' => 'Hello ' . $in['name']]);
"""


def test_a_php_script_answers_over_the_socket(redis, service, worker, notifier, processes, folder):
    port = free_port()
    (folder / "hello.php").write_text(PHP)
    php = processes.start(["php", "-S", f"127.0.0.1:{port}", "-t", str(folder)], "php")

    def answers():
        try:
            return get(f"http://127.0.0.1:{port}/hello.php").status == 200
        except (OSError, Closed):
            return False

    wait_until(answers, 10, "php to listen")
    service.write("hello", json.dumps({
        "service": "hello", "params": {"name": {"type": "string", "required": True}},
        "request": {"method": "POST", "url": f"http://127.0.0.1:{port}/hello.php",
                    "json": {"name": "${name}"}},
    }))  # fmt: skip
    worker()
    client = WebSocket(notifier(enqueue=["*"]).url, "@me")
    channel = ask(client, {"service": "hello", "params": {"name": "Ada"}})["enqueued"]["channel"]
    done = client.event()
    assert (done["event"], done["data"]) == ("done", {"greeting": "Hello Ada"})
    assert done["channel"] == channel
    php.kill()


def test_the_app_publishes_there_too(redis, notifier):
    served = notifier()
    client = WebSocket(served.url, "@me")
    client.send_json({"subscribe": "@me"})
    name = client.event()["subscribed"]
    assert PRIVATE.fullmatch(name)
    assert post(f"{served.admin}/publish/{name}", {"n": 1}).status == 200
    assert client.event()["data"] == {"n": 1}


def test_mistakes_are_told_as_events(redis, service, worker, notifier):
    service.define("quote", params={"n": {"type": "integer", "required": True}}, path="/${n}")
    worker()
    client = WebSocket(notifier(enqueue=["*"]).url, "@me")
    for job, code in (({"service": "nothing"}, "unknown_service"),
                      ({"service": "quote", "params": {"n": "x"}}, "invalid_params"),
                      ({"service": "quote", "params": {"n": 1}, "expires": 5}, "expired")):  # fmt: skip
        job_id = ask(client, job)["enqueued"]["id"]
        failed = client.event()
        assert (failed["job"], failed["error"]["code"]) == (job_id, code)


def test_the_result_waits_for_who_was_cut_off(redis, service, worker, notifier):
    service.define("quote", path="/?gate=g")
    worker()
    served = notifier(enqueue=["quote"])
    client = WebSocket(served.url, "page")
    asked = ask(client, {"service": "quote"})["enqueued"]
    service.wait_open(1)
    client.reset()
    service.open("g")
    name = asked["channel"]
    wait_until(lambda: redis.terminal(name), 10, "the result")
    back = WebSocket(served.url, "page")
    back.send_json({"subscribe": name, "since": "-"})
    assert back.event() == {"subscribed": name}
    done = back.event()
    assert (done["job"], done["event"]) == (asked["id"], "done")
    # From now on that is its @me.
    assert ask(back, {"service": "quote"})["enqueued"]["channel"] == name
    assert back.event()["event"] == "done"
    # By the URL, and from where it stood.
    again = WebSocket(served.url, name, f"?since={done['id']}")
    assert again.event()["event"] == "done"
    assert Sse(served.url, name).event()["event"] == "done"


# ------------------------------------------------------------------ @me


def test_me_is_one_channel_and_its_own(redis, notifier):
    served = notifier(enqueue=["*"])
    one, two = WebSocket(served.url, "@me,page"), WebSocket(served.url, "page")
    names = []
    for client in (one, two):
        client.send_json({"subscribe": "@me"})
        names.append(client.event()["subscribed"])
        assert ask(client, {"service": "s", "channel": "@me"})["enqueued"]["channel"] == names[-1]
        assert ask(client, {"service": "s"})["enqueued"]["channel"] == names[-1]
    assert names[0] != names[1]
    one.send_json({"unsubscribe": "@me"})
    assert one.event() == {"unsubscribed": names[0]}
    assert ask(one, {"service": "s"})["enqueued"]["channel"] not in names


def test_me_is_for_websockets(redis, notifier):
    served = notifier()
    for mode in ("poll", "sse", "stream"):
        assert get(f"{served.url}/wait/@me?mode={mode}").status == 400


def test_me_takes_a_place(redis, notifier):
    served = notifier(enqueue=["*"], max_commands_per_second=0)
    client = WebSocket(served.url, ",".join(f"c{n}" for n in range(16)))
    assert refused(client, {"service": "s"}) == "too_many_channels"
    assert raw_jobs(redis) == []
    client.send_json({"unsubscribe": "c3"})
    client.event()
    assert "enqueued" in ask(client, {"service": "s"})


def test_until_done(redis, service, worker, notifier):
    service.define("quote", path="/?gate=g")
    worker()
    client = WebSocket(notifier(enqueue=["*"]).url, "@me", "?until=done")
    ask(client, {"service": "quote"})
    service.wait_open(1)
    service.open("g")
    assert client.event()["event"] == "done"
    assert client.close_code() == 1000


# ------------------------------------------------------------------ what a job may say


def test_the_job_in_the_queue(redis, notifier):
    served = notifier(enqueue=["stock-*"], enqueue_queue="browsers")
    client = WebSocket(served.url, "page")
    before = time.time() * 1000
    text = '{"enqueue":{"params":{"n":0.10,"big":1234567890123456789,"t":"ä\\u0041"},' \
           '"service":"stock-quote","expires":9999999999999}}'  # fmt: skip
    client.send_text(text)
    answer = client.event()["enqueued"]
    (raw,) = raw_jobs(redis, "browsers")
    assert '"params":{"n":0.10,"big":1234567890123456789,"t":"ä\\u0041"}' in raw
    job = json.loads(raw)
    assert set(job) == {"service", "params", "channel", "id", "at", "expires"}
    assert (job["id"], job["channel"]) == (answer["id"], answer["channel"])
    assert before - 5000 < job["at"] < before + 60000 and job["expires"] == 9999999999999
    # A channel that the client names, which it need not hear itself.
    assert ask(client, {"service": "stock-quote", "channel": "order:1"})["enqueued"]["channel"] == (
        "order:1"
    )
    assert queued(redis, "browsers")[1]["params"] == {}
    assert count(served, "ringback_notifier_enqueued_total") == 2


@pytest.mark.parametrize(("job", "word"), [
    ([], "object"), ("x", "object"), (None, "object"), ({}, "service"),
    ({"service": 1}, "service"), ({"service": ""}, "service"), ({"service": "A b"}, "service"),
    ({"service": "s", "params": []}, "params"), ({"service": "s", "params": None}, "params"),
    ({"service": "s", "id": ""}, "id"), ({"service": "s", "id": "a b"}, "id"),
    ({"service": "s", "id": "x" * 129}, "id"), ({"service": "s", "id": 7}, "id"),
    ({"service": "s", "channel": "a b"}, "channel"), ({"service": "s", "channel": 1}, "channel"),
    ({"service": "s", "expires": "1"}, "expires"), ({"service": "s", "expires": 0}, "expires"),
    ({"service": "s", "expires": -5}, "expires"), ({"service": "s", "expires": 1.5}, "expires"),
    ({"service": "s", "queue": "q"}, '"queue"'), ({"service": "s", "at": 1}, '"at"'),
    ({"service": "s", "run_at": 1}, '"run_at"'), ({"service": "s", "unique": "u"}, '"unique"'),
    ({"service": "s", "trace": "t"}, '"trace"'), ({"service": "s", "x" * 300: 1}, "browser"),
    ({"service": "s", "id": "i", "channel": "page"}, "private"),
], ids=lambda value: str(value)[:40])  # fmt: skip
def test_what_is_no_job(redis, notifier, job, word):
    client = WebSocket(notifier(enqueue=["*"]).url, "page")
    answer = ask(client, job, ref=1)
    assert answer["error"]["code"] == "invalid_job" and word in answer["error"]["message"]
    assert answer["ref"] == 1
    assert "enqueued" in ask(client, {"service": "s"})
    assert len(raw_jobs(redis)) == 1


@pytest.mark.parametrize(("text", "code"), [
    ('{"enqueue":{"service":"s"},"since":"1-1"}', "invalid_message"),
    ('{"enqueue":{"service":"s"},"ref":{}}', "invalid_message"),
    ('{"enqueue":{"service":"s"},"ref":"' + "r" * 63 + '"}', "invalid_message"),
    ('{"enqueue":{"service":"s"},"ref":1.5}', "invalid_message"),
    ('{"enqueue":{"service":"s","service":"t"}}', "invalid_message"),
    ('{"enqueue":{"service":"s","params":{"a":1,"a":2}}}', "invalid_message"),
    ('{"enqueue":{"service":"s"},"enqueue":{"service":"s"}}', "invalid_message"),
    ('{"enqueue":{"service":"s","params":{"a":' + "[" * 600 + "]" * 600 + "}}}", "invalid_job"),
    ('{"enqueue":{"service":"s","params":{"a":' + "[" * 5000 + "]" * 5000 + "}}}", "invalid_message"),
    ('{"enqueue":{"service":"s","params":{"a":"\\ud800"}}}', "invalid_message"),
    ('{"enqueue":{"service":"s"}} x', "invalid_message"),
    ('{"enqueue":{"service":"s"}', "invalid_message"),
    ("\ufeff{}", "invalid_message"),
], ids=lambda value: str(value)[:12])  # fmt: skip
def test_malformed_commands(redis, notifier, text, code):
    client = WebSocket(notifier(enqueue=["*"]).url, "page")
    client.send_text(text)
    assert client.event()["error"]["code"] == code
    client.send_frame(2, b'{"enqueue":{"service":"s"}}')
    assert client.event()["error"]["code"] == "invalid_message"
    assert raw_jobs(redis) == []
    client.send_frame(1, b'{"enqueue":{"service":"\xff"}}')
    assert client.close_code() == 1007


def test_an_escaped_name_is_the_same_name(redis, notifier):
    client = WebSocket(notifier(enqueue=["*"]).url, "page")
    client.send_text('{"enq\\u0075eue":{"service":"s","par\\u0061ms":{"a":1.50}},"r\\u0065f":"\\u0061"}')
    assert client.event()["ref"] == "a"
    assert '"params":{"a":1.50}' in raw_jobs(redis)[0]


def test_sizes(redis, notifier):
    served = notifier(enqueue=["*"], max_message="4MiB")
    client = WebSocket(served.url, "page")
    assert "enqueued" in ask(client, {"service": "s", "params": {"a": "x" * 1_000_000}})
    error = ask(client, {"service": "s", "params": {"a": "x" * 1_100_000}, "id": "large"})["error"]
    assert (error["code"], error["id"]) == ("invalid_job", "large")
    client.send_json({"enqueue": {"service": "s", "params": {"a": "x" * (4 << 20)}}})
    assert client.close_code() == 1009


# ------------------------------------------------------------------ who may


def test_nobody_may_by_default(redis, notifier):
    served = notifier()
    client = WebSocket(served.url, "page")
    answer = ask(client, {"service": "s", "id": "i"}, ref="r")
    assert answer["error"]["code"] == "not_allowed" and answer["error"]["id"] == "i"
    assert answer["ref"] == "r"
    assert served.wait_line("enqueue.refused")["why"] == "not_allowed"
    assert count(served, 'ringback_notifier_refused_total{reason="enqueue"}') == 1


def test_services_are_listed(redis, notifier):
    client = WebSocket(notifier(enqueue=["quote", "stock-*"]).url, "page")
    for name, may in (("quote", 1), ("quotes", 0), ("stock-", 1), ("stock-x", 1), ("stock", 0)):
        answer = ask(client, {"service": name})
        assert ("enqueued" in answer) == bool(may), answer


def test_tokens(redis, notifier, folder):
    (folder / "key").write_text(SECRET)
    served = notifier(enqueue=["quote", "order"], auth={"mode": "token", "keys": [str(folder / "key")]})

    def client(*channels, wait="page", **claims):
        return WebSocket(served.url, wait, f"?token={token(*channels, **claims)}")

    one = client("page", enqueue=["quote", "other"])
    asked = ask(one, {"service": "quote"})["enqueued"]
    assert PRIVATE.fullmatch(asked["channel"])
    assert refused(one, {"service": "order"}) == "not_allowed"  # the token says no
    assert refused(one, {"service": "other"}) == "not_allowed"  # the settings say no
    assert refused(one, {"service": "quote", "channel": "order:1"}) == "forbidden"
    assert ask(one, {"service": "quote", "channel": "page"})["enqueued"]["channel"] == "page"
    assert refused(client("page"), {"service": "quote"}) == "not_allowed"
    every = client("page", enqueue=["*"])
    assert "enqueued" in ask(every, {"service": "order"})
    # The name is the permission, to whoever has a token; it outlives another token.
    redis.publish(asked["channel"], {"event": "tick"})
    assert one.event()["event"] == "tick"
    two = client("page")
    two.send_json({"subscribe": asked["channel"]})
    assert [two.event().get("subscribed"), two.event()["event"]] == [asked["channel"], "tick"]
    assert client(wait=asked["channel"]).event()["event"] == "tick"
    two.send_json({"subscribe": "me:short"})
    assert two.event()["error"]["code"] == "forbidden"
    one.send_json({"token": token("page", enqueue=["order"])})
    assert one.event() == {"token": "accepted"}
    assert refused(one, {"service": "quote"}) == "not_allowed"
    assert ask(one, {"service": "order"})["enqueued"]["channel"] == asked["channel"]
    assert WebSocket(served.url, "@me").answer.status == 401


def test_the_session(redis, notifier):
    """@session is the channel of the cookie here too, and nothing without one."""
    served = notifier(enqueue=["quote"], session_cookie="sid")
    client = WebSocket(served.url, "@session", headers={"Cookie": "sid=s1"})
    assert ask(client, {"service": "quote", "channel": "@session"})["enqueued"]["channel"] == "session:s1"
    assert queued(redis)[0]["channel"] == "session:s1"
    none = WebSocket(served.url, "page")
    answer = ask(none, {"service": "quote", "channel": "@session"}, ref=1)
    assert answer["error"]["code"] == "forbidden" and answer["ref"] == 1
    assert len(queued(redis)) == 1


def test_the_hook(redis, notifier, app):  # noqa: F811
    """The app says which services; it never learns the name of a private channel."""
    app.answer = lambda request: grant(["page"], enqueue=["quote"])
    served = notifier(enqueue=["*"], auth={"mode": "hook", "hook": app.url})
    served.wait_line("feed.ready")
    client = WebSocket(served.url, "page,@me")
    asked = ask(client, {"service": "quote"})["enqueued"]
    assert PRIVATE.fullmatch(asked["channel"])
    assert refused(client, {"service": "order"}) == "not_allowed"
    assert WebSocket(served.url, f"{asked['channel']},page").answer.status == 101
    assert {request.path.partition("channels=")[2] for request in app.asked} == {"@me,page"}
    app.answer = lambda request: (204, "", "")
    assert refused(WebSocket(served.url, "@me"), {"service": "quote"}) == "not_allowed"
    app.answer = lambda request: (403, "", "")
    assert WebSocket(served.url, "other,@me").answer.status == 403


# ------------------------------------------------------------------ bounds and trouble


def test_jobs_without_result_are_bounded(redis, service, worker, notifier):
    service.define("quote", path="/?gate=g", progress=["started"])
    worker()
    served = notifier(enqueue=["*"], enqueue_max_pending=2)
    client, other = WebSocket(served.url, "page"), WebSocket(served.url, "page")
    for n in range(2):
        assert "enqueued" in ask(client, {"service": "quote"})
        assert client.event()["event"] == "started"
    answer = ask(client, {"service": "quote", "id": "third"})
    assert (answer["error"]["code"], answer["error"]["id"]) == ("too_many_jobs", "third")
    assert "enqueued" in ask(other, {"service": "quote"})
    service.open("g")
    assert [client.event()["event"] for _ in range(2)] == ["done", "done"]
    assert "enqueued" in ask(client, {"service": "quote"})


def test_many_at_once(redis, service, worker, notifier):
    service.define("quote", path="/")
    worker()
    client = WebSocket(notifier(enqueue=["*"]).url, "page")
    for n in range(16):
        client.send_json({"enqueue": {"service": "quote", "id": f"j{n}"}, "ref": n})
    answers, ended = [], set()
    while len(answers) < 16 or len(ended) < 16:
        event = client.event()
        if "enqueued" in event:
            answers.append((event["ref"], event["enqueued"]["id"]))
        else:
            assert event["event"] == "done", event
            ended.add(event["job"])
    assert answers == [(n, f"j{n}") for n in range(16)]
    assert ended == {f"j{n}" for n in range(16)}


def test_redis_is_away(redis, notifier):
    proxy = RedisProxy(redis)
    served = notifier({"redis": {"url": proxy.url}}, enqueue=["*"])
    client = WebSocket(served.url, "page")
    asked = ask(client, {"service": "s"})["enqueued"]
    proxy.mode = "refuse"
    proxy.cut()
    served.wait_line("feed.down")
    answer = ask(client, {"service": "s", "id": "later"}, ref=2)
    assert (answer["error"]["code"], answer["error"]["id"]) == ("unavailable", "later")
    proxy.mode = "forward"

    def again():
        return ask(client, {"service": "s", "id": "later"}).get("enqueued")

    assert wait_until(again, 10, "Redis again", interval=0.1)["channel"] == asked["channel"]
    assert [job["id"] for job in queued(redis)] == [asked["id"], "later"]
    proxy.close()


def test_clients_that_go_while_they_ask(redis, notifier):
    served = notifier(enqueue=["*"])
    for n in range(50):
        client = WebSocket(served.url, "page")
        client.send_json({"enqueue": {"service": "s"}})
        client.send_frame(CLOSE, b"\x03\xe8") if n % 2 else client.reset()
    wait_until(lambda: count(served, "ringback_notifier_subscriptions") == 0, 10, "nobody")
    assert "enqueued" in ask(WebSocket(served.url, "page"), {"service": "s"})


@pytest.mark.parametrize("pattern", ["A", "*a", "a*b", "", "-a"])
def test_settings(notifier, pattern):
    daemon = notifier(enqueue=[pattern], wait=False)
    assert daemon.wait(10) == 78 and "notifier.enqueue" in daemon.log
