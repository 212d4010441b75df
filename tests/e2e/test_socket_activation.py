"""Sockets that a service manager passes (sd_listen_fds(3)), and restarts that refuse
nobody."""

import json
import shutil
import signal
import socket
import subprocess
import threading

import pytest
from peers.clients import Http, Raw, WebSocket, get
from peers.daemons import program
from peers.process import free_port, patience, wait_until

# Descriptor 0 is the socket: it becomes the last of $COUNT passed ones.
PASS = """
exec 4<&0 0</dev/null 3<&4
if [ "$LISTEN_FDS" = 1 ]; then exec 4<&-; else exec 3</dev/null; fi
export LISTEN_PID=$$
exec "$@"
"""


@pytest.fixture
def shared():
    """A listening socket of the test's own, and its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        yield listener


@pytest.fixture
def passed(processes, config, redis, folder, shared):
    """Starts a notifier that is handed the socket."""

    def start(names="web", wait=True, listen="systemd:web", **members):
        file = folder / f"passed{len(processes.all)}.yaml"
        members = {"listen": [listen], "admin": [f"127.0.0.1:{free_port()}"], **members}
        settings = config({"notifier": members})
        file.write_text(json.dumps(settings))
        daemon = processes.start(
            ["sh", "-c", PASS, "sh", program("ringback-notifier"), "-c", file], "notifier",
            env={"LISTEN_FDS": str(names.count(":") + 1), "LISTEN_FDNAMES": names}, stdin=shared,
        )  # fmt: skip
        daemon.admin = f"http://{settings['notifier']['admin'][0]}"
        count = settings["notifier"]["processes"]
        if wait:
            wait_until(lambda: len(daemon.lines("notifier.started")) >= count or not daemon.alive())
            assert daemon.alive(), daemon.log
        return daemon

    return start


def url(shared, scheme="http"):
    return f"{scheme}://127.0.0.1:{shared.getsockname()[1]}"


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("names", ["web", "other:web"])
def test_a_passed_socket_is_served(passed, shared, redis, names, rows):
    daemon = passed(names, processes=rows)
    assert get(url(shared) + "/ringback.js").status == 200
    port = shared.getsockname()[1]
    assert daemon.lines("notifier.listening", address=f"127.0.0.1:{port}")
    client = WebSocket(url(shared), "c")
    wait_until(lambda: redis.client.pubsub_numsub("ringback:ch:{c}")[0][1] >= 1)
    redis.publish("c", {"event": "tick", "data": 1})
    assert client.event()["data"] == 1


@pytest.mark.parametrize(("names", "why"), [
    ("other", "systemd:web: no socket of that name was passed to this process"),
    ("web:other", "systemd:web: can't be used: Socket operation on non-socket"),
])  # fmt: skip
def test_a_wrong_one_is_told(passed, names, why):
    daemon = passed(names, wait=False)
    assert daemon.wait() == 69
    assert why in daemon.log


def test_not_of_another_process(redis, notifier):
    daemon = notifier(listen=["systemd:web"], wait=False,
                      env={"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "web"})  # fmt: skip
    assert daemon.wait() == 69


def test_with_tls(passed, shared, folder, monkeypatch):
    cert = folder / "tls.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=x", "-keyout", cert, "-out", folder / "crt",
         "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True,
    )  # fmt: skip
    cert.write_text(cert.read_text() + (folder / "crt").read_text())
    monkeypatch.setattr(Raw, "trusted", str(folder / "crt"))
    passed(listen="tls://systemd:web", tls={"certificate": str(cert)})
    assert get(url(shared, "https") + "/ringback.js").status == 200


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd is not here")
def test_started_by_systemd_s_own_tool(redis, processes, config, folder):
    port = free_port()
    file = folder / "ringback.yaml"
    settings = config({"notifier": {"listen": ["systemd:web"], "admin": []}})
    file.write_text(json.dumps(settings))
    processes.start(["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=web",
                     program("ringback-notifier"), "-c", file], "activate")  # fmt: skip
    wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
    assert get(f"http://127.0.0.1:{port}/ringback.js").status == 200


# ---------------------------------------------------------------------- restarts


class Visitors:
    """Come without a pause, each on a connection of its own; `wrong` says who was not
    served."""

    def __init__(self, base, count=4):
        self.base, self.served, self.wrong, self.over = base, 0, [], threading.Event()
        self.threads = [threading.Thread(target=self._come) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _come(self):
        while not self.over.is_set():
            try:
                answer = get(self.base + "/ringback.js", timeout=20)
                assert answer.status == 200
                self.served += 1
            except Exception as error:  # a refused, reset or cut connection
                self.wrong.append(repr(error))

    def more(self, count):
        target = self.served + count
        wait_until(lambda: self.served >= target or self.wrong, 20)

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join(patience(30))
        assert self.wrong == []


@pytest.mark.parametrize("rows", [1, 2])
def test_the_new_one_listens_before_the_old_one_drains(passed, shared, rows):
    old = passed(processes=rows)
    visitors = Visitors(url(shared))
    visitors.more(50)
    for _ in range(3):
        new = passed(processes=rows)
        visitors.more(50)
        assert old.stop() == 0
        visitors.more(50)
        old = new
    visitors.end()


def test_who_comes_between_two_waits(passed, shared):
    """As systemd restarts it: the old one ends, then the new one starts."""
    old = passed()
    visitors = Visitors(url(shared))
    for _ in range(3):
        visitors.more(50)
        assert old.stop() == 0
        with socket.create_connection(shared.getsockname(), 5):  # nobody accepts now
            old = passed()
    visitors.more(50)
    visitors.end()


def test_who_has_not_asked_yet_may(redis, notifier):
    """Accepted a moment before SIGTERM: nobody else would answer."""
    daemon = notifier(drain_timeout="20s")
    asking, begun, idle = Http(daemon.url), Http(daemon.url), Http(daemon.url)
    assert idle.ask("GET", "/nothing").status == 404
    assert get(daemon.url + "/nothing").status == 404  # all were accepted
    begun.send("GET /nothing HTTP/1.1\r\n")
    assert get(daemon.url + "/nothing").status == 404
    daemon.signal(signal.SIGTERM)
    daemon.wait_line("notifier.draining")
    assert idle.rest() == b""
    asking.request("GET", "/nothing")
    answer = asking.response()
    assert answer.status == 404 and answer.headers["connection"] == "close"
    begun.send("Host: x\r\n\r\n")
    assert begun.response().status == 404
    for client in (asking, begun):
        client.close()
    assert daemon.wait() == 0
    assert not daemon.lines("notifier.drain_timeout")


def test_who_never_asks_is_not_waited_for(redis, notifier):
    daemon = notifier(drain_timeout="20s")
    silent = Http(daemon.url)
    assert get(daemon.url + "/nothing").status == 404
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(5) == 0
    assert silent.rest() == b""
