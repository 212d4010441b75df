"""What the daemons do when nothing is to be done."""

import time

from . import servers
from .delivery import settle
from .measure import cpu_seconds, wakeups
from .scenario import Figure, Scenario, at_most


PING_S = 25  # as ours does by itself

# A timer a second wakes twice, by itself and by Redis's answer; the heartbeat, every fifth of
# the lease, likewise.
NO_FASTER = at_most(3, "≤ 3 (no timer under 1 s)")


def watch(processes, seconds):
    before = [(wakeups(p), cpu_seconds(p)) for p in processes]
    time.sleep(seconds)
    after = [(wakeups(p), cpu_seconds(p)) for p in processes]
    return [
        ((w1 - w0) / seconds, (c1 - c0) * 100 / seconds)
        for (w0, c0), (w1, c1) in zip(before, after, strict=True)
    ]


def nothing(stage):
    worker, notifier = stage.worker(stage.service(0)), stage.notifier()
    time.sleep(1)
    (worker_wakes, worker_cpu), (notifier_wakes, notifier_cpu) = watch(
        [worker.process, notifier.process], 2 if stage.quick else 10
    )
    return {
        "worker": worker_wakes,
        "notifier": notifier_wakes,
        "cpu": worker_cpu + notifier_cpu,
    }


def holding(start):
    """As long as pings are apart, so that each client is asked once."""
    return lambda stage: hold(stage, start(stage))


def hold(stage, server):
    clients = stage.clients(server, stage.scaled(10000))
    clients.wait_ready()
    settle()
    ((wakes, cpu),) = watch([server.process], 3 if stage.quick else 26)
    return {"cpu": cpu, "wakes": wakes}


SCENARIOS = [
    Scenario(
        "idle",
        "worker and notifier with nothing to do, 10 s",
        [
            Figure("worker", "wake-ups of the worker", "/s", NO_FASTER),
            Figure("notifier", "wake-ups of the notifier", "/s", NO_FASTER),
            Figure("cpu", "CPU of both, of a core", "%", at_most(0.1)),
        ],
        ours=nothing,
        rounds=1,
    ),
    Scenario(
        "idle-clients",
        "a notifier with 10,000 idle WebSockets over one round of pings, 26 s",
        [
            Figure("cpu", "CPU, of a core", "%", at_most(0.5, "< 0.5")),
            Figure("wakes", "wake-ups", "/s"),
        ],
        ours=holding(servers.ringback),
        floor=holding(lambda stage: servers.floor(stage, ping_s=PING_S)),
        rounds=1,
    ),
]
