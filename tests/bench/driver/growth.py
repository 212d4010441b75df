"""How the cost of one grows with their number."""

from . import calls, servers
from .delivery import SIZE, settle
from .measure import cpu_seconds, pss_bytes
from .scenario import Figure, Scenario, at_most

PROCESSES = 4  # of the notifier, and of the clients: one has 20,000 descriptors at most
MESSAGES = 100000  # in each step, whatever the number of clients


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
    before = cpu_seconds(server.process)
    total = stage.scaled(MESSAGES) // count * count or count
    server.publish("raw", count, total, SIZE)
    settle()
    delivering = cpu_seconds(server.process) - before
    return memory, connecting * 1e6 / more, delivering * 1e6 / total


def of_connections(stage):
    few, many = (1000, 4000) if stage.quick else (1000, 50000)
    server = servers.ringback(stage, PROCESSES)
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


def of_calls(stage):
    """The same number of calls a second, held longer and longer."""
    steps = (("few", 100, 10), ("many", 1000, 100)) if stage.quick else (
        ("few", 100, 10), ("middle", 1000, 100), ("many", 10000, 1000))  # fmt: skip
    figures = {}
    for name, in_flight, delay_ms in steps:
        with type(stage)(False) as fresh:
            result = calls.ours(max(20000, 4 * in_flight), in_flight, delay_ms)(fresh)
        figures |= {f"cpu_{name}": result["cpu_us"], f"bytes_{name}": result["bytes"]}
        figures[f"rate_{name}"] = result["per_s"]
    figures["cpu"] = figures["cpu_many"] / figures["cpu_few"]
    figures["bytes"] = figures["bytes_many"] / figures["bytes_few"]
    return figures


SCENARIOS = [
    Scenario(
        "growth-clients",
        f"1,000 → 50,000 WebSockets, each on its own channel, {PROCESSES} processes",
        [
            Figure("bytes_few", "memory a connection, 1,000", "B"),
            Figure("bytes_many", "memory a connection, 50,000", "B"),
            Figure("bytes", "memory, 50,000 against 1,000", "×", at_most(1.3)),
            Figure("connect", "CPU to connect, likewise", "×", at_most(1.3)),
            Figure("deliver", "CPU a message, likewise", "×", at_most(1.3)),
        ],
        ours=of_connections,
        rounds=2,
    ),
    Scenario(
        "growth-calls",
        "100 → 10,000 calls in flight, 10,000 a second",
        [
            Figure("cpu_few", "CPU a job, 100 in flight", "µs"),
            Figure("cpu_many", "CPU a job, 10,000 in flight", "µs"),
            Figure("cpu", "CPU, 10,000 against 100", "×", at_most(1.3)),
            Figure("bytes_few", "memory a call, 100", "B"),
            Figure("bytes_many", "memory a call, 10,000", "B"),
            Figure("bytes", "memory, 10,000 against 100", "×", at_most(1.3)),
        ],
        ours=of_calls,
        rounds=2,
    ),
]
