"""What services do to a worker, and the word that the browser gets for it."""

import gzip
import json
import socket
import ssl
import subprocess
import threading
import time
import zlib
from urllib.parse import quote as escape

import pytest
from peers.process import free_port, lasting, patience, sanitized, wait_until


def ask(redis, channel="c1", timeout=10.0, **job):
    """Pushes a job and returns its terminal event."""
    redis.push({"service": "quote", "channel": channel, **job})
    return wait_until(lambda: redis.terminal(channel), timeout, "a terminal event")[0]


def failed(event):
    assert event["event"] == "failed", event
    return event["error"]["code"]


class Peer:
    """A TCP server whose every connection is handled by `talk(socket)` in a thread."""

    def __init__(self, talk, context=None):
        self.talk, self.context = talk, context
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.taken = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.taken += 1
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client):
        try:
            if self.context:
                client = self.context.wrap_socket(client, server_side=True)
            self.talk(client)
            client.close()
        except (OSError, ssl.SSLError):
            pass

    def close(self):
        self.listener.close()


@pytest.fixture
def peer():
    peers = []

    def start(talk, context=None):
        peers.append(Peer(talk, context))
        return peers[-1]

    yield start
    for one in peers:
        one.close()


def read_head(client):
    head = b""
    while b"\r\n\r\n" not in head:
        data = client.recv(65536)
        if not data:
            break
        head += data
    return head


def says(answer, then_close=True):
    def talk(client):
        read_head(client)
        client.sendall(answer)
        if not then_close:
            client.recv(1)

    return talk


def define_at(service, port, scheme="http", **more):
    service.write(
        "quote",
        json.dumps({"service": "quote", "request": {"url": f"{scheme}://127.0.0.1:{port}/"}, **more}),
    )


# ---------------------------------------------------------------------- answers


def test_the_answer_passes_byte_for_byte(redis, service, worker):
    digits = '{"price": 0.10, "big": 12345678901234567890123, "text": "\\u00e9\\/"}'
    service.define("quote", "/?json=" + escape(digits))
    worker()
    ask(redis)
    _, fields = redis.client.xrange("ringback:ch:{c1}")[0]
    assert digits in fields["e"]


def test_an_empty_answer_is_null(redis, service, worker):
    service.define("quote", "/?status=204", result={"success": [204]})
    worker()
    assert ask(redis)["data"] is None


def test_chunked_in_small_pieces(redis, service, worker):
    text = json.dumps({"long": "x" * 5000})
    service.define("quote", "/?chunked=50&json=" + escape(text))
    worker()
    assert ask(redis)["data"] == {"long": "x" * 5000}


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed(redis, service, worker, peer, coding):
    body = json.dumps({"a": list(range(2000))}).encode()
    packed = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
    one = peer(says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: "
                    + coding.encode() + b"\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed))  # fmt: skip
    define_at(service, one.port)
    worker()
    assert ask(redis)["data"] == {"a": list(range(2000))}


def test_a_bomb_is_cut_by_its_decoded_size(redis, service, worker, peer):
    packed = gzip.compress(b"0" * 50_000_000)
    one = peer(says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip"
                    b"\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed))  # fmt: skip
    define_at(service, one.port, result={"max_bytes": "1MiB"})
    daemon = worker()
    before = daemon.rss_bytes()
    assert failed(ask(redis)) == "too_large"
    assert daemon.rss_bytes() - before < 20_000_000 * (4 if sanitized() else 1)


def test_bytes_behind_a_compressed_answer(redis, service, worker, peer):
    packed = gzip.compress(b"{}") + b"more"
    one = peer(says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(packed) + packed))  # fmt: skip
    define_at(service, one.port)
    worker()
    assert failed(ask(redis)) == "bad_response"


@pytest.mark.parametrize("pieces", [1, 100])
def test_an_answer_that_nobody_asked_for_is_nobodys(redis, service, worker, peer, pieces):
    """What a service says while its connection rests is not the next job's answer: neither
    the 408 with which some end it, nor what a smuggled request brought."""
    late, gone = threading.Event(), threading.Event()
    answer = b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n%s"

    def talk(client):
        read_head(client)
        client.sendall(answer % (200, 2, b"{}"))
        if late.is_set():
            return
        late.wait(patience(20))
        client.settimeout(patience(20))
        try:
            for _ in range(pieces):
                client.sendall(answer % (408, 4000, b" " * 4000))
            while client.recv(1):
                pass
        except ConnectionError:
            pass
        gone.set()

    define_at(service, peer(talk).port)
    worker()
    assert ask(redis, "c1")["event"] == "done"
    late.set()
    assert gone.wait(patience(10)), "the connection is not used any more"
    assert ask(redis, "c2")["event"] == "done"


# ---------------------------------------------------------------------- failures

SAYS = {
    "status=503": ("http_status", 503),
    "status=404": ("http_status", 404),
    "status=302&header=Location:http://127.0.0.1:1/": ("http_status", 302),
    "size=16000000": ("too_large", 200),
    "chunked=100&size=600000": ("too_large", 200),
    "close=connect": ("connect", None),
    "close=head": ("bad_response", 200),
    "close=body": ("bad_response", 200),
    "chunked=4&size=100&close=body": ("bad_response", 200),
    "raw=SSH-2.0-OpenSSH%0D%0A": ("bad_response", None),
    "raw=%00%00%00%00": ("bad_response", None),
    "json=%7B&type=application/json": ("bad_response", 200),
    "hang=1": ("timeout", None),
    "chunked=10&size=10&pause=1": ("timeout", 200),
}


@pytest.mark.parametrize("query", SAYS)
def test_the_word_for_what_it_did(redis, service, worker, query):
    code, status = SAYS[query]
    more = {"result": {"select": "/price"}} if query.startswith("json") else {}
    service.define("quote", "/?" + query, timeout={"per_try": lasting(0.9), "total": lasting(5)}, **more)
    worker()
    event = ask(redis)
    assert failed(event) == code, event
    assert event["error"].get("status") == status or code != "http_status", event
    assert event["error"]["message"]
    redis_holds_nothing(redis)


def redis_holds_nothing(redis):
    wait_until(lambda: not redis.client.keys("ringback:held:*"), what="nothing to be held")
    assert not redis.client.exists("ringback:dead")


def test_refused_connections(redis, service, worker):
    define_at(service, free_port())
    daemon = worker()
    event = ask(redis)
    assert failed(event) == "connect"
    assert "127.0.0.1" not in event["error"]["message"]  # the browser need not know
    assert daemon.lines("job.failed")[0]["detail"]


def test_a_host_that_is_none(redis, service, worker):
    service.write("quote", json.dumps(
        {"service": "quote", "request": {"url": "http://nobody.invalid/"}}))  # fmt: skip
    worker()
    assert failed(ask(redis, timeout=20)) == "connect"
    began = time.monotonic()
    assert failed(ask(redis, "c2")) == "connect"
    assert time.monotonic() - began < patience(2)  # remembered, or fast anyway


def test_a_host_by_name(redis, service, worker):
    service.write("quote", json.dumps(
        {"service": "quote", "request": {"url": f"http://localhost:{service.port}/x"}}))  # fmt: skip
    worker()
    redis.push(*({"service": "quote", "channel": f"c{n}"} for n in range(200)))
    wait_until(lambda: all(redis.terminal(f"c{n}") for n in range(200)))
    assert all(redis.terminal(f"c{n}")[0]["event"] == "done" for n in range(200))


def test_slow_headers(redis, service, worker, peer):
    def drip(client):
        read_head(client)
        client.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(100):
            client.sendall(b"A: b\r\n")
            time.sleep(0.1)

    define_at(service, peer(drip).port, timeout={"per_try": "500ms"})
    worker()
    assert failed(ask(redis)) == "timeout"


def test_headers_without_end(redis, service, worker, peer):
    def flood(client):
        read_head(client)
        client.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            client.sendall(b"A: " + b"b" * 1000 + b"\r\n")

    define_at(service, peer(flood).port)
    worker()
    assert failed(ask(redis)) == "too_large"


def test_connections_that_hang(redis, service, worker):
    """A listener that never accepts: its backlog is full, so SYNs are dropped."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        define_at(service, full.getsockname()[1], timeout={"connect": "300ms", "per_try": "5s"})
        worker()
        event = ask(redis)
        assert failed(event) == "connect", event
        for filler in fillers:
            filler.close()


# ---------------------------------------------------------------------- TLS


@pytest.fixture
def certificate(folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True)  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_a_certificate_that_nobody_signed(redis, service, worker, peer, certificate):
    one = peer(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), certificate)
    define_at(service, one.port, "https")
    worker()
    assert failed(ask(redis)) == "tls"


def test_no_tls_where_tls_was_meant(redis, service, worker):
    define_at(service, service.port, "https", timeout={"connect": "500ms"})
    worker()
    assert failed(ask(redis)) == "tls"


# ---------------------------------------------------------------------- where to


@pytest.mark.parametrize("rules", [
    {"worker": {"network": {"deny": ["loopback"]}}},
    {"worker": {"network": {"deny": ["127.0.0.0/8"]}}},
])  # fmt: skip
def test_denied_addresses_are_not_dialled(redis, service, worker, rules):
    service.define("quote", "/")
    worker(rules)
    assert failed(ask(redis)) == "connect"
    assert service.book()["connections"] == 1  # the one that asks for the book


def test_a_definition_opens_what_the_worker_closes(redis, service, worker):
    service.define("quote", "/", network={"allow": ["127.0.0.1"]})
    worker({"worker": {"network": {"deny": ["loopback"]}}})
    assert ask(redis)["event"] == "done"


def test_a_definition_closes_what_the_worker_opens(redis, service, worker):
    service.define("quote", "/", network={"deny": ["loopback"]})
    worker()
    assert failed(ask(redis)) == "connect"


def test_an_open_connection_does_not_lead_around_the_rules(redis, service, worker):
    service.define("open", "/open")
    service.define("quote", "/", network={"deny": ["loopback"]})
    worker()
    redis.push({"service": "open", "channel": "c0"})
    wait_until(lambda: redis.terminal("c0"))
    assert failed(ask(redis)) == "connect"
    assert list(service.book()["paths"]) == ["/open"]


def test_proxies_of_the_environment_are_not_asked(redis, service, worker):
    service.define("quote", "/")
    worker(env={"http_proxy": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"})
    assert ask(redis)["event"] == "done"


# ---------------------------------------------------------------------- the request


def test_what_is_sent(redis, service, worker):
    service.define("quote", "/p?a=1", method="POST", request={"json": {"n": "${n}"}},
                   params={"n": {"type": "integer"}})  # fmt: skip
    worker()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event = ask(redis, id="job-1", trace=trace, params={"n": 7})
    said = event["data"]
    assert said["method"] == "POST" and json.loads(said["body"]) == {"n": 7}
    assert said["headers"]["idempotency-key"] == "job-1"
    assert said["headers"]["traceparent"] == trace and event["trace"] == trace
    assert said["headers"]["content-type"] == "application/json"
    assert said["headers"]["user-agent"].startswith("ringback/")
    assert "expect" not in said["headers"]


TARGETS = ["/", "/?", "/?a", "/a%2Fb/%c3%A9//c;d=1", "/a?b=/../c?d&e=%20+", "/:@!$&'()*+,;=-._~"]


@pytest.mark.parametrize("redirects", [None, {"max": 1}])
def test_the_target_goes_as_it_was_written(redis, service, worker, peer, redirects):
    """Whether libcurl reads the whole url or is given what stands behind the host."""

    def say(client):
        lines.append(read_head(client).split(b"\r\n")[0].decode())
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    lines, more = [], {"redirects": redirects} if redirects else {}
    port = peer(say).port
    for n, target in enumerate(TARGETS):
        service.write(f"s{n}", json.dumps({
            "service": f"s{n}", "request": {"url": f"http://127.0.0.1:{port}{target}"}, **more,
        }))  # fmt: skip
    worker()
    for n in range(len(TARGETS)):
        redis.push({"service": f"s{n}", "channel": f"c{n}"})
        assert wait_until(lambda: redis.terminal(f"c{n}"))[0]["event"] == "done"
    sent = [target.removesuffix("?") if target == "/?" else target for target in TARGETS]
    assert lines == [f"GET {target} HTTP/1.1" for target in sent]


@pytest.mark.parametrize("redirects", [None, {"max": 1}])
def test_hosts_in_turn_on_one_handle(redis, service, worker, peer, redirects):
    """Host: follows the call, also where the one before was led elsewhere."""

    def say(client):
        head = read_head(client).decode().lower()
        hosts.append(head.split("host: ")[1].split("\r\n")[0])
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    hosts, names = [], []
    more = [{}, {"redirects": redirects} if redirects else {}]
    for n, name in enumerate(["127.0.0.1", "localhost"]):
        names.append(f"{name}:{peer(say).port}")
        service.write(f"s{n}", json.dumps({
            "service": f"s{n}", "request": {"url": f"http://{names[n]}/x?y"}, **more[n],
        }))  # fmt: skip
    worker()
    for n in range(6):
        redis.push({"service": f"s{n % 2}", "channel": f"c{n}"})
        assert wait_until(lambda: redis.terminal(f"c{n}"))[0]["event"] == "done"
    assert hosts == 3 * names


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_methods_on_one_connection(redis, service, worker, method):
    """Handles are used again: what one call set must not show in the next."""
    service.define("post", "/p", method="POST", request={"body": "hello"})
    service.define("quote", "/q", method=method)
    worker()
    for n, name in enumerate(["post", "quote", "post", "quote"]):
        redis.push({"service": name, "channel": f"c{n}"})
        assert wait_until(lambda: redis.terminal(f"c{n}"))[0]["event"] == "done"
    calls = service.book()["calls"]
    assert [c["method"] for c in calls] == ["POST", method, "POST", method]
    assert [c["body"] for c in calls] == ["hello", "", "hello", ""]
    assert "content-type" not in calls[1]["headers"]


def test_connections_are_kept_and_reused(redis, service, worker):
    service.define("quote", "/")
    worker()
    for n in range(20):
        assert ask(redis, f"c{n}")["event"] == "done"
    book = service.book()
    asked_for_the_book = 1
    assert book["total"] == 20 and book["connections"] == 1 + asked_for_the_book


def test_a_service_that_always_closes(redis, service, worker):
    service.define("quote", "/?close=after")
    worker()
    redis.push(*({"service": "quote", "channel": f"c{n}"} for n in range(300)))
    wait_until(lambda: all(redis.terminal(f"c{n}") for n in range(300)))
    assert all(redis.terminal(f"c{n}")[0]["event"] == "done" for n in range(300))


def test_one_hanging_service_does_not_stop_another(redis, service, worker):
    service.define("hangs", "/?hang=1", timeout={"per_try": "30s", "total": "30s"})
    service.define("quote", "/")
    daemon = worker(max_in_flight=400)
    redis.push(*({"service": "hangs"} for _ in range(300)))
    service.wait_open(300)
    began = time.monotonic()
    assert ask(redis)["event"] == "done"
    assert time.monotonic() - began < patience(1)
    daemon.signal(15)
    daemon.signal(15)
