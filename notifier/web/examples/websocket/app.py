"""A page to try WebSockets by hand: no more than a page."""

from aiohttp import web


def make(ring):
    async def show(_):
        return ring.page("websocket/page.html", socket=ring.notifier.replace("http", "ws", 1))

    return ring.app("websocket", web.get("/", show))
