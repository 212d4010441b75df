"""How fast clients may come, and how fast they may speak."""

import re
import socket
import time

import pytest
from peers.clients import CONTINUATION, PING, TEXT, Closed, Http, Raw, Sse, WebSocket, get
from peers.process import lasting, patience, wait_until


def count(daemon, series):
    found = re.search(rf"^{re.escape(series)} (\S+)$", get(daemon.admin + "/metrics").text, re.M)
    return int(float(found.group(1))) if found else 0


def refused(daemon, reason):
    return count(daemon, f'ringback_notifier_refused_total{{reason="{reason}"}}')


# ------------------------------------------------------------------ commands


def test_commands_beyond_the_pace_are_refused(redis, notifier):
    served = notifier(max_commands_per_second=5)
    client = WebSocket(served.url, "page")
    frame = client.frame(TEXT, '{"unsubscribe":"x"}')
    client.send(frame * 12)
    answers = [client.event() for _ in range(12)]
    assert answers[:10] == [{"unsubscribed": "x"}] * 10
    assert [answer["error"]["code"] for answer in answers[10:]] == ["too_fast"] * 2
    assert refused(served, "max_commands_per_second") == 2
    assert served.wait_line("websocket.too_fast")["done"] == "refused"
    # It goes on at the pace: two were refused and count, then one each 200 ms.
    wait_until(lambda: client.send(frame) or "unsubscribed" in client.event(), 5, "room",
               interval=0.25)  # fmt: skip
    redis.publish("page", {"event": "tick"})
    assert client.event()["event"] == "tick"


@pytest.mark.parametrize("what", ["commands", "pings", "pongs", "fragments", "nothing"])
def test_who_goes_on_is_closed(redis, notifier, what):
    served = notifier(max_commands_per_second=5)
    client = WebSocket(served.url, "page")
    frame = {
        "commands": client.frame(TEXT, '{"unsubscribe":"x"}'),
        "pings": client.frame(PING, b"x"),
        "pongs": client.frame(10, b"x"),
        "fragments": client.frame(CONTINUATION, b"x", fin=False),
        "nothing": client.frame(TEXT, b""),
    }[what]
    if what == "fragments":
        client.send_frame(TEXT, b"x", fin=False)
    client.send(frame * 5000)
    with pytest.raises(Closed) as closed:
        while True:
            client.recv()
    assert closed.value.args == (1008, "too many messages")
    assert count(served, 'ringback_notifier_closed_total{reason="too_fast"}') == 1
    served.wait_line("websocket.too_fast", done="closed")


def test_answers_to_pings_are_not_counted(redis, notifier):
    client = WebSocket(notifier(max_commands_per_second=1, ping_interval=lasting(0.15)).url, "page")

    def event():
        redis.publish("page", {"event": "tick"})
        return client.event()["event"] == "tick" and client.pings >= 12

    wait_until(event, 20, "twelve pings", interval=0.05)


def test_no_limit(redis, notifier):
    client = WebSocket(notifier(max_commands_per_second=0).url, "page")
    client.send(client.frame(TEXT, '{"unsubscribe":"x"}') * 500)
    assert [client.event() for _ in range(500)] == [{"unsubscribed": "x"}] * 500


def test_one_does_not_hold_up_the_others(redis, notifier):
    served = notifier()
    other = WebSocket(served.url, "page")
    client = WebSocket(served.url, "page")
    client.send(client.frame(TEXT, '{"subscribe":"x"}') * 3000)
    other.send_json({"subscribe": "y"})
    assert other.event() == {"subscribed": "y"}
    assert client.close_code() == 1008


# ------------------------------------------------------------------ new connections


def test_who_comes_too_fast_waits(redis, notifier):
    """Nobody is refused: after a burst of twenty, ten a second are let in."""
    served = notifier(max_accepts_per_second=10)
    began = time.monotonic()
    clients = [Http(served.url) for _ in range(30)]
    for client in clients:
        client.request("GET", "/ringback.js", {})
    assert [client.head().status for client in clients] == [200] * 30
    # The burst may have been touched by the fixture's own look at the port.
    assert time.monotonic() - began > 0.7
    assert count(served, "ringback_notifier_accept_pauses_total") > 0
    assert served.wait_line("accept.paced")["why"] == "max_accepts_per_second"
    # The admin listener is not slowed.
    began = time.monotonic()
    assert [get(served.admin + "/healthz").status for _ in range(30)] == [200] * 30
    assert time.monotonic() - began < patience(2)


def test_a_paced_listener_ends_in_time(redis, notifier):
    served = notifier(max_accepts_per_second=1)
    clients = [Raw(served.url) for _ in range(10)]
    served.wait_line("accept.paced")
    assert served.stop() == 0
    for client in clients:
        client.close()


def test_new_ones_from_one_address(redis, notifier):
    served = notifier(max_accepts_per_second_per_address=2)
    got, left, began = [], [], time.monotonic()
    for n in range(12):
        client = Http(served.url)
        client.request("GET", "/wait/a?mode=stream", {})
        head = client.head()
        got.append(head.status)
        if head.status == 503:
            assert int(head.headers["retry-after"]) > 0
        left.append(client)
    # The fixture has looked at the port before: four in a burst, less that look.
    assert 3 <= got.count(200) <= 5 + 2 * (time.monotonic() - began) and 503 in got
    assert refused(served, "max_accepts_per_second_per_address") == got.count(503)
    line = served.wait_line("connection.refused")
    assert line["why"] == "max_accepts_per_second_per_address"
    # An EventSource would stay away for ever after a 503.

    def sent_away():
        """One that finds a place, half a second being over, tells nothing."""
        sse = Sse(served.url, "a")
        assert sse.answer.status == 200
        if sse.answer.headers.get("connection") != "close":
            return False
        return b"retry: 10000" in sse.rest()

    wait_until(sent_away, what="an EventSource to be sent away")
    wait_until(lambda: status_of(served.url) == 200, 10, "room again", interval=0.6)


def status_of(url):
    client = Http(url)
    client.request("GET", "/wait/a?mode=stream", {})
    return client.head().status


def test_a_flood_from_one_address(redis, notifier):
    """Most are closed without a word, and nothing is held for them."""
    served = notifier(max_accepts_per_second_per_address=2)
    sockets = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(500)]
    wait_until(lambda: refused(served, "max_accepts_per_second_per_address") >= 490, 10, "refusals")
    connections = 'ringback_notifier_connections{transport="http"}'
    assert count(served, connections) < 200
    for one in sockets:
        one.close()
    wait_until(lambda: count(served, connections) == 0, 10, "all gone")


def test_a_trusted_proxy_brings_as_many_as_come(redis, notifier):
    served = notifier(max_accepts_per_second_per_address=1, trusted_proxies=["loopback"])
    assert [status_of(served.url) for _ in range(20)] == [200] * 20


def test_two_processes_share(redis, notifier):
    served = notifier(max_accepts_per_second=20, processes=2)
    clients = [Http(served.url) for _ in range(40)]
    for client in clients:
        client.request("GET", "/ringback.js", {})
    assert [client.head().status for client in clients] == [200] * 40


def test_a_reload_takes_them(redis, notifier):
    served = notifier(max_commands_per_second=5)
    client = WebSocket(served.url, "page")
    served.configure({"notifier": {"max_commands_per_second": 0}})
    served.signal(1)
    served.wait_line("notifier.reloaded")
    client.send(client.frame(TEXT, '{"unsubscribe":"x"}') * 100)
    assert [client.event() for _ in range(100)] == [{"unsubscribed": "x"}] * 100
