"""The delivery guarantee under trouble (delivery/__main__.py), and that its judge can find
fault: logs of clients that are wrong in one place."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from delivery.oracle import Heard, Truth, Verdict
from peers.process import BUILD, patience

DELIVERY = Path(__file__).with_name("delivery")


def run(folder, *words):
    keep = Path(os.environ.get("RINGBACK_ARTIFACTS", folder)) / "delivery"
    seed = random.randrange(1_000_000)
    done = subprocess.run(
        [sys.executable, DELIVERY, "--build", BUILD, "--seed", str(seed), "--keep", keep, *words],
        text=True, capture_output=True, timeout=patience(300))  # fmt: skip
    print(done.stdout, done.stderr)
    assert done.returncode == 0, f"seed {seed}: logs and data are in {keep}"


def test_every_client_hears_all_there_was(folder):
    run(folder, "--seconds", "60")


def test_through_a_failover(folder):
    run(folder, "--seconds", "12", "--sentinel", "--clients", "16")


# ---------------------------------------------------------------------- the judge


def event(n):
    return {"id": f"{n}000-0", "channel": "c", "event": "tick", "data": n}


def gap(since, to, first):
    return {"id": f"{to}000-0", "channel": "c", "event": "gap", "since": f"{since}000-0",
            "first": first and f"{first}000-0"}  # fmt: skip


def command(*words):
    words = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def judged(told, now_ms=10_000):
    """What the judge says of a client that was told this: 1 to 8 were published, 4 kept; what
    was heard after 7 s the last of them, expired at 9 s."""
    truth, key = Truth(), "ringback:ch:{c}"
    for n in range(1, 9):
        text = '{"channel": "c", "event": "tick", "data": %d}' % n
        truth.take(b"#TS:1\r\n" + command("XADD", key, "MAXLEN", "=", 4, f"{n}000-0", "e", text))
        truth.take(command("PEXPIREAT", key, 9_000 if n == 8 else 100_000))
    truth.take(command("DEL", key) + b"*1\r\n$400\r\ncut off")
    truth.close()
    heard = Heard(lambda: now_ms)
    for value in told:
        heard.take(value)
    verdict = Verdict(truth)
    verdict.check("it", "c", heard)
    return verdict.wrong


def upto(*numbers):
    return [event(n) for n in numbers]


@pytest.mark.parametrize(("told", "now_ms"), [
    (upto(*range(1, 9)), 10_000),
    ([event(1), gap(1, 4, 5), *upto(5, 6, 7, 8)], 8_000),
    (upto(5, 6, 7, 8), 8_000),
    ([event(1), gap(1, 8, None)], 9_000),
    ([], 10_000),
])  # fmt: skip
def test_what_is_right(told, now_ms):
    assert judged(told, now_ms) == []


@pytest.mark.parametrize(("told", "now_ms", "why"), [
    (upto(1, 2, 3, 5, 6, 7, 8), 10_000, "skipped in silence"),
    (upto(1, 2, 2, 3, 4, 5, 6, 7, 8), 10_000, "again, or out of order"),
    (upto(1, 3, 2, 4, 5, 6, 7, 8), 10_000, "out of order"),
    ([*upto(1, 2), {**event(3), "data": 4}], 10_000, "not what was published"),
    ([*upto(*range(1, 9)), event(9)], 10_000, "never published"),
    (upto(*range(1, 8)), 10_000, "at the end"),
    (upto(6, 7, 8), 8_000, "they were kept"),
    ([event(1), gap(1, 5, 6), *upto(6, 7, 8)], 8_000, "they were kept"),
    ([event(1), gap(1, 4, 5), *upto(5, 6, 7, 8)], 7_500, "they were kept"),
    ([event(1), gap(1, 4, 6), *upto(5, 6, 7, 8)], 8_000, "is not the next one"),
    ([event(1), gap(2, 4, 5), *upto(5, 6, 7, 8)], 8_000, "a gap since"),
    ([event(1), gap(1, 4, 5), *upto(6, 7, 8)], 8_000, "skipped in silence"),
    ([*upto(*range(1, 9)), gap(8, 8, None)], 10_000, "nothing was there"),
    ([event(1), gap(1, 8, None)], 8_500, "they were kept"),
])  # fmt: skip
def test_what_is_wrong(told, now_ms, why):
    assert any(why in sentence for sentence in judged(told, now_ms))


def test_what_was_acknowledged_and_lost():
    assert Truth().lost([("c", "1-0")]) == [("c", "1-0")]
