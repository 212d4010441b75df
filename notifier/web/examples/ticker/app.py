"""A page that asks for its jobs itself: this is all that there is of a web app."""

from aiohttp import web


def make(ring):
    async def show(_):
        return ring.page("ticker/page.html")

    return ring.app("ticker", web.get("/", show))
