"""Some lookups, each waited for over one transport: what `./run demo --once` shows."""

import asyncio
import json
import time

import aiohttp

TIMEOUT = 30
LOOKUPS = [
    ("WebSocket", "NOVA"), ("WebSocket", "ALBA"), ("WebSocket", "HALT"),
    ("SSE", "KITE"), ("SSE", "MERO"),
    ("long-poll", "ORCA"), ("long-poll", "VOLT"),
]  # fmt: skip
TERMINAL = ("done", "failed")


async def over_websocket(http, url):
    async with http.ws_connect(url) as socket:
        async for message in socket:
            yield json.loads(message.data)


async def over_sse(http, url):
    async with http.get(url, headers={"Accept": "text/event-stream"}) as answer:
        async for line in answer.content:
            if line.startswith(b"data:"):
                yield json.loads(line[5:])


async def over_long_poll(http, url):
    cursor = None
    while True:
        async with http.get(url, params={"since": cursor} if cursor else {}) as answer:
            if answer.status == 200:
                body = await answer.json()
                cursor = body["cursor"]
                for event in body["events"]:
                    yield event


TRANSPORTS = {"WebSocket": over_websocket, "SSE": over_sse, "long-poll": over_long_poll}


async def enqueue(socket, job):
    """What any web app does, in any language: one RPUSH."""
    process = await asyncio.create_subprocess_exec(
        "redis-cli", "-s", str(socket), "RPUSH", "ringback:queue:default", json.dumps(job),
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    if await process.wait() != 0:
        raise RuntimeError("redis-cli failed")


async def one(http, redis, notifier, number, transport, symbol):
    """Enqueues, waits for the terminal event, prints a line. True when it is as expected."""
    channel = f"once:{number}"
    start = time.time()
    await enqueue(redis, {"service": "stock-quote", "params": {"symbol": symbol},
                          "channel": channel})  # fmt: skip
    asked = time.time()
    async for event in TRANSPORTS[transport](http, f"{notifier}/wait/{channel}"):
        if event["event"] not in TERMINAL:
            continue
        here = time.time()
        if event["event"] == "done":
            what = f"{event['data']['price']:.2f} {event['data']['currency']}"
        else:
            what = f"failed: {event['error']['code']} {event['error'].get('status', '')}"
        print(f"  {transport:10} {symbol:5} enqueued +{(asked - start) * 1000:.0f} ms · "
              f"result +{event['at'] - start * 1000:.0f} ms · "
              f"here +{(here - start) * 1000:.0f} ms · {what}", flush=True)  # fmt: skip
        return (event["event"] == "failed") == (symbol == "HALT")
    return False


async def look_up(redis, notifier):
    """All lookups at once; true when every one came as expected."""
    started = time.monotonic()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as http:
        answers = await asyncio.gather(
            *(asyncio.wait_for(one(http, redis, notifier, number, *lookup), TIMEOUT)
              for number, lookup in enumerate(LOOKUPS)),
            return_exceptions=True,
        )  # fmt: skip
    came = sum(answer is True for answer in answers)
    for (transport, symbol), answer in zip(LOOKUPS, answers):
        if isinstance(answer, Exception):
            print(f"  {transport:10} {symbol:5} did not come: {answer!r}")
    print(f"  {came} of {len(LOOKUPS)} results came, "
          f"all within {time.monotonic() - started:.1f} s")  # fmt: skip
    return came == len(LOOKUPS)
