"""Sign in by phone: the screen shows a code, the phone confirms it, the screen goes on.

The code is for the phone. Where the screen listens is another secret, so who reads the code
over a shoulder cannot hear the ticket that signs the screen in.
"""

import io
import secrets

import qrcode
import qrcode.image.svg
from aiohttp import web

LIFE = 60  # seconds to scan it in
KEY = "demo:signin:%s"


def drawing(text):
    svg = io.BytesIO()
    qrcode.make(text, image_factory=qrcode.image.svg.SvgPathImage, border=1).save(svg)
    return svg.getvalue().decode().partition("?>")[2]


def make(ring):
    async def show(request):
        """GET: the screen. Signed in: says so."""
        name = await ring.redis.get(KEY % request.cookies.get("screen", "-"))
        if name:
            return ring.page("signin/inside.html", name=name.decode())
        code, channel = secrets.token_urlsafe(9), f"signin:{secrets.token_urlsafe(16)}"
        await ring.redis.set(KEY % code, channel, ex=LIFE)
        phone = f"{request.url.origin()}{request.path}phone?code={code}"
        return ring.page("signin/page.html", channel=channel, phone=phone, life=LIFE,
                         raw={"qr": drawing(phone)})  # fmt: skip

    async def phone(request):
        """GET phone?code=…: what the phone shows."""
        code = request.query.get("code", "")
        good = await ring.redis.exists(KEY % code)
        return ring.page("signin/phone.html" if good else "signin/gone.html",
                         status=200 if good else 410, code=code)  # fmt: skip

    async def confirm(request):
        """POST confirm, a form of code and name. A code works once."""
        form = await request.post()
        channel = await ring.redis.getdel(KEY % form.get("code", ""))
        if not channel:
            return ring.page("signin/gone.html", status=410)
        ticket = secrets.token_urlsafe(16)
        await ring.redis.set(KEY % ticket, str(form.get("name") or "Visitor")[:40], ex=30)
        await ring.publish(channel.decode(), {"ticket": ticket}, event="done")
        return ring.page("signin/confirmed.html")

    async def enter(request):
        """POST enter, a form of ticket: the screen is signed in."""
        name = await ring.redis.getdel(KEY % (await request.post()).get("ticket", ""))
        if not name:
            raise web.HTTPForbidden
        session = secrets.token_urlsafe(16)
        await ring.redis.set(KEY % session, name, ex=3600)
        answer = web.Response(status=204)
        answer.set_cookie("screen", session, httponly=True, samesite="Lax")
        return answer

    async def leave(_):
        answer = web.Response(status=303, headers={"Location": "."})
        answer.del_cookie("screen")
        return answer

    return ring.app("signin", web.get("/", show), web.get("/phone", phone), web.post("/leave", leave),
                    web.post("/confirm", confirm), web.post("/enter", enter))  # fmt: skip
