"""Those who hold browsers: ours, the floor, and the peers, behind one face."""

import os
import shutil
from pathlib import Path

from peers.process import free_port, wait_until

from .scenario import Unavailable
from .stage import BENCH


class Server:
    """process costs, clients connect to port and ask for path + number, publish(…) is how
    messages reach it."""

    def __init__(self, stage, process, port, path="/wait/bench:"):
        self.stage, self.process, self.port, self.path = stage, process, port, path

    def publish(self, kind, channels, total, size, rate=0, first=0, run=1):
        return self.stage.run("bench_publisher", self.stage.redis.url, kind, channels, total,
                              size, rate, first, run)  # fmt: skip


def ringback(stage, processes=1, under=()):
    notifier = stage.notifier(processes=processes, under=under)
    return Server(stage, notifier.process, notifier.port)


def floor(stage, processes=1, how="gather", ping_s=0):
    process = stage.start("floor_broadcast", how, stage.redis.socket, processes, ping_s)
    return Server(stage, process, stage.listening(process))


def node_ws(stage, processes=1):
    if processes != 1:
        raise Unavailable("one process only")
    for module in ("ws", "redis"):
        if not Path(f"/usr/share/nodejs/{module}").exists():
            raise Unavailable(f"node-{module} is not installed")
    process = stage.start(
        shutil.which("node"), BENCH / "peers/ws_server.js", stage.redis.socket,
        env={"NODE_PATH": "/usr/share/nodejs"},
    )  # fmt: skip
    return Server(stage, process, stage.listening(process))


class Nchan(Server):
    """Publishes by HTTP: what it keeps in Redis has a form of its own."""

    def publish(self, kind, channels, total, size, rate=0, first=0, run=1):
        return self.stage.run(
            "bench_publisher_http", self.port, "/pub/bench:", channels, total, size, rate
        )


NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")


def nchan(stage, processes=1):
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not nginx or not NCHAN.exists():
        raise Unavailable("nginx with nchan is not installed")
    port = free_port()
    file = stage.folder / "nginx.conf"
    template = (BENCH / "peers/nchan.conf").read_text()
    for name, value in {"MODULE": NCHAN, "PORT": port, "PROCESSES": processes,
                        "USER": "user root;" if os.getuid() == 0 else ""}.items():  # fmt: skip
        template = template.replace(f"@{name}@", str(value))
    file.write_text(template)
    process = stage.start(nginx, "-p", stage.folder, "-c", file, "-e", stage.folder / "error.log")
    wait_until(lambda: b"listening" in _answer(port) or not process.alive(), 10, "nginx")
    return Nchan(stage, process, port, "/sub/bench:")


def _answer(port):
    import urllib.request

    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).read()
    except OSError:
        return b""
