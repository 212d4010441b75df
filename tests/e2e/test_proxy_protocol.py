"""The PROXY protocol: whose connection it is when a proxy says so in front of it."""

import re
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from peers.clients import Closed, Http, Raw, Sse, WebSocket, get
from peers.process import free_port, lasting, wait_until
from test_tls import certificates, pair  # noqa: F401

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def line(address="192.0.2.7"):
    family = "TCP6" if ":" in address else "TCP4"
    own = "::1" if ":" in address else "127.0.0.1"
    return f"PROXY {family} {address} {own} 40000 80\r\n".encode()


def binary(address="192.0.2.7", command=0x21, more=b""):
    six = ":" in address
    own = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, "::1" if six else "127.0.0.1")
    addresses = (
        socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, address)
        + own + struct.pack(">HH", 40000, 80) + more
    )  # fmt: skip
    head = struct.pack(">BBH", command, 0x21 if six else 0x11, len(addresses))
    return SIGNATURE + head + addresses


LOCAL = SIGNATURE + b"\x20\0\0\0"


class Behind(Http):
    """A connection of a proxy that tells this before anything else."""

    def __init__(self, url, header):
        super().__init__(url)
        self.send(header)

    def status(self, path="/ringback.js", headers=None):
        self.request("GET", path, headers or {})
        return self.head().status


@pytest.fixture
def proxied(redis, notifier):
    def start(**members):
        port = free_port()
        members.setdefault("trusted_proxies", ["loopback"])
        daemon = notifier(listen=[f"127.0.0.1:{port}?proxy=on"], wait=False, **members)
        daemon.port, daemon.url = port, f"http://127.0.0.1:{port}"
        daemon.wait_line("notifier.started")
        return daemon

    return start


def count(daemon, series):
    found = re.search(rf"^{re.escape(series)} (\S+)$", get(daemon.admin + "/metrics").text, re.M)
    return int(float(found.group(1))) if found else 0


@pytest.mark.parametrize("header", [line(), line("2001:db8::7"), binary(), binary("2001:db8::7"),
                                    binary(more=b"\x03\0\5\1\2\3\4\5"), binary(more=b"x" * 60000),
                                    b"PROXY UNKNOWN\r\n", LOCAL, binary(command=0x20)])  # fmt: skip
def test_headers(proxied, header):
    served = proxied()
    assert Behind(served.url, header).status() == 200
    with Behind(served.url, header[:5]) as slow:  # in pieces, the last with the request
        slow.send(header[5:-1])
        slow.send(header[-1:] + b"GET /ringback.js HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slow.head().status == 200


def test_every_transport(proxied, redis):
    served = proxied()
    client = Behind(served.url, line())
    client.request("GET", "/wait/a?mode=stream", {})
    assert client.head().status == 200
    # The classes of clients.py connect by themselves: what they send first is the header.
    for kind in (WebSocket, Sse):
        class Told(kind):
            def request(self, *args, **more):
                self.send(binary("198.51.100.9"))
                return super().request(*args, **more)

        told = Told(served.url, "a")
        redis.publish("a", {"event": "tick", "data": 1})
        assert told.event()["event"] == "tick"


@pytest.mark.parametrize("sent", [
    b"GET /ringback.js HTTP/1.1\r\nHost: x\r\n\r\n", b"PROXY TCP4 1.2.3.4\r\n", b"\x16\x03\x01",
    b"PROXY " + b"x" * 200, SIGNATURE + b"\x21\x11\0\x04abcd", b"PROXY TCP4 1.2.3.400 1.2.3.4 1 1\r\n",
    line()[:-2] + b"\n", binary(command=0x31),
])  # fmt: skip
def test_what_is_no_header_is_closed(proxied, sent):
    served = proxied()
    client = Raw(served.url)
    client.send(sent)
    assert client.rest() == b""
    refused = served.wait_line("proxy.refused")
    assert refused["why"] == "malformed"
    assert count(served, 'ringback_notifier_refused_total{reason="proxy_protocol"}') == 1


def test_a_header_that_does_not_come(proxied):
    served = proxied(head_timeout=lasting(0.4))
    half, none = Raw(served.url), Raw(served.url)
    half.send(b"PROXY TCP4 ")
    assert half.rest() == b"" and none.rest() == b""
    early = Raw(served.url)
    early.send(binary()[:20])
    early.socket.shutdown(socket.SHUT_WR)
    assert early.rest() == b""
    wait_until(lambda: "ends early" in served.log, 5, "the early end to be logged")
    Raw(served.url).close()  # a load balancer looks whether we are there: no refusal
    name = 'ringback_notifier_refused_total{reason="proxy_protocol"}'
    wait_until(lambda: count(served, name) == 3, 5, "three refusals")


def test_strangers_are_refused(proxied):
    served = proxied(trusted_proxies=["10.9.8.7"])
    client = Raw(served.url)
    try:
        client.send(line())
        assert client.rest() == b""
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert served.wait_line("proxy.refused")["why"] == "the peer is no trusted proxy"


def test_nobody_to_trust_is_a_mistake(redis, notifier):
    daemon = notifier(listen=["127.0.0.1:0?proxy=on"], wait=False)
    assert daemon.wait(10) == 78
    assert "notifier.trusted_proxies" in daemon.log


def test_a_header_where_none_is_expected(redis, notifier):
    served = notifier(trusted_proxies=["loopback"])
    client = Raw(served.url)
    client.send(line())
    assert client.rest().startswith(b"HTTP/1.1 501 ")


def test_connections_count_by_the_address_told(proxied):
    served = proxied(max_connections_per_address=2)
    kept = []

    def wait_on(header, headers=None):
        kept.append(Behind(served.url, header))
        return kept[-1].status("/wait/a?mode=stream", headers)

    assert [wait_on(line("192.0.2.7")) for _ in range(3)] == [200, 200, 503]
    assert [wait_on(binary("2001:db8::1")), wait_on(binary("2001:db8::2")),
            wait_on(line("2001:db8::3"))] == [200, 200, 503]  # fmt: skip
    # A stranger's word on others is not believed, a trusted hop's is.
    assert wait_on(line("192.0.2.8"), {"X-Forwarded-For": "203.0.113.1"}) == 200
    assert wait_on(line("192.0.2.8"), {"X-Forwarded-For": "203.0.113.2"}) == 200
    assert wait_on(line("192.0.2.8"), {"X-Forwarded-For": "203.0.113.3"}) == 503
    through = {"X-Forwarded-For": "203.0.113.4"}
    assert [wait_on(line("127.0.0.9"), through) for _ in range(3)] == [200, 200, 503]
    assert [wait_on(LOCAL) for _ in range(4)] == [200] * 4
    for client in kept:
        client.close()
    wait_until(lambda: wait_on(line("192.0.2.7")) == 200, 5, "room again")
    for client in kept:
        client.close()


def test_the_admin_listener(redis, notifier):
    port = free_port()
    served = notifier(admin=[f"127.0.0.1:{port}?proxy=on"], trusted_proxies=["loopback"],
                      admin_allow=["10.0.0.0/8"], wait=False)  # fmt: skip
    served.wait_line("notifier.started")
    url = f"http://127.0.0.1:{port}"
    assert Behind(url, line("10.1.2.3")).status("/metrics") == 200
    assert Behind(url, line("192.0.2.7")).status("/metrics") == 403
    assert Behind(url, LOCAL).status("/metrics") == 403


def test_before_tls(redis, notifier, pair):  # noqa: F811
    port = free_port()
    served = notifier(listen=[f"tls://127.0.0.1:{port}?proxy=on"], wait=False,
                      tls={"certificate": str(pair.cert), "key": str(pair.key)},
                      trusted_proxies=["loopback"], max_connections_per_address=1)  # fmt: skip
    served.wait_line("notifier.started")

    class Told(Http):
        def __init__(self, header):
            super().__init__(f"http://127.0.0.1:{port}")
            import ssl

            context = ssl.create_default_context(cafile=self.trusted)
            self.send(header)
            self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")

        def status(self):
            self.request("GET", "/wait/a?mode=stream", {})
            return self.head().status

    first = Told(binary("192.0.2.7"))
    assert first.status() == 200
    assert Told(line("192.0.2.7")).status() == 503
    assert Told(line("192.0.2.8")).status() == 200
    plain = Behind(f"http://127.0.0.1:{port}", line("192.0.2.9"))
    assert plain.status() == 400


def test_a_unix_socket(redis, notifier, folder):
    path = folder / "public.sock"
    served = notifier(listen=[f"unix:{path}?mode=0600&proxy=on"], wait=False,
                      trusted_proxies=["10.0.0.1"])  # fmt: skip
    served.wait_line("notifier.started")
    assert path.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(line() + b"GET /ringback.js HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"


def test_curl_tells(proxied):
    served = proxied()
    answer = subprocess.run(["curl", "-sf", "--haproxy-protocol", served.url + "/ringback.js"],
                            capture_output=True, timeout=20, check=True)  # fmt: skip
    assert b"ringback" in answer.stdout


MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


@pytest.mark.skipif(not (shutil.which("nginx") and MODULE.exists()), reason="no stream module")
def test_nginx_tells(proxied, processes, folder):
    served, port = proxied(max_connections_per_address=1), free_port()
    (folder / "nginx.conf").write_text(f"""
        load_module {MODULE}; daemon off; master_process off; pid {folder}/nginx.pid;
        error_log {folder}/nginx.log;
        events {{}}
        stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{served.port};
                            proxy_protocol on; }} }}
    """)
    processes.start(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], "nginx")

    def answers():
        try:
            return get(f"http://127.0.0.1:{port}/ringback.js").status == 200
        except (OSError, Closed):
            return False

    wait_until(answers, 10, "nginx to answer")
