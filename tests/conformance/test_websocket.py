"""RFC 6455 on a real socket, against /echo: what the sections of the Autobahn test suite
ask of a server (framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closing,
limits), and the handshake. Every stream is also sent byte by byte."""

import itertools
import struct

import pytest
from peers.clients import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, Http, WebSocket

MAX = 1 << 20
UTF8 = "κόσμε €😀 abc "


def f(opcode, payload=b"", fin=True, **options):
    return WebSocket.frame(opcode, payload, fin=fin, **options)


def close(code, reason=b""):
    return f(CLOSE, struct.pack(">H", code) + reason)


@pytest.fixture
def echo(redis, notifier):
    """Opens a WebSocket to /echo."""
    started = notifier(echo=True, max_message=MAX)

    def connect():
        client = WebSocket(started.url, path="/echo")
        assert client.answer.status == 101, client.answer
        return client

    connect.url = started.url
    return connect


def send(client, data, piece=None):
    if piece is None:
        client.send(data)
        return
    for at in range(0, len(data), piece):
        try:
            client.send(data[at:at + piece])
        except (BrokenPipeError, ConnectionResetError):
            return  # it closed before all was sent


def pieces(data):
    """How to cut: not at all, and byte by byte where that is not endless."""
    return [None, 1] if len(data) < 2000 else [None, 997]


def heard(client):
    """Frames until the close frame: [(opcode, payload)…], close code."""
    frames = []
    while True:
        fin, opcode, payload = client.recv_frame()
        if opcode == CLOSE:
            assert fin and len(payload) != 1
            code = struct.unpack(">H", payload[:2])[0] if payload else 1005
            payload[2:].decode()
            return frames, code
        assert fin, "the notifier does not fragment"
        frames.append((opcode, payload))


def check(echo, data, frames, code):
    """Sends data and a good-bye: hears just these frames, then this close code, then the
    end of the connection."""
    for piece in pieces(data):
        with echo() as client:
            send(client, data + (close(1000) if code == 1000 else b""), piece)
            assert heard(client) == (frames, code), (data[:100], piece)
            assert client.rest() == b""


# ------------------------------------------------------------------ 1 framing


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536])
def test_sizes(echo, opcode, size):
    payload = bytes(b"*" * size) if opcode == TEXT else bytes(i % 256 for i in range(size))
    check(echo, f(opcode, payload), [(opcode, payload)], 1000)


def test_masks(echo):
    for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04"):
        for size in range(20):
            check(echo, f(TEXT, b"x" * size, mask=mask), [(TEXT, b"x" * size)], 1000)
    with echo() as client:
        send(client, f(TEXT, b"x", mask=False))
        assert heard(client) == ([], 1002)


def test_lengths_in_the_longer_form(echo):
    for head in (b"\x81\xfe\x00\x05", b"\x81\xff" + struct.pack(">Q", 65535),
                 b"\x81\xff" + struct.pack(">Q", 1 << 63)):  # fmt: skip
        with echo() as client:
            send(client, head)
            assert heard(client) == ([], 1002)


# ------------------------------------------------------------------ 2 pings and pongs


def test_pings(echo):
    for payload in (b"", b"Hello, world!", b"\x00\xff\xfe\xfd", b"\xfe" * 125):
        check(echo, f(PING, payload), [(PONG, payload)], 1000)
    check(echo, f(PING, b"\xfe" * 126), [], 1002)
    many = [b"payload-%d" % i for i in range(10)]
    check(echo, b"".join(f(PING, p) for p in many), [(PONG, p) for p in many], 1000)


def test_pongs_that_nobody_asked_for(echo):
    check(echo, f(PONG) + f(PONG, b"x") + f(PING, b"y") + f(PONG, b"z"), [(PONG, b"y")], 1000)


# ------------------------------------------------------------------ 3 reserved bits, 4 opcodes


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_reserved_bits(echo, opcode):
    payload = b"\x03\xe8" if opcode == CLOSE else b"x"
    for rsv in range(1, 8):
        check(echo, f(TEXT, b"before") + f(opcode, payload, rsv=rsv) + f(PING),
              [(TEXT, b"before")], 1002)  # fmt: skip


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_reserved_opcodes(echo, opcode):
    for payload in (b"", b"x"):
        check(echo, f(TEXT, b"before") + f(opcode, payload) + f(PING), [(TEXT, b"before")], 1002)


# ------------------------------------------------------------------ 5 fragmentation


def test_fragments(echo):
    one, two = f(TEXT, b"frag1", False), f(CONTINUATION, b"frag2")
    whole = (TEXT, b"frag1frag2")
    check(echo, one + two, [whole], 1000)
    check(echo, one + f(PING, b"p") + two, [(PONG, b"p"), whole], 1000)
    check(echo, one + f(PONG, b"p") + two, [whole], 1000)
    check(echo, one + f(PING, b"a") + f(CONTINUATION, b"", False) + f(PING, b"b") + two,
          [(PONG, b"a"), (PONG, b"b"), whole], 1000)  # fmt: skip
    check(echo, f(BINARY, b"\xff", False) + f(CONTINUATION, b"\xfe"), [(BINARY, b"\xff\xfe")], 1000)
    check(echo, f(TEXT, b"", False) * 1 + f(CONTINUATION, b"", False) * 50 + f(CONTINUATION, b""),
          [(TEXT, b"")], 1000)  # fmt: skip


def test_fragments_out_of_order(echo):
    for wrong in (f(CONTINUATION, b"x"), f(CONTINUATION, b"x", False),
                  f(TEXT, b"a", False) + f(TEXT, b"b"), f(TEXT, b"a", False) + f(BINARY, b"b", False),
                  f(TEXT, b"a", False) + f(CONTINUATION, b"b", rsv=1),
                  f(PING, b"x", False) + f(CONTINUATION, b"y"), f(PONG, b"x", False),
                  f(CLOSE, b"\x03\xe8", False)):  # fmt: skip
        check(echo, wrong, [], 1002)
    check(echo, f(TEXT, b"a", False) + f(CONTINUATION, b"b") + f(CONTINUATION, b"c"),
          [(TEXT, b"ab")], 1002)  # fmt: skip


# ------------------------------------------------------------------ 6 UTF-8

VALID = [b"", UTF8.encode(), b"\x00", b"\x7f", b"\xc2\x80", b"\xdf\xbf", b"\xe0\xa0\x80",
         b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xef\xbf\xbe", b"\xef\xbf\xbf",
         b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf", b"\xf0\x9f\xbf\xbe"]  # fmt: skip
INVALID = [b"\x80", b"\xbf", b"\x80\xbf", b"\xc0 ", b"\xe0 ", b"\xf0 ", b"\xf8 ", b"\xfc ",
           b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfe",
           b"\xff", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf",
           b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xc0\x80", b"\xed\xa0\x80",
           b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xbf\xbf", b"\xed\xa0\x80\xed\xb0\x80",
           b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80",
           b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"]  # fmt: skip


def test_valid_text(echo):
    for text in VALID:
        check(echo, f(TEXT, text), [(TEXT, text)], 1000)
        if text:
            parts = [text[i:i + 1] for i in range(len(text))]
            data = f(TEXT, parts[0], len(parts) == 1)
            for i, part in enumerate(parts[1:], 2):
                data += f(CONTINUATION, part, i == len(parts))
            check(echo, data, [(TEXT, text)], 1000)


def test_invalid_text(echo):
    for text in INVALID:
        check(echo, f(TEXT, text), [], 1007)
        check(echo, f(TEXT, b"abc" + text[:1], False) + f(CONTINUATION, text[1:] + b"\n"), [], 1007)
        check(echo, f(BINARY, text), [(BINARY, text)], 1000)


def test_invalid_text_fails_at_its_first_byte(echo):
    """Neither the rest of the frame nor that of the message is waited for."""
    good = "κόσμε".encode()
    for bad in (b"\xf4\x90", b"\xed\xa0", b"\xff", b"\xc0"):
        with echo() as client:
            send(client, f(TEXT, good, False) + f(CONTINUATION, bad, False))
            assert heard(client) == ([], 1007)
        with echo() as client:
            send(client, f(TEXT, good + bad, length=1000))
            assert heard(client) == ([], 1007)


# ------------------------------------------------------------------ 7 closing


def test_closing(echo):
    check(echo, f(TEXT, b"Hello"), [(TEXT, b"Hello")], 1000)
    for after in (close(1000), f(PING), f(TEXT, b"late"), f(TEXT, b"x", rsv=7)):
        with echo() as client:
            send(client, close(1000) + after)
            assert heard(client) == ([], 1000)
            assert client.rest() == b""
    with echo() as client:
        send(client, f(TEXT, b"a", False) + close(1000) + f(CONTINUATION, b"b"))
        assert heard(client) == ([], 1000)


def test_close_payloads(echo):
    with echo() as client:
        send(client, f(CLOSE))
        assert heard(client)[0] == []
    for payload, code in ((b"\x03", 1002), (b"\x03\xe8", 1000), (b"\x03\xe8Hello", 1000),
                          (b"\x03\xe8" + b"*" * 123, 1000), (b"\x03\xe8" + b"*" * 124, 1002),
                          (b"\x03\xe8" + UTF8.encode(), 1000), (b"\x03\xe8\xed\xa0\x80", 1007),
                          (b"\x03\xe8\xce", 1007)):  # fmt: skip
        with echo() as client:
            send(client, f(CLOSE, payload))
            assert heard(client) == ([], code), payload


def test_close_codes(echo):
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000,
                 3999, 4000, 4999):  # fmt: skip
        with echo() as client:
            send(client, close(code))
            assert heard(client) == ([], code)
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        with echo() as client:
            send(client, close(code))
            assert heard(client) == ([], 1002), code


def test_a_client_that_vanishes(echo):
    for data in (b"", b"\x81", f(TEXT, b"abc")[:-1], f(TEXT, b"a", False)):
        client = echo()
        send(client, data)
        client.reset()
    check(echo, f(TEXT, b"still here"), [(TEXT, b"still here")], 1000)


# ------------------------------------------------------------------ 9, 10 limits


def cut(payload, size):
    """One message in fragments of this size."""
    parts = [payload[i:i + size] for i in range(0, len(payload), size)]
    data = [f(BINARY if i == 0 else CONTINUATION, part, i == len(parts) - 1)
            for i, part in enumerate(parts)]  # fmt: skip
    return b"".join(data)


@pytest.mark.parametrize("size", [1 << 16, 1 << 18, MAX])
def test_large_messages(echo, size):
    payload = bytes(i * 7 % 251 for i in range(size))
    for data in (f(BINARY, payload), cut(payload, 1300), cut(payload, 65536)):
        with echo() as client:
            client.send(data)
            assert client.recv() == payload
            assert client.shut() == 1000


def test_small_fragments(echo):
    payload = b"*" * 65536
    with echo() as client:
        client.send(cut(payload, 64))
        assert client.recv() == payload


def test_beyond_the_limit(echo):
    with echo() as client:
        send(client, f(BINARY, b"", length=MAX + 1))
        assert heard(client) == ([], 1009)
    with echo() as client:
        send(client, f(BINARY, b"*" * (MAX - 1), False) + f(CONTINUATION, b"**")[:-2])
        assert heard(client) == ([], 1009)
    with echo() as client:
        send(client, f(BINARY, b"", length=(1 << 63) - 1))
        assert heard(client) == ([], 1009)


def test_many_messages(echo):
    with echo() as client:
        for i in range(100):
            client.send(b"".join(f(TEXT, b"%d" % n) for n in range(i * 20, i * 20 + 20)))
            assert [client.recv() for _ in range(20)] == [str(n) for n in range(i * 20, i * 20 + 20)]


# ------------------------------------------------------------------ handshake

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY,
           "Sec-WebSocket-Version": "13"}  # fmt: skip


def test_handshakes(echo):
    for more in ({"Upgrade": "WebSocket"}, {"Connection": "keep-alive, upgrade"},
                 {"Sec-WebSocket-Protocol": "chat"}, {"Origin": "http://example.com"},
                 {"Sec-WebSocket-Extensions": "permessage-deflate"}):  # fmt: skip
        with Http(echo.url) as client:
            answer = client.ask("GET", "/echo", {**UPGRADE, **more})
            assert answer.status == 101, more
            assert answer.headers["upgrade"].lower() == "websocket"
            assert answer.headers["connection"].lower() == "upgrade"
            assert answer.headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
            for name in ("sec-websocket-extensions", "sec-websocket-protocol", "content-length",
                         "transfer-encoding"):  # fmt: skip
                assert name not in answer.headers


def test_frames_behind_the_handshake(echo):
    """A client may not wait for the answer to its first frame's surroundings."""
    with Http(echo.url) as client:
        head = "".join(f"{k}: {v}\r\n" for k, v in {"Host": client.host, **UPGRADE}.items())
        client.send(f"GET /echo HTTP/1.1\r\n{head}\r\n".encode() + f(TEXT, b"early"))
        assert client.head().status == 101
        assert client.read(7) == b"\x81\x05early"


def test_wrong_handshakes(echo):
    for change, status in (({"Sec-WebSocket-Version": "8"}, 426), ({"Sec-WebSocket-Version": None}, 426),
                           ({"Sec-WebSocket-Key": None}, 400), ({"Sec-WebSocket-Key": "short"}, 400),
                           ({"Sec-WebSocket-Key": KEY[:-1]}, 400), ({"Sec-WebSocket-Key": "!" * 24}, 400),
                           ({"Connection": "close"}, 426), ({"Upgrade": "h2c"}, 426)):  # fmt: skip
        with Http(echo.url) as client:
            answer = client.ask("GET", "/echo", {**UPGRADE, **change})
            assert answer.status == status, (change, answer)
            if status == 426:
                assert answer.headers["sec-websocket-version"] == "13"
    for method in ("POST", "HEAD", "DELETE"):
        with Http(echo.url) as client:
            assert client.ask(method, "/echo", UPGRADE).status == 405
    with Http(echo.url) as client:
        head = "".join(f"{k}: {v}\r\n" for k, v in {"Host": client.host, **UPGRADE}.items())
        client.send(f"GET /echo HTTP/1.0\r\n{head}\r\n".encode())
        assert client.response().status == 426
    for name in ("Sec-WebSocket-Key", "sec-websocket-version"):  # each stands once
        with Http(echo.url) as client:
            twice = head + f"{name}: {UPGRADE.get(name, '13')}\r\n"
            client.send(f"GET /echo HTTP/1.1\r\n{twice}\r\n".encode())
            assert client.response().status == 400, name


def test_echo_is_off_by_default(redis, notifier):
    with WebSocket(notifier().url, path="/echo") as client:
        assert client.answer.status == 404


# ------------------------------------------------------------------ the same on /wait


@pytest.mark.parametrize("data,code", [
    (f(TEXT, b"{}", mask=False), 1002), (f(TEXT, b"{}", rsv=1), 1002), (f(3), 1002),
    (f(TEXT, b"\xff"), 1007), (f(TEXT, b"", length=1 << 30), 1009), (f(PING, b"x" * 126), 1002),
    (close(1005), 1002), (close(1000), 1000), (close(4321), 4321),
], ids=itertools.count())  # fmt: skip
def test_waiting_follows_the_same_rules(redis, notifier, data, code):
    with WebSocket(notifier().url, "c1") as client:
        client.send_frame(PING, b"there?")
        assert client.recv_frame() == (True, PONG, b"there?")
        client.send(data)
        with pytest.raises(Closed) as closed:
            while True:
                client.recv()
        assert closed.value.args[0] == code
