#!/usr/bin/python3
"""The stand-in for slow external services, which take seconds for an answer.

    services.py --port 9000 --delay 1-4 --failures 0.1

GET /v1/quotes/<SYMBOL>             an exchange; now and then it answers 503. HALT is always
                                    503, symbols that do not exist are 404
GET /agencies/<name>/offers?city=…  hotels of three agencies; in Atlantis the third is broken
GET /parcels/<order>/<step>         where a parcel is
"""

import argparse
import asyncio
import random
import time

from aiohttp import web

SHARES = {
    "NOVA": ("Novatek Optics", "Jena", 184.2), "ALBA": ("Alba Shipping", "Hamburg", 41.37),
    "KITE": ("Kite Energy", "Aarhus", 12.94), "MERO": ("Mero Foods", "Lyon", 96.05),
    "ORCA": ("Orca Robotics", "Turin", 233.8), "PINE": ("Pine & Daughters", "Tampere", 67.5),
    "TERN": ("Tern Airways", "Porto", 8.41), "VOLT": ("Volt Grid", "Graz", 152.66),
}  # fmt: skip


def quote(symbol):
    """A price that walks, the same for everybody who asks in the same second."""
    name, seat, base = SHARES[symbol]
    now = int(time.time())
    walk = random.Random(f"{symbol}{now}")
    history, price = [], base
    for _ in range(48):
        price *= 1 + walk.gauss(0.0003, 0.004)
        history.append(round(price, 2))
    last, opened = history[-1], history[0]
    return {
        "symbol": symbol, "name": name, "seat": seat, "currency": "EUR", "price": last,
        "change": round(last - opened, 2),
        "change_percent": round((last / opened - 1) * 100, 2),
        "low": min(history), "high": max(history), "volume": walk.randint(20_000, 900_000),
        "history": history, "as_of": now,
    }  # fmt: skip


HOTELS = {
    "meridian": ["Grand Meridian", "Meridian Park", "Meridian Station"],
    "harbour": ["Harbour House", "The Old Customs", "Quay 9"],
    "lantern": ["The Lantern", "Pension Iris", "Courtyard Rooms"],
}
STEPS = {
    "paid": "The payment has arrived.",
    "packed": "Your parcel is packed.",
    "handed-over": "The carrier has it.",
    "delivered": "It is at your door.",
}


class Services:
    def __init__(self, delay, failures):
        low, _, high = delay.partition("-")
        self.delay = (float(low), float(high or low))
        self.failures = failures

    async def be_slow(self):
        await asyncio.sleep(random.uniform(*self.delay))

    async def quote(self, request):
        symbol = request.match_info["symbol"]
        await self.be_slow()
        if symbol == "HALT" or random.random() < self.failures:
            return web.json_response({"error": "trading is interrupted"}, status=503)
        if symbol not in SHARES:
            return web.json_response({"error": f"no share {symbol}"}, status=404)
        return web.json_response({"data": {"quote": quote(symbol)}})

    async def offers(self, request):
        agency, city = request.match_info["agency"], request.query.get("city", "")
        await self.be_slow()
        if agency not in HOTELS:
            raise web.HTTPNotFound
        if city == "Atlantis" and agency == "lantern":
            return web.json_response({"error": "maintenance"}, status=503)
        dice = random.Random(f"{agency}{city}")
        offers = [
            {"hotel": hotel, "stars": "★" * dice.randint(2, 5), "price": dice.randint(58, 240),
             "currency": "EUR"}
            for hotel in HOTELS[agency]
        ]  # fmt: skip
        return web.json_response({"offers": sorted(offers, key=lambda offer: offer["price"])})

    async def parcel(self, request):
        step = request.match_info["step"]
        await self.be_slow()
        if step not in STEPS:
            raise web.HTTPNotFound
        return web.json_response({"order": request.match_info["order"], "state": step,
                                  "text": STEPS[step]})  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--delay", default="1-4", help="seconds, or a range (default 1-4)")
    parser.add_argument("--failures", type=float, default=0.0, help="0 to 1 (default 0)")
    options = parser.parse_args()
    app = web.Application()
    services = Services(options.delay, options.failures)
    app.router.add_get("/v1/quotes/{symbol}", services.quote)
    app.router.add_get("/agencies/{agency}/offers", services.offers)
    app.router.add_get("/parcels/{order}/{step}", services.parcel)
    web.run_app(app, host="127.0.0.1", port=options.port, print=None, access_log=None,
                handle_signals=True)  # fmt: skip


if __name__ == "__main__":
    main()
