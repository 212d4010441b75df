"""From a job to its result: how many a second, at what cost, how late."""

import os
import signal
import time

from . import peers
from .measure import cpu_seconds, pss_bytes
from .scenario import (Figure, Scenario, above_floor, at_least, at_most, both, of_floor)

QUEUE = "ringback:queue:default"
FROM, TO = 0.2, 0.9  # of the jobs: between them as many are in flight as there should be


def work_off(stage, process, queue, jobs, add):
    """Fills the queue while the process is stopped, lets it go on, and watches the queue
    become shorter: what leaves it in the steady state is what is worked off."""
    os.killpg(process.pid, signal.SIGSTOP)
    add(jobs)
    os.killpg(process.pid, signal.SIGCONT)
    marks, deadline = {}, time.monotonic() + 120
    while TO not in marks:
        gone = (jobs - stage.redis.client.llen(queue)) / jobs
        for share in (FROM, TO):
            if gone >= share and share not in marks:
                spent = cpu_seconds(process), cpu_seconds(stage.redis.process)
                marks[share] = (time.monotonic(), *spent, gone * jobs)
        if time.monotonic() > deadline or not process.alive():
            raise AssertionError(f"{gone:.0%} of the jobs left the queue")
        time.sleep(0.01)
    seconds, spent, in_redis, ended = (
        to - begin for begin, to in zip(marks[FROM], marks[TO], strict=True)
    )
    return {
        "per_s": ended / seconds,
        "cpu_us": spent * 1e6 / ended,
        "redis_us": in_redis * 1e6 / ended,
    }


HELD_MS = 5000  # so long the service keeps calls of which the memory is measured


def hold(stage, process, queue, calls, add):
    """Memory of so many calls, all of them waiting for the service."""
    idle = pss_bytes(process)
    add(calls)
    begun = time.monotonic()
    while stage.redis.client.llen(queue) and time.monotonic() - begun < HELD_MS / 1000 - 1:
        time.sleep(0.05)
    time.sleep(1.5)  # connections open at a pace; the first answer is still to come
    return {"bytes": (pss_bytes(process) - idle) / calls}


def all_ended(stage, jobs):
    """Waits until each job's channel has its terminal event; notes if not."""
    redis, deadline = stage.redis.client, time.monotonic() + 60
    while redis.dbsize() < 2 * jobs and time.monotonic() < deadline:
        time.sleep(0.05)
    pipe = redis.pipeline(transaction=False)
    for n in range(jobs):
        pipe.xlen(f"ringback:ch:{{bench:{n}}}")
    lengths = pipe.execute()
    wrong = sum(1 for length in lengths if length != 1)
    return [f"{wrong} of {jobs} jobs have not exactly one terminal event"] if wrong else []


def ours(jobs, in_flight, delay_ms):
    def run(stage):
        count = stage.scaled(jobs)
        flights = min(in_flight, stage.scaled(in_flight * 2))
        url = stage.service(delay_ms)
        worker = stage.worker(url, max_in_flight=flights)
        figures = work_off(stage, worker.process, QUEUE, count, stage.enqueue)
        return {**figures, "notes": all_ended(stage, count)}

    return run


def libcurl(jobs, in_flight, delay_ms):
    def run(stage):
        flights = min(in_flight, stage.scaled(in_flight * 2))
        return stage.run("floor_curl", stage.service(delay_ms), stage.scaled(jobs), flights)

    return run


def peer(start, jobs, in_flight, delay_ms):
    def run(stage):
        flights = min(in_flight, stage.scaled(in_flight * 2))
        process, queue, add = start(stage, stage.service(delay_ms), flights)
        return work_off(stage, process, queue, stage.scaled(jobs), add)

    return run


def ours_held(calls):
    def run(stage):
        count = stage.scaled(calls)
        worker = stage.worker(stage.service(HELD_MS), max_in_flight=count)
        return hold(stage, worker.process, QUEUE, count, stage.enqueue)

    return run


def peer_held(start, calls):
    def run(stage):
        count = stage.scaled(calls)
        process, queue, add = start(stage, stage.service(HELD_MS), count)
        return hold(stage, process, queue, count, add)

    return run


def at_browser(stage):
    stage.worker(stage.service(0))
    notifier = stage.notifier()
    return stage.run("bench_one_job", stage.redis.socket, notifier.port, stage.scaled(1200))


def at_redis_and_a_hop(stage):
    stage.worker(stage.service(0))
    jobs = stage.scaled(1200)
    job = stage.run("bench_one_job", stage.redis.socket, "redis", jobs)
    hop = stage.run("bench_one_job", stage.redis.socket, "hop", jobs)
    return {key: job[key] + hop[key] for key in ("p50_us", "p99_us")}


def one_job(stage):
    stage.worker(stage.service(0))
    return stage.run("bench_one_job", stage.redis.socket, "redis", stage.scaled(1200))


def one_job_floor(stage):
    process = stage.start("floor_job", stage.redis.socket, stage.service(0))
    process.wait_text("ready")
    return stage.run("bench_one_job", stage.redis.socket, "redis", stage.scaled(1200))


def one_job_bullmq(stage):
    return peers.bullmq_one_job(stage, stage.service(0), stage.scaled(1200))


SCENARIOS = [
    Scenario(
        "jobs-fast",
        "jobs, the service answers at once, 100 in flight",
        [
            Figure("per_s", "jobs a second", "/s", at_least(25000)),
            Figure("cpu_us", "CPU of the worker a job", "µs", at_most(35)),
            Figure("redis_us", "CPU of Redis a job", "µs"),
        ],
        ours=ours(60000, 100, 0),
        floor=libcurl(60000, 100, 0),
        floor_name="bare libcurl",
        peers={
            "BullMQ": peer(peers.bullmq, 20000, 100, 0),
            "Sidekiq": peer(peers.sidekiq, 6000, 100, 0),
            "Celery": peer(peers.celery, 2000, 100, 0),
        },
    ),
    Scenario(
        "jobs-slow",
        "jobs, the service answers after 200 ms, 10,000 in flight",
        [
            Figure("per_s", "jobs a second", "/s",
                   both(at_least(20000), of_floor(0.85, "bare libcurl"))),
            Figure("cpu_us", "CPU of the worker a job", "µs"),
            Figure("redis_us", "CPU of Redis a job", "µs"),
        ],
        ours=ours(100000, 10000, 200),
        floor=libcurl(100000, 10000, 200),
        floor_name="bare libcurl",
        peers={"BullMQ": peer(peers.bullmq, 40000, 10000, 200)},
    ),
    Scenario(
        "calls-held",
        "10,000 calls in flight, all waiting for the service",
        [Figure("bytes", "memory a call in flight", "B", at_most(16384))],
        ours=ours_held(10000),
        floor=libcurl(40000, 10000, 200),
        floor_name="bare libcurl",
        peers={"BullMQ": peer_held(peers.bullmq, 10000)},
        rounds=2,
    ),
    Scenario(
        "one-job",
        "one job after the other on an idle system",
        [
            Figure("p50_us", "RPUSH → result published, p50", "µs", at_most(350)),
            Figure("p99_us", "RPUSH → result published, p99", "µs", at_most(1000)),
        ],
        ours=one_job,
        floor=one_job_floor,
        floor_name="BLPOP loop",
        peers={"BullMQ": one_job_bullmq},
    ),
    Scenario(
        "one-job-browser",
        "the same, heard in a browser's WebSocket",
        [
            Figure("p50_us", "RPUSH → browser, p50", "µs", above_floor(1.2, "one-job + hop")),
            Figure("p99_us", "RPUSH → browser, p99", "µs", at_most(2000)),
        ],
        ours=at_browser,
        floor=at_redis_and_a_hop,
        floor_name="one-job + hop",
    ),
]
