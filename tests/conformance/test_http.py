"""HTTP/1.1 on a real socket (RFC 9112): what is malformed is answered with its status and
the connection ends; what is well-formed is understood, however it is cut."""

import json

import pytest
from peers.clients import Http, Response, get
from peers.process import wait_until

H = b"Host: a\r\n"
GET = b"GET /ringback.js HTTP/1.1\r\n" + H
POST = b"POST /publish/c HTTP/1.1\r\n" + H
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

REQUEST_LINES = [
    (400, b" GET / HTTP/1.1\r\n" + H + b"\r\n"),
    (400, b"GET\t/ HTTP/1.1\r\n" + H + b"\r\n"),
    (400, b"GET  / HTTP/1.1\r\n" + H + b"\r\n"),
    (400, b"GET /  HTTP/1.1\r\n" + H + b"\r\n"),
    (400, b"GET / HTTP/1.1 \r\n" + H + b"\r\n"),
    (400, b"GET / a HTTP/1.1\r\n" + H + b"\r\n"),
    (400, b"GET /\r\n\r\n"),
    (400, b"GET / http/1.1\r\n" + H + b"\r\n"),
    (400, b"GET / HTTP/11\r\n" + H + b"\r\n"),
    (400, b"GET / HTTP/1.12\r\n" + H + b"\r\n"),
    (505, b"GET / HTTP/2.0\r\n" + H + b"\r\n"),
    (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (501, b"BREW /pot HTTP/1.1\r\n" + H + b"\r\n"),
    (501, b"CONNECT a:443 HTTP/1.1\r\n" + H + b"\r\n"),
    (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    (400, b"{}\r\n\r\n"),
]
TARGETS = [b"a", b"*", b"?a", b"/a#b", b"/a\"b", b"/a<b", b"/a\\b", b"/a^b", b"/a`b", b"/a{b",
           b"/a|b", b"/\xc3\xa9", b"/\x01", b"/\x7f", b"/a\0b", b"/%", b"/%4", b"/%4g", b"/?%zz",
           b"ftp://a/", b"http:///x", b"http://u:p@a/", b"a:80"]  # fmt: skip
FIELDS = [b"A : b\r\n", b"A\t: b\r\n", b": b\r\n", b"A\r\n", b"A b: c\r\n", b"A\0: b\r\n",
          b"A: b\0c\r\n", b"A: b\x01\r\n", b"A: b\x7f\r\n", b"\x80: b\r\n", b"A(: b\r\n",
          b"A: b\r\n c\r\n", b"A: b\r\n\tc\r\n", b"A: b\rC: d\r\n", b"A: b\n", b"A: b\r\r\n",
          b"Host: a\r\n", b"host: b\r\n", b"Content-Length: 1, 1\r\n", b"Content-Length: +1\r\n",
          b"Content-Length: 0x1\r\n", b"Content-Length:\r\n", b"Content-Length: 1 1\r\n",
          b"Content-Length: 18446744073709551616\r\n",
          b"Content-Length: 1\r\nContent-Length: 1\r\n",
          b"Content-Length: 1\r\nContent-Length: 2\r\n",
          b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
          b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
          b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
          b"Transfer-Encoding: chunked, gzip\r\n", b"Transfer-Encoding : chunked\r\n"]  # fmt: skip
HOSTS = [b"", b"Host:\r\n", b"Host: a b\r\n", b"Host: a, b\r\n", b"Host: a/b\r\n", b"Host: u@a\r\n",
         b"Host: a:b\r\n", b"Host: a:80:80\r\n", b"Host: [::1\r\n", b"Host: []\r\n", b"Host: ::1\r\n",
         b"Host: \xc3\xa9\r\n"]  # fmt: skip
CHUNKS = [b"\r\n", b"x\r\n", b" 1\r\n", b"-1\r\n", b"0x1\r\n", b";a\r\n", b"1\na\r\n", b"1\r\nab\r\n",
          b"1\r\na\n0\r\n", b"1 x\r\n", b"1;a\nb\r\n", b"ffffffffffffffff\r\n", b"0\r\n\n",
          b"0\r\nA: b\n\r\n", b"0\r\nA\r\n\r\n", b"0\r\n A: b\r\n\r\n"]  # fmt: skip


def admin_of(started):
    """The admin listener of a notifier that has found its Redis."""
    wait_until(lambda: get(started.admin + "/readyz").status == 200, what="readyz")
    return started.admin


def refused(url, status, wire, piece=None):
    """The status, a problem document, and the end: no second answer to what follows."""
    wire += GET + b"\r\n"
    with Http(url) as client:
        try:
            for at in range(0, len(wire), piece or len(wire)):
                client.send(wire[at:at + (piece or len(wire))])
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = Response(client).read_body(client)
        assert answer.status == status, (wire[:200], answer)
        assert answer.headers["connection"].lower() == "close"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status and answer.json()["detail"]
        assert client.rest() == b"", wire[:200]


@pytest.mark.parametrize("piece", [None, 1])
def test_malformed_requests(redis, notifier, piece):
    url = notifier().url
    for status, wire in REQUEST_LINES:
        refused(url, status, wire, piece)
    for target in TARGETS:
        refused(url, 400, b"GET " + target + b" HTTP/1.1\r\n" + H + b"\r\n", piece)
    for field in FIELDS:
        refused(url, 400, GET + field + b"\r\n", piece)
    for host in HOSTS:
        refused(url, 400, b"GET / HTTP/1.1\r\n" + host + b"\r\n", piece)
    for coding in (b"gzip", b"gzip, chunked", b"identity", b"xchunked"):
        refused(url, 501, GET + b"Transfer-Encoding: " + coding + b"\r\n\r\n", piece)
    refused(url, 417, GET + b"Expect: tea\r\n\r\n", piece)
    refused(url, 413, GET + b"Content-Length: 1\r\n\r\nx", piece)
    refused(url, 413, CHUNKED + b"1\r\nx\r\n0\r\n\r\n", piece)
    assert get(url + "/ringback.js").status == 200


def test_head_is_refused_without_a_body(redis, notifier):
    url = notifier().url
    for status, fields in (
        (400, b""),
        (400, H + b"No colon\r\n"),
        (417, H + b"Expect: tea\r\n"),
        (413, H + b"Content-Length: 1\r\n"),
        (431, H + b"X: 1\r\n" * 64),
    ):
        with Http(url) as client:
            client.send(b"HEAD / HTTP/1.1\r\n" + fields + b"\r\n")
            assert Response(client).status == status
            assert client.rest() == b"", fields


@pytest.mark.parametrize("piece", [None, 1])
def test_malformed_bodies(redis, notifier, piece):
    url = admin_of(notifier())
    for chunks in CHUNKS:
        refused(url, 400, CHUNKED + chunks, piece)
    refused(url, 413, POST + b"Content-Length: 100000000000\r\n\r\n", piece)
    refused(url, 413, CHUNKED + b"fffffffff\r\nx", piece)


def test_too_large(redis, notifier):
    started = notifier()
    refused(started.url, 414, b"GET /" + b"a" * 100_000)
    refused(started.url, 431, GET + b"A: " + b"a" * 100_000)
    refused(started.url, 431, GET + b"A: b\r\n" * 1000)
    refused(started.admin, 400, CHUNKED + b"1;" + b"a" * 10_000)


def test_silence_ends(redis, notifier):
    """A head that never ends does not hold a connection for ever."""
    url = notifier(head_timeout="300ms").url
    for start in (b"G", GET, b"GET /ringback.js HTTP/1.1\r\nHost:"):
        with Http(url) as client:
            client.send(start)
            assert Response(client).read_body(client).status == 408
            assert client.rest() == b""


def test_forms_of_a_request(redis, notifier):
    url = notifier().url
    for piece in (None, 1):
        for wire in (GET, b"\r\n" + GET, b"GET http://other.example/ringback.js HTTP/1.1\r\n" + H,
                     b"GET /ringback.js?x=[1] HTTP/1.1\r\n" + H, b"GET /ringback.js HTTP/1.2\r\n" + H,
                     b"GET /ringback.js HTTP/1.1\r\nHOST:\t[::1]:80 \r\n", GET + b"A:\r\nB: \xff\r\n",
                     GET + b"Content-Length: 0\r\n"):  # fmt: skip
            with Http(url) as client:
                wire += b"\r\n"
                for at in range(0, len(wire), piece or len(wire)):
                    client.send(wire[at:at + (piece or len(wire))])
                answer = client.response()
                assert answer.status == 200 and "connection" not in answer.headers, wire
                assert client.ask("GET", "/nowhere").status == 404


def test_head(redis, notifier):
    url = notifier().url
    with Http(url) as client:
        whole = client.ask("GET", "/ringback.js")
        head = client.ask("HEAD", "/ringback.js")
        assert head.status == 200 and head.body == b""
        assert int(head.headers["content-length"]) == len(whole.body)
        assert client.ask("HEAD", "/nowhere").status == 404
        for query, kind in (("", "application/json"), ("?mode=sse", "text/event-stream")):
            # GET has a body of any length here (RFC 9110 §8.6).
            head = client.ask("HEAD", "/wait/c" + query)
            assert head.status == 200 and head.headers["content-type"] == kind
            assert "content-length" not in head.headers and "connection" not in head.headers
        assert client.ask("GET", "/ringback.js", {"If-None-Match": whole.headers["etag"]}).status == 304
        assert client.ask("GET", "/ringback.js").body == whole.body


def test_closing(redis, notifier):
    url = notifier().url
    for head in (GET + b"Connection: close\r\n", b"GET /ringback.js HTTP/1.0\r\n",
                 GET + b"Connection: x, Close\r\n"):  # fmt: skip
        with Http(url) as client:
            client.send(head + b"\r\n" + GET + b"\r\n")
            answer = client.response()
            assert answer.status == 200 and answer.headers["connection"] == "close"
            assert client.rest() == b""


def test_pipelining(redis, notifier):
    started = notifier()
    for piece in (None, 1, 7):
        with Http(started.url) as client:
            wire = b"".join(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % path
                            for path in (b"ringback.js", b"x", b"wait/a,,b", b"ringback.js"))  # fmt: skip
            for at in range(0, len(wire), piece or len(wire)):
                client.send(wire[at:at + (piece or len(wire))])
            assert [client.response().status for _ in range(4)] == [200, 404, 400, 200]
    admin = Http(admin_of(started))
    admin.send(POST + b"Content-Length: 5\r\n\r\nhello" + CHUNKED + b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\n"
               b"Trailer: x\r\n\r\n" + b"GET /channels/c HTTP/1.1\r\n" + H + b"\r\n")  # fmt: skip
    assert admin.response().status == 200
    second = admin.response().json()["id"]
    shown = admin.response().json()
    assert shown["count"] == 2 and shown["last_id"] == second
    assert shown["last"]["data"] == "hello"
    admin.close()


def test_expect_continue(redis, notifier):
    with Http(admin_of(notifier())) as client:
        for expect in (b"100-continue", b"100-Continue"):
            client.send(POST + b"Content-Length: 5\r\nExpect: " + expect + b"\r\n\r\n")
            assert client.head().status == 100
            client.send(b"he")
            client.send(b"llo")
            assert client.response().status == 200
        # Whoever sends the body along waits for nothing.
        client.send(POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
        assert client.response().status == 200
        # A body that will not be taken is not asked for.
        client.send(POST + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
        assert client.response().status == 413


def test_methods(redis, notifier):
    started = notifier()
    with Http(started.url) as client:
        for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"):
            for path in ("/wait/c", "/ringback.js"):
                answer = client.ask(method, path)
                assert answer.status == 405 and "GET" in answer.headers["allow"], (method, path)
    with Http(started.admin) as client:
        for method, path, allow in (("PUT", "/jobs/quote", "POST"), ("GET", "/publish/c", "POST"),
                                    ("POST", "/channels/c", "DELETE"), ("POST", "/metrics", "GET"),
                                    ("DELETE", "/healthz", "GET"), ("OPTIONS", "/readyz", "GET")):  # fmt: skip
            answer = client.ask(method, path)
            assert answer.status == 405 and allow in answer.headers["allow"], (method, path)
            assert json.loads(answer.body)["title"] == "Method Not Allowed"
