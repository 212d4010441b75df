"""config/nginx/ringback.conf in the real nginx: TLS, HTTP/2, and all ways of waiting."""

import asyncio
import json
import os

import aiohttp
import pytest
import websockets
from peers.clients import get
from peers.nginx import NGINX, Front
from peers.process import free_port, wait_until

pytestmark = pytest.mark.skipif(not os.path.exists(NGINX), reason="nginx is not here")

@pytest.fixture
def front(processes, redis, notifier):
    return Front(processes, notifier(poll_timeout="1s"))


def test_websocket(front, redis):
    async def main():
        url = f"wss://{front.host}/wait/c1"
        async with websockets.connect(url, ssl=front.tls()) as socket:
            redis.publish("c1", {"event": "news", "data": 1})
            return json.loads(await asyncio.wait_for(socket.recv(), 10))

    assert asyncio.run(main())["data"] == 1


def test_sse_over_http2(front, redis, processes):
    """Each event arrives while the stream goes on: nothing is collected on the way."""
    reader = processes.start(
        ["curl", "-sSN", "--http2", "--cacert", front.certificate, "-D", "-",
         "-H", "Accept: text/event-stream", f"{front.url}/wait/c1"], "curl",
    )  # fmt: skip
    reader.wait_text("HTTP/2 200")
    for n in (1, 2, 3):
        id = redis.publish("c1", {"event": "news", "data": n})
        reader.wait_text(f"id: {id}")
    reader.kill()
    assert "text/event-stream" in reader.log


def test_long_poll_over_http2(front, redis):
    body, _, last = front.get("/wait/c1").stdout.rpartition("\n")
    assert (body, last) == ("", "2 204")
    id = redis.publish("c1", {"event": "news", "data": 1})
    body, _, last = front.get("/wait/c1").stdout.rpartition("\n")
    assert last == "2 200" and json.loads(body)["events"][0]["id"] == id
    cursor = json.loads(body)["cursor"]
    assert front.get(f"/wait/c1?since={cursor}").stdout.endswith("2 204")


def test_stream_and_library(front, redis):
    async def main():
        async with aiohttp.ClientSession() as http:
            url = f"{front.url}/wait/c1?mode=stream"
            async with http.get(url, ssl=front.tls()) as answer:
                redis.publish("c1", {"event": "news", "data": 7})
                async for line in answer.content:
                    if line.strip():
                        return json.loads(line)

    assert asyncio.run(main())["data"] == 7
    answer = front.get("/ringback.js", "-D", "-").stdout
    assert answer.startswith("HTTP/2 200") and "javascript" in answer
    for name in ("ringback.mjs", "ring-back.js", "ringback-enqueue.js", "ringback-tabs.js"):
        assert front.get(f"/{name}").stdout.endswith("2 200")


def test_one_that_is_killed_leaves_nobody_behind(front):
    front.process.kill()
    wait_until(lambda: not front.process.session(), what="its processes to be gone")


def test_a_browser_that_leaves_is_gone_from_the_notifier(front):
    def waiters():
        return get(f"{front.notifier.admin}/channels/c1").json()["waiters"]

    async def main():
        url = f"wss://{front.host}/wait/c1"
        async with websockets.connect(url, ssl=front.tls()):
            wait_until(lambda: waiters() == 1, what="the notifier to hold it")
        wait_until(lambda: waiters() == 0, what="the notifier to let it go")

    asyncio.run(main())


def test_through_a_unix_socket(processes, redis, notifier, folder):
    path = folder / "notifier.sock"
    daemon = notifier(listen=[f"127.0.0.1:{free_port()}", f"unix:{path}"], wait=False)
    daemon.wait_line("notifier.listening")
    wait_until(path.exists, what="the socket")
    front = Front(processes, daemon, f"unix:{path}")
    redis.publish("c1", {"event": "news", "data": 1})
    assert '"data":1' in front.get("/wait/c1").stdout.replace(" ", "")
