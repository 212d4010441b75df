"""The process: addresses, several processes, reload, drain, and ten thousand who wait."""

import json
import os
import signal
import socket
import stat
import subprocess

import pytest
from peers.clients import Closed, Http, Response, Sse, Stream, WebSocket, get, poll
from peers.daemons import program
from peers.process import free_port, patience, wait_until


def tick(redis, channel, data):
    return redis.publish(channel, {"event": "tick", "data": data})


def heard(redis, channel, count=1):
    wait_until(lambda: redis.client.pubsub_numsub(f"ringback:ch:{{{channel}}}")[0][1] == count)


def listening(daemon, side="public"):
    daemon.process.wait_line("notifier.listening")
    return [line["address"] for line in daemon.lines("notifier.listening", **{"for": side})]


@pytest.fixture
def run(folder, config):
    """Runs the notifier to its end: settings of its `notifier:` part."""

    def start(*args, **members):
        file = folder / "run.yaml"
        base = {"listen": ["127.0.0.1:0"], "admin": []}
        file.write_text(json.dumps(config({"notifier": {**base, **members}})))
        return subprocess.run([program("ringback-notifier"), "-c", file, *args],
                              capture_output=True, text=True, timeout=patience(20))  # fmt: skip

    return start


# ---------------------------------------------------------------------- addresses


@pytest.mark.parametrize("count", [1, 2])
def test_a_port_in_use(redis, run, count):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(listen=[f"127.0.0.1:{port}"], processes=count)
    assert done.returncode == 69
    assert f"127.0.0.1:{port}" in done.stderr and "in use" in done.stderr


@pytest.mark.parametrize("count", [1, 2])
def test_a_port_in_use_by_another_of_us(redis, notifier, run, count):
    other = notifier(processes=2)
    done = run(listen=[f"127.0.0.1:{other.port}"], processes=count)
    assert done.returncode == 69 and "in use" in done.stderr
    assert get(other.url + "/nothing").status == 404


def test_addresses_that_are_none_here(redis, run):
    for address in ("192.0.2.1:8080", "no-such-host.invalid:80"):
        done = run(listen=[address])
        assert done.returncode == 69 and address in done.stderr


@pytest.mark.parametrize("count", [1, 2])
def test_port_0(redis, notifier, count):
    daemon = notifier(listen=["127.0.0.1:0", "[::1]:0", "*:0"], wait=False, processes=count)
    wait_until(lambda: len(listening(daemon)) == 3)
    for address in listening(daemon):
        port = address.rpartition(":")[2]
        assert int(port) > 0
        hosts = ["127.0.0.1", "[::1]"] if address.startswith("[::]") else [address.rpartition(":")[0]]
        for host in hosts:
            wait_until(lambda: get(f"http://{host}:{port}/nothing", {"Host": "x"}).status == 404)


def test_unix_sockets(redis, notifier, folder, run):
    path, closed = folder / "n.sock", folder / "closed.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()  # what a killed process leaves behind
    daemon = notifier(listen=[f"unix:{path}", f"unix:{closed}?mode=0600"], wait=False,
                      admin=[f"unix:{folder}/admin.sock"])  # fmt: skip
    daemon.wait_line("notifier.started")  # on all of them
    assert listening(daemon)[0] == f"unix:{path}"

    def modes():
        return [stat.S_IMODE(os.stat(p).st_mode) for p in (path, closed, folder / "admin.sock")]

    assert modes() == [0o666, 0o600, 0o660]
    assert run(listen=[f"unix:{path}"]).returncode == 69  # somebody answers there
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 404 ")
    assert daemon.stop() == 0
    assert not path.exists() and not closed.exists()
    other = folder / "file"
    other.write_text("not ours")
    done = run(listen=[f"unix:{other}"])
    assert done.returncode == 69 and other.read_text() == "not ours"


def test_unix_socket_of_several_processes(redis, notifier, folder):
    path = folder / "n.sock"
    daemon = notifier(listen=[f"unix:{path}"], wait=False, processes=2)
    listening(daemon)
    daemon.process.wait_line("notifier.started", row=1)
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /nothing HTTP/1.0\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 404 ")


def test_check(redis, run):
    assert run("--check").returncode == 0
    done = run("--check", poll_timeout="soon")
    assert done.returncode == 78 and "run.yaml:1" in done.stderr


# ---------------------------------------------------------------------- several processes


def test_processes_share_the_work(redis, notifier):
    daemon = notifier(processes=2)
    clients = [WebSocket(daemon.url, f"c{n % 8}") for n in range(64)]
    wait_until(lambda: all(n >= 1 for _, n in redis.client.pubsub_numsub(
        *(f"ringback:ch:{{c{n}}}" for n in range(8)))))  # fmt: skip
    for n in range(8):
        tick(redis, f"c{n}", n)
    assert [client.event()["data"] for client in clients] == [n % 8 for n in range(64)]
    for counted in ('connections{transport="websocket"} 64', 'delivered_total{transport="websocket"} 64'):
        wait_until(lambda: f"ringback_notifier_{counted}\n" in get(daemon.admin + "/metrics").text,
                   what=counted)  # fmt: skip


def test_a_process_that_dies_is_replaced(redis, notifier):
    daemon = notifier(processes=2)
    for pid in daemon.children():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(daemon.lines("notifier.started")) == 4)

    def served():
        try:
            return get(daemon.url + "/nothing").status == 404
        except (Closed, ConnectionError):
            return False

    wait_until(served)


# ---------------------------------------------------------------------- reload


def test_reload(redis, notifier):
    daemon = notifier(poll_timeout="30s")
    client = WebSocket(daemon.url, "c")
    daemon.configure({"notifier": {"poll_timeout": "100ms", "echo": True, "processes": 3}})
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("notifier.reloaded")
    daemon.wait_line("notifier.needs_restart", key="notifier.processes")
    assert poll(daemon.url, "c").status == 204
    assert WebSocket(daemon.url, path="/echo").answer.status == 101
    daemon.configure({"notifier": {"poll_timeout": "soon"}})
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("notifier.reload_failed")
    assert poll(daemon.url, "c").status == 204
    tick(redis, "c", 1)
    assert client.event()["data"] == 1  # nobody was disturbed


# ---------------------------------------------------------------------- drain


def test_everybody_is_told_good_bye(redis, notifier):
    daemon = notifier(drain_timeout="5s")
    websocket, sse, stream = WebSocket(daemon.url, "c"), Sse(daemon.url, "c"), Stream(daemon.url, "c")
    waiting, idle, silent = Http(daemon.url), Http(daemon.url), Http(daemon.url)
    assert idle.ask("GET", "/nothing").status == 404
    (id,) = [tick(redis, "c", 1)]
    assert websocket.event() and sse.event() and stream.event()
    waiting.request("GET", f"/wait/c?since={id}")
    wait_until(lambda: 'transport="poll"} 1' in get(daemon.admin + "/metrics").text)
    daemon.terminate()
    assert websocket.close_code() == 1001
    assert next(sse.pieces).startswith(b"retry: ") and next(sse.pieces, None) is None
    assert next(stream.pieces, None) is None
    answer = waiting.response()
    assert answer.status == 204 and answer.headers["etag"] == f'"{id}"'
    assert answer.headers["connection"] == "close"
    assert idle.rest() == b"" and silent.rest() == b""
    assert daemon.wait() == 0
    daemon_lines = daemon.lines("notifier.ended")
    assert daemon_lines and not daemon.lines("notifier.drain_timeout")
    with pytest.raises(ConnectionRefusedError):
        get(daemon.url + "/nothing")


def test_who_does_not_go_is_left(redis, notifier):
    daemon = notifier(drain_timeout="500ms")
    stubborn = WebSocket(daemon.url, "c")
    begun = redis.now_ms()
    assert daemon.stop() == 0
    assert redis.now_ms() - begun < patience(4) * 1000
    assert stubborn.close_code() == 1001


def test_sigterm_as_soon_as_it_listens(redis):
    """Who can come in is not cut off: from that moment on it ends in good order."""
    words = [f"redis.url={redis.url}", "notifier.listen=127.0.0.1:0",
             "notifier.admin=127.0.0.1:0", "notifier.processes=1"]  # fmt: skip
    argv = [program("ringback-notifier"), *(f"--set={word}" for word in words)]
    for _ in range(10):
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as daemon:
            for line in daemon.stderr:
                if "notifier.listening" in line:
                    daemon.terminate()
        assert daemon.returncode == 0


def test_the_second_sigterm_hurries(redis, notifier):
    daemon = notifier(drain_timeout="60s")
    clients = [WebSocket(daemon.url, "c") for _ in range(30)]
    daemon.terminate()
    daemon.wait_line("notifier.draining")
    assert daemon.stop(5) == 0
    assert clients


# ---------------------------------------------------------------------- ten thousand


def test_a_restart_under_its_clients(redis, notifier):
    """They come back with their cursors to the next process."""
    daemon = notifier()
    clients = [Sse(daemon.url, f"c{n}") for n in range(30)]
    ids = [tick(redis, f"c{n}", n) for n in range(30)]
    assert [client.event()["data"] for client in clients] == list(range(30))
    assert daemon.stop() == 0
    for n in range(30):
        tick(redis, f"c{n}", -n)
    again = notifier()
    clients = [Sse(again.url, f"c{n}", since=ids[n]) for n in range(30)]
    assert [client.event()["data"] for client in clients] == [-n for n in range(30)]


def test_idle_costs_nothing(redis, notifier):
    """No wake-up faster than a second when nothing happens."""
    daemon = notifier()
    clients = [WebSocket(daemon.url, f"c{n}") for n in range(200)]
    heard(redis, "c199")
    wait_until(lambda: 'transport="websocket"} 200' in get(daemon.admin + "/metrics").text)

    def switches():
        text = open(f"/proc/{daemon.pid}/status").read()
        return int(text.split("voluntary_ctxt_switches:")[1].split()[0])

    begun, before = redis.now_ms(), switches()
    wait_until(lambda: redis.now_ms() - begun > 3000, interval=0.5)
    # It looks after its links to Redis every other second; channels may be let go.
    assert switches() - before < 20 * (redis.now_ms() - begun) / 3000
    assert clients and daemon.cpu_seconds() < patience(2)
