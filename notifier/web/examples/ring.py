"""What an example needs of ringback: a list in Redis to push jobs on, and the notifier."""

import html
import json
import re
import secrets
from pathlib import Path

import aiohttp
import redis.asyncio as redis
from aiohttp import web

HERE = Path(__file__).parent


def tell(event, **fields):
    """A line for who watches the demo."""
    print(f"event={event}", *(f"{k}={v}" for k, v in fields.items()), flush=True)


class Ring:
    """notifier: as browsers reach it; admin: its other listener, as this app does."""

    def __init__(self, redis_url, notifier, admin):
        self.redis = redis.from_url(redis_url)
        self.notifier, self.admin = notifier, admin

    async def enqueue(self, *jobs):
        """One RPUSH for all jobs of a page."""
        for job in jobs:
            job.setdefault("id", secrets.token_hex(8))
            tell("app.enqueued", job=job["id"], channel=job["channel"])
        await self.redis.rpush("ringback:queue:default", *map(json.dumps, jobs))

    async def publish(self, channel, data, event="message"):
        """An event of the app's own, kept and delivered like a job's."""
        async with aiohttp.ClientSession() as http:
            url = f"{self.admin}/publish/{channel}"
            async with http.post(url, params={"event": event}, json=data) as answer:
                answer.raise_for_status()

    async def look(self, channel):
        """What is known of a channel; its `last` event is null where there is none yet."""
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{self.admin}/channels/{channel}") as answer:
                return await answer.json() if answer.status == 200 else {}

    def page(self, path, status=200, raw=None, **values):
        """The page with its {{name}}s filled in: values as text, raw as they are."""
        values = {name: html.escape(str(value)) for name, value in values.items()}
        values = {**values, **(raw or {}), "notifier": self.notifier}
        text = re.sub(r"{{(\w+)}}", lambda name: values[name[1]], (HERE / path).read_text())
        return web.Response(text=text, status=status, content_type="text/html",
                            headers={"Cache-Control": "no-store"})  # fmt: skip

    def app(self, folder, *routes):
        """A web app of these routes and the style sheets and scripts of its folder."""
        app = web.Application()
        app.add_routes(routes)
        for file in sorted((HERE / folder).glob("*.*s")):  # css, js, mjs
            app.router.add_get(f"/{file.name}", lambda _, file=file: web.FileResponse(file))
        return app
