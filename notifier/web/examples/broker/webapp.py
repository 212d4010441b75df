#!/usr/bin/python3
"""The broker's web app: answers at once, and leaves the slow part to ringback.

A visitor's page is sent before anybody asked the exchange: for each price on it the app
pushes one job and goes on. The page waits on its own channel and fills in what comes.
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
    <li class="card" data-symbol="%s" aria-busy="true">
      <p class="name"><a href="/?symbol=%s">%s</a></p>
      <div class="splash"><div class="bar" style="height: 1.5rem; width: 70%%"></div>
        <div class="bar" style="width: 45%%"></div></div>
    </li>"""


def is_symbol(text):
    return re.fullmatch("[A-Z]{1,5}", str(text)) is not None


class Broker:
    def __init__(self, redis_url, notifier):
        self.redis = redis.from_url(redis_url)
        self.notifier = notifier
        self.page = (HERE / "page.html").read_text()

    async def ask(self, channel, symbols):
        """One RPUSH, whatever the language. The job's id tells the page which card it is."""
        jobs = {
            f"{channel}-{symbol}-{secrets.token_hex(3)}": symbol for symbol in symbols
        }
        await self.redis.rpush("ringback:queue:default", *(
            json.dumps({"id": id, "service": "stock-quote", "params": {"symbol": symbol},
                        "channel": channel})
            for id, symbol in jobs.items()
        ))  # fmt: skip
        for id in jobs:
            print(f"event=broker.enqueued job={id} service=stock-quote", flush=True)

    async def show(self, request):
        """GET /?symbol=NOVA: the page, with splashes where the prices will be."""
        symbol = request.query.get("symbol", "NOVA").strip().upper()
        if not is_symbol(symbol):
            symbol = "NOVA"
        channel = f"page:{secrets.token_urlsafe(12)}"
        watched = [s for s in WATCHLIST if s != symbol]
        await self.ask(channel, [symbol, *watched])
        page = self.page
        for name, value in {
            "symbol": symbol, "channel": channel, "notifier": self.notifier,
            "watchlist": "".join(SPLASH % (s, s, s) for s in watched),
        }.items():  # fmt: skip
            page = page.replace("{{%s}}" % name, value)
        return web.Response(text=page, content_type="text/html",
                            headers={"Cache-Control": "no-store"})  # fmt: skip

    async def again(self, request):
        """POST /again {channel, symbol}: asks once more for the page that waits."""
        try:
            body = await request.json()
            channel, symbol = body["channel"], body["symbol"]
        except (ValueError, KeyError, TypeError):
            raise web.HTTPBadRequest from None
        if not str(channel).startswith("page:") or not is_symbol(symbol):
            raise web.HTTPBadRequest
        await self.ask(channel, [symbol])
        return web.Response(status=202)


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
    for name in ("broker.css", "broker.js"):
        app.router.add_get(f"/{name}", lambda request, name=name: web.FileResponse(HERE / name))
    web.run_app(app, host="127.0.0.1", port=options.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
