"""Bounds: whatever clients do, memory, descriptors and the others' service stay as they
were, each refusal is counted, and nobody who can come back is lost."""

import os
import re
import resource
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from peers.clients import Closed, Http, Raw, Response, Sse, Stream, WebSocket, get, poll
from peers.process import patience, sanitized, wait_until


def tick(redis, channel, data):
    return redis.publish(channel, {"event": "tick", "data": data})


def metric(daemon, name, **labels):
    """The value of a series, None when it is not there."""
    wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
    series = re.escape(name + (f"{{{wanted}}}" if wanted else ""))
    found = re.search(rf"^{series} (\S+)$", get(daemon.admin + "/metrics").text, re.MULTILINE)
    return float(found[1]) if found else None


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def room(count):
    """Bytes that memory may grow by; sanitizers keep what was freed for a while."""
    return count * (30 if sanitized() else 1)


def heard(redis, channel):
    wait_until(lambda: redis.client.pubsub_numsub(f"ringback:ch:{{{channel}}}")[0][1] == 1)


# ---------------------------------------------------------------------- slow and half heads


def test_slow_heads_are_closed(redis, notifier):
    daemon = notifier(head_timeout="300ms")
    begun = time.monotonic()
    with Raw(daemon.url) as silent, Raw(daemon.url) as half, Raw(daemon.url) as trickle:
        half.send("GET /wait/c HTTP/1.1\r\nHost: x\r\n")
        trickle.send("GET ")
        while not trickle.input:
            try:
                trickle.send("x")
                trickle.silent(0.03)
            except (Closed, OSError):
                break
        assert Response(half).status == 408 and half.rest() is not None
        assert silent.rest() == b""
    assert time.monotonic() - begun < patience(5)
    wait_until(lambda: metric(daemon, "ringback_notifier_closed_total", reason="head_timeout") == 2)


def test_many_slow_heads_harm_nobody(redis, notifier):
    daemon = notifier(head_timeout="10s")
    wait_until(lambda: get(daemon.admin + "/readyz").status == 200)
    before = descriptors(daemon)
    slow = [Raw(daemon.url) for _ in range(300)]
    for raw in slow:
        raw.send("GET /wait/c HTTP/1.1\r\nHost:")
    tick(redis, "c", 1)
    assert poll(daemon.url, "c").json()["events"][0]["data"] == 1
    for raw in slow:
        raw.reset()
    wait_until(lambda: descriptors(daemon) <= before)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /wait/" + "c" * 20000 + " HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: " + "y" * 20000 + "\r\n\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: x\r\n" + "X: y\r\n" * 65 + "\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", 413),
    ],
)
def test_large_heads(redis, notifier, head, status):
    daemon = notifier()
    with Raw(daemon.url) as raw:
        raw.send(head)
        answer = Response(raw).read_body(raw)
        assert answer.status == status and answer.headers["connection"] == "close"
        assert answer.json()["status"] == status
        assert raw.rest() == b""
    assert metric(daemon, "ringback_notifier_refused_total", reason="bad_request") == 1


# ---------------------------------------------------------------------- numbers


def let_in(daemon, count):
    """So many are, though the fixture's look at the port may still take a place at first."""

    def come():
        client = WebSocket(daemon.url, "c")
        return client if client.answer.status == 101 else client.close()

    return [wait_until(come, what="a place") for _ in range(count)]


def test_max_connections(redis, notifier):
    daemon = notifier(max_connections=5)
    clients = let_in(daemon, 5)
    before = metric(daemon, "ringback_notifier_refused_total", reason="max_connections")
    answer = get(daemon.url + "/wait/c")
    assert answer.status == 503 and answer.headers["retry-after"] == "10"
    # An EventSource would never come back after an error.
    sse = Sse(daemon.url, "c")
    assert sse.answer.status == 200
    assert sse.rest() == b"retry: 10000\n\n" or sse.text
    assert WebSocket(daemon.url, "c").answer.status == 503
    assert get(daemon.admin + "/healthz").status == 200  # admin is not shut out
    assert metric(daemon, "ringback_notifier_refused_total", reason="max_connections") == before + 3
    heard(redis, "c")
    tick(redis, "c", 1)
    assert [client.event()["data"] for client in clients] == [1] * 5
    clients.pop().close()
    wait_until(lambda: get(daemon.url + "/nothing").status == 404)
    daemon.wait_line("connection.refused", why="max_connections")


def test_max_connections_of_several_processes(redis, notifier):
    daemon = notifier(max_connections=6, processes=2)
    clients = let_in(daemon, 6)
    assert len(clients) == 6 and WebSocket(daemon.url, "c").answer.status == 503


@pytest.mark.parametrize("count", [1, 2])
def test_max_connections_per_address(redis, notifier, count):
    daemon = notifier(max_connections_per_address=3, processes=count)
    clients = let_in(daemon, 3)
    assert WebSocket(daemon.url, "c").answer.status == 503
    clients.pop().close()
    wait_until(lambda: get(daemon.url + "/nothing").status == 404)
    assert metric(daemon, "ringback_notifier_refused_total",
                  reason="max_connections_per_address") >= 1  # fmt: skip


def test_a_reload_that_can_not_count_by_address(redis, notifier):
    daemon = notifier()
    daemon.configure({"notifier": {"max_connections_per_address": 1}})
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("notifier.needs_restart", key="notifier.max_connections_per_address")
    counted = notifier(max_connections_per_address=1, name="counted")
    counted.configure({"notifier": {"max_connections_per_address": 2}})
    counted.signal(signal.SIGHUP)
    counted.wait_line("notifier.reloaded")
    assert counted.lines("notifier.needs_restart") == []


def test_out_of_descriptors(redis, notifier):
    """It says so, goes on with those it has, and takes new ones when it can again."""
    daemon = notifier()
    first = WebSocket(daemon.url, "c")
    limit = descriptors(daemon) + 10
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, 20000))
    flood = [Raw(daemon.url) for _ in range(40)]
    daemon.wait_line("accept.failed")
    heard(redis, "c")
    tick(redis, "c", 1)
    assert first.event()["data"] == 1
    before = daemon.cpu_seconds()
    wait_until(lambda: len(daemon.lines("accept.failed")) > 2, 20)
    assert daemon.cpu_seconds() - before < patience(1)
    for raw in flood:
        raw.close()
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (20000, 20000))

    def served():
        try:
            return get(daemon.url + "/nothing").status == 404
        except (Closed, ConnectionError):
            return False

    wait_until(served)


# ---------------------------------------------------------------------- slow readers


def fill(redis, channel, count=60, size=50_000):
    """More than the kernel's buffers and a queue of 64 KiB take."""
    for n in range(count):
        redis.publish(channel, {"event": "tick", "data": n, "pad": "x" * size})


@pytest.mark.parametrize("kind", ["websocket", "sse", "stream"])
def test_a_slow_reader_is_closed_and_resumes_without_loss(redis, notifier, kind):
    daemon = notifier(max_queue="64KiB")

    def connect(since=None):
        if kind == "sse":
            return Sse(daemon.url, "c", since=since)
        if kind == "stream":
            return Stream(daemon.url, "c", f"&since={since}" if since else "")
        return WebSocket(daemon.url, "c", f"?since={since}" if since else "")

    slow = connect()
    # Small, but more than two segments of the loopback: less and TCP itself crawls at the end.
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
    other = WebSocket(daemon.url, "other")
    heard(redis, "c")
    fill(redis, "c", 100)
    daemon_closed = lambda: metric(daemon, "ringback_notifier_closed_total", reason="slow")
    wait_until(lambda: daemon_closed() == 1)
    tick(redis, "other", 1)
    assert other.event()["data"] == 1
    seen, cursor, code = [], None, None
    try:
        while True:
            event = slow.event()
            seen, cursor = seen + [event["data"]], event["id"]
    except (Closed, ValueError) as closed:
        code = closed.args[0]
    assert code == 1013 or kind != "websocket"
    # History is read in the pace of the reader: nobody is closed for being late.
    again = connect(cursor)
    while len(seen) < 100:
        event = again.event()
        assert event["event"] == "tick"
        seen.append(event["data"])
    assert seen == list(range(100))
    assert daemon_closed() == 1


@pytest.mark.parametrize("kind", ["websocket", "sse", "stream"])
def test_who_reads_is_not_slow_because_much_comes_at_once(redis, notifier, kind):
    """More than its queue holds, in one breath of the process's."""
    daemon = notifier(max_queue="16KiB")
    client = {"websocket": WebSocket, "sse": Sse, "stream": Stream}[kind](daemon.url, "c")
    heard(redis, "c")
    os.kill(daemon.pid, signal.SIGSTOP)
    pipe = redis.client.pipeline(transaction=False)
    for n in range(2000):
        pipe.publish("ringback:ch:{c}", '{"n":%d,"pad":"%s"}' % (n, "x" * 100))
    pipe.execute()
    os.kill(daemon.pid, signal.SIGCONT)
    assert [client.event()["n"] for _ in range(2000)] == list(range(2000))
    assert metric(daemon, "ringback_notifier_closed_total", reason="slow") == 0


def test_a_crowd_is_told_without_a_pause(redis, notifier):
    """A process writes to some of them, looks at what has come, and goes on at once."""
    daemon = notifier()
    crowd = [WebSocket(daemon.url, "c") for _ in range(400)]
    heard(redis, "c")
    begun = time.monotonic()
    tick(redis, "c", 1)
    assert [client.event()["data"] for client in crowd] == [1] * len(crowd)
    assert time.monotonic() - begun < patience(0.5)


def taken(port, head, size, seconds):
    """How many bytes of an answer come to a client that takes so many in so many seconds,
    evenly. Its segments are small, so that the kernel does not take all of it at once."""
    with socket.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.settimeout(patience(10))
        client.connect(("127.0.0.1", port))
        client.sendall(head.replace("\n", "\r\n").encode())
        begun, count = time.monotonic(), 0
        while count < size and (data := client.recv(16384)):
            count += len(data)
            early = begun + seconds * count / size - time.monotonic()
            if early > 0:
                time.sleep(early)
        return count


def test_a_slow_reader_that_goes_on_reading_gets_all(redis, notifier):
    """Neither at the end of an answer nor on its way is somebody given up who takes what
    he is sent, only slowly: he would come back and be given up again, for ever."""
    size, seconds = 3_000_000, 13  # longer than a close may stand still
    daemon = notifier(ping_interval="2s")
    redis.publish("c", {"event": "done", "data": "x" * size})
    sse = "Accept: text/event-stream\n\n"
    upgrade = (
        "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n"
    )
    heads = ["GET /wait/c HTTP/1.0\n\n", "GET /wait/c HTTP/1.1\nHost: x\nConnection: close\n\n"]
    for query in ("", "?until=done"):
        heads += [f"GET /wait/c{query} HTTP/1.1\nHost: x\n{fields}" for fields in (sse, upgrade)]
    with ThreadPoolExecutor(len(heads)) as pool:
        counts = list(pool.map(lambda head: taken(daemon.port, head, size, seconds), heads))
    assert [count >= size for count in counts] == [True] * len(heads), counts
    assert metric(daemon, "ringback_notifier_closed_total", reason="slow") == 0
    assert metric(daemon, "ringback_notifier_closed_total", reason="silent") == 0


def test_history_waits_for_a_slow_reader(redis, notifier):
    """A late client with much to read is not closed, and costs no more than its queue."""
    daemon = notifier(max_queue="64KiB")
    fill(redis, "c", 100)
    before = daemon.rss_bytes()
    slow = WebSocket(daemon.url, "c")
    heard(redis, "c")
    tick(redis, "d", 1)
    assert poll(daemon.url, "d").json()["events"]
    assert daemon.rss_bytes() - before < room(4_000_000)
    assert [slow.event()["data"] for _ in range(100)] == list(range(100))
    tick(redis, "c", "live")
    assert slow.event()["data"] == "live"
    assert metric(daemon, "ringback_notifier_closed_total", reason="slow") == 0


def test_an_event_larger_than_the_queue(redis, notifier):
    daemon = notifier(max_queue="16KiB")
    client = WebSocket(daemon.url, "c")
    heard(redis, "c")
    redis.publish("c", {"event": "done", "data": "x" * 500_000})
    assert len(client.event()["data"]) == 500_000
    # Who speaks while such a one waits for him is no slow reader yet.
    redis.publish("c", {"event": "done", "data": "x" * 8_000_000})
    name = "ringback_notifier_delivered_total"
    wait_until(lambda: metric(daemon, name, transport="websocket") == 2)
    client.send_json({"subscribe": "d"})
    client.send_frame(0x9, b"still there?")
    assert len(client.event()["data"]) == 8_000_000
    assert client.event() == {"subscribed": "d"}
    assert client.recv_frame() == (True, 0xA, b"still there?")
    assert len(poll(daemon.url, "c").json()["events"][0]["data"]) == 500_000


def test_a_huge_raw_message(redis, notifier):
    daemon = notifier()
    client = WebSocket(daemon.url, "c", timeout=20)
    heard(redis, "c")
    redis.client.publish("ringback:ch:{c}", b"x" * (17 << 20))
    redis.client.publish("ringback:ch:{c}", "small")
    assert client.recv() == "small"
    assert metric(daemon, "ringback_notifier_refused_total", reason="message_too_large") == 1


def test_pings_without_reading(redis, notifier):
    daemon = notifier(max_queue="64KiB")
    client = WebSocket(daemon.url, "c")
    frame = client.frame(0x9, b"x" * 125) * 400
    before = daemon.rss_bytes()
    with pytest.raises(OSError):
        while True:
            client.send(frame)
    assert daemon.rss_bytes() - before < room(5_000_000)


def test_requests_without_reading(redis, notifier):
    """Pipelined by the thousand: who does not read the answers is not read from."""
    daemon = notifier(max_queue="64KiB")
    before = daemon.rss_bytes()
    with Raw(daemon.url) as raw:
        request, sent, idle = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 0, 0
        requests = request * 500
        raw.socket.setblocking(False)
        while idle < 30 and sent < 50_000_000:
            try:
                sent += raw.socket.send(requests[sent % len(request) :])  # goes on where it broke off
                idle = 0
            except BlockingIOError:
                idle += 1
                wait_until(lambda: True, interval=0.01)
        assert sent < 50_000_000
        assert daemon.rss_bytes() - before < room(3_000_000)
        whole = sent // len(request)
        raw.socket.setblocking(True)
        raw.timeout(10)
        assert sum(Response(raw).read_body(raw).status == 404 for _ in range(whole)) == whole


# ---------------------------------------------------------------------- floods


def test_a_storm_of_all_kinds_leaves_nothing_behind(redis, notifier):
    daemon = notifier(head_timeout="500ms")
    quiet = WebSocket(daemon.url, "quiet")
    heard(redis, "quiet")

    def storm():
        clients = []
        for n in range(150):
            clients.append(WebSocket(daemon.url, f"c{n}", "?since=1-1"))
            clients.append(Sse(daemon.url, f"c{n},d"))
            http = Http(daemon.url)
            http.request("GET", f"/wait/c{n}")
            clients.append(http)
            raw = Raw(daemon.url)
            raw.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" if n % 2 else b"GET ")
            clients.append(raw)
        for n in range(150):
            tick(redis, f"c{n}", n)
        for n, client in enumerate(clients):
            client.reset() if n % 2 else client.close()

    storm()
    wait_until(lambda: metric(daemon, "ringback_notifier_subscriptions") == 1, 20)
    before, memory = descriptors(daemon), daemon.rss_bytes()
    for _ in range(4):
        storm()
    wait_until(lambda: descriptors(daemon) <= before, 20)
    wait_until(lambda: metric(daemon, "ringback_notifier_subscriptions") == 1, 20)
    assert daemon.rss_bytes() - memory < room(2_000_000)
    for transport in ("poll", "sse", "stream"):
        assert metric(daemon, "ringback_notifier_connections", transport=transport) == 0
    tick(redis, "quiet", 1)
    assert quiet.event()["data"] == 1
    # Channels are let go after a while.
    wait_until(lambda: metric(daemon, "ringback_notifier_channels") == 1, 20)
    assert redis.client.pubsub_numsub("ringback:ch:{c1}")[0][1] == 0


def test_refusals_do_not_flood_the_log(redis, notifier):
    daemon, begun = notifier(), time.monotonic()
    for _ in range(100):
        get(daemon.url + "/wait/c", {"Host": "a b"})
    lines = daemon.lines("http.bad_request")
    assert 0 < len(lines) <= 20 + 10 * (time.monotonic() - begun)
    assert metric(daemon, "ringback_notifier_refused_total", reason="bad_request") == 100
