"""WebSocket: the handshake, the client's commands, pings, echo."""

import asyncio
import json
import os

import pytest
import websockets
from peers.clients import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Closed, WebSocket
from peers.process import wait_until


def tick(redis, channel, data):
    return redis.publish(channel, {"event": "tick", "data": data})


# ---------------------------------------------------------------------- the handshake


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Version": None}, 426),
        ({"Sec-WebSocket-Key": "x"}, 400),
        ({"Sec-WebSocket-Key": "AAAA"}, 400),
        ({"Upgrade": "h2c"}, 426),
        ({"Upgrade": None, "Connection": None}, 426),  # a proxy that was not told
        ({"Connection": "keep-alive, Upgrade"}, 101),
        ({"Upgrade": "WebSocket", "Connection": "upgrade"}, 101),
    ],
)
def test_handshakes(redis, notifier, headers, status):
    client = WebSocket(notifier().url, "c", headers=headers)
    assert client.answer.status == status
    if status == 426:
        assert client.answer.headers["sec-websocket-version"] == "13"
        assert client.answer.headers["upgrade"] == "websocket"


def test_no_extension_is_promised(redis, notifier):
    client = WebSocket(notifier().url, "c",
                       headers={"Sec-WebSocket-Extensions": "permessage-deflate"})  # fmt: skip
    assert "sec-websocket-extensions" not in client.answer.headers


def test_frames_behind_the_handshake(redis, notifier):
    """A client that does not wait for the answer."""
    client = WebSocket.__new__(WebSocket)
    base = notifier().url
    super(WebSocket, client).__init__(base)
    client.pings = 0
    client.request("GET", "/wait/c", {
        "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
    })  # fmt: skip
    client.send_json({"subscribe": "d"})
    assert client.head().status == 101
    assert client.event() == {"subscribed": "d"}


# ---------------------------------------------------------------------- commands


def test_subscribe_and_unsubscribe(redis, notifier):
    client = WebSocket(notifier().url, "a")
    first = tick(redis, "b", 1)
    tick(redis, "b", 2)
    client.send_json({"subscribe": "b"})
    assert client.event() == {"subscribed": "b"}
    assert [client.event()["data"] for _ in range(2)] == [1, 2]
    client.send_json({"subscribe": "b", "since": first})  # is subscribed already
    assert client.event() == {"subscribed": "b"}
    client.send_json({"unsubscribe": "b"})
    assert client.event() == {"unsubscribed": "b"}
    tick(redis, "b", 3)
    client.send_json({"unsubscribe": "b"})
    assert client.event() == {"unsubscribed": "b"}
    client.send_json({"subscribe": "b", "since": first})
    assert client.event() == {"subscribed": "b"}
    assert [client.event()["data"] for _ in range(2)] == [2, 3]
    tick(redis, "a", 4)
    assert client.event()["data"] == 4


def test_channels_that_have_ended_take_no_place(redis, notifier):
    names = [f"c{n}" for n in range(16)]
    client = WebSocket(notifier().url, ",".join(names), "?until=done")
    for name in names[1:]:
        redis.publish(name, {"event": "done"})
        assert client.event()["channel"] == name
    for name in ("d", "e"):
        client.send_json({"subscribe": name})
        assert client.event() == {"subscribed": name}
        tick(redis, name, 1)
        assert client.event()["channel"] == name
    # When those are given up that have not ended nothing is left to wait for.
    for name in ("c0", "d", "e"):
        client.send_json({"unsubscribe": name})
        assert client.event() == {"unsubscribed": name}
    assert client.close_code() == 1000


def test_sixteen_channels(redis, notifier):
    client = WebSocket(notifier().url, "c0")
    for n in range(1, 16):
        client.send_json({"subscribe": f"c{n}"})
        assert client.event() == {"subscribed": f"c{n}"}
    client.send_json({"subscribe": "c16"})
    assert client.event()["error"]["code"] == "too_many_channels"
    client.send_json({"unsubscribe": "c0"})
    assert client.event() == {"unsubscribed": "c0"}
    client.send_json({"subscribe": "c16"})
    assert client.event() == {"subscribed": "c16"}
    for n in (1, 16):
        tick(redis, f"c{n}", n)
        assert client.event()["data"] == n


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "invalid_message"),
        ("x", "invalid_message"),
        ("[]", "invalid_message"),
        ("{}", "invalid_message"),
        ('{"subscribe":1}', "invalid_message"),
        ('{"subscribe":"a","subscribe":"b"}', "invalid_message"),
        ('{"subscribe":"a","unsubscribe":"a"}', "invalid_message"),
        ('{"subscribe":"a","sinc":"1-0"}', "invalid_message"),
        ('{"subscribe":"a"} x', "invalid_message"),
        ('{"subscribe":"a b"}', "invalid_channel"),
        ('{"subscribe":""}', "invalid_channel"),
        pytest.param('{"subscribe":"%s"}' % ("a" * 129), "invalid_channel", id="long"),
        ('{"subscribe":"a\\u0000b"}', "invalid_message"),
        ('{"subscribe":"a\\nb"}', "invalid_channel"),
        ('{"subscribe":"a","since":"1"}', "invalid_cursor"),
        ('{"subscribe":"a","since":1}', "invalid_cursor"),
        ('{"subscribe":"@session"}', "forbidden"),
        ('{"enqueue":{"service":"quote"}}', "not_allowed"),
        pytest.param("[" * 5000, "invalid_message", id="deep"),
    ],
)
def test_wrong_commands_are_answered(redis, notifier, message, code):
    client = WebSocket(notifier().url, "c")
    client.send_text(message)
    answer = client.event()
    assert answer["error"]["code"] == code and answer["error"]["message"].endswith(".")
    client.send_frame(BINARY, b"{}")
    assert client.event()["error"]["code"] == "invalid_message"
    tick(redis, "c", 1)
    assert client.event()["data"] == 1  # it lives


def test_commands_in_pieces(redis, notifier):
    client = WebSocket(notifier().url, "c")
    text = '{"subscribe":"d"}'.encode()
    client.send_frame(TEXT, text[:5], fin=False)
    client.send_frame(PING, b"between")
    client.send_frame(CONTINUATION, text[5:10], fin=False)
    frame = client.frame(CONTINUATION, text[10:])
    for n in range(len(frame)):
        client.send(frame[n : n + 1])
    assert client.recv_frame() == (True, PONG, b"between")
    assert client.event() == {"subscribed": "d"}


# ---------------------------------------------------------------------- its end


def test_close_is_answered(redis, notifier):
    base = notifier().url
    for code in (1000, 1001, 3000, 4999):
        client = WebSocket(base, "c")
        assert client.shut(code) == code
        assert client.rest() == b""
    client = WebSocket(base, "c")
    client.send_frame(CLOSE)
    assert client.close_code() == 1005


def test_a_peer_that_answers_nothing_is_closed(redis, notifier):
    daemon = notifier(ping_interval="100ms")
    client = WebSocket(daemon.url, "c")
    while True:  # reads, and never answers
        try:
            client.recv_frame()
        except Closed:
            break
    daemon.wait_line("connection.closed", role="websocket", why="does not answer")


def test_a_message_too_large(redis, notifier):
    client = WebSocket(notifier(max_message="1KiB").url, "c")
    client.send_frame(TEXT, b"", length=1 << 40)
    assert client.close_code() == 1009


# ---------------------------------------------------------------------- echo


def test_echo_is_off_by_default(redis, notifier):
    assert WebSocket(notifier().url, path="/echo").answer.status == 404


def test_echo(redis, notifier):
    base = notifier(echo=True, max_message="8MiB").url
    client = WebSocket(base, path="/echo", timeout=30)
    for size in (0, 1, 125, 126, 65535, 65536, 100_000, 8 << 20):
        data = os.urandom(size)
        client.send_frame(BINARY, data)
        assert client.recv() == data
    client.send_text("grüße")
    assert client.recv() == "grüße"
    client.send_frame(PING, b"p")
    assert client.recv_frame() == (True, PONG, b"p")
    assert client.shut() == 1000


def test_echo_to_one_who_does_not_read(redis, notifier):
    """It is not read from either: memory stays what it is."""
    daemon = notifier(echo=True, max_queue="64KiB")
    client = WebSocket(daemon.url, path="/echo")
    before = daemon.rss_bytes()
    client.socket.setblocking(False)
    frame, sent = client.frame(BINARY, b"x" * 60_000), 0
    idle = 0
    while idle < 50 and sent < 100_000_000:
        try:
            sent += client.socket.send(frame)
            idle = 0
        except BlockingIOError:
            idle += 1
            wait_until(lambda: True, interval=0.01)
    assert sent < 100_000_000
    assert daemon.rss_bytes() - before < 20_000_000
    assert daemon.alive()


def test_with_a_real_client(redis, notifier):
    """python-websockets, with compression offered, as browsers do."""
    base = notifier(echo=True).url.replace("http", "ws")

    async def run():
        async with websockets.connect(base + "/wait/c") as client:
            await client.send(json.dumps({"subscribe": "d"}))
            assert json.loads(await client.recv()) == {"subscribed": "d"}
            tick(redis, "d", 1)
            assert json.loads(await client.recv())["data"] == 1
            await (await client.ping())
        async with websockets.connect(base + "/echo", max_size=None) as client:
            await client.send(b"x" * 100_000)
            assert await client.recv() == b"x" * 100_000

    asyncio.run(asyncio.wait_for(run(), 20))
