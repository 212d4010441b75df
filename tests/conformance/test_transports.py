"""The same promises on every way of waiting, directly, through TLS, and behind nginx."""

import json
import os
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from peers.clients import Closed, Http, Raw, Sse, Stream, WebSocket, ask
from peers.daemons import Notifier
from peers.nginx import NGINX, Front
from peers.process import Processes, free_port, lasting, wait_until
from peers.redis_server import RedisServer

MAX_CHANNELS = 16


# ---------------------------------------------------------------------- clients of one kind


class HearsWebSocket(WebSocket):
    def __init__(self, base, names, since=None, until=False):
        super().__init__(base, names, query(since, until))

    def event(self):
        return as_json(self.recv())

    def beats(self):
        """Waits for a sign of life."""
        while self.recv_frame()[1] != 0x9:
            pass

    def ends(self):
        return self.close_code() == 1000

    def says_good_bye(self):
        return self.close_code() == 1001


def ended(client, beginnings):
    """Does the body end, behind some of these at the most?"""
    for _ in range(30):
        piece = next(client.pieces, None)
        if piece is None:
            return True
        assert piece.startswith(beginnings), piece
    return False


class HearsSse(Sse):
    def __init__(self, base, names, since=None, until=False):
        super().__init__(base, names, since, query(None, until))

    def event(self):
        return as_json(self.next()[2])

    def beats(self):
        while next(self.pieces) != b":\n\n":
            pass

    def ends(self):
        return ended(self, (b"retry", b":"))

    says_good_bye = ends


class HearsStream(Stream):
    def __init__(self, base, names, since=None, until=False):
        super().__init__(base, names, query(since, until).replace("?", "&"))

    event = Stream.next

    def beats(self):
        while next(self.pieces) != b"\n":
            pass

    def ends(self):
        return ended(self, (b"\n",))

    says_good_bye = ends


class HearsPoll(Http):
    """Asks again and again; `answer` is the last one."""

    def __init__(self, base, names, since=None, until=False):
        super().__init__(base)
        self.names, self.until_done, self.cursor, self.have = names, until, since, []
        self._ask()

    def _ask(self):
        self.request("GET", f"/wait/{self.names}{query(self.cursor, self.until_done)}")
        self.read_on = True
        if self.cursor is not None or self.until_done:
            self._read()

    def _read(self):
        self.answer, self.read_on = self.response(), False
        if self.answer.status == 200:
            self.have += self.answer.json()["events"]
            self.cursor = self.answer.json()["cursor"]

    def event(self):
        for _ in range(20):
            if self.have:
                return self.have.pop(0)
            if not self.read_on:
                self._ask()
            if self.read_on:
                self._read()
        raise AssertionError("nothing comes")

    def beats(self):
        if self.read_on:
            self._read()
        assert self.answer.status == 204  # it may ask again

    def ends(self):
        self._ask()
        return self.answer.status == 204

    def says_good_bye(self):
        return self.response().status == 204


KINDS = {"websocket": HearsWebSocket, "sse": HearsSse, "stream": HearsStream, "poll": HearsPoll}


def query(since, until):
    words = [*([f"since={since}"] if since else []), *(["until=done"] if until else [])]
    return "?" + "&".join(words) if words else ""


def as_json(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


# ---------------------------------------------------------------------- what they come to


class Stack:
    """A Redis, a notifier with and without TLS, nginx: `bases` name → address."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="rb-")
        self.processes = Processes(self.folder.name)
        self.redis = RedisServer(self.processes, aof=True)
        cert, key = Path(self.folder.name, "tls.crt"), Path(self.folder.name, "tls.key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert,
             "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True,
        )  # fmt: skip
        plain, secure = free_port(), free_port()
        self.notifier = Notifier(self.processes, {
            "redis": {"url": self.redis.url}, "log": {"level": "debug"},
            "notifier": {"processes": 1, "poll_timeout": "700ms", "ping_interval": lasting(0.6),
                         "drain_timeout": "1s", "tls": {"certificate": str(cert), "key": str(key)},
                         "listen": [f"127.0.0.1:{plain}", f"tls://127.0.0.1:{secure}"]}},
            wait=False)  # fmt: skip
        self.notifier.port = plain
        self.notifier.wait_line("notifier.started")
        self.bases = {"plain": f"http://127.0.0.1:{plain}", "tls": f"https://localhost:{secure}"}
        trusted = cert.read_text()
        if os.path.exists(NGINX):
            front = Front(self.processes, self.notifier)
            self.bases["nginx"] = front.url
            trusted += Path(front.certificate).read_text()
        bundle = Path(self.folder.name, "trusted.pem")
        bundle.write_text(trusted)
        self.trusted_before, Raw.trusted = Raw.trusted, str(bundle)

    def close(self):
        Raw.trusted = self.trusted_before
        wrong = self.processes.finish()
        if wrong:
            print(self.notifier.log[-6000:])
        self.folder.cleanup()
        assert not wrong, wrong


@pytest.fixture(scope="module")
def stack():
    stack = Stack()
    yield stack
    stack.close()


_numbers = count()


@pytest.fixture(params=[f"{kind}-{way}" for kind in KINDS for way in ("plain", "tls", "nginx")])
def it(request, stack):
    """.hear(names, since, until) comes to one of the ways; .put(name, data …) publishes and
    gives the ids; .name(x) is a channel of this test."""
    kind, way = request.param.split("-")
    if way not in stack.bases:
        pytest.skip("nginx is not here")
    base, number, clients = stack.bases[way], next(_numbers), []

    def hear(names, since=None, until=False):
        clients.append(KINDS[kind](base, names, since, until))
        return clients[-1]

    def put(name, *data, event="tick"):
        return [stack.redis.publish(name, {"event": event, "data": one}) for one in data]

    def waiters(name):
        return ask(f"{stack.notifier.admin}/channels/{name}").json()["waiters"]

    yield SimpleNamespace(hear=hear, put=put, name=lambda x: f"t{number}.{x}", redis=stack.redis,
                          kind=kind, base=base, waiters=waiters)  # fmt: skip
    for client in clients:
        client.close()


def data_of(client, number):
    return [client.event()["data"] for _ in range(number)]


# ---------------------------------------------------------------------- what is told


def test_history_before_what_is_live_in_order(it):
    name = it.name("c")
    ids = it.put(name, 1, 2, 3)
    client = it.hear(name)
    first = client.event()
    assert first["event"] == "tick" and first["channel"] == name and first["id"] == ids[0]
    ids += it.put(name, *range(4, 40))
    told = [first, *(client.event() for _ in range(38))]
    assert [event["data"] for event in told] == list(range(1, 40))
    assert [event["id"] for event in told] == ids


def test_a_cursor(it):
    name = it.name("c")
    ids = it.put(name, *range(5))
    assert data_of(it.hear(name, ids[1]), 3) == [2, 3, 4]
    client = it.hear(name, ids[4])
    it.put(name, 5)
    assert data_of(client, 1) == [5]


def test_the_cursor_of_several_channels(it):
    a, none, b = it.name("a"), it.name("none"), it.name("b")
    of_a, of_b = it.put(a, 1, 2), it.put(b, 3, 4)
    client = it.hear(f"{a},{none},{b}", f"{of_a[0]},-,{of_b[0]}")
    assert sorted(data_of(client, 2)) == [2, 4]
    it.put(none, 5)
    assert data_of(client, 1) == [5]


def test_a_gap_is_told_once(it):
    name = it.name("c")
    ids = it.put(name, *range(6))
    it.redis.client.xtrim(f"ringback:ch:{{{name}}}", maxlen=2, approximate=False)
    client = it.hear(name, ids[0])
    gap = client.event()
    assert (gap["event"], gap["channel"], gap["since"]) == ("gap", name, ids[0])
    assert gap["first"] == ids[4] and gap["id"] < ids[4]
    assert data_of(client, 2) == [4, 5]
    assert data_of(it.hear(name, gap["id"]), 2) == [4, 5]


def test_the_end(it):
    name, other = it.name("c"), it.name("d")
    it.put(name, 1)
    (done,) = it.put(name, 2, event="done")
    it.put(name, 3)
    (failed,) = it.put(other, 4, event="failed")
    client = it.hear(f"{name},{other}", until=True)
    assert sorted(data_of(client, 3)) == [1, 2, 4]
    assert client.ends()
    again = it.hear(f"{name},{other}", f"{done},{failed}", until=True)
    if it.kind == "websocket":
        assert again.ends()
    else:
        assert again.answer.status == 204


def test_a_sign_of_life(it):
    client = it.hear(it.name("c"))
    client.beats()
    it.put(it.name("c"), 1)
    assert data_of(client, 1) == [1]


@pytest.mark.parametrize("data", [
    "aé€😀\u2028\u2029\ufeff", "a\nb\rc\r\nd\n\n\re", "\0\x01\x1f\x7f", 'data: x\n\nid: 1-1\n"\\/',
    {"": [None, True, -0.5, 1e300, {"a": []}]},
])  # fmt: skip
def test_data_of_all_kinds(it, data):
    name = it.name("c")
    it.put(name, data)
    client = it.hear(name)
    assert data_of(client, 1) == [data]
    it.put(name, data)
    assert data_of(client, 1) == [data]


@pytest.mark.parametrize("size", [125, 16_384, 65_400, 65_536, 300_000])
def test_sizes(it, size):
    name, text = it.name("c"), "0123456789"
    long = (text * (size // 10 + 1))[:size]
    it.put(name, long)
    client = it.hear(name)
    assert data_of(client, 1) == [long]
    it.put(name, long[1:], "small")
    assert data_of(client, 2) == [long[1:], "small"]


def test_raw_messages(it):
    name = it.name("c")
    for raw in ('{"n": 1}', "plain words", '{"n":\n 2}'):
        client = it.hear(name)  # they are for who waits at the moment
        wait_until(lambda: it.waiters(name) == 1)
        it.redis.client.publish(f"ringback:ch:{{{name}}}", raw)
        assert client.event() == as_json(raw)
        client.close()
        wait_until(lambda: it.waiters(name) == 0)
    client = it.hear(name)
    (id,) = it.put(name, 3)
    assert client.event()["id"] == id


def test_many_channels(it):
    names = [it.name(n) for n in range(MAX_CHANNELS)]
    client = it.hear(",".join(names))
    for name in names:
        it.put(name, name)
    assert sorted(data_of(client, MAX_CHANNELS)) == sorted(names)


# ---------------------------------------------------------------------- what is refused


def refused(it, target, status=400):
    headers = {"websocket": {"Upgrade": "websocket", "Connection": "Upgrade",
                             "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a" * 22 + "=="},
               "sse": {"Accept": "text/event-stream"}}.get(it.kind, {})  # fmt: skip
    if it.kind == "stream":
        target += ("&" if "?" in target else "?") + "mode=stream"
    with Http(it.base) as client:
        answer = client.ask("GET", target, headers)
    assert answer.status == status, (target, answer)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


WRONG_CURSORS = [
    "x", "1", "1-", "-1", "-1-1", "1-2-3", "01-1", "1-01", "1-1,2-2", "1-1,", ",", " ", "1-1 ",
    "18446744073709551616-0", "0x1-1", "1.0-0", "+1-1", "%00", "1-1%0a", "-,-",
]  # fmt: skip
WRONG_CHANNELS = [
    "a" * 129, "a b", "a*", "ä", "a\n", "{a}", "a,", ",a", "a,,b", "a;b", "a&b",
    ",".join(f"c{n}" for n in range(MAX_CHANNELS + 1)),
]  # fmt: skip


def test_wrong_cursors(it):
    for since in WRONG_CURSORS:
        refused(it, f"/wait/c?since={quote(since, safe='%')}")


def test_wrong_channels(it):
    for name in WRONG_CHANNELS:
        refused(it, f"/wait/{quote(name, safe=',')}")


def test_all_that_a_name_may_hold(it):
    name = it.name("azAZ09_.:@=~-")
    long = (name + "x" * 128)[:128]
    client = it.hear(f"{name},{long}")
    it.put(name, 1), it.put(long, 2)
    assert sorted(data_of(client, 2)) == [1, 2]


def test_head_and_options(it):
    if it.kind == "websocket":
        pytest.skip("a GET only")
    types = {"sse": "text/event-stream", "stream": "application/x-ndjson", "poll": "application/json"}
    headers = {"Accept": "text/event-stream"} if it.kind == "sse" else {}
    target = f"{it.base}/wait/{it.name('c')}" + ("?mode=stream" if it.kind == "stream" else "")
    answer = ask(target, "HEAD", headers)
    assert answer.status == 200 and answer.headers["content-type"] == types[it.kind]
    answer = ask(target, "OPTIONS", {"Origin": "http://x.example",
                                     "Access-Control-Request-Method": "GET"})  # fmt: skip
    assert answer.status == 204 and answer.headers["access-control-allow-origin"] == "*"
    assert ask(target, "DELETE").status == 405


# ---------------------------------------------------------------------- what happens to all


@pytest.fixture
def all_kinds(stack):
    """hear(name) gives a client of each kind on each way."""
    clients = []

    def hear(name, since=None):
        clients.extend(kind(base, name, since) for kind in KINDS.values()
                       for base in stack.bases.values())  # fmt: skip
        return clients[-len(KINDS) * len(stack.bases) :]

    yield hear
    for client in clients:
        client.close()


def test_redis_goes_and_comes_back(stack, all_kinds):
    clients = all_kinds("away")
    stack.redis.publish("away", {"event": "tick", "data": 1})
    assert [client.event()["data"] for client in clients] == [1] * len(clients)
    stack.redis.kill()
    stack.notifier.wait_line("feed.down")
    stack.redis.start()
    for n in (2, 3):
        stack.redis.publish("away", {"event": "tick", "data": n})
    assert [data_of(client, 2) for client in clients] == [[2, 3]] * len(clients)


def test_all_are_told_good_bye(stack, all_kinds):
    """The last test of this file: the notifier ends."""
    clients = all_kinds("bye")
    name = "ringback_notifier_subscriptions"
    wait_until(lambda: f"{name} {len(clients)}\n" in ask(f"{stack.notifier.admin}/metrics").text)
    stack.notifier.terminate()
    for client in clients:
        try:
            assert client.says_good_bye(), client
        except Closed as error:
            raise AssertionError(f"{client} was cut off") from error
    assert stack.notifier.wait() == 0
