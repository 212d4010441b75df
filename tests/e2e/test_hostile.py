"""All that clients can do to harm, at the same time, beside some that behave: those hear
everything in time, memory stays below what the settings allow, and when it is over nothing
has stayed behind."""

import itertools
import os
import random
import re
import socket
import ssl
import subprocess
import threading
import time
import zlib
from pathlib import Path

from peers.clients import PING, Closed, Http, Raw, Sse, Stream, WebSocket, get
from peers.process import free_port, patience, sanitized, wait_until

ROUND = 3.0  # seconds of attack
CONNECTIONS, QUEUE = 500, 64 * 1024
SLACK = 6_000_000  # bytes: what the allocator keeps in pieces, in two processes
SCRATCH = 24_000_000  # bytes that do not depend on the number of clients
GONE = (OSError, Closed, ssl.SSLError, ValueError)


# ---------------------------------------------------------------------- what they do


def slow_heads(base, tls, dice):
    """Slowloris: a byte now and then, never the end."""
    raws = [Raw(base) for _ in range(40)]
    for byte in b"GET /wait/c HTTP/1.1\r\nX: ":
        yield
        for raw in raws:
            raw.send(bytes([byte]))


def garbage(base, tls, dice):
    for _ in range(20):
        Raw(base).send(dice.randbytes(dice.randrange(1, 3000)))
    yield


def tls_garbage(base, tls, dice):
    """Records that are none, and a hello that stops in the middle."""
    for begin in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x16\x03\x01\xff\xff", b""):
        Raw(tls).send(begin + dice.randbytes(dice.randrange(400)))
    yield


def large_heads(base, tls, dice):
    for head in (b"GET /wait/" + b"c" * 30000, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 30000,
                 b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 3000):  # fmt: skip
        Raw(base).send(head)
    yield


def pipelines(base, tls, dice):
    raw = Raw(base)
    raw.timeout(0.5)
    for _ in range(20):
        raw.send(b"GET /ringback.js HTTP/1.1\r\nHost: x\r\n\r\n" * 300)  # and reads nothing
        yield


def large_frames(base, tls, dice):
    for opcode, length in ((1, 1 << 20), (2, (1 << 63) - 1), (9, 126), (1, 1 << 63)):
        WebSocket(base, "c").send_frame(opcode, b"x" * 1000, length=length)
    yield


def wrong_frames(base, tls, dice):
    for options in ({"mask": False}, {"rsv": 7}, {"opcode": 0}, {"opcode": 11}, {"payload": b"\xff"}):
        WebSocket(base, "c").send_frame(**{"opcode": 1, "payload": b"{}", **options})
    yield


def fragments(base, tls, dice):
    client = WebSocket(base, "c")
    client.send_frame(1, b"", fin=False)
    for _ in range(30):
        client.send(client.frame(0, b"", fin=False) * 500)
        client.send(client.frame(0, b"x" * 100, fin=False) * 100)
        yield


def pings(base, tls, dice):
    client = WebSocket(base, "c")
    client.timeout(0.5)
    for _ in range(30):
        client.send(client.frame(PING, b"x" * 125) * 500)
        yield


def commands(base, tls, dice):
    """Subscribes, unsubscribes, and talks nonsense, and reads nothing."""
    client = WebSocket(base, "c")
    client.timeout(0.5)
    for n in itertools.count():
        one, two = b'{"subscribe":"h%d"}' % (n % 900), b'{"unsubscribe":"h%d"}' % (n % 900)
        client.send((client.frame(1, one) + client.frame(1, two) + client.frame(1, b"[")) * 50)
        yield


def bombs(base, tls, dice):
    """A frame that would be a hundred megabytes."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(bytes(100_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
    client = WebSocket(base, "c", headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
    client.send_frame(1, packed[:60_000], rsv=4)
    yield


def never_read(base, tls, dice):
    """Ask for what is large, take nothing."""
    for _ in range(15):
        for mode in ("poll", "stream", "sse"):
            client = Http(base)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.request("GET", f"/wait/large?mode={mode}")
    for _ in range(100):
        yield


def hoard(base, tls, dice):
    """Connections for their own sake."""
    for _ in range(CONNECTIONS):
        Raw(base)
    yield


def many_channels(base, tls, dice):
    for _ in range(20):
        names = ",".join(f"x{dice.randrange(1 << 30)}" for _ in range(16))
        Http(base).request("GET", f"/wait/{names}")
    yield


def come_and_go(base, tls, dice):
    for _ in range(100):
        Raw(base).reset()
    yield


ATTACKS = (slow_heads, garbage, tls_garbage, large_heads, pipelines, large_frames, wrong_frames,
           fragments, pings, commands, bombs, never_read, many_channels, hoard, come_and_go)  # fmt: skip


def attack(kind, base, tls, over):
    """The same again and again; what one time opened is closed, or reset, at its end."""
    dice = random.Random(kind.__name__)
    while not over.is_set():
        opened = Opened()
        try:
            for _ in kind(base, tls, dice):
                if over.wait(0.02):
                    break
        except GONE:
            pass  # it was refused, as it should
        over.wait(dice.uniform(0, 0.3))
        opened.end(dice)


class Opened:
    """The connections that this thread opens from now on."""

    all = threading.local()

    def __init__(self):
        Opened.all.raws = []

    def end(self, dice):
        for raw in Opened.all.raws:
            try:
                raw.reset() if dice.random() < 0.5 else raw.close()
            except OSError:
                pass
        Opened.all.raws = []


# ---------------------------------------------------------------------- those who behave


class Good:
    """Hears channel "good" in a thread of its own; `late` are the ms each event took."""

    def __init__(self, client):
        self.client, self.data, self.late = client, [], []
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self):
        try:
            while True:
                event = self.client.event()
                self.late.append(time.time() * 1000 - int(event["id"].split("-")[0]))
                self.data.append(event["data"])
        except GONE:
            pass


def pss_bytes(daemon):
    total = 0
    for pid in daemon.session():
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1]) * 1024
    return total


def descriptors(daemon):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in daemon.session())


def gauge(daemon, name):
    text = get(daemon.admin + "/metrics").text
    return sum(int(n) for n in re.findall(rf"^ringback_notifier_{name}(?:{{[^}}]*}})? (\d+)$", text,
                                          re.MULTILINE))  # fmt: skip


def test_all_at_once(redis, notifier, folder, monkeypatch):
    secure = free_port()
    cert, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=x", "-keyout",
                    key, "-out", cert], check=True, capture_output=True)  # fmt: skip
    port = free_port()
    daemon = notifier(
        {"log": {"level": "info"}}, processes=2, compression=True, max_connections=CONNECTIONS,
        max_queue=QUEUE, max_message="64KiB", head_timeout="700ms", ping_interval="700ms",
        listen=[f"127.0.0.1:{port}", f"tls://127.0.0.1:{secure}"], wait=False,
        tls={"certificate": str(cert), "key": str(key)},
    )  # fmt: skip
    daemon.url = f"http://127.0.0.1:{port}"
    wait_until(lambda: len(daemon.lines("notifier.started")) == 2)
    processes = daemon.children()
    base, tls = daemon.url, f"http://127.0.0.1:{secure}"

    good = [Good(kind(base, "good", timeout=60)) for kind in (WebSocket, Sse, Stream) * 4]
    wait_until(lambda: gauge(daemon, "subscriptions") == len(good))
    begin = Raw.__init__

    def remembered(self, *args, **options):
        begin(self, *args, **options)
        if hasattr(Opened.all, "raws"):
            Opened.all.raws.append(self)

    monkeypatch.setattr(Raw, "__init__", remembered)
    sent, peak = itertools.count(), 0

    def besiege():
        nonlocal peak
        over = threading.Event()
        threads = [threading.Thread(target=attack, args=(kind, base, tls, over)) for kind in ATTACKS]
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        while time.monotonic() - begun < ROUND:
            redis.publish("good", {"event": "tick", "data": next(sent)})
            redis.publish("large", {"event": "tick", "data": "x" * 200_000})
            peak = max(peak, pss_bytes(daemon))
            over.wait(0.05)
        over.set()
        for thread in threads:
            thread.join(patience(20))
        wait_until(lambda: gauge(daemon, "subscriptions") == len(good), 20, "them to be gone")

    fresh = pss_bytes(daemon)
    besiege()  # buffers and tables have their size now
    before = descriptors(daemon)
    memory = pss_bytes(daemon)
    besiege()

    wait_until(lambda: gauge(daemon, "channels") <= 2, 30, "their channels to be gone")
    # The attacks were some: what they must run into was counted.
    for name in ('refused_total{reason="bad_request"}', 'closed_total{reason="head_timeout"}',
                 'refused_total{reason="max_connections"}'):  # fmt: skip
        assert gauge(daemon, re.escape(name)) > 0, name
    count = next(sent)
    wait_until(lambda: all(len(one.data) == count for one in good), 20, "the good to hear all")
    assert all(one.data == list(range(count)) for one in good)
    assert max(max(one.late) for one in good) < patience(1.5) * 1000
    wait_until(lambda: descriptors(daemon) <= before, 20, "descriptors to be closed")
    assert sorted(daemon.children()) == sorted(processes)
    assert len(daemon.lines("notifier.started")) == 2
    if not sanitized():
        assert peak - fresh < CONNECTIONS * QUEUE + SCRATCH
        wait_until(lambda: pss_bytes(daemon) < memory + SLACK, 10, "memory to be given back")
    with Http(base) as client:
        assert client.ask("GET", "/ringback.js").status == 200
    print(f"fresh {fresh}, peak {peak}, after one {memory}, after two {pss_bytes(daemon)}, "
          f"latest {max(max(one.late) for one in good):.0f} ms, {count} events")  # fmt: skip
