"""Hotels: three slow agencies asked at once, with one job. The page has no script of its own.

Where scripts are off the browser asks again every two seconds (plain), and the app shows what
the channel has by then.
"""

import html
import re
import secrets
from urllib.parse import urlencode

from aiohttp import web

CITIES = ["Lisbon", "Bern", "Ghent", "Atlantis"]
COLUMNS = ["hotel", "stars", "price", "currency"]
ROW = "<tr><td>{}</td><td>{}</td><td>{}</td><td>{} {}</td></tr>"


def make(ring):
    async def show(request):
        """GET ?city=Bern: the page; its <ring-back> waits for the offers."""
        city = request.query.get("city", "").strip()
        channel = ""
        if re.fullmatch("[A-Za-z .-]{1,40}", city):
            channel = f"offers:{secrets.token_urlsafe(9)}"
            await ring.enqueue({"service": "hotel-offers", "params": {"city": city},
                                "channel": channel})  # fmt: skip
        options = "".join(f'<option value="{name}">' for name in CITIES)
        again = f"plain?{urlencode({'city': city, 'channel': channel})}"
        plain = f'<meta http-equiv="refresh" content="1; url={html.escape(again)}">' if channel else ""
        return ring.page("hotels/page.html", city=city, channel=channel,
                         raw={"cities": options, "plain": plain})  # fmt: skip

    async def plain(request):
        """GET plain?city=…&channel=…: the same without a script."""
        city, channel = (request.query.get(name, "") for name in ("city", "channel"))
        if not re.fullmatch("offers:[A-Za-z0-9_-]{12}", channel):
            raise web.HTTPNotFound
        last = (await ring.look(channel)).get("last") or {}
        if last.get("event") == "failed":
            return ring.page("hotels/plain.html", city=city, raw={
                "again": "", "text": "None of the agencies answers.", "rows": ""})  # fmt: skip
        if last.get("event") != "done":
            return ring.page("hotels/plain.html", city=city, raw={
                "again": '<meta http-equiv="refresh" content="2">',
                "text": "Asking three agencies …", "rows": ""})  # fmt: skip
        offers = [(agency, offer) for agency, found in last["data"].items()
                  if isinstance(found, list) for offer in found]  # fmt: skip
        rows = "".join(ROW.format(agency, *(html.escape(str(offer[name])) for name in COLUMNS))
                       for agency, offer in offers)  # fmt: skip
        text = f"{len(offers)} offers"
        return ring.page("hotels/plain.html", city=city, raw={"again": "", "text": text, "rows": rows})

    return ring.app("hotels", web.get("/", show), web.get("/plain", plain))
