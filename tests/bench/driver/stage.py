"""Everything that one measurement starts, in a folder of its own, ended when it is over."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from peers.daemons import Notifier, Worker
from peers.process import BUILD, Processes, wait_until
from peers.redis_server import RedisServer

BENCH = Path(__file__).resolve().parents[1]
READY_S = 60  # a whole load may take so long to come up
GIVE_UP_S = 45  # a load in which something was lost does not end by itself
# What the worker's unit sets, and what config/OPERATING.md advises for Redis.
WORKER_ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
REDIS_OPTIONS = ["--client-output-buffer-limit", "pubsub", "0", "0", "0",
                 "--stream-node-max-bytes", "1024"]  # fmt: skip


class Clients:
    """A load generator's process; see ../clients.c."""

    def __init__(
        self, stage, port, path, connections, own, messages, transport, first, rounds
    ):
        """rounds: "" none, "r" who polls asks again at once, "a" when all have heard."""
        words = ["-t", transport, "-p", path, "-f", first, "-m", messages, "-s", GIVE_UP_S]
        words += ["-o"] if own else []
        words += [f"-{rounds}"] if rounds else []
        self.process = stage.start(
            "bench_clients", *words, port, connections, stdin=subprocess.PIPE
        )
        self.connections = connections

    def said(self):
        return json_lines(self.process.log)

    def wait_ready(self):
        def ready():
            return self.said() or not self.process.alive()

        wait_until(ready, READY_S, "the clients to wait")
        said = self.said()
        if not said or said[0]["ready"] < self.connections:
            raise AssertionError(f"not all clients are up:\n{self.process.log[-2000:]}")
        return said[0]

    def wait_heard(self, count):
        """With rounds: until so many messages are heard, or no more will be."""

        def heard():
            return self.said()[-1].get("heard", 0) >= count or not self.process.alive()

        wait_until(heard, GIVE_UP_S + 5, "the clients to hear a round")

    def finish(self, timeout=120):
        """Its report, when all has been heard."""
        self.process.wait(timeout)
        return self.said()[-1]

    def leave(self):
        self.process.popen.stdin.close()
        return self.finish()


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


class Stage:
    def __init__(self, quick):
        self.quick = quick
        self.folder = Path(tempfile.mkdtemp(prefix="rb-bench-"))
        self.processes = Processes(self.folder)
        self._redis = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in self.processes.all:
            process.expected_end = True
        if self._redis:
            self._redis.client.connection_pool.disconnect()
        for process in reversed(self.processes.all):
            if process.popen.stdin and not process.popen.stdin.closed:
                process.popen.stdin.close()
            process.kill()
            for pid in process.children():  # those of nginx outlive a master that is killed
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if kind:
            for process in self.processes.all:
                if process.name != "redis" and process.log.strip():
                    print(f"--- {process.name}\n{process.log[-600:]}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def scaled(self, count):
        """A count of the full run; a quick one does with a tenth."""
        return max(1, count // 10) if self.quick else count

    # ------------------------------------------------------------------ programs
    def start(self, name, *words, **options):
        """A program of the build's, or a path."""
        path = BUILD / name if "/" not in str(name) else name
        return self.processes.start([path, *words], Path(str(name)).name, **options)

    @property
    def redis(self):
        if not self._redis:
            self._redis = RedisServer(self.processes, args=REDIS_OPTIONS)
        return self._redis

    def run(self, name, *words, timeout=120):
        """A program that ends by itself; its last line of JSON."""
        done = subprocess.run(
            [BUILD / name, *map(str, words)], capture_output=True, text=True, timeout=timeout
        )
        said = json_lines(done.stdout)
        if not said or done.returncode != 0:
            raise AssertionError(f"{name} {words}: {done.stdout}{done.stderr}")
        return said[-1]

    def listening(self, process):
        process.wait_text("listening ")
        return int(process.log.split("listening ")[1].split()[0])

    def service(self, delay_ms):
        """A stand-in for a slow service: its URL."""
        self.service_process = self.start("bench_service", delay_ms)
        return f"http://127.0.0.1:{self.listening(self.service_process)}/q"

    def worker(self, url, name="ringback-worker", under=(), args=(), **settings):
        services = self.folder / "services"
        services.mkdir(exist_ok=True)
        (services / "bench.yaml").write_text(json.dumps({
            "service": "bench",
            "params": {"n": {"type": "integer", "required": True}},
            "request": {"url": url, "query": {"n": "${n}"}},
            "timeout": {"connect": "5s", "total": "60s"},
        }))  # fmt: skip
        config = {
            "redis": {"url": self.redis.url},
            "log": {"level": "info"},
            "worker": {"services": str(services), "metrics": "", **settings},
        }
        return Worker(self.processes, config, name=name, under=under, args=args,
                      env=WORKER_ENVIRONMENT)  # fmt: skip

    def notifier(self, under=(), **settings):
        config = {
            "redis": {"url": self.redis.url},
            "log": {"level": "info"},
            "notifier": {"processes": 1, **settings},
        }
        return Notifier(self.processes, config, under=under)

    def clients(self, server, connections, own=True, messages=0, transport="websocket", first=0,
                rounds=""):  # fmt: skip
        """Browsers, not yet waited for."""
        return Clients(
            self, server.port, server.path, connections, own, messages, transport, first, rounds
        )

    def enqueue(self, jobs, key="ringback:queue:default", job=None):
        """Pushes the jobs 0 … jobs-1, each with its own channel."""
        job = job or (lambda n: '{"service":"bench","params":{"n":%d},"channel":"bench:%d"}' % (n, n))
        pipe = self.redis.client.pipeline(transaction=False)
        for start in range(0, jobs, 1000):
            pipe.rpush(key, *(job(n) for n in range(start, min(start + 1000, jobs))))
        pipe.execute()
