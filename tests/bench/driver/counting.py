"""Instructions of the hot paths under callgrind: a figure that no other load disturbs. The
real daemon does N and then 2 N of something; the difference is what N of it cost."""

import shutil

from . import servers
from .delivery import SIZE, publish_rounds
from .scenario import Figure, Scenario, Unavailable, at_most
from .stage import Stage

# Half as many again as were measured when they were set, so that nothing but a change of
# the code gets there.
CEILINGS = {"job": 117000, "message": 5000, "poll": 24000, "connection": 40000}
MEANING = {
    "job": "claim → settle a job",
    "message": "deliver a message to a client",
    "poll": "answer a poll → waiting again",
    "connection": "accept → waiting",
}
CLIENTS = 50  # that messages go to


def callgrind():
    valgrind = shutil.which("valgrind")
    if not valgrind:
        raise Unavailable("valgrind is not installed")
    return [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null"]


def collected(process):
    """Ends it in good order; what callgrind counted."""
    process.stop(60)
    for line in process.log.splitlines():
        if "Collected :" in line:
            return int(line.split(":")[1])
    raise AssertionError(f"callgrind gave no count:\n{process.log[-2000:]}")


def of_jobs(count):
    """A queue of so many jobs, worked off by --drain."""
    with Stage(False) as stage:
        url = stage.service(0)
        stage.enqueue(count)
        worker = stage.worker(url, under=callgrind(), args=["--drain"], max_in_flight=100)
        worker.process.wait(120)
        return collected(worker.process)


def of_messages(count):
    """So many messages in turn to clients with channels of their own."""
    with Stage(False) as stage:
        server = servers.ringback(stage, under=callgrind())
        clients = stage.clients(server, CLIENTS, messages=count // CLIENTS)
        clients.wait_ready()
        server.publish("raw", CLIENTS, count, SIZE)
        report = clients.finish()
        assert report["heard"] == count, report
        return collected(server.process)


def of_polls(count):
    """So many answers to clients who ask again at once. Of events that are kept: none is
    lost, however slow callgrind makes it."""
    with Stage(False) as stage:
        server = servers.ringback(stage, under=callgrind())
        each = count // CLIENTS
        clients = stage.clients(
            server, CLIENTS, messages=each, transport="poll", rounds="r"
        )
        clients.wait_ready()
        publish_rounds(server, clients, CLIENTS, each, "kept")
        report = clients.finish()
        assert report["heard"] == count, report
        return collected(server.process)


def of_connections(count):
    """So many clients, each on its own channel."""
    with Stage(False) as stage:
        server = servers.ringback(stage, under=callgrind())
        stage.clients(server, count).wait_ready()
        return collected(server.process)


PATHS = {
    "job": (of_jobs, 1000),
    "message": (of_messages, 5000),
    "poll": (of_polls, 1000),
    "connection": (of_connections, 500),
}


def instructions(path):
    """For one of what the path does."""
    count, many = PATHS[path]
    return (count(2 * many) - count(many)) / many


SCENARIOS = [
    Scenario(
        "instructions",
        "instructions of the hot paths, under callgrind; ctest -L instructions holds the ceilings",
        [
            Figure(path, MEANING[path], "", at_most(ceiling, f"≤ {ceiling:,} (ctest)"))
            for path, ceiling in CEILINGS.items()
        ],
        ours=lambda stage: {path: instructions(path) for path in PATHS},
        rounds=1,
    )
]
