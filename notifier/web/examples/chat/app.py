"""Chat: many to many. What is said is published; who comes late reads what was said before."""

import re
import time

from aiohttp import web


def make(ring):
    async def show(request):
        """GET ?room=lobby"""
        room = request.query.get("room", "lobby")
        if not re.fullmatch("[a-z0-9-]{1,24}", room):
            room = "lobby"
        return ring.page("chat/page.html", room=room)

    async def say(request):
        """POST say, a form of room, name and text: heard by everybody in the room."""
        form = await request.post()
        room, name, text = (str(form.get(k, "")).strip() for k in ("room", "name", "text"))
        if not re.fullmatch("[a-z0-9-]{1,24}", room) or not name or not text:
            raise web.HTTPBadRequest(text="room, name and text are needed")
        await ring.publish(f"chat:{room}", {"name": name[:24], "text": text[:1000],
                                            "at": int(time.time() * 1000)})  # fmt: skip
        return web.Response(status=204)

    return ring.app("chat", web.get("/", show), web.post("/say", say))
