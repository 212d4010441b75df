#!/usr/bin/python3
"""The demo: all parts on this machine, started here and ended here.

    demo.py --build build          until Ctrl-C: the example web apps, and each job's life
    demo.py --build build --once   some lookups over each transport; exit 0 when all came

A private redis-server on a unix socket, the slow services, ringback-worker,
ringback-notifier and the web apps, in a temp folder that is gone afterwards.
`./run demo` builds the programs and calls this.
"""

import argparse
import asyncio
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from life import Life, logfmt
from once import look_up

HERE = Path(__file__).resolve().parent
PATIENCE = 15  # seconds for a part to come up, and to end
PR_SET_PDEATHSIG = 1


class Trouble(Exception):
    """What a person is told when the demo cannot go on."""


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port(wanted):
    """The wanted port or the next free one; says so when it had to move."""
    for port in range(wanted, wanted + 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port != wanted:
            print(f"  Port {wanted} is in use: taking {port}.")
        return port
    raise Trouble(f"no free port from {wanted} to {wanted + 199}")


class Part:
    """One started program: its output goes to a log and, line by line, to `on_line`."""

    def __init__(self, name, process, log, on_line):
        self.name, self.process, self.log = name, process, log
        self.tail = []
        self.reader = asyncio.create_task(self.read(on_line))

    async def read(self, on_line):
        with open(self.log, "a") as log:
            while line := (await self.process.stdout.readline()).decode(errors="replace"):
                log.write(line)
                self.tail = [*self.tail[-19:], line]
                on_line(self.name, line)

    async def until(self, ready):
        """Waits until ready() is true; a part that ends before is trouble."""
        end = time.monotonic() + PATIENCE
        while not ready():
            if self.process.returncode is not None or time.monotonic() > end:
                await asyncio.sleep(0.1)
                raise Trouble(f"{self.name} did not start:\n{''.join(self.tail)}")
            await asyncio.sleep(0.02)

    async def stop(self):
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), PATIENCE)
            except asyncio.TimeoutError:
                print(f"  {self.name} did not end, killing it")
                self.process.kill()
                await self.process.wait()
        await self.reader


class Demo:
    def __init__(self, build, once):
        self.build, self.once = Path(build).resolve(), once
        self.folder = Path(tempfile.mkdtemp(prefix="ringback-demo-"))
        self.socket = self.folder / "redis.sock"
        self.config = self.folder / "ringback.yaml"
        self.parts = []
        self.ready = set()
        self.life = Life(quiet=once)

    # ------------------------------------------------------------------ starting
    async def start(self, name, *argv):
        try:
            process = await asyncio.create_subprocess_exec(
                *map(str, argv), stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip
        except OSError as error:
            raise Trouble(f"{argv[0]} cannot be started: {error.strerror}") from None
        part = Part(name, process, self.folder / f"{name}.log", self.heard)
        self.parts.append(part)
        return part

    def heard(self, name, line):
        fields = logfmt(line)
        self.ready.add((name, fields.get("event")))
        self.life.heard(fields)

    def accepts(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def write_files(self):
        services = self.folder / "services"
        services.mkdir()
        for definition in HERE.glob("*/services/*.yaml"):
            text = definition.read_text().replace(":9000", f":{self.services_port}")
            (services / definition.name).write_text(text)
        settings = {
            "redis": {"url": f"unix://{self.socket}"},
            "worker": {"services": str(services), "metrics": "", "drain_timeout": "2s"},
            "notifier": {"listen": [f"127.0.0.1:{self.notifier_port}"],
                         "admin": [f"127.0.0.1:{self.admin_port}"],
                         "origins": [f"http://127.0.0.1:{self.page_port}",
                                     f"http://localhost:{self.page_port}"],
                         "session_cookie": "shop", "echo": True, "enqueue": ["stock-quote"],
                         "processes": 1, "drain_timeout": "1s"},
            "log": {"level": "debug"},
        }  # fmt: skip
        self.config.write_text(json.dumps(settings, indent=2))

    async def start_all(self):
        """One demo at a time picks its ports, until its parts hold them."""
        with open(__file__) as lock:
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
            await self.start_parts()

    async def start_parts(self):
        self.page_port = free_port(8000)
        self.notifier_port = free_port(8080)
        self.admin_port = free_port(self.notifier_port + 1)
        self.services_port = free_port(9000)
        self.notifier = f"http://127.0.0.1:{self.notifier_port}"
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self.write_files()
        redis = await self.start(
            "redis", "redis-server", "--port", "0", "--unixsocket", self.socket,
            "--dir", self.folder, "--save", "", "--appendonly", "no",
        )  # fmt: skip
        await redis.until(self.socket.exists)
        failures = "0" if self.once else "0.08"
        services = await self.start("services", sys.executable, HERE / "services.py", "--port",
                                    self.services_port, "--failures", failures)  # fmt: skip
        worker = await self.start("worker", self.build / "ringback-worker", "-c", self.config)
        notifier = await self.start("notifier", self.build / "ringback-notifier", "-c", self.config)
        page = await self.start(
            "webapp", sys.executable, HERE / "webapps.py", "--port", self.page_port,
            "--redis", f"unix://{self.socket}", "--notifier", self.notifier, "--admin", self.admin,
        )  # fmt: skip
        await services.until(lambda: self.accepts(self.services_port))
        await worker.until(lambda: ("worker", "worker.ready") in self.ready)
        await notifier.until(lambda: ("notifier", "notifier.listening") in self.ready
                             and self.accepts(self.notifier_port))  # fmt: skip
        await page.until(lambda: self.accepts(self.page_port))

    # ------------------------------------------------------------------ running
    def greet(self):
        job = '{"service":"stock-quote","params":{"symbol":"MERO"},"channel":"me"}'
        print(f"""
  The example pages    http://127.0.0.1:{self.page_port}/
  The operator's page  {self.admin}/

  In other terminals   {self.build}/ringback -c {self.config} listen me
                       redis-cli -s {self.socket} RPUSH ringback:queue:default '{job}'
                       curl {self.notifier}/wait/me

  Ctrl-C ends all of it. Each job's life, as it happens:
""")  # fmt: skip

    async def run(self, stopped):
        await self.start_all()
        if self.once:
            return await look_up(self.socket, self.notifier)
        self.greet()
        ends = [asyncio.create_task(part.process.wait()) for part in self.parts]
        await asyncio.wait([*ends, stopped], return_when=asyncio.FIRST_COMPLETED)
        for part in self.parts:
            if part.process.returncode is not None:
                raise Trouble(f"{part.name} ended by itself:\n{''.join(part.tail)}")
        return True

    async def stop_all(self):
        """The browsers' side first, Redis last: nobody loses what it leans on."""
        redis = [part for part in self.parts if part.name == "redis"]
        others = [part for part in self.parts if part.name != "redis"]
        await asyncio.gather(*(part.stop() for part in others))
        await asyncio.gather(*(part.stop() for part in redis))
        shutil.rmtree(self.folder, ignore_errors=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="where the programs are")
    parser.add_argument("--once", action="store_true", help="look some prices up, then end")
    options = parser.parse_args()
    loop = asyncio.get_running_loop()
    stopped = loop.create_future()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: stopped.done() or stopped.set_result(None))
    demo = Demo(options.build, options.once)
    running = asyncio.create_task(demo.run(stopped))
    try:
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return 0 if running.result() else 1
        running.cancel()
        return 1 if options.once else 0
    except Trouble as trouble:
        print(f"\n  {trouble}", file=sys.stderr)
        return 1
    finally:
        if not options.once:
            print("\n  Ending everything …")
        await demo.stop_all()


if __name__ == "__main__":
    os.environ["PYTHONUNBUFFERED"] = "1"
    sys.exit(asyncio.run(main()))
