"""Those who work jobs off: each starts, and says which list in Redis its jobs wait in and
how they get there."""

import json
import os
import shutil
import subprocess
import sys
import time

from peers.process import ROOT

from .scenario import Unavailable
from .stage import BENCH

NPM = ROOT / "build" / "bench-peers"  # what npm installs, never among the sources
BULLMQ = "bullmq@5"
SCRIPTS = BENCH / "peers"


def install():
    """BullMQ by npm, once. What Debian has is installed by ./run."""
    if (NPM / "node_modules/bullmq").exists() or not shutil.which("npm"):
        return
    NPM.mkdir(parents=True, exist_ok=True)
    print(f"npm installs {BULLMQ} in {NPM.relative_to(ROOT)}")
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", NPM, BULLMQ],
        check=False, timeout=300, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def started(stage, *words, env):
    process = stage.start(*words, env=env)
    process.wait_text("ready", 30)
    return process


def bullmq(stage, url, in_flight):
    if not (NPM / "node_modules/bullmq").exists():
        raise Unavailable("bullmq is not installed (npm)")
    env = {"NODE_PATH": str(NPM / "node_modules")}
    node, socket, script = shutil.which("node"), stage.redis.socket, SCRIPTS / "bullmq.js"

    def add(jobs):
        words = [node, script, "add", socket, str(jobs)]
        subprocess.run(words, check=True, timeout=60, env={**os.environ, **env})

    process = started(stage, node, script, "work", socket, url, in_flight, env=env)
    return process, "bull:bench:wait", add


def bullmq_one_job(stage, url, jobs):
    """BullMQ's own way to hear of a result, one job after the other."""
    bullmq(stage, url, 1)
    words = [shutil.which("node"), SCRIPTS / "bullmq.js", "time", stage.redis.socket, str(jobs)]
    env = {**os.environ, "NODE_PATH": str(NPM / "node_modules")}
    done = subprocess.run(words, check=True, timeout=120, env=env, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def sidekiq(stage, url, in_flight):
    program = shutil.which("sidekiq")
    if not program:
        raise Unavailable("sidekiq is not installed")

    def add(jobs):
        stage.enqueue(jobs, "queue:default", lambda n: json.dumps({
            "class": "BenchJob", "args": [n], "jid": f"{n:024x}", "queue": "default",
            "retry": False, "created_at": time.time(), "enqueued_at": time.time(),
        }))  # fmt: skip

    env = {"BENCH_REDIS": str(stage.redis.socket), "BENCH_URL": url}
    words = ["-r", SCRIPTS / "sidekiq_job.rb", "-c", in_flight, "-q", "default"]
    return started(stage, program, *words, env=env), "queue:default", add


def celery(stage, url, in_flight):
    env = {
        "BENCH_REDIS": str(stage.redis.socket), "BENCH_URL": url, "PYTHONPATH": str(SCRIPTS),
        "PYTHONDONTWRITEBYTECODE": "1", "C_FORCE_ROOT": "1",
    }  # fmt: skip
    python = sys.executable
    if subprocess.run([python, "-c", "import celery"], capture_output=True).returncode:
        raise Unavailable("python3-celery is not installed")

    def add(jobs):
        words = [python, SCRIPTS / "celery_tasks.py", str(jobs)]
        subprocess.run(words, check=True, timeout=60, env={**os.environ, **env})

    words = ["-m", "celery", "-A", "celery_tasks", "worker", "-P", "threads", "-c", in_flight,
             "--without-gossip", "--without-mingle", "--loglevel", "ERROR"]  # fmt: skip
    return started(stage, python, *words, env=env), "celery", add
