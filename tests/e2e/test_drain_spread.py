"""SIGTERM to a notifier with thousands of clients: they are sent away evenly over the time
that was set, and do not all come to the next one at once."""

import collections
import re
import resource
import selectors
import socket
import time

import pytest
from peers.clients import get
from peers.process import patience, wait_until

CLIENTS = 3000
SPREAD = 2.0  # seconds: half of drain_timeout
HEADS = {
    "websocket": b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    "sse": b"Accept: text/event-stream\r\n", "stream": b"", "poll": b"",
}  # fmt: skip
LAST = {"websocket": b"\x03\xe9", "sse": b"0\r\n\r\n", "stream": b"0\r\n\r\n",
        "poll": b"HTTP/1.1 204 "}  # fmt: skip


def come(port, count):
    """(kind, socket) of each."""
    clients = []
    for n in range(count):
        kind = list(HEADS)[n % len(HEADS)]
        client = socket.create_connection(("127.0.0.1", port), patience(10))
        mode = b"?mode=stream" if kind == "stream" else b""
        client.sendall(b"GET /wait/d%d%s HTTP/1.1\r\nHost: x\r\n%s\r\n" % (n % 50, mode, HEADS[kind]))
        clients.append((kind, client))
    return clients


def go(clients, timeout):
    """Reads all until they are sent away: kind → when, in seconds from now."""
    begun, ends, told = time.monotonic(), collections.defaultdict(list), {}
    with selectors.DefaultSelector() as selector:
        for kind, client in clients:
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ, kind)
            told[client] = b""
        while told and time.monotonic() - begun < timeout:
            for key, _ in selector.select(0.1):
                client, kind = key.fileobj, key.data
                data = client.recv(65536)
                told[client] = told[client][-2000:] + data
                if LAST[kind] in told[client] or not data:
                    assert LAST[kind] in told.pop(client), f"{kind} was cut off"
                    ends[kind].append(time.monotonic() - begun)
                    selector.unregister(client)
                    client.close()
    assert not told, f"{len(told)} were told nothing"
    return ends


def test_thousands_are_sent_away_evenly(redis, notifier):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CLIENTS + 500:
        pytest.skip(f"{hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    daemon = notifier({"log": {"level": "info"}}, processes=2, poll_timeout="60s",
                      ping_interval="60s", drain_timeout=f"{SPREAD * 2:g}s")  # fmt: skip
    clients = come(daemon.port, CLIENTS)

    def all_wait():
        text = get(daemon.admin + "/metrics").text
        return int(re.search(r"^ringback_notifier_subscriptions (\d+)$", text, re.M)[1]) == CLIENTS

    wait_until(all_wait, 20, "all to wait")
    daemon.terminate()
    ends = go(clients, patience(SPREAD * 3))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for kind, times in ends.items():
        assert len(times) == CLIENTS // len(HEADS)
        spread = min(SPREAD, CLIENTS / 2 / 1000)  # a millisecond for each of a process
        tenths = collections.Counter(int(at / spread * 10) for at in times)
        print(kind, [tenths[n] for n in range(12)])
        if patience(1) < 2:  # a busy machine writes histograms of its own
            assert max(tenths.values()) < len(times) * 0.25 and max(times) < spread * 1.5
        assert max(times) > spread * 0.8
    assert daemon.stop() == 0
    assert not daemon.lines("notifier.drain_timeout")
