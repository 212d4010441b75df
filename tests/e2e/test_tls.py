"""TLS in the process: every transport through it, what is agreed on, certificates that are
replaced or wrong, and clients that are slow, silent, or speak something else."""

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import warnings
from types import SimpleNamespace

import aiohttp
import pytest
import websockets
from peers.clients import Http, Raw, Response, Sse, Stream, WebSocket, ask, get, poll
from peers.process import free_port, sanitized, wait_until


def make_certificate(folder, name, days=2):
    """A self-signed certificate for 127.0.0.1 and ::1 and its key."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", str(days), "-subj", f"/CN={name}", "-keyout", key, "-out", cert,
         "-addext", "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return [make_certificate(folder, name) for name in ("one", "two")]


@pytest.fixture
def pair(folder, certificates, monkeypatch):
    """The certificate and key that the notifier uses, of the test's own."""
    files = SimpleNamespace(cert=folder / "tls.crt", key=folder / "tls.key")
    shutil.copy(certificates[0][0], files.cert)
    shutil.copy(certificates[0][1], files.key)
    monkeypatch.setattr(Raw, "trusted", str(certificates[0][0]))
    return files


@pytest.fixture
def secure(notifier, pair, redis):
    """Starts a notifier whose public listener speaks TLS: .url is https://."""

    def start(host="127.0.0.1", tls=None, **members):
        port = free_port()
        tls = {"certificate": str(pair.cert), "key": str(pair.key), **(tls or {})}
        daemon = notifier(listen=[f"tls://{host}:{port}"], tls=tls, wait=False, **members)
        daemon.port, daemon.url = port, f"https://{host}:{port}"
        daemon.wait_line("notifier.started")
        return daemon

    return start


def metric(daemon, name):
    for line in get(f"{daemon.admin}/metrics").text.splitlines():
        if line.startswith(name + " "):
            return int(line.split()[-1])
    return None


def heard(redis, channel, count=1):
    name = f"ringback:ch:{{{channel}}}"
    wait_until(lambda: redis.client.pubsub_numsub(name)[0][1] == count)


def context(certificates, **attributes):
    made = ssl.create_default_context(cafile=certificates[0][0])
    with warnings.catch_warnings(action="ignore"):  # of the old versions
        for name, value in attributes.items():
            setattr(made, name, value)
    return made


def shake(daemon, made, session=None):
    """A handshake; the socket."""
    raw = socket.create_connection(("127.0.0.1", daemon.port), 10)
    return made.wrap_socket(raw, server_hostname="127.0.0.1", session=session)


# ---------------------------------------------------------------------- transports


def test_all_transports(redis, secure):
    base = secure(echo=True).url
    ws, sse, stream = WebSocket(base, "c"), Sse(base, "c"), Stream(base, "c")
    heard(redis, "c")
    id = redis.publish("c", {"event": "tick", "data": "x" * 100_000})
    for client in (ws, sse, stream):
        event = client.event()
        assert (event["id"], len(event["data"])) == (id, 100_000)
    assert poll(base, "c").json()["cursor"] == id
    with Http(base) as client:  # keep-alive, two requests at once, HEAD
        client.request("GET", "/ringback.js")
        client.request("GET", "/nothing")
        assert client.response().status == 200
        assert client.response().status == 404
        assert client.ask("HEAD", "/wait/c").status == 200
    assert ws.shut() == 1000
    assert ws.rest() == b""


def test_a_receipt(redis, secure):
    """What OpenSSL has handed to the kernel is written, by whichever transport."""
    daemon = secure(receipts=True)
    end = {"event": "done", "job": "j", "data": "x" * 100_000}
    for channel, client in (("c", WebSocket(daemon.url, "c")), ("d", Sse(daemon.url, "d"))):
        heard(redis, channel)
        redis.client.hset(f"ringback:ch:{{{channel}}}:meta", "t:j", "1-0")
        redis.publish(channel, end)
        assert client.event()["job"] == "j"
        url = f"{daemon.admin}/channels/{channel}"
        wait_until(lambda: get(url).json()["receipts"][0]["delivered_at"])  # noqa: B023
        client.close()
    redis.client.hset("ringback:ch:{e}:meta", "t:j", "1-0")
    redis.publish("e", end)
    assert poll(daemon.url, "e").json()["events"][0]["job"] == "j"
    url = f"{daemon.admin}/channels/e"
    wait_until(lambda: get(url).json()["receipts"][0]["delivered_at"])


def test_large_messages_both_ways(secure):
    client = WebSocket(secure(echo=True, max_message="8MiB").url, path="/echo", timeout=30)
    for size in (1, 16383, 16384, 16385, 65536, 3_000_000):
        data = os.urandom(size)
        client.send_frame(0x2, data)
        assert client.recv() == data


def test_a_slow_reader_gets_it_all(redis, secure):
    """Records that the kernel did not take at once."""
    daemon = secure(max_queue="64MiB")
    client = WebSocket.__new__(WebSocket)
    client.pings = 0
    Raw.__init__(client, daemon.url, timeout=30)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    client.request("GET", "/wait/c", {"Upgrade": "websocket", "Connection": "Upgrade",
                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                   "Sec-WebSocket-Version": "13"})  # fmt: skip
    assert client.head().status == 101
    heard(redis, "c")
    for n in range(80):
        redis.publish("c", {"event": "tick", "data": n, "more": os.urandom(60_000).hex()})
    wait_until(lambda: metric(daemon, 'ringback_notifier_delivered_total{transport="websocket"}'))
    assert [client.event()["data"] for _ in range(80)] == list(range(80))


def test_other_clients(redis, secure, certificates):
    """python-websockets, aiohttp and curl."""
    daemon = secure(compression=True)
    id = redis.publish("c", {"event": "done", "data": 1})
    trust = context(certificates)

    async def run():
        uri = daemon.url.replace("https", "wss") + "/wait/c"
        async with websockets.connect(uri, ssl=trust) as client:
            assert json.loads(await client.recv())["id"] == id
        async with aiohttp.ClientSession() as session:
            async with session.get(daemon.url + "/wait/c", ssl=trust) as answer:
                assert (await answer.json())["cursor"] == id

    asyncio.run(asyncio.wait_for(run(), 20))
    curl = subprocess.run(
        ["curl", "-sS", "--max-time", "20", "--cacert", certificates[0][0], "--http2",
         "-w", "%{http_version}", f"{daemon.url}/wait/c?until=done", "-H",
         "Accept: text/event-stream"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert id in curl.stdout and curl.stdout.endswith("1.1")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6_and_both_families(redis, secure):
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6")
    daemon = secure(host="*")
    assert get(f"https://[::1]:{daemon.port}/ringback.js").status == 200
    assert get(f"https://127.0.0.1:{daemon.port}/ringback.js").status == 200


def test_the_admin_side_too(redis, notifier, pair):
    port = free_port()
    daemon = notifier(admin=[f"tls://127.0.0.1:{port}"], wait=False,
                      tls={"certificate": str(pair.cert), "key": str(pair.key)})  # fmt: skip
    daemon.wait_line("notifier.started")
    assert get(f"https://127.0.0.1:{port}/healthz").status == 200
    assert get(f"{daemon.url}/ringback.js").status == 200


def test_the_key_in_the_same_file(redis, secure, pair):
    pair.cert.write_text(pair.cert.read_text() + pair.key.read_text())
    assert get(secure(tls={"key": ""}).url + "/ringback.js").status == 200


# ---------------------------------------------------------------------- what is agreed on


def test_versions(secure, certificates):
    daemon = secure()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        made = context(certificates, minimum_version=version, maximum_version=version)
        assert shake(daemon, made).version() == version.name.replace("_", ".")
    old = context(certificates, minimum_version=ssl.TLSVersion.TLSv1,
                  maximum_version=ssl.TLSVersion.TLSv1_1)  # fmt: skip
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        shake(daemon, old)
    assert daemon.wait_line("tls.refused")["why"] == "unsupported protocol"


def test_only_the_newest(secure, certificates):
    daemon = secure(tls={"min_version": "1.3"})
    assert shake(daemon, context(certificates)).version() == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        shake(daemon, context(certificates, maximum_version=ssl.TLSVersion.TLSv1_2))


def test_alpn(secure, certificates):
    daemon = secure()
    made = context(certificates)
    made.set_alpn_protocols(["h2", "http/1.1"])
    assert shake(daemon, made).selected_alpn_protocol() == "http/1.1"
    made.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="NO_APPLICATION_PROTOCOL|no application protocol"):
        shake(daemon, made)
    assert shake(daemon, context(certificates)).selected_alpn_protocol() is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets_are_good_at_every_process(secure, certificates, version):
    daemon = secure(processes=2)
    wait_until(lambda: len(daemon.lines("notifier.started")) == 2)
    made = context(certificates, minimum_version=version, maximum_version=version)
    client = shake(daemon, made)
    client.sendall(b"GET /ringback.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    while client.recv(65536):
        pass
    session = client.session
    assert session.has_ticket
    for number in range(20):
        if number == 10:  # they outlive a new certificate
            daemon.signal(signal.SIGHUP)
            wait_until(lambda: len(daemon.lines("notifier.reloaded")) == 2)
        again = shake(daemon, made, session)
        assert again.session_reused
        again.close()
    shakes = "ringback_notifier_tls_handshakes_total"
    wait_until(lambda: metric(daemon, shakes + '{kind="resumed"}') == 20)
    assert metric(daemon, shakes + '{kind="full"}') == 1


def test_no_renegotiation(secure):
    daemon = secure()
    talk = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port}", "-tls1_2"],
        input="R\n", capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert "Secure Renegotiation IS supported" in talk.stdout  # that is: the extension
    assert "no renegotiation" in talk.stderr
    assert get(daemon.url + "/ringback.js").status == 200


# ---------------------------------------------------------------------- certificates


def shown(daemon):
    return ssl.get_server_certificate(("127.0.0.1", daemon.port))


def test_reload_takes_the_new_certificate(redis, secure, pair, certificates):
    daemon = secure(processes=2)
    wait_until(lambda: len(daemon.lines("notifier.started")) == 2)
    client = WebSocket(daemon.url, "c")
    assert shown(daemon) == certificates[0][0].read_text()
    shutil.copy(certificates[1][0], pair.cert)
    shutil.copy(certificates[1][1], pair.key)
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: len(daemon.lines("notifier.reloaded")) == 2)
    for _ in range(8):
        assert shown(daemon) == certificates[1][0].read_text()
    heard(redis, "c")
    redis.publish("c", {"event": "tick", "data": 1})
    assert client.event()["data"] == 1  # goes on with the old one


@pytest.mark.parametrize("fault", ["pair", "garbage", "gone"])
def test_reload_of_a_wrong_one_changes_nothing(secure, pair, certificates, fault):
    """Nor does anything else of the new settings come into force."""
    daemon = secure()
    if fault == "pair":
        shutil.copy(certificates[1][1], pair.key)
    elif fault == "garbage":
        pair.cert.write_text("no certificate")
    else:
        pair.cert.unlink()
    daemon.configure({"notifier": {"echo": True}})
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("notifier.reload_failed")
    assert shown(daemon) == certificates[0][0].read_text()
    assert get(daemon.url + "/echo").status == 404


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("none", "notifier.tls.certificate: expected a file, since an address to listen"),
        ("no file", "/tls.crt: notifier.tls.certificate: No such file or directory"),
        ("garbage", "/tls.crt: notifier.tls.certificate: no start line"),
        ("no key", "/tls.key: notifier.tls.key: No such file or directory"),
        ("another key", "/tls.key: notifier.tls.key: key values mismatch"),
        ("passphrase", "/tls.key: notifier.tls.key: "),
    ],
)
def test_a_wrong_pair_is_refused_at_start(redis, notifier, pair, certificates, fault, expected):
    tls = {"certificate": str(pair.cert), "key": str(pair.key)}
    if fault == "none":
        tls = {}
    elif fault == "no file":
        pair.cert.unlink()
    elif fault == "garbage":
        pair.cert.write_text("x")
    elif fault == "no key":
        pair.key.unlink()
    elif fault == "another key":
        shutil.copy(certificates[1][1], pair.key)
    else:
        subprocess.run(["openssl", "ec", "-in", certificates[0][1], "-aes128", "-passout",
                        "pass:secret", "-out", pair.key], check=True, capture_output=True)  # fmt: skip
    daemon = notifier(listen=[f"tls://127.0.0.1:{free_port()}"], tls=tls, wait=False)
    assert daemon.wait() == 78
    assert expected in daemon.log


# ---------------------------------------------------------------------- trouble


def test_plain_http_is_told(secure):
    daemon = secure()
    for method in ("GET", "POST"):
        with Raw(daemon.url.replace("https", "http")) as client:
            client.send(f"{method} /wait/c HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = Response(client)
            assert answer.status == 400 and answer.headers["connection"] == "close"
            assert "https://" in answer.read_body(client).json()["detail"]
            assert client.rest() == b""
    daemon.wait_line("tls.refused", why="plain HTTP")
    assert metric(daemon, 'ringback_notifier_refused_total{reason="tls"}') == 2


def test_garbage_is_refused(secure):
    daemon = secure()
    for data in (b"\x00" * 100, b"SSH-2.0-x\r\n", os.urandom(2000),
                 b"\x16\x03\x01\xff\xff" + b"x" * 99):  # fmt: skip
        with Raw(daemon.url.replace("https", "http")) as client:
            client.send(data)
            client.socket.shutdown(socket.SHUT_WR)
            assert len(client.rest()) <= 7  # at most an alert
    for _ in range(50):
        Raw(daemon.url.replace("https", "http")).reset()
    assert get(daemon.url + "/ringback.js").status == 200


@pytest.mark.parametrize("sent", [0, 1, 100])
def test_a_handshake_must_come_in_time(secure, certificates, sent):
    daemon = secure(head_timeout="300ms")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(certificates).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with Raw(daemon.url.replace("https", "http")) as raw:
        raw.send(outgoing.read()[:sent])
        assert raw.rest() == b""
    daemon.wait_line("connection.closed", why="the handshake did not come in time")
    assert metric(daemon, 'ringback_notifier_closed_total{reason="head_timeout"}') == 1


def test_a_handshake_byte_by_byte(secure, certificates):
    daemon = secure()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(certificates).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")

    def exchange(raw, step):
        while True:
            try:
                answer = step()
            except ssl.SSLWantReadError:
                answer = None
            data = outgoing.read()
            for n in range(len(data)):
                raw.send(data[n:n + 1])
            if answer is not None:
                return answer
            raw.more()
            incoming.write(raw.input)
            raw.input = b""

    with Raw(daemon.url.replace("https", "http")) as raw:
        exchange(raw, lambda: client.do_handshake() or True)
        client.write(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert exchange(raw, lambda: client.read(4096)).startswith(b"HTTP/1.1 404")


def test_a_slow_head_within_tls(secure):
    daemon = secure(head_timeout="300ms")
    with Http(daemon.url) as client:
        client.send("GET /wait/c HTTP/1.1\r\n")
        assert client.response().status == 408


def test_half_close(secure, certificates):
    """close_notify says that no more will be sent; the answer comes nevertheless, whole."""
    daemon = secure()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(certificates).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with Raw(daemon.url.replace("https", "http")) as raw:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.send(outgoing.read())
                raw.more()
                incoming.write(raw.input)
                raw.input = b""
        client.write(b"GET /ringback.js HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ssl.SSLWantReadError):
            client.unwrap()
        raw.send(outgoing.read())
        raw.socket.shutdown(socket.SHUT_WR)
        incoming.write(raw.rest())
        incoming.write_eof()
        answer = b""
        while piece := client.read(65536):  # "" is their close_notify
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert f"content-length: {len(body)}".encode() in head.lower()


def test_the_end_is_said(secure):
    """Without close_notify a client could not tell the end from a cut."""
    daemon = secure()
    client = Http(daemon.url)
    strict = client.socket
    strict.suppress_ragged_eofs = False
    client.request("GET", "/nothing", {"Connection": "close"})
    assert client.response().status == 404
    assert strict.recv(100) == b""
    ws = WebSocket(daemon.url, "c")
    ws.socket.suppress_ragged_eofs = False
    daemon.terminate()
    assert ws.close_code() == 1001
    assert ws.rest() == b""
    assert daemon.wait() == 0


def test_clients_that_vanish_cost_nothing(redis, secure):
    daemon = secure()
    with Http(daemon.url) as client:
        assert client.ask("GET", "/nothing").status == 404
    before = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    rss = daemon.rss_bytes()
    for _ in range(10):
        clients = [WebSocket(daemon.url, "c") for _ in range(20)]
        for client in clients:
            client.reset()
    wait_until(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) <= before)
    assert sanitized() or daemon.rss_bytes() - rss < 20 << 20


def test_too_many_connections_are_told(secure):
    daemon = secure(max_connections=1)
    first = WebSocket(daemon.url, "c")
    assert ask(f"{daemon.url}/wait/c").status == 503
    assert first.shut() == 1000
