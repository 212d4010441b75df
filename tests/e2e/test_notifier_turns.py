"""A process that is behind: clients wait for their turn to be written to, and none of them
is taken for slow because of that."""

import os
import signal

import pytest
from peers.clients import WebSocket
from test_notifier_bounds import heard, metric


def test_a_crowd_reads_history_together(redis, notifier):
    """Who has not been written to yet is not full: he needs no reading of his own."""
    daemon = notifier(max_queue="600KiB")
    crowd = [WebSocket(daemon.url, "c") for _ in range(300)]
    heard(redis, "c")
    os.kill(daemon.pid, signal.SIGSTOP)
    redis.client.client_kill_filter(_type="pubsub")
    for n in range(100):
        redis.publish("c", {"event": "tick", "data": n, "pad": "x" * 10_000})
    os.kill(daemon.pid, signal.SIGCONT)
    for client in crowd:
        assert [client.event()["data"] for _ in range(100)] == list(range(100))
    assert metric(daemon, "ringback_notifier_readings_total") < 100


@pytest.mark.parametrize("first", ["events", "ping"])
def test_who_asks_is_not_slow_because_much_waits_for_him(redis, notifier, first):
    daemon = notifier(max_queue="16KiB")
    client = WebSocket(daemon.url, "c")
    heard(redis, "c")
    os.kill(daemon.pid, signal.SIGSTOP)
    if first == "ping":
        client.send_frame(0x9, b"you there?")
    for n in range(70):
        redis.client.publish("ringback:ch:{c}", '{"n":%d}' % n)
    redis.client.publish("ringback:ch:{c}", '{"n":70,"pad":"%s"}' % ("x" * 20_000))
    if first == "events":
        client.send_frame(0x9, b"you there?")
    os.kill(daemon.pid, signal.SIGCONT)
    frames = [client.recv_frame() for _ in range(72)]
    assert sorted(opcode for _, opcode, _ in frames) == [0x1] * 71 + [0xA]
    assert metric(daemon, "ringback_notifier_closed_total", reason="slow") == 0
