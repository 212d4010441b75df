#!/usr/bin/python3
"""Thousands of waiting WebSockets in one process, each on its own channel.

    many_websockets.py HOST:PORT PREFIX FIRST COUNT

Opens /wait/PREFIX<n> for n in FIRST … FIRST + COUNT - 1, says `open COUNT` when all are
upgraded, and then reads: every text frame must hold the channel's own name. Says `heard
COUNT` when each got its message, `wrong …` when one got another's, `lost …` when the
server closed one.
"""

import base64
import os
import resource
import selectors
import socket
import sys

AT_ONCE = 200  # handshakes on their way


class Browser:
    def __init__(self, address, channel):
        self.channel, self.input, self.upgraded, self.heard = channel, b"", False, False
        self.socket = socket.create_connection(address, 30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /wait/{channel} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.socket.setblocking(False)

    def read(self):
        """What came: "open", "heard", or None."""
        try:
            data = self.socket.recv(4096)
        except BlockingIOError:
            return None
        except ConnectionError:
            data = b""
        if not data:
            sys.exit(f"lost {self.channel}: {self.input[:200]!r}")
        self.input += data
        news = None
        if not self.upgraded and b"\r\n\r\n" in self.input:
            head, _, self.input = self.input.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 101 "):
                sys.exit(f"wrong answer on {self.channel}: {head[:200]!r}")
            self.upgraded, news = True, "open"
        while self.upgraded and len(self.input) >= 2:
            size, start = self.input[1] & 0x7F, 2
            if size == 126:
                size, start = int.from_bytes(self.input[2:4], "big"), 4
            if len(self.input) < start + size:
                break
            opcode, payload = self.input[0] & 0x0F, self.input[start : start + size]
            self.input = self.input[start + size :]
            if opcode == 1:
                if f'"channel":"{self.channel}"'.encode() not in payload.replace(b" ", b""):
                    sys.exit(f"wrong message on {self.channel}: {payload!r}")
                self.heard, news = True, "heard"
            elif opcode == 8:
                sys.exit(f"lost {self.channel}: closed with {payload!r}")
        return news


def main():
    host, _, port = sys.argv[1].rpartition(":")
    prefix, first, count = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ready = selectors.DefaultSelector()
    started = opened = heard = 0
    while heard < count:
        while started < count and started - opened < AT_ONCE:
            browser = Browser((host, int(port)), f"{prefix}{first + started}")
            ready.register(browser.socket, selectors.EVENT_READ, browser)
            started += 1
        for key, _ in ready.select(60):
            news = key.data.read()
            if news == "open":
                opened += 1
                if opened == count:
                    print(f"open {count}", flush=True)
            elif news == "heard":
                heard += 1
    print(f"heard {count}", flush=True)
    sys.stdin.read()  # stays connected until the test closes this


if __name__ == "__main__":
    main()
