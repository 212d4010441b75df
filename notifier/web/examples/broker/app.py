"""The broker: answers at once, and leaves the slow part to ringback.

A visitor's page is sent before anybody asked the exchange: for each price on it the app
pushes one job and goes on. The page waits on the channels and fills in what comes.
"""

import re
import secrets

from aiohttp import web
from ring import tell

WATCHLIST = ["ALBA", "KITE", "ORCA", "VOLT"]
SPLASH = """
    <li class="card" data-symbol="%s" data-channel="%s" aria-busy="true">
      <p class="name"><a href="?symbol=%s">%s</a></p>
      <div class="splash"><div class="bar" style="height: 1.5rem; width: 70%%"></div>
        <div class="bar" style="width: 45%%"></div></div>
    </li>"""


def make(ring):
    def job(symbol, channel):
        return {"service": "stock-quote", "params": {"symbol": symbol}, "channel": channel}

    async def show(request):
        """GET ?symbol=NOVA: the page, with splashes where the prices will be."""
        symbol = request.query.get("symbol", "NOVA").strip().upper()
        if not re.fullmatch("[A-Z]{1,5}", symbol):
            symbol = "NOVA"
        watched = [s for s in WATCHLIST if s != symbol]
        page = secrets.token_urlsafe(9)  # nobody else can guess where this page listens
        channels = {s: f"page:{page}:{s}" for s in [symbol, *watched]}
        await ring.enqueue(*(job(s, channel) for s, channel in channels.items()))
        splashes = "".join(SPLASH % (s, channels[s], s, s) for s in watched)
        return ring.page("broker/page.html", symbol=symbol, channel=channels[symbol],
                         raw={"watchlist": splashes})  # fmt: skip

    async def again(request):
        """POST again?channel=…: asks once more for the card that waits there."""
        channel = request.query.get("channel", "")
        name = re.fullmatch("page:[A-Za-z0-9_-]{12}:([A-Z]{1,5})", channel)
        if not name:
            raise web.HTTPBadRequest
        await ring.enqueue(job(name[1], channel))
        return web.Response(status=202)

    async def shown(request):
        """POST shown?job=…&channel=…: the price is before the visitor's eyes."""
        fields = {k: re.sub(r"[^\w:-]", "", request.query.get(k, "")) for k in ("job", "channel")}
        tell("app.shown", **fields)
        return web.Response(status=204)

    return ring.app("broker", web.get("/", show), web.post("/again", again),
                    web.post("/shown", shown))  # fmt: skip
