"""Bytes in, what they say out: what an HTTP answer, a chunked body, SSE, NDJSON and
WebSocket frames bring, however they are cut. No sockets."""

import json
import os
import struct


class Broken(Exception):
    """Not what the protocol allows."""


class Head:
    """Of an answer: status and headers (lower-case); `rest` is what came behind it."""

    def __init__(self):
        self.input, self.status, self.headers, self.rest = b"", None, {}, b""

    def feed(self, data):
        """True when it is whole."""
        self.input += data
        head, found, self.rest = self.input.partition(b"\r\n\r\n")
        if not found:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ", 2)[1])
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        return True


class Chunked:
    """The body's bytes; `over` behind its last chunk."""

    def __init__(self):
        self.input, self.over = b"", False

    def feed(self, data):
        self.input += data
        body = []
        while not self.over:
            size, found, rest = self.input.partition(b"\r\n")
            if not found:
                break
            count = int(size, 16)
            if len(rest) < count + 2:
                break
            if rest[count : count + 2] != b"\r\n":
                raise Broken(f"a chunk that does not end: {rest[count : count + 2]!r}")
            body.append(rest[:count])
            self.input = rest[count + 2 :]
            self.over = count == 0
        return b"".join(body)


class Lines:
    def __init__(self):
        self.parts = b""

    def feed(self, data):
        *lines, self.parts = (self.parts + data).split(b"\n")
        return lines


class Ndjson(Lines):
    """feed() gives (cursor, value); there is no cursor but the event's own id."""

    def feed(self, data):
        return [(None, json.loads(line)) for line in super().feed(data) if line.strip()]


class Sse(Lines):
    """feed() gives (id or None where none stood with it, value). The event's name must be
    that of the value."""

    def __init__(self):
        super().__init__()
        self._forget()

    def _forget(self):
        self.id, self.event, self.data = None, "message", []

    def feed(self, data):
        told = []
        for line in super().feed(data):
            text = line.decode()
            name, _, value = text.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if not text:
                if self.data:
                    told.append(self._whole())
                self._forget()
            elif name == "id":
                self.id = value
            elif name == "event":
                self.event = value
            elif name == "data":
                self.data.append(value)
            elif name not in ("", "retry"):
                raise Broken(f"a field {name!r} of SSE")
        return told

    def _whole(self):
        value = json.loads("\n".join(self.data))
        if value.get("event", "message") != self.event:
            raise Broken(f"event: {self.event} over {str(value)[:100]}")
        return self.id, value


class Frames:
    """Of a WebSocket: feed() gives (opcode, payload)."""

    def __init__(self):
        self.input = bytearray()

    def feed(self, data):
        self.input += data
        told = []
        while frame := self._next():
            told.append(frame)
        return told

    def _next(self):
        have = self.input
        if len(have) < 2:
            return None
        if have[0] & 0xF0 != 0x80 or have[1] & 0x80:
            raise Broken(f"a frame that begins with {bytes(have[:2])!r}")
        size, at = have[1], 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(have) < 2 + width:
                return None
            size, at = int.from_bytes(have[2 : 2 + width], "big"), 2 + width
        if len(have) < at + size:
            return None
        frame = have[0] & 0x0F, bytes(have[at : at + size])
        del have[: at + size]
        return frame


def frame(opcode, payload=b""):
    """A client's frame, masked."""
    payload = payload.encode() if isinstance(payload, str) else payload
    size, key = len(payload), os.urandom(4)
    long = struct.pack("!BH", 0xFE, size) if size > 125 else bytes([0x80 | size])
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    return bytes([0x80 | opcode]) + long + key + masked
