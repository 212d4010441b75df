"""Runs a scenario: those who contend take turns, so that what disturbs the machine
disturbs all of them."""

import time

from .scenario import OURS, Unavailable
from .stage import Stage


def run(scenario, peers, quick, most_rounds=None):
    """{contender: [figures of each round]}, {contender: why it is missing}, seconds."""
    contenders = {OURS: (scenario.ours, scenario.rounds)}
    if scenario.floor:
        contenders[scenario.floor_name] = (scenario.floor, scenario.rounds)
    if peers:
        for name, start in scenario.peers.items():
            contenders[name] = (start, min(scenario.peer_rounds, scenario.rounds))
    results = {name: [] for name in contenders}
    missing, begun = {}, time.monotonic()
    for number in range(min(scenario.rounds, most_rounds or scenario.rounds)):
        for name, (start, rounds) in contenders.items():
            if name in missing or number >= rounds:
                continue
            try:
                with Stage(quick) as stage:
                    results[name].append(start(stage))
            except Unavailable as why:
                missing[name] = str(why)
            except Exception as why:  # one that fails must not end the others
                missing[name] = f"failed: {str(why).splitlines()[0] if str(why) else why!r}"
    return results, missing, time.monotonic() - begun
