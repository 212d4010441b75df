#!/usr/bin/python3
"""Counts instructions of the hot paths under callgrind, so that what became slower shows
without a clock: the real daemon does N and then 2 N of something, and the difference is
what N of it cost. A ceiling is half as high again as what was measured when it was set.

    instructions.py BUILD [job|message|connection …]      exit 77 = there is no valgrind"""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SKIPPED = 77
if not shutil.which("valgrind") or not shutil.which("redis-server"):
    print("skipped: valgrind and redis-server are needed to count instructions")
    sys.exit(SKIPPED)
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE)]
os.environ["RINGBACK_BUILD"] = sys.argv[1]

from driver import servers  # noqa: E402
from driver.delivery import SIZE  # noqa: E402
from driver.stage import Stage  # noqa: E402

CEILINGS = {  # instructions for one; see BENCHMARKS.md
    "job": 180000,
    "message": 18500,
    "connection": 53000,
}
PATHS = {
    "job": "claim → settle a job",
    "message": "deliver a message to a client",
    "connection": "accept → waiting",
}
CALLGRIND = [shutil.which("valgrind"), "--tool=callgrind", "--callgrind-out-file=/dev/null"]


def collected(process):
    """Ends it in good order; what callgrind counted."""
    process.stop(60)
    for line in process.log.splitlines():
        if "Collected :" in line:
            return int(line.split(":")[1])
    raise SystemExit(f"callgrind gave no count:\n{process.log[-2000:]}")


def of_jobs(count):
    """A queue of so many jobs, worked off by --drain."""
    with Stage(False) as stage:
        url = stage.service(0)
        stage.enqueue(count)
        worker = stage.worker(url, under=CALLGRIND, args=["--drain"], max_in_flight=100)
        worker.process.wait(120)
        return collected(worker.process)


def of_messages(count):
    """So many messages to fifty clients, each on its own channel."""
    with Stage(False) as stage:
        server = servers.ringback(stage, under=CALLGRIND)
        clients = stage.clients(server, 50, messages=count // 50)
        clients.wait_ready()
        server.publish("raw", 50, count, SIZE)
        report = clients.finish()
        assert report["heard"] == count, report
        return collected(server.process)


def of_connections(count):
    """So many clients, each on its own channel."""
    with Stage(False) as stage:
        server = servers.ringback(stage, under=CALLGRIND)
        clients = stage.clients(server, count)
        clients.wait_ready()
        return collected(server.process)


COUNTS = {"job": (of_jobs, 1000), "message": (of_messages, 5000), "connection": (of_connections, 500)}


def main():
    failed = False
    for name in sys.argv[2:] or COUNTS:
        count, many = COUNTS[name]
        each = (count(2 * many) - count(many)) / many
        verdict = "ok" if each <= CEILINGS[name] else "TOO MANY"
        failed |= each > CEILINGS[name]
        print(f"{PATHS[name]:<32} {each:10,.0f} instructions, at most {CEILINGS[name]:,}: {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
