"""How the cost of one grows with their number."""

import time

from . import calls, servers
from .delivery import SIZE, settle
from .measure import cpu_seconds, pss_bytes
from .scenario import Figure, Scenario, at_most
from .stage import Stage

PROCESSES = 4  # of the notifier, and of the clients: one has 20,000 descriptors at most
MESSAGES = 100000  # in each step, whatever the number of clients
A_CLIENT_S = 40e-6  # in which its message is surely written, all processes together


def connections_at(stage, server, up, count):
    """Adds clients to those that are up, and delivers to all."""
    groups, more = [], count - up
    before = cpu_seconds(server.process)
    for part in range(PROCESSES):
        first = up + more * part // PROCESSES
        last = up + more * (part + 1) // PROCESSES
        groups.append(stage.clients(server, last - first, first=first))
    for group in groups:
        group.wait_ready()
    connecting = cpu_seconds(server.process) - before
    settle()
    memory = pss_bytes(server.process)
    rounds = stage.scaled(MESSAGES) // count or 1
    before = cpu_seconds(server.process)
    publish_apart(server, count, rounds)
    settle()
    delivering = cpu_seconds(server.process) - before
    return memory, connecting * 1e6 / more, delivering * 1e6 / (rounds * count)


def publish_apart(server, count, rounds):
    """One message to each, then the next: as much at a time as the clients are, so that
    neither few nor many get several in one write."""
    for _ in range(rounds):
        server.publish("raw", count, count, SIZE)
        time.sleep(0.02 + count * A_CLIENT_S)


def of_connections(start):
    return lambda stage: grown(stage, start(stage, PROCESSES))


def grown(stage, server):
    few, many = (1000, 4000) if stage.quick else (1000, 50000)
    empty = pss_bytes(server.process)
    figures, up = {}, 0
    for name, count in (("few", few), ("many", many)):
        memory, connecting, delivering = connections_at(stage, server, up, count)
        figures |= {
            f"bytes_{name}": (memory - empty) / count,
            f"connect_{name}": connecting,
            f"deliver_{name}": delivering,
        }
        up = count
    for what in ("bytes", "connect", "deliver"):
        figures[what] = figures[f"{what}_many"] / figures[f"{what}_few"]
    return figures


def growth_of(contender, steps):
    """Both steps' figures, each on a stage of its own, and by how much they grew."""
    figures = {}
    for name, step in steps.items():
        with Stage(False) as stage:
            result = contender(*step)(stage)
        figures |= {f"{key}_{name}": result[key] for key in ("cpu_us", "bytes") if key in result}
    for key in ("cpu_us", "bytes"):
        if f"{key}_few" in figures:
            figures[key] = figures[f"{key}_many"] / figures[f"{key}_few"]
    return figures


def steps_of(stage):
    """As many calls a second in each step, held longer: jobs, in flight, delay."""
    many = (4000, 1000, 100) if stage.quick else (40000, 10000, 1000)
    return {"few": (20000, 100, 10), "many": many}


def of_calls(stage):
    held = {"few": (100,), "many": (1000 if stage.quick else 10000,)}
    return {**growth_of(calls.ours, steps_of(stage)), **growth_of(calls.ours_held, held)}


def of_libcurl(stage):
    figures = growth_of(calls.libcurl, steps_of(stage))
    return {key: value for key, value in figures.items() if key.startswith("cpu_us")}


SCENARIOS = [
    Scenario(
        "growth-clients",
        f"1,000 → 50,000 WebSockets, each on its own channel, {PROCESSES} processes",
        [
            Figure("bytes_few", "memory a connection, 1,000", "B"),
            Figure("bytes_many", "memory a connection, 50,000", "B"),
            Figure("bytes", "memory, 50,000 against 1,000", "×", at_most(1.3)),
            Figure("connect", "CPU to connect, likewise", "×", at_most(1.3)),
            Figure("deliver_few", "CPU a message, 1,000", "µs"),
            Figure("deliver_many", "CPU a message, 50,000", "µs"),
            Figure("deliver", "CPU a message, 50,000 against 1,000", "×", at_most(1.3)),
        ],
        ours=of_connections(servers.ringback),
        floor=of_connections(servers.floor),
        rounds=2,
    ),
    Scenario(
        "growth-calls",
        "100 → 10,000 calls in flight, 10,000 a second",
        [
            Figure("cpu_us_few", "CPU a job, 100 in flight", "µs"),
            Figure("cpu_us_many", "CPU a job, 10,000 in flight", "µs"),
            Figure("cpu_us", "CPU, 10,000 against 100", "×", at_most(1.3)),
            Figure("bytes_few", "memory a call, 100", "B"),
            Figure("bytes_many", "memory a call, 10,000", "B"),
            Figure("bytes", "memory, 10,000 against 100", "×", at_most(1.3)),
        ],
        ours=of_calls,
        floor=of_libcurl,
        floor_name="bare libcurl",
        rounds=2,
    ),
]
