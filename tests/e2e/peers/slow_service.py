#!/usr/bin/python3
"""A slow external HTTP service, as a process of its own, that does what the query asks.

    GET /anything?delay=1.5&status=503&json={"a":1}

| query           | what it does                                                          |
|-----------------|-----------------------------------------------------------------------|
| delay=1.5       | answers after so many seconds; delay=1-4 is random                    |
| gate=NAME       | answers when POST /_open?gate=NAME came: no clock in the test         |
| status=503      | the status; status=503,503,200 gives one a call (by path), last stays |
| body=TEXT       | the body; json=TEXT the same as application/json                      |
| size=N          | a body of N bytes "x"                                                 |
| type=TEXT       | the Content-Type                                                      |
| header=A:b      | one more header of the answer (may be repeated)                       |
| chunked=N       | Transfer-Encoding: chunked, N pieces                                  |
| pause=SECONDS   | between pieces of a chunked answer                                    |
| close=connect   | closes without a byte; =head in the middle of the head;               |
|                 | =body in the middle of the body; =after behind a whole answer         |
| raw=TEXT        | these bytes in place of an HTTP answer (percent-encoded in the URL)   |
| hang=1          | never answers                                                         |

Without body, json, size or raw the answer is JSON that says what was asked:
{"path", "query", "method", "headers", "body", "n"}.

GET /_calls tells what happened: {"total", "open", "peak", "connections", "keys": {the
Idempotency-Key: calls}, "paths": {…}, "calls": [the newest 1,000: {"at", "path", "query", "method",
"headers", "body", "answered"}]}; times are CLOCK_MONOTONIC seconds, the same in all
processes of the machine. POST /_forget sets it back. Written on asyncio's protocols
alone, since it must carry thousands of calls beside the program under test.
"""

import argparse
import asyncio
import collections
import json
import random
import resource
import socket
import sys
import time
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

REASONS = {200: "OK", 201: "Created", 204: "No Content", 301: "Moved", 302: "Found",
           400: "Bad Request", 404: "Not Found", 429: "Too Many Requests",
           500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip


class Book:
    """What happened so far, and the gates that are open."""

    def __init__(self):
        self.gates = {}
        self.forget()

    def forget(self):
        self.total = self.open = self.peak = self.connections = 0
        self.keys = collections.Counter()
        self.paths = collections.Counter()
        self.calls = collections.deque(maxlen=1000)

    def gate(self, name):
        return self.gates.setdefault(name, asyncio.get_running_loop().create_future())

    def report(self):
        return {"total": self.total, "open": self.open, "peak": self.peak,
                "connections": self.connections, "keys": self.keys,
                "paths": self.paths, "calls": list(self.calls)}  # fmt: skip


class Connection(asyncio.Protocol):
    """One connection: requests one after the other, as curl sends them."""

    def __init__(self, book):
        self.book = book
        self.input = b""
        self.task = None  # what will answer the call in hand
        self.pending = False  # a call in hand is not answered yet

    def connection_made(self, transport):
        self.transport = transport
        self.book.connections += 1

    def connection_lost(self, error):
        if self.task:
            self.task.cancel()
        self.settled()

    def settled(self, call=None):
        if self.pending:
            self.pending = False
            self.book.open -= 1
        if call:
            call["answered"] = time.monotonic()

    def data_received(self, data):
        self.input += data
        if self.task is None:
            self.next()

    def next(self):
        self.task = None
        head, found, rest = self.input.partition(b"\r\n\r\n")
        if not found or self.transport.is_closing():
            return
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("expect") == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self.input = rest[length:]
        self.asked(method, target, headers, rest[:length])

    def asked(self, method, target, headers, body):
        book, at = self.book, time.monotonic()
        url = urlsplit(target)
        query = {k: v[-1] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        if url.path.startswith("/_"):
            return self.control(url.path, query)
        book.total += 1
        book.paths[url.path] += 1
        if "idempotency-key" in headers:
            book.keys[headers["idempotency-key"]] += 1
        call = {"at": at, "path": url.path, "query": url.query, "method": method,
                "headers": headers, "body": body.decode("utf-8", "replace"),
                "answered": None}  # fmt: skip
        book.calls.append(call)
        self.pending = True
        book.open += 1
        book.peak = max(book.peak, book.open)
        n = book.paths[url.path]
        loop = asyncio.get_running_loop()
        if query.keys() & {"gate", "hang", "chunked", "close"}:
            self.task = loop.create_task(self.answer_slowly(call, query, url.query, n))
        else:
            # The common case costs one timer, not one task.
            self.task = loop.call_later(seconds(query.get("delay")), self.answer, call,
                                        query, url.query, n)  # fmt: skip

    def control(self, path, query):
        status, answer = 200, {}
        if path == "/_calls":
            answer = self.book.report()
        elif path == "/_forget":
            self.book.forget()
        elif path == "/_open":
            gate = self.book.gate(query.get("gate", ""))
            if not gate.done():
                gate.set_result(None)
        elif path == "/_shut":
            self.book.gates.pop(query.get("gate", ""), None)
        else:
            status = 404
        self.transport.write(reply(status, json.dumps(answer).encode(), "application/json"))
        self.next()

    def answer(self, call, query, raw_query, n):
        self.settled(call)
        if "raw" in query:
            self.transport.write(parameter(raw_query, "raw"))
            self.transport.close()
        else:
            self.transport.write(reply(*content(call, query, raw_query, n)))
            if query.get("close") == "after":
                self.transport.close()
        self.next()

    async def answer_slowly(self, call, query, raw_query, n):
        await asyncio.sleep(seconds(query.get("delay")))
        if "gate" in query:
            await asyncio.shield(self.book.gate(query["gate"]))
        if "hang" in query:
            await asyncio.get_running_loop().create_future()
        close = query.get("close")
        if "chunked" not in query and close in (None, "after"):
            return self.answer(call, query, raw_query, n)
        self.settled(call)
        whole = reply(*content(call, query, raw_query, n))
        if "chunked" in query:
            await self.write_chunks(call, query, raw_query, n)
        elif close == "head":
            self.transport.write(whole[:20])
        elif close == "body":
            self.transport.write(whole[: whole.index(b"\r\n\r\n") + 4])
            self.transport.write(content(call, query, raw_query, n)[1][:1])
        if close:
            self.transport.close()
        self.next()

    async def write_chunks(self, call, query, raw_query, n):
        status, body, kind, extra = content(call, query, raw_query, n)
        pieces = max(1, int(query["chunked"]))
        step = max(1, -(-len(body) // pieces))
        self.transport.write(reply(status, None, kind, extra))
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            self.transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if query.get("close") == "body":
                return
            await asyncio.sleep(float(query.get("pause", "0")))
        self.transport.write(b"0\r\n\r\n")


def seconds(text):
    if not text:
        return 0.0
    low, _, high = text.partition("-")
    return random.uniform(float(low), float(high)) if high else float(low)


def parameter(raw_query, name):
    """The bytes of a query parameter, so that raw= can carry any."""
    for pair in raw_query.split("&"):
        key, _, value = pair.partition("=")
        if key == name:
            return unquote_to_bytes(value.replace("+", " "))
    return b""


def content(call, query, raw_query, n):
    """status, body, content type, further header lines."""
    statuses = [int(s) for s in query.get("status", "200").split(",")]
    status = statuses[min(n, len(statuses)) - 1]
    extra = []
    for pair in raw_query.split("&"):
        if pair.startswith("header="):
            name, _, value = unquote_to_bytes(pair[7:]).partition(b":")
            extra.append(name + b": " + value.strip() + b"\r\n")
    kind = query.get("type")
    if "json" in query:
        body, kind = parameter(raw_query, "json"), kind or "application/json"
    elif "body" in query:
        body, kind = parameter(raw_query, "body"), kind or "text/plain; charset=utf-8"
    elif "size" in query:
        body, kind = b"x" * int(query["size"]), kind or "text/plain"
    else:
        said = {k: call[k] for k in ("path", "query", "method", "headers", "body")}
        body, kind = json.dumps({**said, "n": n}).encode(), kind or "application/json"
    return status, body, kind, b"".join(extra)


def reply(status, body, kind, extra=b""):
    """body None: chunked, the pieces follow."""
    framing = b"Transfer-Encoding: chunked\r\n" if body is None else b""
    if body is not None and status != 204:
        framing = b"Content-Length: %d\r\n" % len(body)
    head = b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, "Status").encode())
    return (head + b"Content-Type: " + kind.encode() + b"\r\n" + framing + extra
            + b"\r\n" + (b"" if status == 204 else body or b""))  # fmt: skip


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", options.port))
    book = Book()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(book), sock=listener, backlog=16384
    )
    print(f"listening {listener.getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    asyncio.run(main())
