"""A slow call is made a second time, and the first answer wins."""

import json
import socket
import threading

import pytest
from peers.process import lasting, wait_until


class Slow:
    """Answers the n-th connection with answers[n]; None: never."""

    def __init__(self, answers):
        self.answers, self.taken, self.closed = answers, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(client, self.taken), daemon=True).start()
            self.taken += 1

    def _one(self, client, n):
        client.recv(65536)
        answer = self.answers[min(n, len(self.answers) - 1)]
        if answer is not None:
            client.sendall(answer)
        if client.recv(1) == b"":
            self.closed += 1
        client.close()


def says(value, status=200):
    body = json.dumps(value).encode()
    return (b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (status, len(body))) + body  # fmt: skip


@pytest.fixture
def slow():
    started = []

    def start(*answers):
        started.append(Slow(answers))
        return started[-1]

    yield start
    for one in started:
        one.listener.close()


def ask(redis, service, slow, hedge="100ms", **more):
    definition = {"service": "quote", "request": {"url": f"http://127.0.0.1:{slow.port}/"},
                  "hedge": {"after": hedge}, **more}  # fmt: skip
    service.write("quote", json.dumps(definition))


def terminal(redis):
    redis.push({"service": "quote", "channel": "c1"})
    return wait_until(lambda: redis.terminal("c1"), 10, "a terminal event")[0]


def test_the_second_call_wins_and_the_first_is_broken_off(redis, service, worker, slow):
    peer = slow(None, says("second"))
    ask(redis, service, peer)
    worker()
    assert terminal(redis)["data"] == "second"
    wait_until(lambda: peer.closed >= 1, 5, "the first call's end")
    assert peer.taken == 2


def test_a_fast_answer_needs_no_second(redis, service, worker, slow):
    peer = slow(says("first"))
    ask(redis, service, peer, hedge="2s")
    worker()
    assert terminal(redis)["data"] == "first"
    assert peer.taken == 1


def test_a_failure_of_the_second_waits_for_the_first(redis, service, worker, slow):
    peer = slow(None, says("no", 503))
    ask(redis, service, peer, timeout={"per_try": lasting(0.8)})
    worker()
    assert terminal(redis)["error"]["code"] == "timeout"
    assert peer.taken == 2


def test_a_slow_service_does_not_get_twice_the_load(redis, service, worker, slow):
    peer = slow(None)
    ask(redis, service, peer, timeout={"per_try": "600ms"},
        retry={"max_attempts": 1, "budget": {"percent": 1, "per_second": 1}})  # fmt: skip
    worker()
    redis.push(*({"service": "quote", "channel": f"m{i}"} for i in range(40)))
    for i in range(40):
        event = wait_until(lambda: redis.terminal(f"m{i}"), 10, "a terminal event")[0]
        assert event["error"]["code"] == "timeout"
    assert 40 < peer.taken <= 40 + 20, "a second call for some, as the retry budget allows"


def test_a_leg_may_hedge(redis, service, worker, slow):
    peer = slow(None, says("second"))
    service.write("quote", json.dumps({"service": "quote", "calls": {
        "a": {"request": {"url": f"http://127.0.0.1:{peer.port}/"}, "hedge": {"after": "100ms"}},
    }}))  # fmt: skip
    worker()
    assert terminal(redis)["data"] == {"a": "second"}
    wait_until(lambda: peer.closed >= 1, 5, "the first call's end")
