"""Redis goes, comes back, stands still, loses what it had: clients stay, and hear every
event once and in order, or are told the gap."""

import json
import random
import re
import signal
import threading

import pytest
from peers.clients import Sse, WebSocket, get, poll
from peers.process import patience, wait_until
from peers.redis_proxy import RedisProxy


def tick(redis, channel, data):
    return redis.publish(channel, {"event": "tick", "data": data})


def subscribed(redis, channel):
    return redis.client.pubsub_numsub(f"ringback:ch:{{{channel}}}")[0][1] == 1


def script(ringback, channel, data):
    done = ringback("publish", channel, json.dumps(data), check=True)
    return json.loads(done.stdout)["id"]


def ready(daemon):
    return get(daemon.admin + "/readyz").status == 200


# ---------------------------------------------------------------------- losses


def test_without_redis_at_the_start(redis, notifier):
    redis.stop()
    daemon = notifier(poll_timeout="100ms")
    client = WebSocket(daemon.url, "c")
    assert client.answer.status == 101
    assert get(daemon.admin + "/healthz").status == 200 and not ready(daemon)
    assert poll(daemon.url, "c").status == 204  # told to come again, not an error
    redis.start()
    tick(redis, "c", 1)
    assert client.event()["data"] == 1
    wait_until(lambda: ready(daemon))


def test_the_subscribed_link_is_killed_again_and_again(redis, notifier):
    daemon = notifier()
    clients = [WebSocket(daemon.url, "c"), Sse(daemon.url, "c,d")]
    wait_until(lambda: subscribed(redis, "c"))
    for n in range(60):
        tick(redis, "c", n)
        if n % 7 == 3:
            redis.client.client_kill_filter(_type="pubsub")
        if n % 11 == 5:
            redis.client.client_kill_filter(_type="normal", skipme=True)
    for client in clients:
        assert [client.event()["data"] for _ in range(60)] == list(range(60))
    daemon.wait_line("feed.down")
    daemon.wait_line("feed.ready")


@pytest.mark.redis(aof=True)
def test_redis_restarts(redis, notifier):
    daemon = notifier()
    clients = [WebSocket(daemon.url, f"c{n}") for n in range(50)]
    for n in range(50):
        tick(redis, f"c{n}", "before")
    for client in clients:
        assert client.event()["data"] == "before"
    redis.kill()
    daemon.wait_line("feed.down")
    redis.start()
    for n in range(50):
        tick(redis, f"c{n}", n)
    assert [client.event()["data"] for client in clients] == list(range(50))
    assert daemon.lines("feed.ready")


def test_it_is_back_well_under_a_second(redis, notifier):
    daemon = notifier()
    clients = [WebSocket(daemon.url, f"c{n}") for n in range(500)]
    wait_until(lambda: subscribed(redis, "c499"))

    def took():
        redis.stop()
        redis.start()
        begun = redis.now_ms()
        wait_until(lambda: all(subscribed(redis, f"c{n}") for n in (0, 250, 499)))
        return redis.now_ms() - begun

    # The machine may stop us once, or twice.
    assert any(took() < patience(1) * 1000 for _ in range(3))
    tick(redis, "c499", 1)
    assert clients[499].event()["data"] == 1


def test_redis_lost_everything(redis, notifier, ringback):
    """No AOF, a restart: what clients had heard is gone, and they are told."""
    daemon = notifier()
    client = WebSocket(daemon.url, "c")
    first = script(ringback, "c", 1)
    assert client.event()["data"] == 1
    redis.kill()
    redis.start()
    second = script(ringback, "c", 2)
    gap = client.event()
    assert (gap["event"], gap["since"]) == ("gap", first)
    event = client.event()
    assert (event["id"], event["data"]) == (second, 2)


def test_events_that_a_failover_took_back(redis, notifier, ringback):
    daemon = notifier()
    client = WebSocket(daemon.url, "c")
    ids = [script(ringback, "c", n) for n in range(3)]
    assert [client.event()["data"] for _ in range(3)] == [0, 1, 2]
    # The replica that took over had only the first.
    with redis.client.pipeline() as both:
        both.xdel("ringback:ch:{c}", *ids[1:])
        both.hset("ringback:ch:{c}:meta", "last", ids[0])
        both.execute()
    redis.client.client_kill_filter(_type="pubsub")
    gap = client.event()
    assert gap["event"] == "gap" and gap["since"] == ids[2]
    script(ringback, "c", "new")
    assert client.event()["data"] in ("new", 0)


def test_the_gap_of_a_long_loss(redis, notifier, ringback):
    """More came than the stream keeps, while the notifier could not hear."""
    daemon = notifier()
    client = WebSocket(daemon.url, "c")
    settings = {"channels": {"max_events": 3}}
    first = script(ringback, "c", 0)
    assert client.event()["data"] == 0
    daemon.signal(signal.SIGSTOP)
    redis.client.client_kill_filter(_type="pubsub")
    ids = [json.loads(ringback("publish", "c", str(n), settings=settings, check=True).stdout)["id"]
           for n in range(1, 7)]  # fmt: skip
    daemon.signal(signal.SIGCONT)
    gap = client.event()
    assert (gap["event"], gap["since"], gap["id"]) == ("gap", first, ids[2])
    assert gap["first"] == ids[3]
    assert [client.event()["data"] for _ in range(3)] == [4, 5, 6]


def test_redis_stands_still(redis, notifier):
    """Half dead: connected and silent. The links are replaced, and nothing is lost."""
    daemon = notifier(settings={"redis": {"command_timeout": "500ms", "connect_timeout": "500ms"}})
    client = WebSocket(daemon.url, "c")
    wait_until(lambda: subscribed(redis, "c"))
    redis.pause()
    daemon.wait_line("feed.down", 15)
    assert not ready(daemon)
    redis.resume()
    tick(redis, "c", 1)
    assert client.event()["data"] == 1
    wait_until(lambda: ready(daemon))


def test_a_half_dead_link_is_noticed_on_silent_channels(redis, notifier):
    """The link swallows what is sent, and nobody publishes: its own probes tell, /readyz
    says so, and who waits is served again right after the link is back."""
    proxy = RedisProxy(redis)
    daemon = notifier(settings={"redis": {"url": proxy.url, "connect_timeout": "500ms"}})
    try:
        client = WebSocket(daemon.url, "c")
        wait_until(lambda: ready(daemon) and subscribed(redis, "c"))
        proxy.mode, begun = "silent", redis.now_ms()
        wait_until(lambda: not ready(daemon), 10, "it to be noticed")
        assert redis.now_ms() - begun < patience(5) * 1000  # two probes of two seconds
        assert get(daemon.admin + "/healthz").status == 200
        told = get(daemon.admin + "/readyz")
        assert told.status == 503 and told.headers["content-type"] == "application/problem+json"
        missed = [tick(redis, "c", n) for n in range(3)]
        proxy.mode, begun = "refuse", redis.now_ms()
        proxy.cut()
        wait_until(lambda: proxy.connections > 5, 10, "it to try again and again")
        assert not ready(daemon)
        proxy.mode, begun = "forward", redis.now_ms()
        assert [client.event()["id"] for _ in range(3)] == missed
        assert redis.now_ms() - begun < patience(2) * 1000
        wait_until(lambda: ready(daemon))
    finally:
        proxy.close()


def test_loading_is_waited_for(redis, notifier):
    """-LOADING, or no permission: asked again until there is an answer."""
    daemon = notifier()
    tick(redis, "c", 1)
    redis.client.execute_command("ACL", "SETUSER", "default", "-xrange")
    client = WebSocket(daemon.url, "c")
    daemon.wait_line("feed.read_failed")
    redis.client.execute_command("ACL", "SETUSER", "default", "+xrange")
    assert client.event()["data"] == 1


# ---------------------------------------------------------------------- the chain


def test_publishers_without_scripts(redis, notifier, ringback):
    """Single commands: the chain of ids is not known, the stream is read instead."""
    daemon = notifier()
    client = WebSocket(daemon.url, "c")
    wait_until(lambda: subscribed(redis, "c"))
    plain = {"worker": {"claim": "blpop"}}
    ids = []
    for n in range(5):
        done = ringback("publish", "c", str(n), settings=plain, check=True)
        ids.append(json.loads(done.stdout)["id"])
    assert [client.event()["id"] for _ in range(5)] == ids


def test_holes_are_filled_in_place(redis, notifier):
    """An entry without its PUBLISH is found by the next one's chain."""
    daemon = notifier()
    client = WebSocket(daemon.url, "c")
    wait_until(lambda: subscribed(redis, "c"))
    tick(redis, "c", 0)
    for n in range(1, 4):
        redis.client.xadd("ringback:ch:{c}", {"e": json.dumps(
            {"channel": "c", "event": "tick", "data": n})})  # fmt: skip
    tick(redis, "c", 4)
    assert [client.event()["data"] for _ in range(5)] == list(range(5))


def test_many_clients_at_many_cursors(redis, notifier):
    daemon = notifier()
    ids = [tick(redis, "c", n) for n in range(50)]
    stop = threading.Event()
    published = 50

    def publish():
        nonlocal published
        while not stop.is_set() and published < 95:
            tick(redis, "c", published)
            published += 1
            stop.wait(0.003)

    publisher = threading.Thread(target=publish)
    publisher.start()
    clients = []
    for n in random.sample(range(50), 40):
        client = (WebSocket(daemon.url, "c", f"?since={ids[n]}") if n % 2
                  else Sse(daemon.url, "c", since=ids[n]))  # fmt: skip
        clients.append((n, client))
    publisher.join()
    for n, client in clients:
        assert [client.event()["data"] for _ in range(n + 1, published)] == list(
            range(n + 1, published)
        )
    tick(redis, "c", "end")
    assert all(client.event()["data"] == "end" for _, client in clients)


def test_polls_miss_nothing(redis, notifier):
    """Between two polls the channel is heard on, so that most cost no reading."""
    daemon = notifier()
    stop = threading.Event()
    seen, cursor = [], None

    def publish():
        for n in range(300):
            tick(redis, "c", n)
            if n % 10 == 0:
                stop.wait(0.01)
                wait_until(lambda: len(seen) > n - 60)  # noqa: B023; the stream keeps a hundred

    publisher = threading.Thread(target=publish)
    publisher.start()
    while len(seen) < 300:
        answer = poll(daemon.url, "c", since=cursor).json()
        cursor = answer["cursor"]
        seen += [event["data"] for event in answer["events"] if event["event"] == "tick"]
        assert not [event for event in answer["events"] if event["event"] == "gap"]
    publisher.join()
    assert seen == list(range(300))
    text = get(daemon.admin + "/metrics").text
    readings = re.search(r"^ringback_notifier_readings_total (\d+)$", text, re.MULTILINE)
    assert int(readings[1]) < 60


def test_one_who_comes_back_has_the_cursor_of_all_channels(redis, notifier):
    """What it missed of the first channel is at hand, and told before the second one is
    asked for."""
    daemon = notifier()
    client = Sse(daemon.url, "a,b,none")
    ids = {name: tick(redis, name, 0) for name in "ab"}
    assert [client.event()["data"] for _ in range(2)] == [0, 0]
    assert client.id == f"{ids['a']},{ids['b']},-"
    back = client.id
    client.close()
    wait_until(lambda: "ringback_notifier_subscriptions 0" in get(daemon.admin + "/metrics").text)
    missed = tick(redis, "a", 1)
    again = Sse(daemon.url, "a,b,none", since=back)
    assert again.event()["data"] == 1 and again.id == f"{missed},{ids['b']},-"


def test_nobody_waits_nobody_is_subscribed(redis, notifier):
    daemon = notifier()
    client = WebSocket(daemon.url, "c")
    wait_until(lambda: subscribed(redis, "c"))
    client.close()
    wait_until(lambda: not subscribed(redis, "c"), 15)
    again = WebSocket(daemon.url, "c")
    tick(redis, "c", 1)
    assert again.event()["data"] == 1
