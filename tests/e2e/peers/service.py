"""The test's side of the slow service: its address, its definitions, its gates, its book."""

import json
import re
import sys
import urllib.request
from pathlib import Path
from urllib.parse import quote

from .process import wait_until

PROGRAM = Path(__file__).with_name("slow_service.py")


class Service:
    """Starts slow_service.py. `url` is http://127.0.0.1:<port>; `folder` holds the service
    definitions that the worker of this test reads."""

    def __init__(self, processes, name="service"):
        self.process = processes.start([sys.executable, PROGRAM], name)
        self.process.wait_text("listening ")
        self.port = int(re.search(r"listening (\d+)", self.process.log).group(1))
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = processes.folder / f"{name}.definitions"
        self.folder.mkdir()

    def define(self, name, path="/", params=(), method="GET", **more):
        """Writes <folder>/<name>.yaml: a request to this service. params is a list of
        names (strings, not required) or a dict as the definition has it; `request` in
        `more` adds to the request, other members (timeout, result, channel, progress …)
        go to the top."""
        if not isinstance(params, dict):
            params = {param: {"type": "string"} for param in params}
        request = {"method": method, "url": self.url + path, **more.pop("request", {})}
        definition = {"service": name, "request": request, **more}
        if params:
            definition["params"] = params
        self.write(name, json.dumps(definition, indent=1))

    def write(self, name, text):
        """A definition as text; {url} stands for this service's address."""
        (self.folder / f"{name}.yaml").write_text(text.replace("{url}", self.url))

    # ------------------------------------------------------------------ while it runs
    def ask(self, path):
        with urllib.request.urlopen(self.url + path, timeout=20) as answer:
            return json.load(answer)

    def book(self):
        """What happened so far, see slow_service.py."""
        return self.ask("/_calls")

    def forget(self):
        self.ask("/_forget")

    def open(self, gate):
        """Lets all calls with gate=… go, those held and those to come."""
        self.ask(f"/_open?gate={quote(gate)}")

    def shut(self, gate):
        """Calls with gate=… wait again."""
        self.ask(f"/_shut?gate={quote(gate)}")

    def wait_calls(self, total, timeout=10.0):
        """Waits until so many calls came, returns the book."""

        def look():
            book = self.book()
            return book if book["total"] >= total else None

        return wait_until(look, timeout, f"{total} calls at the service")

    def wait_open(self, count, timeout=10.0):
        """Waits until so many calls are being held, returns the book."""

        def look():
            book = self.book()
            return book if book["open"] == count else None

        return wait_until(look, timeout, f"{count} calls held at the service")
