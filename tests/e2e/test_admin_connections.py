"""GET /connections and DELETE /connections/<id>: who is connected, over all processes, and
ending one of them."""

import signal
import time

import pytest
from peers import tokens
from peers.clients import Closed, Http, Sse, Stream, WebSocket, ask, get
from peers.process import wait_until


@pytest.fixture
def ready(redis, notifier):
    def start(**members):
        started = notifier(**members)
        wait_until(lambda: get(started.admin + "/readyz").status == 200, what="readyz")
        return started

    return start


def listed(started, query=""):
    answer = get(started.admin + "/connections" + query)
    assert answer.status == 200, answer
    told = answer.json()
    assert told["complete"] is True
    return told


def wait_for(started, count, query=""):
    wait_until(lambda: listed(started, query)["total"] == count, what=f"{count} connections")
    return listed(started, query)["connections"]


def by_transport(started, count, *kinds):
    """transport → one of that kind, when so many are connected and each has asked."""

    def look():
        told = listed(started)
        found = {one["transport"]: one for one in told["connections"] if one["channels"] != ["stays"]}
        return found if told["total"] == count and set(found) == set(kinds) else None

    return wait_until(look, what=f"{count} connections")


def drop(started, one):
    return ask(started.admin + f"/connections/{one['id']}", "DELETE")


def test_each_way_to_wait_is_told(redis, ready):
    started = ready()
    before = time.time() * 1000
    poller = Http(started.url)
    poller.request("GET", "/wait/p")
    idle = Http(started.url)
    clients = [WebSocket(started.url, "w,both"), Sse(started.url, "s,both"), Stream(started.url, "t"), poller, idle]
    found = by_transport(started, 5, "websocket", "sse", "stream", "poll", "http")
    assert found["websocket"]["channels"] == ["w", "both"] and found["http"]["channels"] == []
    assert len({one["id"] for one in found.values()}) == 5
    for one in found.values():
        assert set(one) == {"id", "address", "transport", "tls", "channels", "subject", "since", "queued"}
        assert one["address"] == "127.0.0.1" and one["tls"] is False and one["subject"] is None
        assert before - 2000 <= one["since"] <= time.time() * 1000 and one["queued"] == 0
    by = {query: sorted(one["transport"] for one in listed(started, query)["connections"])
          for query in ("?channel=both", "?channel=w", "?channel=*", "?channel=bo*", "?channel=none",
                        "?address=127.0.0.1&channel=t", "?address=::1", "?address=127.0.0.2")}  # fmt: skip
    assert by == {"?channel=both": ["sse", "websocket"], "?channel=w": ["websocket"],
                  "?channel=*": ["poll", "sse", "stream", "websocket"], "?channel=bo*": ["sse", "websocket"],
                  "?channel=none": [], "?address=127.0.0.1&channel=t": ["stream"],
                  "?address=::1": [], "?address=127.0.0.2": []}  # fmt: skip
    told = listed(started, "?limit=2")
    assert len(told["connections"]) == 2 and told["total"] == 5
    for client in clients:
        client.close()
    wait_for(started, 0)


def test_one_is_dropped(redis, ready):
    started, other = ready(processes=2), ready(name="other")
    web, sse, poller, idle = WebSocket(started.url, "w"), Sse(started.url, "s"), Http(started.url), Http(other.url)
    stays = [WebSocket(base, "stays") for base in (started.url, other.url)]
    poller.request("GET", "/wait/p")
    found = by_transport(other, 6, "websocket", "sse", "poll", "http")
    for transport in ("websocket", "sse", "poll", "http"):
        assert drop(other, found[transport]).status == 204
        gone = drop(started, found[transport])
        assert gone.status == 404 and gone.headers["content-type"] == "application/problem+json"
    with pytest.raises(Closed) as closed:
        web.recv()
    assert closed.value.args[0] == 1008
    with pytest.raises((Closed, StopIteration)):
        sse.next()
    assert poller.response().status in (204, 503)
    assert idle.rest() == b""
    wait_for(started, 2, "?channel=stays")
    for client in stays:
        client.close()
    assert any("connection.dropped" in process.log for process in (started, other))
    wait_until(lambda: 'closed_total{reason="dropped"}' in get(other.admin + "/metrics").text, what="counted")


def test_by_subject_and_session(redis, ready, folder):
    secret = folder / "secret"
    secret.write_text(tokens.SECRET)
    started = ready(auth={"mode": "token", "keys": [str(secret)]}, session_cookie="sid")
    token = tokens.token("*", sub="u7")
    client = WebSocket(started.url, "c", query=f"?token={token}", headers={"Cookie": "sid=abc"})
    (one,) = wait_for(started, 1)
    assert one["subject"] == "u7" and "abc" not in str(one), "the session is a secret"
    for query, count in (("?subject=u7", 1), ("?subject=u8", 0), ("?session=abc", 1), ("?session=ab", 0),
                         ("?subject=u7&session=abc&channel=c", 1), ("?subject=u7&channel=d", 0)):  # fmt: skip
        assert listed(started, query)["total"] == count, query
    client.close()


@pytest.mark.parametrize("query", ["channel=", "channel=a*b", "channel=a%20b", "address=", "address=localhost",
                                   "address=1.2.3", "address=fe80::1%25lo", "limit=0", "limit=1001", "limit=x",
                                   "subject=", "session=%zz", "session=" + "s" * 300], ids=range(13))  # fmt: skip
def test_malformed_questions(ready, query):
    answer = get(ready().admin + "/connections?" + query)
    assert answer.status == 400 and answer.headers["content-type"] == "application/problem+json", answer


@pytest.mark.parametrize("bad", ["x", "-", "-1", "1-", "0-0", "a-b-1", "a" * 128, "a-4294967296", "a--1"], ids=range(9))
def test_ids_that_are_none(ready, bad):
    answer = ask(ready().admin + f"/connections/{bad}", "DELETE")
    assert answer.status == 404 and answer.headers["content-type"] == "application/problem+json", answer


def test_a_crowd_is_answered_in_bounds(redis, ready):
    started = ready()
    clients = [WebSocket(started.url, ",".join("c" * 110 + f":{i}:{j}" for j in range(16))) for i in range(300)]
    wait_for(started, 300)
    told = listed(started, "?limit=1000")
    assert told["total"] == 300 and 250 <= len(told["connections"]) <= 300
    assert len({one["id"] for one in told["connections"]}) == len(told["connections"])
    for client in clients:
        client.close()


def test_without_redis(redis, ready):
    started = ready()
    redis.stop()
    wait_until(lambda: get(started.admin + "/readyz").status == 503, what="not ready")
    answer = get(started.admin + "/connections")
    assert answer.status == 503 and answer.headers["retry-after"] == "1"


def test_nonsense_on_the_wire_is_ignored(redis, ready):
    started = ready()
    for payload in ("", "x", "a 1", "a 1 x", "a 1 []", 'a 1 {"ask":"none"}', 'a 1 {"ask":"channels","limit":-1}',
                    'a 1 {"ask":"channels","limit":9999999999,"match":"*"}', 'a 1 {"ask":"drop"}',
                    'a b {"ask":"drop"}', b"\xff 1 {}", "a 1 " + "[" * 3000, 'a 1 {"ask":"connections","limit":"x"}',
                    'a 1 {"ask":"connections","channel":7,"limit":5}', "a 1 " + '{"ask":"drop"}' + " " * 9000):  # fmt: skip
        redis.client.publish("ringback:ch:notifier:survey", payload)
    assert listed(started)["total"] == 0


def test_one_that_stands_still_is_not_waited_for(redis, ready):
    started, other = ready(), ready(name="other")
    client = WebSocket(started.url, "c")
    wait_for(started, 1)
    other.signal(signal.SIGSTOP)
    try:
        told = get(started.admin + "/connections").json()
        assert told["complete"] is False and told["total"] == 1
        assert get(started.admin + "/channels?state=waiting").json()["complete"] is False
        answer = ask(started.admin + "/connections/none-1", "DELETE")
        assert answer.status == 503 and answer.headers["retry-after"] == "1"
        assert drop(started, told["connections"][0]).status == 204
    finally:
        other.signal(signal.SIGCONT)
    client.close()
