"""The bridge from PostgreSQL of jobs/README.md, as it stands there, with a PostgreSQL of the
test's own: what a trigger notifies is published, and enqueued."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from peers.clients import WebSocket
from peers.process import BUILD, patience, wait_until
from test_readme_snippets import JOBS, snippet, snippets

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
DRIVER = subprocess.run([sys.executable, "-c", "import psycopg2"], capture_output=True).returncode
pytestmark = pytest.mark.skipif(
    not BINARIES or DRIVER != 0 or os.geteuid() != 0,
    reason="PostgreSQL or psycopg2 is not on this machine, or we are not root",
)


class PostgreSQL:
    """On a unix socket in a folder of its own; `env` leads libpq there."""

    def __init__(self, processes):
        user = pwd.getpwnam("postgres")
        self.folder = Path(tempfile.mkdtemp(prefix="rb-pg-"))
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.env = {"PGHOST": str(self.folder), "PGUSER": "postgres"}
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        subprocess.run([*as_user, BINARIES[-1] / "initdb", "-D", self.folder / "data", "-A", "trust",
                        "--no-sync"], check=True, capture_output=True, cwd="/")  # fmt: skip
        self.process = processes.start(
            [*as_user, BINARIES[-1] / "postgres", "-D", self.folder / "data", "-k", self.folder,
             "-c", "listen_addresses=", "-c", "fsync=off"], "postgres", cwd="/",
        )  # fmt: skip
        wait_until(lambda: self.ask("SELECT 1", check=False) == "1", 20, "postgres to answer")
        self.ask("CREATE DATABASE shop")

    def ask(self, sql, database="postgres", check=True):
        done = subprocess.run(
            [BINARIES[-1] / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database], input=sql,
            capture_output=True, text=True, env={**os.environ, **self.env}, timeout=patience(10),
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    def listeners(self):
        return self.ask("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")


@pytest.fixture
def postgresql(processes):
    server = PostgreSQL(processes)
    server.ask("CREATE TABLE orders (id int PRIMARY KEY, symbol text)", "shop")
    server.ask(snippet("sql", JOBS), "shop")
    yield server
    server.process.expected_end = True
    server.process.signal(signal.SIGINT)  # at once, whoever is connected
    server.process.wait()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.mark.redis(tcp=True)
@pytest.mark.parametrize("pipe", [0, 1], ids=["publish", "enqueue"])
def test_the_bridge(postgresql, redis, service, worker, notifier, folder, pipe):
    (folder / "bridge.py").write_text(snippet("python", JOBS))
    programs = folder / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(sys.executable)
    (programs / "ringback").symlink_to(BUILD / "ringback")
    text = snippets("sh", JOBS)[pipe].replace("6379", str(redis.port))
    service.define("stock-quote", "/v1/${symbol}", ["symbol"])
    worker()
    page = WebSocket(notifier().url, "order:7")
    env = {**os.environ, **postgresql.env, "RINGBACK_REDIS_URL": redis.url,
           "PATH": f"{programs}:{os.environ['PATH']}"}  # fmt: skip
    bridge = subprocess.Popen(["sh", "-c", text], cwd=folder, env=env, start_new_session=True)
    try:
        wait_until(lambda: postgresql.listeners() == "1", 20, "the bridge to listen")
        postgresql.ask("BEGIN; INSERT INTO orders VALUES (7, 'WRONG'); ROLLBACK", "shop")
        postgresql.ask("INSERT INTO orders VALUES (7, 'NOVA')", "shop")
        event = page.event()
        if pipe == 0:
            assert event["event"] == "changed" and event["data"] == {"id": 7, "symbol": "NOVA"}
        else:
            assert event["event"] == "done" and event["data"]["path"] == "/v1/NOVA"
    finally:
        os.killpg(bridge.pid, signal.SIGKILL)
        bridge.wait()
