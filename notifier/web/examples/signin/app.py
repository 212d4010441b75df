"""Sign in by phone: the screen shows a code, the phone confirms it, the screen goes on.

The code is for the phone. Where the screen listens is another secret, so who reads the code
over a shoulder cannot hear the ticket that signs the screen in.
"""

import html
import io
import secrets

import qrcode
import qrcode.image.svg
from aiohttp import web

LIFE = 60  # seconds to scan it in
# Of a kind each: what one of them opens the others must not.
CODE, TICKET, SESSION = (f"demo:signin:{kind}:%s" for kind in ("code", "ticket", "session"))


def drawing(text):
    svg = io.BytesIO()
    qrcode.make(text, image_factory=qrcode.image.svg.SvgPathImage, border=1).save(svg)
    return svg.getvalue().decode().partition("?>")[2]


CONFIRM = """<form method="post" action="confirm"><input type="hidden" name="code" value="%s">
      <input class="wide" name="name" aria-label="Your name" placeholder="Your name" maxlength="40"
        required> <button>Confirm</button></form>"""
LEAVE = '<form method="post" action="leave"><button class="plain">Sign out</button></form>'


def make(ring):
    def note(title, text, kind="", form="", status=200):
        return ring.page("signin/note.html", status, {"form": form}, title=title, text=text, kind=kind)

    def gone():
        return note("This code is not good any more", "It was used, or its time is over. "
                    "Load the page on the screen again and scan the new one.", "bad", status=410)  # fmt: skip

    async def show(request):
        """GET: the screen. Signed in: says so."""
        name = await ring.redis.get(SESSION % request.cookies.get("screen", "-"))
        if name:
            return note(f"Welcome, {name.decode()}", "You are signed in on this screen.", form=LEAVE)
        code, channel = secrets.token_urlsafe(9), f"signin:{secrets.token_urlsafe(16)}"
        await ring.redis.set(CODE % code, channel, ex=LIFE)
        phone = f"{request.url.origin()}{request.path}phone?code={code}"
        return ring.page("signin/page.html", channel=channel, phone=phone, life=LIFE,
                         raw={"qr": drawing(phone)})  # fmt: skip

    async def phone(request):
        """GET phone?code=…: what the phone shows."""
        code = request.query.get("code", "")
        if not await ring.redis.exists(CODE % code):
            return gone()
        return note("Is that you?", "A screen wants to sign in with your account. Confirm only "
                    "if it is before your eyes.", form=CONFIRM % html.escape(code))  # fmt: skip

    async def confirm(request):
        """POST confirm, a form of code and name. A code works once."""
        form = await request.post()
        channel = await ring.redis.getdel(CODE % form.get("code", ""))
        if not channel:
            return gone()
        ticket = secrets.token_urlsafe(16)
        await ring.redis.set(TICKET % ticket, str(form.get("name") or "Visitor")[:40], ex=30)
        await ring.publish(channel.decode(), {"ticket": ticket}, event="done")
        return note("Confirmed", "The screen is signed in. You may close this page.", "good")

    async def enter(request):
        """POST enter, a form of ticket: the screen is signed in."""
        name = await ring.redis.getdel(TICKET % (await request.post()).get("ticket", ""))
        if not name:
            raise web.HTTPForbidden
        session = secrets.token_urlsafe(16)
        await ring.redis.set(SESSION % session, name, ex=3600)
        answer = web.Response(status=204)
        answer.set_cookie("screen", session, httponly=True, samesite="Lax")
        return answer

    async def leave(_):
        answer = web.Response(status=303, headers={"Location": "."})
        answer.del_cookie("screen")
        return answer

    return ring.app("signin", web.get("/", show), web.get("/phone", phone), web.post("/leave", leave),
                    web.post("/confirm", confirm), web.post("/enter", enter))  # fmt: skip
