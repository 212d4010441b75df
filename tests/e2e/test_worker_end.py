"""How a worker begins, reloads and ends: signals, --drain, --check, processes, metrics."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from peers.daemons import program
from peers.process import free_port, patience, wait_until

both_modes = pytest.mark.parametrize("claim", ["lease", "blpop"])


def quote(channel=None, **more):
    job = {"service": "quote", **more}
    return {**job, "channel": channel} if channel else job


def wait_terminal(redis, channel, timeout=10.0):
    return wait_until(lambda: redis.terminal(channel), timeout, f"the end on {channel}")[0]


def signed_off(redis):
    return not redis.client.keys("ringback:held:*") and not redis.client.exists("ringback:workers")


# ---------------------------------------------------------------------- SIGTERM


@both_modes
def test_a_drain_finishes_what_is_in_flight(redis, service, worker, claim):
    service.define("quote", "/?gate=g")
    daemon = worker(claim=claim, max_in_flight=10, drain_timeout="20s")
    redis.push(*(quote(f"c{n}") for n in range(15)))
    service.wait_open(10)
    daemon.terminate()
    daemon.wait_line("worker.draining")
    redis.push(quote("later"))
    service.open("g")
    assert daemon.wait() == 0
    assert sum(len(redis.terminal(f"c{n}")) for n in range(15)) == 10
    assert redis.client.llen("ringback:queue:default") == 6
    assert signed_off(redis)


@both_modes
def test_what_does_not_finish_is_given_back(redis, service, worker, claim):
    service.define("quote", "/?gate=g")
    daemon = worker(claim=claim, drain_timeout="300ms")
    redis.push(*(quote(f"c{n}", id=f"job-{n}") for n in range(20)))
    service.wait_open(20)
    assert daemon.stop() == 0
    assert signed_off(redis)
    back = redis.client.lrange("ringback:retry:default", 0, -1)
    assert len(back) == 20 and all(" deliveries=0 " in text.split("\n")[0] + " " for text in back)
    service.open("g")
    worker(claim=claim)
    for n in range(20):
        assert wait_terminal(redis, f"c{n}")["event"] == "done"
    assert set(service.book()["keys"].values()) == {2}


@both_modes
def test_a_second_signal_hurries(redis, service, worker, claim):
    service.define("quote", "/?hang=1")
    daemon = worker(claim=claim, drain_timeout="60s")
    redis.push(quote("c1"))
    service.wait_open(1)
    daemon.terminate()
    daemon.wait_line("worker.draining")
    began = time.monotonic()
    daemon.terminate()
    assert daemon.wait() == 0
    assert time.monotonic() - began < patience(2)
    assert signed_off(redis) and redis.client.llen("ringback:retry:default") == 1


@both_modes
def test_an_idle_worker_ends_at_once(redis, service, worker, claim):
    service.define("quote", "/")
    daemon = worker(claim=claim)
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < patience(1)
    assert signed_off(redis)


def test_a_drain_under_blpop_loses_no_job(redis, service, worker):
    """Jobs pushed while it ends are either done or still in the queue."""
    service.define("quote", "/")
    for round in range(5):
        daemon = worker(claim="blpop")
        names = [f"r{round}.{n}" for n in range(40)]
        for name in names[:20]:
            redis.push(quote(name))
        daemon.terminate()
        for name in names[20:]:
            redis.push(quote(name))
        assert daemon.wait() == 0
        left = redis.client.llen("ringback:queue:default")
        done = sum(len(redis.terminal(name)) for name in names)
        assert done + left == 40, (done, left)
        redis.client.delete("ringback:queue:default")


def test_a_drain_without_redis_ends(redis, service, worker):
    service.define("quote", "/?hang=1")
    daemon = worker(drain_timeout="200ms")
    redis.push(quote("c1"))
    service.wait_open(1)
    redis.kill()
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < patience(5)


# ---------------------------------------------------------------------- --drain and --check


@both_modes
def test_drain_for_cron(redis, service, worker, claim):
    service.define("quote", "/?delay=0.2")
    redis.push(*(quote(f"c{n}") for n in range(300)), quote("later", run_at=redis.now_ms() + 60_000))
    daemon = worker(claim=claim, max_in_flight=100, args=["--drain"], wait=False)
    assert daemon.wait(20) == 0
    assert sum(len(redis.terminal(f"c{n}")) for n in range(300)) == 300
    assert redis.client.zcard("ringback:due") == 1
    assert signed_off(redis)


@both_modes
def test_drain_with_nothing_to_do(redis, service, worker, claim):
    began = time.monotonic()
    daemon = worker(claim=claim, args=["--drain"], wait=False)
    assert daemon.wait() == 0
    assert time.monotonic() - began < patience(1)


def test_drains_may_overlap(redis, service, worker):
    service.define("quote", "/?delay=0.05")
    redis.push(*(quote(f"c{n}") for n in range(400)))
    many = [worker(max_in_flight=20, args=["--drain"], wait=False) for _ in range(3)]
    assert [one.wait(20) for one in many] == [0, 0, 0]
    assert service.book()["total"] == 400 and signed_off(redis)


def test_a_drain_brings_home_what_a_dead_one_left(redis, service, worker):
    """What it takes from the dead lands in the queues, which are empty only after that."""
    service.define("quote", "/?gate=g")
    redis.push(*(quote(f"c{n}") for n in range(5)))
    dead = worker(args=["--drain"], lease="1s", wait=False)
    service.wait_open(5)
    dead.kill()
    service.open("g")
    (id,) = redis.client.zrange("ringback:workers", 0, -1)
    wait_until(lambda: redis.client.zscore("ringback:workers", id) < redis.now_ms())
    assert worker(args=["--drain"], lease="1s", wait=False).wait() == 0
    assert all(redis.terminal(f"c{n}") for n in range(5)) and signed_off(redis)


def test_a_drain_that_was_frozen_takes_its_jobs_up_again(redis, service, worker):
    service.define("quote", "/?gate=g")
    redis.push(*(quote(f"c{n}") for n in range(5)))
    daemon = worker(args=["--drain"], lease="1s", wait=False)
    service.wait_open(5)
    daemon.signal(signal.SIGSTOP)
    (id,) = redis.client.zrange("ringback:workers", 0, -1)
    wait_until(lambda: redis.client.zscore("ringback:workers", id) < redis.now_ms())
    daemon.signal(signal.SIGCONT)
    daemon.wait_line("worker.fenced")
    service.open("g")
    assert daemon.wait() == 0
    assert all(redis.terminal(f"c{n}") for n in range(5)) and signed_off(redis)


def test_drain_without_redis_is_unavailable(redis, service, worker):
    redis.kill()
    daemon = worker({"redis": {"connect_timeout": "200ms"}}, args=["--drain"], wait=False)
    assert daemon.wait() == 69
    assert daemon.lines("worker.no_redis")


def test_a_daemon_waits_for_redis(redis, service, worker):
    service.define("quote", "/")
    redis.kill()
    daemon = worker(wait=False)
    daemon.wait_line("redis.connect_failed")
    assert not daemon.lines("worker.ready")
    redis.start()
    daemon.wait_ready()
    redis.push(quote("c1"))
    wait_terminal(redis, "c1")


@both_modes
def test_check(redis, service, worker, claim):
    service.define("quote", "/")
    daemon = worker(claim=claim, args=["--check"], wait=False)
    assert daemon.wait() == 0, daemon.log
    assert re.search(r"services .*: quote\n", daemon.log) and re.search(r"redis .*: ok\n", daemon.log)
    assert not redis.client.keys("*")


def test_check_without_redis(redis, service, worker):
    redis.kill()
    daemon = worker({"redis": {"connect_timeout": "300ms"}}, args=["--check"], wait=False)
    assert daemon.wait() == 69


def test_check_of_wrong_definitions(redis, service, worker):
    service.write("quote", "service: quote\n")
    daemon = worker(args=["--check"], wait=False)
    assert daemon.wait() == 78


# ---------------------------------------------------------------------- SIGHUP


def test_a_reload_takes_new_definitions(redis, service, worker):
    service.define("quote", "/old?gate=g")
    daemon = worker()
    redis.push(quote("c1"))
    service.wait_open(1)
    service.define("quote", "/new")
    service.define("more", "/more")
    daemon.configure({"worker": {"max_in_flight": 7, "lease": "20s"}})
    daemon.signal(signal.SIGHUP)
    line = daemon.wait_line("worker.reloaded")
    assert line["services"] == "2" and line["max_in_flight"] == "7"
    assert daemon.wait_line("worker.needs_restart")["key"] == "worker.lease"
    redis.push(quote("c2"), {"service": "more", "channel": "c3"})
    assert wait_terminal(redis, "c2")["data"]["path"] == "/new"
    assert wait_terminal(redis, "c3")["event"] == "done"
    service.open("g")
    assert wait_terminal(redis, "c1")["data"]["path"] == "/old"


def test_a_reload_changes_how_many_deaths_are_too_many(redis, service, worker):
    service.define("quote", "/?gate=g")
    daemon = worker(lease="1s")
    daemon.configure({"worker": {"max_deliveries": 1}})
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("worker.reloaded")
    redis.client.hset("ringback:held:dead", "1", "rb1 id=j1 queue=default deliveries=0\n"
                      + json.dumps(quote("c1")))  # fmt: skip
    redis.client.zadd("ringback:workers", {"dead": 1})
    assert wait_terminal(redis, "c1")["error"]["code"] == "poisoned"


@pytest.mark.parametrize("break_it", ["definition", "settings"])
def test_a_wrong_reload_changes_nothing(redis, service, worker, break_it):
    service.define("quote", "/old")
    daemon = worker()
    if break_it == "definition":
        service.write("quote", "service: quote\n")
        daemon.configure({"worker": {"max_in_flight": 3}})
    else:
        service.define("quote", "/new")
        daemon.configure({"worker": {"max_in_flight": -3}})
    daemon.signal(signal.SIGHUP)
    daemon.wait_line("worker.reload_refused")
    redis.push(quote("c1"))
    assert wait_terminal(redis, "c1")["data"]["path"] == "/old"


# ---------------------------------------------------------------------- processes


def test_several_processes(redis, service, worker):
    service.define("quote", "/?gate=g")
    daemon = worker(processes=2, max_in_flight=50, lease="2s")
    wait_until(lambda: redis.client.zcard("ringback:workers") == 2)
    redis.push(*(quote(f"c{n}") for n in range(100)))
    service.wait_open(100)
    assert sorted(redis.client.hlen(k) for k in redis.client.keys("ringback:held:*")) == [50, 50]
    os.kill(daemon.children()[0], signal.SIGKILL)
    service.open("g")
    for n in range(100):
        assert wait_terminal(redis, f"c{n}", 20)["event"] == "done"
    assert daemon.stop() == 0
    assert signed_off(redis)


def test_drain_with_several_processes(redis, service, worker):
    service.define("quote", "/")
    redis.push(*(quote(f"c{n}") for n in range(200)))
    daemon = worker(processes=2, args=["--drain"], wait=False)
    assert daemon.wait(20) == 0
    assert service.book()["total"] == 200 and signed_off(redis)


def test_few_descriptors(redis, service, worker, processes):
    service.define("quote", "/?delay=0.05")
    file = worker(args=["--check"], wait=False).file
    small = processes.start(
        ["sh", "-c", 'ulimit -n 100 && exec "$0" -c "$1"', program("ringback-worker"), file], "small")
    line = small.wait_line("worker.in_flight_limited")
    assert line["max_in_flight"] == "1000" and int(line["limit"]) < 40
    redis.push(*(quote(f"c{n}") for n in range(200)))
    for n in range(200):
        assert wait_terminal(redis, f"c{n}", 20)["event"] == "done"
    assert service.book()["peak"] <= 40


# ---------------------------------------------------------------------- metrics


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def value(text, name, **labels):
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name:
            given = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
            if given == {k: str(v) for k, v in labels.items()}:
                return float(found[3])
    return None


@pytest.mark.parametrize("count", [1, 2])
def test_metrics(redis, service, worker, count):
    service.define("quote", "/?status=200,200,200,500")
    port = free_port()
    worker(metrics=f"127.0.0.1:{port}", processes=count)
    assert get(port, "/healthz") == (200, "ok\n")
    wait_until(lambda: get(port, "/readyz")[0] == 200)
    for n in range(4):
        redis.push(quote(f"c{n}", at=redis.now_ms() - 100))
        wait_terminal(redis, f"c{n}")
    redis.push({"service": "nope", "channel": "c9"})
    wait_until(lambda: redis.client.exists("ringback:dead"))
    for name, wanted, labels in (
        ("dead_total", 1, {}), ("claimed_total", 5, {}), ("published_total", 5, {}),
        ("jobs_total", 3, {"service": "quote", "outcome": "done"}),
        ("jobs_total", 1, {"service": "quote", "outcome": "http_status"}),
        ("jobs_total", 1, {"service": "unknown", "outcome": "unknown_service"}),
        ("in_flight", 0, {"service": "quote"}), ("call_seconds_count", 4, {"service": "quote"}),
        ("wait_seconds_count", 4, {"service": "quote"}),
    ):  # fmt: skip
        # A result is heard before its worker has counted it.
        wait_until(lambda: value(get(port, "/metrics")[1], f"ringback_worker_{name}", **labels) == wanted,
                   what=f"{name} {labels} to be {wanted}")  # noqa: B023  # fmt: skip
    assert get(port, "/")[0] == 404


@pytest.mark.parametrize("garbage", [b"\0" * 100, b"GET\r\n\r\n", b"GET / FTP/9\r\n\r\n",
                                     b"POST /metrics HTTP/1.1\r\n\r\n", b"A" * 10_000],
                         ids=["zeros", "head", "ftp", "post", "long"])  # fmt: skip
def test_the_metrics_listener_is_hard_to_annoy(redis, service, worker, garbage):
    port = free_port()
    daemon = worker(metrics=f"127.0.0.1:{port}")
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
    for one in sockets:
        one.sendall(garbage)
    answers = []
    end = time.monotonic() + 1
    for one in sockets:
        one.settimeout(max(0.01, end - time.monotonic()))
        try:
            answers.append(one.recv(100))
        except (TimeoutError, ConnectionError):
            answers.append(b"")
    assert get(port, "/healthz")[0] == 200
    assert all(a == b"" or a.startswith(b"HTTP/1.1 4") for a in answers), answers
    for one in sockets:
        one.close()
    assert daemon.alive()


def test_a_metrics_port_that_is_taken(redis, service, worker):
    service.define("quote", "/")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        daemon = worker(metrics=f"127.0.0.1:{taken.getsockname()[1]}")
        assert daemon.lines("worker.metrics_unavailable")
        redis.push(quote("c1"))
        assert wait_terminal(redis, "c1")["event"] == "done"


# ---------------------------------------------------------------------- systemd


@pytest.mark.parametrize("count", [1, 2])
def test_systemd_hears_of_it(redis, service, worker, folder, count):
    path = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(patience(5))
        daemon = worker(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}, processes=count)
        said = []
        while "WATCHDOG=1" not in said or "READY=1" not in said:
            said += notify.recv(4096).decode().split("\n")
        daemon.terminate()
        while "STOPPING=1" not in said:
            said += notify.recv(4096).decode().split("\n")
        assert daemon.wait() == 0


# ---------------------------------------------------------------------- a bad address


BAD_URL = "redis://:s3cret@host:99999/0"


def refused(folder, program_name, text, *args, env=None):
    file = folder / "bad.yaml"
    file.write_text(text)
    run = subprocess.run([program(program_name), "-c", file, *args], capture_output=True, text=True,
                         timeout=patience(20), env={**os.environ, **(env or {})})  # fmt: skip
    assert run.returncode == 78 and "s3cret" not in run.stdout + run.stderr
    return run.stderr, str(file)


@pytest.mark.parametrize("words", [("ringback-worker",), ("ringback-worker", "--check"),
                                   ("ringback-notifier",), ("ringback", "status")])  # fmt: skip
def test_a_bad_redis_url_is_shown_in_its_place(folder, words):
    (folder / "services").mkdir()
    text = f'worker: {{services: services}}\nredis:\n  url: "{BAD_URL}"\n'
    said, file = refused(folder, words[0], text, *words[1:])
    assert f"{file}:3:8: redis.url: expected a port from 1 to 65535\n" in said


def test_a_bad_redis_url_from_elsewhere(folder):
    (folder / "services").mkdir()
    text = "worker: {services: services}\n"
    said, _ = refused(folder, "ringback-worker", text, env={"RINGBACK_REDIS_URL": BAD_URL})
    assert "RINGBACK_REDIS_URL: redis.url: expected a port" in said
    said, _ = refused(folder, "ringback-worker", text, "--set", f"redis.url={BAD_URL}")
    assert "--set: redis.url: expected a port" in said
    text = 'worker: {services: services, weights: [1, 2]}\nredis: {url: "redis://h"}\n'
    said, file = refused(folder, "ringback-worker", text)
    assert f"{file}:1:39: worker.weights: expected one for each of worker.queues" in said
    text = 'worker: {services: services}\nredis: {url: "redis://h", sentinel: {nodes: ["[x"]}}\n'
    said, file = refused(folder, "ringback-worker", text)
    assert f"{file}:2:45: redis.sentinel: expected master too" in said
