#!/usr/bin/python3
"""All examples on one port: / lists them, /broker/, /hotels/, … are the web apps."""

import argparse
import importlib.util
import sys
from pathlib import Path

from aiohttp import web

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from ring import Ring  # noqa: E402

EXAMPLES = ["broker", "hotels", "signin", "chat", "orders", "ticker", "websocket"]


def load(name):
    """The module <name>/app.py."""
    spec = importlib.util.spec_from_file_location(f"{name}_app", HERE / name / "app.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0")
    parser.add_argument("--notifier", default="http://127.0.0.1:8080",
                        help="the notifier as the browser reaches it")  # fmt: skip
    parser.add_argument("--admin", default="http://127.0.0.1:8081", help="its admin listener")
    options = parser.parse_args()
    ring = Ring(options.redis, options.notifier, options.admin)

    async def show_list(_):
        return ring.page("index.html")

    site = web.Application()
    site.router.add_get("/", show_list)
    site.router.add_get("/look.css", lambda _: web.FileResponse(HERE / "look.css"))
    for name in EXAMPLES:
        site.add_subapp(f"/{name}/", load(name).make(ring))
    web.run_app(site, host="127.0.0.1", port=options.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
