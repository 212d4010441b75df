"""What a browser that waits costs in memory."""

from . import servers
from .delivery import settle
from .measure import pss_bytes
from .scenario import Figure, Scenario, at_most


def hold(start, own):
    def run(stage):
        server = start(stage)
        connections = stage.scaled(10000)
        redis = stage.redis.client
        before, known = pss_bytes(server.process), redis.info("memory")["used_memory"]
        clients = stage.clients(server, connections, own)
        clients.wait_ready()
        settle()
        return {
            "bytes": (pss_bytes(server.process) - before) / connections,
            "redis": (redis.info("memory")["used_memory"] - known) / connections,
        }

    return run


def scenario(name, about, own, most):
    return Scenario(
        name,
        about,
        [
            Figure("bytes", "memory a connection", "B", at_most(most)),
            Figure("redis", "in Redis", "B"),
        ],
        ours=hold(servers.ringback, own),
        floor=hold(servers.floor, own),
        peers={"nchan": hold(servers.nchan, own), "Node ws": hold(servers.node_ws, own)},
    )


SCENARIOS = [
    scenario("memory-shared", "10,000 idle WebSockets, all on one channel", False, 400),
    scenario("memory-own", "10,000 idle WebSockets, each on its own channel", True, 700),
]
