#!/usr/bin/python3
"""Publishes at random times, breaks connections, Redis and notifiers at random, and checks
that every client heard every event of its channels once and in order, or was told a gap
that covers exactly what had gone meanwhile.

    tests/e2e/delivery --seconds 60 --seed 7

A private Redis (append-only file, fsync always), two notifiers of two processes each, a
worker; clients over WebSocket, SSE, long-poll and NDJSON that read slowly, leave rudely,
subscribe and unsubscribe, and come back with their cursor to either notifier. The append-only
file tells afterwards what was published, and until when it was to be had.
"""

import argparse
import asyncio
import collections
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def options():
    words = argparse.ArgumentParser(
        prog="delivery", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--seconds", type=float, default=60, help="of trouble (default: 60)")
    words.add_argument("--seed", type=int, help="for all dice; the times of things stay the machine's")
    words.add_argument("--clients", type=int, default=32, help="how many hear (default: 32)")
    words.add_argument("--sentinel", action="store_true",
                       help="under three Sentinels, with a failover half way")  # fmt: skip
    words.add_argument("--build", help="where the programs are (default: $RINGBACK_BUILD or build/)")
    words.add_argument("--keep", metavar="FOLDER", help="where logs and data are left on failure")
    return words.parse_args()


def crowd(world, chosen):
    """The clients, each with channels of its own choice."""
    from delivery.clients import KINDS

    dice = random.Random(f"{chosen.seed}/crowd")
    names = [channel.name for channel in world.channels]
    return [KINDS[number % len(KINDS)](number, chosen.seed, dice.sample(names, dice.randint(1, 4)),
                                       world) for number in range(chosen.clients)]  # fmt: skip


async def until_all_heard(world, clients):
    """Returns what is still missing when patience is at its end."""
    from peers.process import patience

    loop = asyncio.get_running_loop()
    for client in clients:
        client.calm = True
    await loop.run_in_executor(None, world.settle)
    begun = time.monotonic()
    while True:
        ends = await loop.run_in_executor(None, world.ends)
        late = [client.name for client in clients if not client.is_at(ends)]
        if not late or time.monotonic() - begun > patience(15):
            return late
        await asyncio.sleep(0.1)


async def play(world, clients, seconds):
    loop = asyncio.get_running_loop()
    lives = [loop.create_task(client.live()) for client in clients]
    world.publishers()
    world.spawn(world.trouble)
    begun = time.monotonic()
    if world.sentinel:
        await asyncio.sleep(seconds / 2)
        await loop.run_in_executor(None, world.fail_over)
    await asyncio.sleep(max(0, begun + seconds - time.monotonic()))
    world.over.set()
    await loop.run_in_executor(None, world.join)
    await loop.run_in_executor(None, world.worker.stop)
    late = await until_all_heard(world, clients)
    pending = lives
    while pending:  # wait_for loses a cancel that comes at the moment when it ends anyhow
        for life in pending:
            life.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)
    gone = await asyncio.gather(*lives, return_exceptions=True)
    return late, [repr(end) for end in gone if not isinstance(end, asyncio.CancelledError)]


def tell(title, counts):
    print(f"{title}: " + ", ".join(f"{name} {n}" for name, n in sorted(counts.items())))


def judge(world, clients, late, gone):
    from delivery.oracle import Truth, Verdict

    truth = Truth().read(world.aof)
    verdict = Verdict(truth)
    ends, wrong = collections.Counter(), world.failures + gone
    wrong += [f"{name} was never told the rest" for name in late]
    wrong += [f"{name}: {id} was acknowledged and is not there"
              for name, id in truth.lost(world.acknowledged)]  # fmt: skip
    for client in clients:
        ends.update(client.ends)
        wrong += client.wrong
        for name, heard in client.heard.items():
            verdict.check(client.name, name, heard)
    tell("published", world.published)
    tell("trouble", world.troubles)
    tell("sessions ended", ends)
    events = sum(len(channel.events) for channel in truth.channels.values())
    print(f"{events} events on {len(truth.channels)} channels, {world.refused} publications without "
          f"an answer; {len(clients)} clients in {sum(c.sessions for c in clients)} sessions heard "
          f"{verdict.events} events, {verdict.gaps} gaps of {verdict.missed}, "
          f"{sum(c.raw for c in clients)} raw messages")  # fmt: skip
    return wrong + verdict.wrong


def main():
    chosen = options()
    if chosen.seed is None:
        chosen.seed = random.randrange(1_000_000)
    if chosen.build:
        os.environ["RINGBACK_BUILD"] = chosen.build
    from delivery.world import World
    from peers.process import Processes

    print(f"seed {chosen.seed}, {chosen.seconds:g} s", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="rb-"))
    processes = Processes(folder)
    world = World(processes, chosen.seed, chosen.sentinel)
    wrong = ["it did not come to its end"]
    try:
        world.start()
        clients = crowd(world, chosen)
        wrong = judge(world, clients, *asyncio.run(play(world, clients, chosen.seconds)))
    finally:
        world.over.set()
        wrong += processes.finish()
        if wrong and chosen.keep:
            shutil.copytree(folder, chosen.keep, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("*.sock"))  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)
    for sentence in wrong[:40]:
        print("WRONG", sentence)
    print(f"{len(wrong)} things were wrong" if wrong else "every client heard all there was")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
