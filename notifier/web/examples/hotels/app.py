"""Hotels: three slow agencies asked at once, with one job. The page has no script of its own."""

import re
import secrets

from aiohttp import web

CITIES = ["Lisbon", "Bern", "Ghent", "Atlantis"]


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
        return ring.page("hotels/page.html", city=city, channel=channel, raw={"cities": options})

    return ring.app("hotels", web.get("/", show))
