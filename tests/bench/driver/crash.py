"""kill -9 of a worker in the middle of its work."""

import time

from peers.process import wait_until

from .scenario import Figure, Scenario, at_most

LEASE_S = 3
IN_FLIGHT = 500


def terminal_counts(stage, channels):
    pipe = stage.redis.client.pipeline(transaction=False)
    for channel in channels:
        pipe.xlen(f"ringback:ch:{{{channel}}}")
    return pipe.execute()


def killed(stage):
    jobs, redis = stage.scaled(20000), stage.redis.client
    settings = {"max_in_flight": IN_FLIGHT, "lease": f"{LEASE_S}s"}
    url = stage.service(200)
    stage.enqueue(jobs)
    worker = stage.worker(url, **settings)
    wait_until(lambda: redis.llen("ringback:queue:default") <= jobs / 2, 60, "half of the jobs")
    worker.kill()
    begun = time.monotonic()
    held = [
        value.rpartition('"channel":"')[2].partition('"')[0]
        for key in redis.keys("ringback:held:*")
        for value in redis.hvals(key)
    ]
    stage.worker(url, name="successor", **settings)
    recovered = None
    while recovered is None or redis.llen("ringback:queue:default"):
        if recovered is None and all(terminal_counts(stage, held)):
            recovered = time.monotonic() - begun
        if time.monotonic() - begun > 20 * LEASE_S:
            break
        time.sleep(0.05)
    deadline = time.monotonic() + 10
    channels = [f"bench:{n}" for n in range(jobs)]
    while time.monotonic() < deadline and not all(terminal_counts(stage, channels)):
        time.sleep(0.1)
    counts = terminal_counts(stage, channels)
    stage.service_process.terminate()
    stage.service_process.wait()
    requests = int(stage.service_process.log.partition('"requests":')[2].partition("}")[0])
    return {
        "in_flight": len(held),
        "lost": sum(1 for count in counts if count == 0),
        "twice": sum(1 for count in counts if count > 1),
        "repeated": requests - jobs,
        "leases": (recovered or 20 * LEASE_S) / LEASE_S,
    }


SCENARIOS = [
    Scenario(
        "kill",
        f"kill -9 of the worker with {IN_FLIGHT} of 20,000 jobs in flight, another one starts",
        [
            Figure("in_flight", "held by the one that died", ""),
            Figure("lost", "jobs without a terminal event", "", at_most(0)),
            Figure("twice", "jobs with more than one", "", at_most(0)),
            Figure("repeated", "calls made twice", ""),
            Figure("leases", "until all of them had ended", "leases", at_most(1.2)),
        ],
        ours=killed,
        rounds=2,
    )
]
