"""Clients of the notifier, written on sockets so that a test sees every byte and can send
any. They block, with a timeout. For what real libraries make of the same endpoints, tests
use websockets, aiohttp and curl."""

import base64
import hashlib
import json
import os
import socket
import ssl
import struct
from urllib.parse import urlsplit

from .process import patience

TIMEOUT = 10.0
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class Closed(Exception):
    """The server closed the connection."""


class Raw:
    """A TCP connection, with TLS for https://: send bytes, read exactly, read until."""

    trusted = None  # the file of the certificate that https:// is checked against

    def __init__(self, url, timeout=TIMEOUT):
        parts = urlsplit(url)
        self.host = parts.netloc
        self.socket = socket.create_connection((parts.hostname, parts.port), patience(timeout))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if parts.scheme == "https":
            self.context = ssl.create_default_context(cafile=self.trusted)
            self.socket = self.context.wrap_socket(self.socket, server_hostname=parts.hostname)
        self.input = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST, as a client that vanished."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def timeout(self, seconds):
        self.socket.settimeout(patience(seconds))

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(self.input)
        self.input += data

    def read(self, count):
        while len(self.input) < count:
            self.more()
        data, self.input = self.input[:count], self.input[count:]
        return data

    def until(self, end):
        while end not in self.input:
            self.more()
        data, _, self.input = self.input.partition(end)
        return data

    def rest(self):
        """All that comes until the server closes."""
        try:
            while True:
                self.more()
        except Closed:
            data, self.input = self.input, b""
            return data

    def silent(self, seconds):
        """True when nothing comes for so long."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self.more()
            return False
        except socket.timeout:
            return True
        finally:
            self.socket.settimeout(before)


class Response:
    """Status, reason, headers (lower-case names; the values of repeated ones joined by
    ', '), body."""

    def __init__(self, raw):
        head = raw.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        self.version, status, *reason = head[0].split(" ", 2)
        self.status = int(status)
        self.reason = reason[0] if reason else ""
        self.head = "\r\n".join(head)
        self.headers = {}
        for line in head[1:]:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self.body = b""

    def read_body(self, raw, method="GET"):
        if method == "HEAD" or self.status in (101, 204, 304) or self.status < 200:
            return self
        if "chunked" in self.headers.get("transfer-encoding", ""):
            for chunk in chunks(raw):
                self.body += chunk
        elif "content-length" in self.headers:
            self.body = raw.read(int(self.headers["content-length"]))
        else:
            self.body = raw.rest()
        return self

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.head!r} {self.body[:500]!r}>"


def chunks(raw):
    """The pieces of a chunked body as they come."""
    while True:
        size = int(raw.until(b"\r\n").split(b";")[0], 16)
        data = raw.read(size)
        assert raw.read(2) == b"\r\n"
        if size == 0:
            return
        yield data


class Http(Raw):
    """A keep-alive HTTP/1.1 connection."""

    def request(self, method, target, headers=None, body=None):
        """Sends one request, without reading the answer."""
        lines = [f"{method} {target} HTTP/1.1"]
        headers = {"Host": self.host, **(headers or {})}
        if body is not None:
            body = body if isinstance(body, bytes) else body.encode()
            headers.setdefault("Content-Length", str(len(body)))
        lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def response(self, method="GET"):
        return Response(self).read_body(self, method)

    def head(self):
        """The head of an answer whose body is a stream."""
        return Response(self)

    def ask(self, method, target, headers=None, body=None):
        self.request(method, target, headers, body)
        return self.response(method)


def ask(url, method="GET", headers=None, body=None, timeout=TIMEOUT):
    """One request on a connection of its own."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with Http(url, timeout) as connection:
        return connection.ask(method, target, {"Connection": "close", **(headers or {})}, body)


def get(url, headers=None, timeout=TIMEOUT):
    return ask(url, "GET", headers, None, timeout)


def post(url, value=None, headers=None, timeout=TIMEOUT):
    """POST of bytes or text as they are, anything else as JSON."""
    if not isinstance(value, (str, bytes)):
        value = json.dumps(value)
        headers = {"Content-Type": "application/json", **(headers or {})}
    return ask(url, "POST", headers, value, timeout)


class Sse(Http):
    """An SSE client. next() gives (id, event, data) as strings; comments are counted.
    `id` is the last id, as EventSource keeps it."""

    def __init__(self, base, channel, since=None, query="", headers=None, timeout=TIMEOUT):
        super().__init__(base, timeout)
        headers = {"Accept": "text/event-stream", **(headers or {})}
        if since:
            headers["Last-Event-ID"] = since
        self.request("GET", f"/wait/{channel}{query}", headers)
        self.answer = self.head()
        self.id, self.comments, self.retry = since or "", 0, None
        self.text = b""
        if self.answer.status != 200:
            self.answer.read_body(self)
            self.pieces = iter(())
        elif "chunked" in self.answer.headers.get("transfer-encoding", ""):
            self.pieces = chunks(self)
        else:
            self.pieces = self._bytes()

    def _bytes(self):
        while True:
            if not self.input:
                try:
                    self.more()
                except Closed:
                    return
            data, self.input = self.input, b""
            yield data

    def _line(self):
        while b"\n" not in self.text:
            piece = next(self.pieces, None)
            if piece is None:
                raise Closed(self.text)
            self.text += piece
        line, _, self.text = self.text.partition(b"\n")
        return line.rstrip(b"\r").decode()

    def next(self):
        event, data, seen = "message", [], False
        while True:
            line = self._line()
            if not line:
                if seen:
                    return self.id, event, "\n".join(data)
                continue
            name, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if name == "":
                self.comments += 1
            elif name == "id":
                self.id = value
            elif name == "event":
                event = value
            elif name == "retry":
                self.retry = int(value)
            elif name == "data":
                data.append(value)
                seen = True

    def event(self):
        """The next event's data as JSON."""
        return json.loads(self.next()[2])


class Stream(Http):
    """A client of ?mode=stream: next() gives one JSON value."""

    def __init__(self, base, channel, query="", headers=None, timeout=TIMEOUT):
        super().__init__(base, timeout)
        self.request("GET", f"/wait/{channel}?mode=stream{query}", headers)
        self.answer = self.head()
        self.text = b""
        if self.answer.status != 200:
            self.answer.read_body(self)
        self.pieces = chunks(self)

    def next(self):
        while b"\n" not in self.text:
            piece = next(self.pieces, None)
            if piece is None:
                raise Closed(self.text)
            self.text += piece
        line, _, self.text = self.text.partition(b"\n")
        return json.loads(line) if line.strip() else self.next()

    event = next


class WebSocket(Http):
    """A WebSocket client (RFC 6455). recv() gives whole messages, answers pings, raises
    Closed(code, reason) when the server closes."""

    def __init__(self, base, channel=None, query="", headers=None, timeout=TIMEOUT, path=None):
        super().__init__(base, timeout)
        self.key = base64.b64encode(os.urandom(16)).decode()
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": self.key,
            "Sec-WebSocket-Version": "13",
            **(headers or {}),
        }
        self.request("GET", path or f"/wait/{channel}{query}", headers)
        self.answer = self.head()
        self.pings = 0
        if self.answer.status == 101:
            digest = hashlib.sha1((headers["Sec-WebSocket-Key"] + GUID).encode()).digest()
            expected = base64.b64encode(digest).decode()
            assert self.answer.headers["sec-websocket-accept"] == expected
        else:
            self.answer.read_body(self)

    @staticmethod
    def frame(opcode, payload=b"", fin=True, mask=True, rsv=0, length=None):
        """The bytes of one frame; mask may be False or four bytes; length lies."""
        payload = payload.encode() if isinstance(payload, str) else payload
        size = len(payload) if length is None else length
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        bit = 0x80 if mask else 0
        if size < 126:
            head += bytes([bit | size])
        elif size < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", size)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", size)
        if not mask:
            return head + payload
        key = os.urandom(4) if mask is True else mask
        repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
        masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
        return head + key + masked.to_bytes(len(payload), "big")

    def send_frame(self, opcode, payload=b"", **options):
        self.send(self.frame(opcode, payload, **options))

    def send_text(self, text):
        self.send_frame(TEXT, text)

    def send_json(self, value):
        self.send_text(json.dumps(value))

    def recv_frame(self):
        """(fin, opcode, payload) of the next frame, whatever it is."""
        first, second = self.read(2)
        assert not first & 0x70, "reserved bits are set"
        assert not second & 0x80, "a server must not mask"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self.read(2))
            assert size > 125, "not the shortest length"
        elif size == 127:
            (size,) = struct.unpack(">Q", self.read(8))
            assert size > 65535, "not the shortest length"
        return bool(first & 0x80), first & 0x0F, self.read(size)

    def recv(self):
        """The next message: str or bytes."""
        kind, message = None, b""
        while True:
            fin, opcode, payload = self.recv_frame()
            if opcode == PING:
                self.pings += 1
                self.send_frame(PONG, payload)
                continue
            if opcode == PONG:
                continue
            if opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                raise Closed(code, payload[2:].decode())
            kind = opcode if kind is None else kind
            message += payload
            if fin:
                return message.decode() if kind == TEXT else message

    def event(self):
        return json.loads(self.recv())

    def close_code(self):
        """Reads until the server's close frame, returns its code."""
        try:
            while True:
                self.recv()
        except Closed as closed:
            return closed.args[0]

    def shut(self, code=1000):
        """The closing handshake from our side; returns the server's code."""
        self.send_frame(CLOSE, struct.pack(">H", code))
        return self.close_code()


def poll(base, channel, since=None, query="", headers=None, timeout=TIMEOUT):
    """One long-poll; the Response (200 with events and cursor, or 204)."""
    words = [word for word in (query.lstrip("?"), f"since={since}" if since else "") if word]
    tail = "?" + "&".join(words) if words else ""
    return get(f"{base}/wait/{channel}{tail}", headers, timeout)
