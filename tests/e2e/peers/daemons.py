"""The programs under test, started with a config file of the test's own."""

import json
import socket

from .process import BUILD, free_port, wait_until


def program(name):
    return BUILD / name


def merge(base, more):
    """base with more's members, deep; neither is changed."""
    merged = dict(base)
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            value = merge(merged[key], value)
        merged[key] = value
    return merged


class Daemon:
    """One started program. `process` is its Process, `config` what its file says; `under`
    are the words of a tool that runs it, as valgrind."""

    program = ""
    section = ""
    ready = ""
    started = ""  # what each of its processes says when signals are answered

    def __init__(self, processes, config, name=None, args=(), env=None, wait=True,
                 under=()):  # fmt: skip
        name = name or self.program
        self.config = config
        self.file = processes.folder / f"{name}.{len(processes.all)}.yaml"
        self.configure({})
        argv = [*under, program(self.program), "-c", self.file, *args]
        self.process = processes.start(argv, name, env=env)
        if wait:
            self.wait_ready()

    def configure(self, more):
        """Writes its config file again with these members changed (then reload)."""
        self.config = merge(self.config, more)
        self.file.write_text(json.dumps(self.config, indent=1))

    def wait_ready(self, timeout=10.0):
        self.process.wait_line(self.ready, timeout)
        count = self.config.get(self.section, {}).get("processes", 1)
        count = count if isinstance(count, int) else 1  # auto: one at least

        def all_started():
            assert self.process.alive(), self.process.log
            return len(self.process.lines(self.started)) >= count

        wait_until(all_started, timeout, f"{count} processes of {self.process.name}")

    def __getattr__(self, name):
        # kill, stop, signal, wait_line, lines, log …: a daemon is its process.
        if name == "process":
            raise AttributeError(name)
        return getattr(self.process, name)


class Worker(Daemon):
    program = "ringback-worker"
    section = "worker"
    ready = "worker.ready"
    started = "worker.started"


class Notifier(Daemon):
    """url and admin are the addresses of its two listeners, http://127.0.0.1:<port>."""

    program = "ringback-notifier"
    section = "notifier"
    ready = "notifier.listening"
    started = "notifier.started"

    def __init__(self, processes, config, **options):
        self.port, self.admin_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        addresses = {
            "listen": [f"127.0.0.1:{self.port}"],
            "admin": [f"127.0.0.1:{self.admin_port}"],
        }
        super().__init__(processes, merge({"notifier": addresses}, config), **options)

    def wait_ready(self, timeout=10.0):
        super().wait_ready(timeout)
        for port in (self.port, self.admin_port):
            wait_until(lambda: self._accepts(port), timeout, f"port {port} to accept")

    def _accepts(self, port):
        assert self.process.alive(), self.process.log
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
