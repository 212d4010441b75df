"""Order status: what happens to a visitor's orders, on the channel of the session cookie.

The page waits on @session; the notifier makes of it session:<value of the cookie>, which no
other visitor can name. Every tab of the visitor hears the same.
"""

import secrets
import time

from aiohttp import web

STEPS = ["paid", "packed", "handed-over", "delivered"]
PAUSE = 2500  # ms from one step to the next


def make(ring):
    async def show(request):
        answer = ring.page("orders/page.html")
        if "shop" not in request.cookies:
            answer.set_cookie("shop", secrets.token_urlsafe(16), httponly=True, samesite="Lax")
        return answer

    async def buy(request):
        """POST buy: an order; each of its steps is asked from the carrier at its time."""
        session = request.cookies.get("shop")
        if not session:
            raise web.HTTPForbidden
        order, now = secrets.randbelow(90_000) + 10_000, int(time.time() * 1000)
        await ring.enqueue(*(
            {"service": "parcel-state", "params": {"order": order, "step": step},
             "channel": f"session:{session}", "run_at": now + i * PAUSE}
            for i, step in enumerate(STEPS)
        ))  # fmt: skip
        return web.json_response({"order": order})

    return ring.app("orders", web.get("/", show), web.post("/buy", buy))
