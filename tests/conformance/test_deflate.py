"""RFC 7692 on a real socket: what is agreed on, sizes, fragments and mistakes as the
sections 12 and 13 of the Autobahn test suite ask, python-websockets as the other side, and
events that are compressed once for many."""

import asyncio
import json
import os
import random
import struct
import zlib

import pytest
import websockets
from peers.clients import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocket
from peers.process import sanitized, wait_until
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

MAX = 1 << 20
TAIL = b"\x00\x00\xff\xff"
ALONE = "server_no_context_takeover; client_no_context_takeover"


def pack(data, level=6, window=15):
    packer = zlib.compressobj(level, zlib.DEFLATED, -window)
    packed = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert packed.endswith(TAIL)
    return packed[:-4]


def unpack(data, window=15):
    return zlib.decompressobj(-window).decompress(data + TAIL)


def text(size):
    """Compresses as JSON does."""
    chance = random.Random(size)
    words = [b'"price":', b'"name":', b"{", b"}", b"12.5", b"ringback", b", "]
    return b"".join(chance.choice(words) for _ in range(size // 2 + 1))[:size]


class Packed(WebSocket):
    """recv_frame() restores what is compressed; `packed` counts it."""

    def __init__(self, base, offer="permessage-deflate", **options):
        super().__init__(base, headers={"Sec-WebSocket-Extensions": offer}, **options)
        self.agreed = self.answer.headers.get("sec-websocket-extensions")
        self.packed, self.window, self.wire = 0, 15, 0

    def recv_frame(self):
        first = self.read(1)
        rsv1 = first[0] & 0x40
        self.input = bytes([first[0] & ~0x40]) + self.input
        fin, opcode, payload = super().recv_frame()
        if rsv1:
            assert self.agreed and opcode in (TEXT, BINARY)
            self.packed += 1
            self.wire += len(payload)
            payload = unpack(payload, self.window)
        return fin, opcode, payload

    def send_packed(self, opcode, data, **options):
        self.send_frame(opcode, pack(data), rsv=4, **options)


@pytest.fixture
def daemon(redis, notifier):
    return notifier(echo=True, compression=True, max_message=MAX)


@pytest.fixture
def echo(daemon):
    def connect(offer="permessage-deflate", **options):
        client = Packed(daemon.url, offer, path="/echo", **options)
        assert client.answer.status == 101
        return client

    return connect


# ------------------------------------------------------------------ what is agreed on


def test_off_by_default(redis, notifier):
    assert Packed(notifier().url, channel="c").agreed is None


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        ("permessage-deflate", ""),
        ("permessage-deflate; client_max_window_bits", ""),
        ("permessage-deflate; client_max_window_bits=9", ""),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", ""),
        ("permessage-deflate; server_max_window_bits=15", "; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=8", "; server_max_window_bits=8"),
        ("permessage-deflate; server_max_window_bits=7, permessage-deflate", ""),
        ("permessage-bzip2, permessage-deflate", ""),
        ("permessage-deflate; server_max_window_bits=7", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; client_max_window_bits=16", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("permessage-deflate; what", None),
        ("permessage-bzip2", None),
        ("x-webkit-deflate-frame", None),
    ],
)
def test_offers(echo, offer, agreed):
    with echo(offer) as client:
        expected = None if agreed is None else f"permessage-deflate; {ALONE}{agreed}"
        assert client.agreed == expected
        if agreed is None:
            client.send_packed(TEXT, b"x")
            assert client.close_code() == 1002


# ------------------------------------------------------------------ 12, 13 messages


@pytest.mark.parametrize("size", [0, 16, 64, 255, 256, 1024, 4096, 16384, 65536, 131072, MAX])
def test_sizes(echo, size):
    with echo() as client:
        for opcode, data in ((TEXT, text(size)), (BINARY, os.urandom(size))):
            for fragment in (size or 1, 997):
                packed = pack(data)
                parts = [packed[i:i + fragment] for i in range(0, len(packed), fragment)]
                for i, part in enumerate(parts):
                    client.send_frame(CONTINUATION if i else opcode, part,
                                      fin=i == len(parts) - 1, rsv=0 if i else 4)  # fmt: skip
                fin, got, payload = client.recv_frame()
                assert fin and got == opcode and payload == data
        # What is too long for the window of 32 KiB, or gains nothing, comes as it is.
        assert client.packed == (2 if 256 <= size <= 32768 else 0)
        assert client.shut() == 1000


@pytest.mark.parametrize("bits", [8, 9, 12, 15])
def test_the_window_of_the_client(echo, bits):
    """No distance goes beyond it."""
    with echo(f"permessage-deflate; server_max_window_bits={bits}") as client:
        client.window = max(bits, 9)  # zlib has no raw window of 8 bits
        for size in (256, 257, 512, 4096, 4097, 32768, 32769):
            data = text(size)
            before = client.packed
            client.send_packed(TEXT, data)
            assert client.recv().encode() == data
            assert client.packed - before == (size <= 1 << bits)


def test_many_messages(echo):
    with echo() as client:
        for n in range(300):
            data = text(n * 7)
            if n % 3:
                client.send_packed(TEXT, data)
            else:
                client.send_frame(TEXT, data)
            assert client.recv().encode() == data


def test_byte_by_byte_with_pings_between(echo):
    data = text(600)
    packed = pack(data)
    with echo() as client:
        wire = (client.frame(TEXT, packed[:10], fin=False, rsv=4) + client.frame(PING, b"p")
                + client.frame(CONTINUATION, b"", fin=False)
                + client.frame(CONTINUATION, packed[10:]) + client.frame(TEXT, "plain"))  # fmt: skip
        for n in range(len(wire)):
            client.send(wire[n:n + 1])
        assert client.recv_frame() == (True, PONG, b"p")
        assert client.recv_frame() == (True, TEXT, data)
        assert client.recv_frame() == (True, TEXT, b"plain")


def test_two_clients_share_the_inflater(echo):
    """Neither sees what the other one's message began."""
    one, two = text(5000), text(4999)
    first, second = pack(one), pack(two)
    with echo() as a, echo() as b:
        a.send_frame(TEXT, first[:100], fin=False, rsv=4)
        b.send_frame(TEXT, second[:100], fin=False, rsv=4)
        a.send_frame(CONTINUATION, first[100:])
        assert a.recv().encode() == one
        b.send_frame(CONTINUATION, second[100:])
        assert b.recv().encode() == two


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\xff\xff", 1007),
        (b"\x78\x9c" + b"\xf3\x48\xcd\xc9\xc9\x07", 1007),
        (pack(text(500))[:-20], 1007),
        (pack(b"\xff\xfe invalid"), 1007),
        (pack(b"\0" * (MAX + 1)), 1009),
        (pack(b"\0" * (64 << 20)), 1009),
    ],
    ids=["block", "zlib", "cut", "utf8", "large", "bomb"],
)
def test_wrong_messages(daemon, echo, payload, code):
    before = daemon.rss_bytes()
    for _ in range(20 if code == 1009 else 1):
        with echo() as client:
            client.send_frame(TEXT, payload, rsv=4)
            assert client.close_code() == code
    assert sanitized() or daemon.rss_bytes() - before < 16 << 20


def test_a_block_that_says_it_is_the_last(echo):
    """RFC 7692 §7.2.3.4."""
    with echo() as client:
        client.send_frame(TEXT, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", rsv=4)
        assert client.recv() == "Hello"


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_control_frames_are_never_compressed(echo, opcode):
    with echo() as client:
        client.send_frame(opcode, struct.pack(">H", 1000), rsv=4)
        assert client.close_code() == 1002


def test_the_bit_stands_on_the_first_frame_alone(echo):
    for rsv, first in ((4, 4), (4, 0)):
        with echo() as client:
            client.send_frame(TEXT, pack(b"a"), fin=False, rsv=first)
            client.send_frame(CONTINUATION, b"", rsv=rsv)
            assert client.close_code() == 1002
    for rsv in (1, 2, 3, 5, 6, 7):
        with echo() as client:
            client.send_frame(TEXT, pack(b"a"), rsv=rsv)
            assert client.close_code() == 1002


# ------------------------------------------------------------------ another implementation


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"client_max_window_bits": 9},
        {"server_max_window_bits": 9, "client_max_window_bits": 9},
        {"server_no_context_takeover": True, "client_no_context_takeover": True},
    ],
)
def test_python_websockets(daemon, options):
    async def run():
        factory = ClientPerMessageDeflateFactory(**options)
        async with websockets.connect(daemon.url.replace("http", "ws") + "/echo", max_size=None,
                                      compression=None, extensions=[factory]) as client:  # fmt: skip
            assert [extension.name for extension in client.extensions] == ["permessage-deflate"]
            for size in (0, 1, 200, 300, 5000, 70_000, 1_000_000):
                data = text(size).decode()
                await client.send(data)
                assert await client.recv() == data
                await client.send(data.encode())
                assert await client.recv() == data.encode()
                await client.send(iter([data[:10], data[10:]]))
                assert await client.recv() == data

    asyncio.run(asyncio.wait_for(run(), 60))


# ------------------------------------------------------------------ events


def test_events(daemon, redis):
    """One encoding for all that can take it; nobody else is troubled."""
    base = daemon.url
    clients = [Packed(base, channel="c") for _ in range(3)]
    small = Packed(base, "permessage-deflate; server_max_window_bits=8", channel="c")
    plain = WebSocket(base, "c")
    wait_until(lambda: redis.client.pubsub_numsub("ringback:ch:{c}")[0][1] == 1)
    long, short = text(3000).decode(), "x"
    for data in (long, short):
        redis.publish("c", {"event": "tick", "data": data})
        for client in (*clients, small, plain):
            assert client.event()["data"] == data
    redis.client.publish("ringback:ch:{c}", long.encode() + b"\xff")
    for client in (*clients, small, plain):
        assert client.recv() == long.encode() + b"\xff"
    assert [client.packed for client in (*clients, small)] == [2, 2, 2, 0]
    assert all(client.wire < 3000 for client in clients)
    late = Packed(base, channel="c", query="?until=done")
    assert late.event()["data"] == long and late.packed == 1


def test_commands_may_be_compressed(daemon, redis):
    client = Packed(daemon.url, channel="c")
    client.send_packed(TEXT, json.dumps({"subscribe": "d"}).encode())
    assert client.event() == {"subscribed": "d"}


def test_reload_changes_it_for_those_who_come(daemon, redis):
    before = Packed(daemon.url, path="/echo")
    daemon.configure({"notifier": {"compression": "off"}})
    daemon.signal(1)
    daemon.wait_line("notifier.reloaded")
    after = Packed(daemon.url, path="/echo")
    assert before.agreed and not after.agreed
    before.send_packed(TEXT, text(1000))
    assert before.recv().encode() == text(1000)
