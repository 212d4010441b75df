"""From a message to the browsers: how many a second, how late, at what cost."""

import time

from . import servers
from .measure import cpu_seconds, pss_bytes
from .scenario import (Figure, Scenario, above_floor, at_least, at_most, both, of_floor)

SIZE = 200  # bytes of a message
DRAINED_S = 2  # in which a server has written all that was published


def settle():
    """Lets what a burst of connections left behind come to rest."""
    time.sleep(0.5)


def publish_rounds(server, clients, channels, each, kind, pause_s=0.05):
    """The next message to all when all have had the last and wait again: a raw one is not
    kept for a poll that is still on its way."""
    for number in range(each):
        server.publish(kind, channels, channels, SIZE, 0, number)
        clients.wait_heard((number + 1) * channels)
        time.sleep(pause_s)


def deliver(stage, server, connections, each, shared=False, kind="raw", rate=0,
            transport="websocket", run=1, rounds=""):  # fmt: skip
    """Publishes so that each of the connections hears `each` messages, `run` in a row."""
    clients = stage.clients(server, connections, not shared, each, transport, rounds=rounds)
    clients.wait_ready()
    settle()
    channels = 1 if shared else connections
    before = cpu_seconds(server.process)
    if rounds:
        publish_rounds(server, clients, channels, each, kind, 0.5 if rounds == "a" else 0.05)
    else:
        server.publish(kind, channels, each * channels, SIZE, rate, run=run)
    report = clients.finish()
    spent = cpu_seconds(server.process) - before
    notes = [
        f"{report[what]} {what}" for what in ("lost", "twice", "broken") if report[what]
    ]  # fmt: skip
    if report["heard"] < report["expected"]:
        notes.append(f"{report['heard']} of {report['expected']} heard")
    return {
        "per_s": report["per_s"],
        "p50_us": report["p50_us"],
        "p99_us": report["p99_us"],
        "last_ms": report["last_us_median"] / 1000,
        "cpu_us": spent * 1e6 / max(1, report["heard"]),
        "notes": notes,
    }


def contest(start, processes=1, **how):
    """A contender: starts a server and delivers to it."""

    def run(stage):
        full = dict(how)
        for count in ("connections", "each"):
            full[count] = stage.scaled(full[count]) if full[count] > 10 else full[count]
        full["each"] = max(full["each"], full.get("run", 1))
        return deliver(stage, start(stage, processes), **full)

    return run


def everywhere(processes=1, peers=True, **how):
    """Ours, the floor and the peers in the same test."""
    return {
        "ours": contest(servers.ringback, processes, **how),
        "floor": contest(servers.floor, processes, **how),
        "peers": {
            "nchan": contest(servers.nchan, processes, **how),
            "Node ws": contest(servers.node_ws, processes, **how),
        } if peers else {},
    }  # fmt: skip


def polls(**how):
    return {"connections": 10000, "transport": "poll", **how}


CPU = Figure("cpu_us", "CPU of the server a delivery", "µs")


def latency(name, processes, targets):
    return Scenario(
        name,
        f"own message to each of 10,000 WebSockets at 5,000/s, {processes} process"
        + ("es" if processes > 1 else ""),
        [
            Figure("p50_us", "publish → client, p50", "µs", targets.get("p50_us")),
            Figure("p99_us", "publish → client, p99", "µs", targets["p99_us"]),
        ],
        **everywhere(processes, connections=10000, each=2, rate=5000),
    )


def last(name, processes):
    return Scenario(
        name,
        f"one message to 10,000 WebSockets, {processes} process"
        + ("es" if processes > 1 else ""),
        [Figure("last_ms", "the last one written", "ms", above_floor(1.1))],
        **everywhere(processes, connections=10000, each=5, rate=3, shared=True),
    )


def transport(name, what, target, measure, measure_name):
    """SSE beside what `measure` does with the same."""
    how = {"connections": 10000, "each": 10}

    def memory_and_rate(stage):
        server = servers.ringback(stage)
        grown = idle_bytes(stage, server, how["connections"], name)
        return {
            **deliver(stage, server, transport=name, **how),
            "bytes": grown,
        }

    return Scenario(
        name,
        f"own message to each of 10,000 {what}",
        [
            Figure("per_s", "messages a second", "/s", target),
            CPU,
            Figure("bytes", "memory a connection", "B", at_most(700)),
        ],
        ours=memory_and_rate,
        floor=lambda stage: measure(stage, **how),
        floor_name=measure_name,
    )


def our_websocket(stage, **how):
    return deliver(stage, servers.ringback(stage), **how)


def idle_bytes(stage, server, connections, transport):
    """What a client that waits needs of memory; none waits any more."""
    before = pss_bytes(server.process)
    idle = stage.clients(server, connections, transport=transport)
    idle.wait_ready()
    settle()
    grown = (pss_bytes(server.process) - before) / connections
    idle.leave()
    return grown


def flood_polls(start, connections=10000, each=40):
    """Raw messages as fast as Redis takes them. One that comes between two polls has nobody
    to hear it: what is heard counts, and its share is told."""

    def run(stage):
        server = start(stage)
        count = stage.scaled(connections)
        grown = idle_bytes(stage, server, count, "poll")
        clients = stage.clients(server, count, transport="poll")
        clients.wait_ready()
        settle()
        before = cpu_seconds(server.process)
        server.publish("raw", count, each * count, SIZE)
        time.sleep(DRAINED_S)
        report = clients.leave()
        spent = cpu_seconds(server.process) - before
        return {
            "per_s": report["per_s"],
            "heard": 100 * report["heard"] / (each * count),
            "cpu_us": spent * 1e6 / max(1, report["heard"]),
            "bytes": grown,
        }

    return run


def connect(start):
    def run(stage):
        server = start(stage)
        connections = stage.scaled(10000)
        before = cpu_seconds(server.process)
        ready = stage.clients(server, connections).wait_ready()
        spent = cpu_seconds(server.process) - before
        return {
            "per_s": connections / ready["connect_s"],
            "cpu_us": spent * 1e6 / connections,
        }

    return run


SCENARIOS = [
    Scenario(
        "broadcast",
        "1 channel × 10,000 WebSockets × 100 messages of 200 B through Redis, as fast as it goes",
        [Figure("per_s", "deliveries a second", "/s", of_floor(0.8)), CPU],
        **everywhere(connections=10000, each=100, shared=True),
    ),
    Scenario(
        "own",
        "own message to each of 10,000 WebSockets, as fast as it goes",
        [Figure("per_s", "messages a second", "/s", of_floor(0.9)), CPU],
        **everywhere(connections=10000, each=20),
    ),
    Scenario(
        "own-kept",
        "the same with events that have an id and are kept in a stream",
        [Figure("per_s", "messages a second", "/s"), CPU],
        **everywhere(peers=False, connections=10000, each=10, kind="kept"),
    ),
    Scenario(
        "own-burst",
        "ten messages in a row to each of 10,000 WebSockets, as fast as it goes",
        [Figure("per_s", "messages a second", "/s", of_floor(0.9)), CPU],
        **everywhere(peers=False, connections=10000, each=20, run=10),
    ),
    latency("latency", 1, {"p50_us": at_most(100), "p99_us": at_most(600)}),
    latency("latency-2", 2, {"p99_us": at_most(250)}),
    last("last", 1),
    last("last-2", 2),
    transport(
        "sse", "SSE clients, as fast as it goes", of_floor(0.9, "our WebSocket"),
        our_websocket, "our WebSocket",
    ),
    Scenario(
        "poll",
        "own messages to each of 10,000 long-polls, as fast as it goes",
        [
            Figure("per_s", "messages a second", "/s", at_least(100000)),
            Figure("heard", "of what was published, heard", "%"),
            CPU,
            Figure("bytes", "memory a connection", "B", at_most(700)),
        ],
        ours=flood_polls(servers.ringback),
        floor=flood_polls(servers.floor),
    ),
    Scenario(
        "poll-again",
        "own message to each of 10,000 long-polls, the next one when all wait again",
        [Figure("per_s", "messages a second", "/s", of_floor(0.9)), CPU],
        **everywhere(peers=False, **polls(each=10, rounds="r")),
    ),
    Scenario(
        "poll-answer",
        "own message to each of 10,000 long-polls that wait, until all are answered",
        [Figure("per_s", "messages a second", "/s", of_floor(0.9)), CPU],
        **everywhere(peers=False, **polls(each=10, rounds="a")),
    ),
    Scenario(
        "poll-kept",
        "ten kept events in a row to each of 10,000 channels with a long-poll, which goes on "
        "with its cursor",
        [Figure("per_s", "messages a second", "/s"), CPU],
        ours=contest(servers.ringback, **polls(each=20, kind="kept", run=10)),
        floor=contest(servers.ringback, connections=10000, each=20, kind="kept", run=10),
        floor_name="our WebSocket",
    ),
    Scenario(
        "connect",
        "new WebSocket connections, each on its own channel",
        [
            Figure("per_s", "connections a second", "/s", both(at_least(21000), of_floor(0.8))),
            Figure("cpu_us", "CPU of the server a connection", "µs"),
        ],
        ours=connect(servers.ringback),
        floor=connect(servers.floor),
        peers={"nchan": connect(servers.nchan), "Node ws": connect(servers.node_ws)},
    ),
]
