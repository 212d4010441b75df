"""Clients that come, hear for a while, are cut off in some rude way, and come back to some
notifier with their cursor. Each keeps what it heard, by channel."""

import asyncio
import collections
import json
import random
import socket
import struct
import time

from delivery.oracle import Heard
from delivery.wire import Broken, Chunked, Frames, Head, Ndjson, Sse, frame

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
LINGER_RST = struct.pack("ii", 1, 0)


def now_ms():
    return time.time() * 1000


class Ended(Exception):
    """The session is over; the word says how."""


class Client:
    """One that follows `channels`. `wrong` says what it was told and must not be."""

    kind = ""
    goes_on_idle = False  # more() gives b"" when nothing comes for a second

    def __init__(self, number, seed, channels, world):
        self.name, self.channels, self.world = f"{self.kind}{number}", channels, world
        self.random = random.Random(f"{seed}/client/{number}")
        self.heard = {name: Heard(now_ms) for name in channels}
        self.wrong, self.ends, self.raw, self.sessions = [], collections.Counter(), 0, 0
        self.slow = self.random.random() < 0.3
        self.calm = False  # no more tricks: it hears the rest

    # ------------------------------------------------------------------ its life
    async def live(self):
        while True:
            try:
                await self._session()
            except (OSError, Ended, asyncio.TimeoutError) as error:
                how = str(error) if isinstance(error, Ended) else type(error).__name__
                self.ends[how] += 1
            except (Broken, ValueError, KeyError, UnicodeDecodeError) as error:
                self.wrong.append(f"{self.name}: {error!r}")
            await asyncio.sleep(self.random.uniform(0, 0.05 if self.calm else 0.6))

    async def _session(self):
        tricks = self.random
        self.until = time.monotonic() + tricks.expovariate(1 / 2.5)
        self.budget = tricks.randrange(20_000) if tricks.random() < 0.3 else None
        self.manner = tricks.choice(["reset", "close", "half"])
        self.loop = asyncio.get_running_loop()
        with socket.socket() as self.socket:
            self.socket.setblocking(False)
            if self.slow and not self.calm:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            await asyncio.wait_for(
                self.loop.sock_connect(self.socket, ("127.0.0.1", self.world.some_port(tricks))), 5)
            self.sessions += 1
            await self.talk()

    async def send(self, data):
        await asyncio.wait_for(self.loop.sock_sendall(self.socket, data), 5)

    async def more(self):
        """Some bytes; Ended when this session is to end, or the notifier ended it."""
        if not self.calm and self.slow and self.random.random() < 0.2:
            await asyncio.sleep(self.random.uniform(0, 0.5))
        while True:
            left = 1.0 if self.calm else min(1.0, self.until - time.monotonic())
            if left <= 0 and not self.calm:
                self._leave(self.manner)
                continue
            size = 65536 if self.budget is None or self.calm else min(65536, self.budget + 1)
            if not await self._readable(max(left, 0.001)):
                if self.goes_on_idle:
                    return b""
                continue
            data = self.socket.recv(size)
            if not data:
                raise Ended("ended by the notifier")
            if self.budget is not None and not self.calm:
                if len(data) > self.budget:
                    self._leave("reset")  # in the middle of whatever comes
                self.budget -= len(data)
            return data

    async def _readable(self, seconds):
        """Waits without reading: what a cancelled read took would be lost."""
        waits = self.loop.create_future()
        self.loop.add_reader(self.socket, lambda: waits.done() or waits.set_result(True))
        try:
            return await asyncio.wait_for(waits, seconds)
        except asyncio.TimeoutError:
            return False
        finally:
            self.loop.remove_reader(self.socket)

    def _leave(self, manner):
        """Says that nothing more is sent and hears on for a moment, or goes at once."""
        if manner == "half":
            self.socket.shutdown(socket.SHUT_WR)
            self.manner, self.until = "close", time.monotonic() + 0.3
            return
        if manner == "reset":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RST)
        raise Ended(f"left by {manner}")

    # ------------------------------------------------------------------ what it is told
    def take(self, value, among):
        if "raw" in value:
            self.raw += 1
            return
        if value.get("channel") not in among:
            raise Broken(f"an event of a channel that it does not hear: {str(value)[:200]}")
        self.heard[value["channel"]].take(value)

    def cursor(self, names=None):
        """The composite one; "" when there is none at all."""
        ids = [self.heard[name].at for name in names or self.channels]
        return ",".join(id or "-" for id in ids) if any(ids) else ""

    def target(self, names=None, query=()):
        words = list(query)
        return f"/wait/{','.join(names or self.channels)}" + ("?" + "&".join(words) if words else "")

    async def get(self, target, headers=()):
        """The answer's head."""
        lines = [f"GET {target} HTTP/1.1", "Host: ringback.example", *headers, "", ""]
        await self.send("\r\n".join(lines).encode())
        head = Head()
        while not head.feed(await self.more()):
            pass
        return head

    @staticmethod
    def refused(head):
        if head.status != 503:  # the one word for: come again
            raise Broken(f"status {head.status}")
        raise Ended("status 503")

    def is_at(self, ends):
        """Has it heard all, up to these last ids?"""
        return all(self.heard[name].at == ends[name] for name in self.channels if name in ends)


class StreamClient(Client):
    """?mode=stream: one JSON a line."""

    kind, mode, accept = "stream", ["mode=stream"], []
    decoder = Ndjson

    def resume(self):
        since = self.cursor()
        return self.target(query=[*self.mode, *([f"since={since}"] if since else [])]), []

    async def talk(self):
        target, headers = self.resume()
        head = await self.get(target, [*self.accept, *headers])
        if head.status != 200:
            self.refused(head)
        body, told, data = Chunked(), self.decoder(), head.rest
        while not body.over:
            for cursor, value in told.feed(body.feed(data)):
                self.take(value, self.channels)
                if cursor is not None and "raw" not in value and cursor != self.cursor():
                    raise Broken(f"id: {cursor}, but it has heard {self.cursor()}")
            if not body.over:
                data = await self.more()
        raise Ended("told to go")


class SseClient(StreamClient):
    """text/event-stream, back with Last-Event-ID."""

    kind, mode, accept = "sse", [], ["Accept: text/event-stream"]
    decoder = Sse

    def resume(self):
        since = self.cursor()
        return self.target(), [f"Last-Event-ID: {since}"] if since else []


class PollClient(Client):
    """Long-polls one after the other, back with since or If-None-Match."""

    kind = "poll"

    async def talk(self):
        while True:
            since, query, headers = self.cursor(), [], []
            if since and self.random.random() < 0.5:
                headers = [f'If-None-Match: "{since}"']
            elif since:
                query = [f"since={since}"]
            head = await self.get(self.target(query=query), headers)
            if head.status == 204:
                if since and head.headers.get("etag") != f'"{since}"':
                    raise Broken(f"204 with {head.headers.get('etag')}, asked with {since}")
            elif head.status == 200:
                await self._answer(head)
            else:
                self.refused(head)
            if head.headers.get("connection") == "close":
                raise Ended("answered and closed")

    async def _answer(self, head):
        body, size = head.rest, int(head.headers["content-length"])
        while len(body) < size:
            body += await self.more()
        answer = json.loads(body)
        for value in answer["events"]:
            self.take(value, self.channels)
        told = "" if set(answer["cursor"]) <= {"-", ","} else answer["cursor"]
        if told != self.cursor() or head.headers["etag"] != f'"{answer["cursor"]}"':
            raise Broken(f"cursor {answer['cursor']}, but it has heard {self.cursor()}")


class WebSocketClient(Client):
    """Begins with some of its channels, subscribes to and unsubscribes from them all the
    time."""

    kind = "websocket"
    goes_on_idle = True  # time for a command

    async def talk(self):
        names = self.random.sample(self.channels, self.random.randint(1, len(self.channels)))
        since = self.cursor(names)
        head = await self.get(
            self.target(names, [f"since={since}"] if since else []),
            ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="])  # fmt: skip
        if head.status != 101:
            self.refused(head)
        # Between a command and its answer a channel is `pending`: not asked about again.
        self.hears, self.pending, frames = set(names), set(), Frames()
        data = head.rest
        while True:
            for opcode, payload in frames.feed(data):
                await self._frame(opcode, payload)
            await self._command()
            data = await self.more()

    async def _frame(self, opcode, payload):
        if opcode == PING:
            await self.send(frame(PONG, payload))
        elif opcode == CLOSE:
            raise Ended(f"close {int.from_bytes(payload[:2], 'big')}")
        elif opcode == TEXT:
            value = json.loads(payload)
            if "unsubscribed" in value:
                self.hears.discard(value["unsubscribed"])
                self.pending.discard(value["unsubscribed"])
            elif "subscribed" in value:
                self.pending.discard(value["subscribed"])
            else:
                self.take(value, self.hears)
        else:
            raise Broken(f"a frame with opcode {opcode}")

    async def _command(self):
        if not self.calm and self.random.random() > 0.2:
            return
        missing = [n for n in self.channels if n not in self.hears and n not in self.pending]
        if missing and (self.calm or self.random.random() < 0.6):
            name = self.random.choice(missing)
            since = self.heard[name].at
            self.hears.add(name)
            command = {"subscribe": name, **({"since": since} if since else {})}
        elif not self.calm and (some := sorted(self.hears - self.pending)):
            name = self.random.choice(some)
            command = {"unsubscribe": name}
        else:
            return
        self.pending.add(name)
        await self.send(frame(TEXT, json.dumps(command)))


KINDS = (WebSocketClient, SseClient, PollClient, StreamClient)
