"""`ringback listen` as a dialogue on a terminal, and as many clients at once."""

import base64
import hashlib
import json
import os
import re
import resource
import socket
import subprocess
import threading

import pytest
from peers.daemons import program
from peers.process import lasting
from peers.terminal import Terminal


@pytest.fixture
def terminal(folder, config):
    started = []

    def start(*words, env=None):
        file = folder / "terminal.yaml"
        file.write_text(json.dumps(config()))
        started.append(Terminal(program("ringback"), "-c", file, *words, env=env))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        os.close(one.master)


def test_the_dialogue(redis, ringback, terminal):
    """A name is heard at once, with what was kept; -name is not heard any more."""
    ringback("publish", "a", "1", check=True)
    talk = terminal("listen")
    talk.wait("? tells")
    talk.type("a\n")
    talk.wait('"data":1')
    talk.type("b\n")
    talk.wait("hearing b")
    ringback("publish", "b", "--event", "done", "2", check=True)
    talk.wait('"data":2')
    assert "\x1b[32mdone\x1b[0m" in talk.look() and "\x1b[36mb\x1b[0m" in talk.look()
    talk.type("?\n")
    talk.wait("heard: a b")
    talk.type("-a\n")
    talk.wait("a is heard no longer")
    talk.type("-a\nno name\n")
    talk.wait("a is not heard")
    talk.wait("channel's name")
    ringback("publish", "a", "3", check=True)
    ringback("publish", "b", "4", check=True)
    talk.wait('"data":4')
    assert '"data":3' not in talk.look()
    talk.type("+a\n")  # from the start: it was let go
    talk.wait('"data":3')
    talk.type("\x04")
    assert talk.end() == 0


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_where_none_are_wanted(redis, ringback, terminal, env):
    ringback("publish", "a", "1", check=True)
    talk = terminal("listen", "a", env=env)
    talk.wait('"data":1')
    assert "\x1b" not in talk.look()


def test_idle_ends_the_dialogue_and_says_so(redis, terminal):
    talk = terminal("listen", "--idle", "300ms")
    assert talk.end() == 0 and "nothing came for 300ms" in talk.look()


def test_the_end_of_input_ends_a_dialogue(redis, ringback):
    done = ringback("listen", "-i", "--idle", "0", input="a\n-a\n")
    assert done.returncode == 0 and "a is heard no longer" in done.stderr


# ---------------------------------------------------------------------- many clients


def seconds(done):
    """The lines of figures and the summary."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[:-1], lines[-1]


@pytest.mark.parametrize(("channel", "each"), [("load:{n}", 1), ("load", 300)])
def test_many_clients(redis, notifier, ringback, channel, each):
    url = notifier().url
    done = ringback("listen", "--clients", 300, "--url", url, "--publish", 100, "--for", "1s",
                    "--json", channel)  # fmt: skip
    figures, summary = seconds(done)
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary["opened"] == summary["clients"] == 300 and summary["failed"] == 0
    assert summary["events"] == summary["published"] * each > 0
    assert summary["lost"] == summary["twice"] == 0
    assert 0 < summary["p50_us"] <= summary["p90_us"] <= summary["p99_us"] <= summary["max_us"]
    assert figures and figures[-1]["open"] == 300


def test_where_the_notifier_is_by_the_settings(redis, notifier, ringback):
    port = notifier().port
    for address in (f"127.0.0.1:{port}", f"*:{port}"):
        settings = {"notifier": {"listen": ["unix:/nowhere", address]}}
        done = ringback("listen", "--clients", 3, "--for", "10ms", "c", settings=settings)
        assert done.returncode == 0 and "3 of 3 clients opened" in done.stdout, done.stderr
    done = ringback("listen", "--clients", 1, "c", settings={"notifier": {"listen": ["unix:/x"]}})
    assert done.returncode == 64 and "--url" in done.stderr


def test_refused_clients_are_told(redis, notifier, ringback):
    url = notifier(max_connections=5).url
    done = ringback("listen", "--clients", 8, "--url", url, "--for", "10ms", "--json", "c")
    _, summary = seconds(done)
    # Places may still be taken by the connection that saw whether anybody is there, and by
    # those that were refused and are not gone yet.
    assert done.returncode == 1 and summary["opened"] <= 5, done.stdout + done.stderr
    assert summary["opened"] + summary["failed"] == 8, done.stdout + done.stderr
    assert "HTTP/1.1 503" in done.stderr


def test_nobody_there(ringback):
    done = ringback("listen", "--clients", 5, "--url", "http://127.0.0.1:1", "c")
    assert done.returncode == 69 and "Connection refused" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--clients", "0", "c"], "a number"),
        (["--clients", "x", "c"], "a number"),
        (["--clients", "5"], "one channel"),
        (["--clients", "5", "a", "b"], "one channel"),
        (["--clients", "5", "a b"], "channel's name"),
        (["--publish", "5", "c"], "need --clients"),
        (["--clients", "5", "--url", "https://x", "c"], "http://"),
        (["--clients", "5", "--url", "http://a b", "c"], "http://"),
        (["--clients", "5", "--url", "http://", "c"], "http://"),
    ],
)
def test_misuse(ringback, words, said):
    done = ringback("listen", *words)
    assert done.returncode == 64 and said in done.stderr and not done.stdout, done.stderr


def test_more_than_descriptors_allow(folder):
    done = subprocess.run(
        [program("ringback"), "listen", "--clients", "500", "c"], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)),
    )  # fmt: skip
    assert done.returncode == 1 and "532 descriptors" in done.stderr and "100" in done.stderr


class BadNotifier(threading.Thread):
    """Answers each WebSocket and then sends it these bytes."""

    def __init__(self, frames):
        super().__init__(daemon=True)
        self.frames = frames
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.kept = []
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(4096)
                if not piece:
                    break
                head += piece
            key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
            if not key:
                client.close()
                continue
            digest = hashlib.sha1(key.group(1) + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
            client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                           b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
                           + base64.b64encode(digest) + b"\r\n\r\n")  # fmt: skip
            self.kept.append(client)
            client.sendall(self.frames)


def text(event):
    data = json.dumps(event, separators=(",", ":")).encode()
    size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
    return b"\x81" + size + data


def event(id, **more):
    """Never older than the client that hears it."""
    return text({"id": id, "channel": "c", "event": "message", "at": 4102444800000, **more})


@pytest.mark.parametrize(
    ("frames", "wanted"),
    [
        (event("5-0") + event("5-1"), {"events": 2, "lost": 0, "twice": 0, "closed": 0}),
        (event("5-0") + event("5-0"), {"events": 2, "twice": 1}),
        (event("5-0") + text({"id": "9-0", "channel": "c", "event": "gap", "at": 1}),
         {"events": 1, "lost": 1}),
        (event("5-0", data="x" * 300) * 1 + b"\x89\x02hi", {"events": 1, "closed": 0}),
        (text({"id": "1-0", "channel": "c", "event": "old", "at": 1}), {"events": 0, "twice": 0}),
        (b"\x88\x02\x03\xe9", {"closed": 1}),
        (b"\xc1\x01x", {"closed": 1}),
        (b"\x81\x7f" + b"\xff" * 8, {"closed": 1}),
    ],
    ids=["well", "twice", "gap", "ping", "kept", "close", "reserved", "too large"],
)  # fmt: skip
def test_what_is_wrong_is_counted(ringback, frames, wanted):
    bad = BadNotifier(frames)
    done = ringback("listen", "--clients", 1, "--url", bad.url, "--for", lasting(0.3), "--json", "c")
    bad.listener.close()
    _, summary = seconds(done)
    assert {key: summary[key] for key in wanted} == wanted, done.stdout + done.stderr
    well = not any(summary[key] for key in ("lost", "twice", "closed", "failed"))
    assert done.returncode == (0 if well else 1)


def test_what_was_published_and_never_came_is_lost(redis, ringback):
    bad = BadNotifier(b"")
    done = ringback("listen", "--clients", 2, "--url", bad.url, "--publish", 50, "--for", "100ms",
                    "--json", "c")  # fmt: skip
    bad.listener.close()
    _, summary = seconds(done)
    assert done.returncode == 1 and summary["events"] == summary["twice"] == 0
    assert summary["lost"] == 2 * summary["published"] > 0
