#!/usr/bin/python3
"""The broker's web app: answers at once, and leaves the slow part to ringback.

A visitor's page is sent before anybody asked the exchange: for each price on it the app
pushes one job and goes on. The page waits on the channels and fills in what comes.
"""

import argparse
import json
import re
import secrets
from pathlib import Path

import redis.asyncio as redis
from aiohttp import web

HERE = Path(__file__).parent
WATCHLIST = ["ALBA", "KITE", "ORCA", "VOLT"]
SPLASH = """
    <li class="card" data-symbol="%s" data-channel="%s" aria-busy="true">
      <p class="name"><a href="/?symbol=%s">%s</a></p>
      <div class="splash"><div class="bar" style="height: 1.5rem; width: 70%%"></div>
        <div class="bar" style="width: 45%%"></div></div>
    </li>"""


def tell(event, **fields):
    """A line for who watches the demo."""
    print(f"event=broker.{event}", *(f"{k}={v}" for k, v in fields.items()), flush=True)


class Broker:
    def __init__(self, redis_url, notifier):
        self.redis = redis.from_url(redis_url)
        self.notifier = notifier
        self.page = (HERE / "page.html").read_text()

    async def ask(self, channels):
        """One RPUSH for all prices of a page, whatever the language. channels: symbol → name."""
        jobs = [
            {"id": secrets.token_hex(8), "service": "stock-quote",
             "params": {"symbol": symbol}, "channel": channel}
            for symbol, channel in channels.items()
        ]  # fmt: skip
        for job in jobs:
            tell("enqueued", job=job["id"], channel=job["channel"])
        await self.redis.rpush("ringback:queue:default", *map(json.dumps, jobs))

    async def show(self, request):
        """GET /?symbol=NOVA: the page, with splashes where the prices will be."""
        symbol = request.query.get("symbol", "NOVA").strip().upper()
        if not re.fullmatch("[A-Z]{1,5}", symbol):
            symbol = "NOVA"
        watched = [s for s in WATCHLIST if s != symbol]
        page = secrets.token_urlsafe(9)  # nobody else can guess where this page listens
        channels = {s: f"page:{page}:{s}" for s in [symbol, *watched]}
        await self.ask(channels)
        text = self.page
        for name, value in {
            "symbol": symbol, "channel": channels[symbol], "notifier": self.notifier,
            "watchlist": "".join(SPLASH % (s, channels[s], s, s) for s in watched),
        }.items():  # fmt: skip
            text = text.replace("{{%s}}" % name, value)
        return web.Response(text=text, content_type="text/html",
                            headers={"Cache-Control": "no-store"})  # fmt: skip

    async def again(self, request):
        """POST /again?channel=…: asks once more for the card that waits there."""
        channel = request.query.get("channel", "")
        name = re.fullmatch("page:[A-Za-z0-9_-]{12}:([A-Z]{1,5})", channel)
        if not name:
            raise web.HTTPBadRequest
        await self.ask({name[1]: channel})
        return web.Response(status=202)

    async def shown(self, request):
        """POST /shown?job=…&channel=…: the price is before the visitor's eyes."""
        fields = {k: re.sub(r"[^\w:-]", "", request.query.get(k, "")) for k in ("job", "channel")}
        tell("shown", **fields)
        return web.Response(status=204)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0")
    parser.add_argument("--notifier", default="http://127.0.0.1:8080",
                        help="the notifier as the browser reaches it")  # fmt: skip
    options = parser.parse_args()
    broker = Broker(options.redis, options.notifier)
    app = web.Application()
    app.router.add_get("/", broker.show)
    app.router.add_post("/again", broker.again)
    app.router.add_post("/shown", broker.shown)
    for name in ("broker.css", "broker.js"):
        app.router.add_get(f"/{name}", lambda request, name=name: web.FileResponse(HERE / name))
    web.run_app(app, host="127.0.0.1", port=options.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
