"""Workers die, freeze and lose Redis: every job still has exactly one end."""

import json
import re
import signal
import time
import urllib.request

import pytest
from peers.process import free_port, patience, wait_until
from peers.redis_proxy import RedisProxy


def quote(channel, **more):
    return {"service": "quote", "channel": channel, **more}


def ends(redis, count, timeout=20.0):
    """Waits until each of c0 … has its end; asserts that each has one."""
    wait_until(
        lambda: sum(redis.client.exists(f"ringback:ch:{{c{n}}}") for n in range(count)) == count,
        timeout, f"{count} results", interval=0.02)  # fmt: skip
    events = [redis.terminal(f"c{n}") for n in range(count)]
    assert all(len(of_one) == 1 for of_one in events), [e for e in events if len(e) != 1]
    return [of_one[0] for of_one in events]


def nothing_held(redis, timeout=10.0):
    wait_until(lambda: not redis.client.keys("ringback:held:*"), timeout, "nothing to be held")


def workers(redis):
    return redis.client.zrange("ringback:workers", 0, -1)


# ---------------------------------------------------------------------- death


def test_a_dead_workers_jobs_come_soon_after_its_lease(redis, service, worker):
    service.define("quote", "/?gate=g")
    first = worker(lease="2s")
    redis.push(*(quote(f"c{n}", id=f"job-{n}") for n in range(50)))
    service.wait_open(50)
    worker(lease="2s")
    first.kill()
    died = time.monotonic()
    service.open("g")
    assert all(e["event"] == "done" for e in ends(redis, 50))
    assert time.monotonic() - died < patience(2 * 1.2)
    nothing_held(redis)
    wait_until(lambda: len(workers(redis)) == 1, what="the dead one to be forgotten")


def test_poisoned_jobs_do_not_take_others_along(redis, service, worker):
    service.define("quote", "/${n}?gate=${n}", ["n"])
    redis.push(quote("c1", id="poison", params={"n": "poison"}))
    for delivery in range(3):
        victim = worker(lease="1s")
        service.wait_calls(delivery + 1)
        assert not redis.client.exists("ringback:dead")
        victim.kill()
        service.open("poison"), service.shut("poison")
    redis.push(quote("c2", params={"n": "fine"}))
    service.open("fine")
    worker(lease="1s")
    event = wait_until(lambda: redis.terminal("c1"))[0]
    assert event["event"] == "failed" and event["error"]["code"] == "poisoned"
    assert event["job"] == "poison"
    assert wait_until(lambda: redis.terminal("c2"))[0]["event"] == "done"
    dead = wait_until(lambda: redis.client.zrange("ringback:dead", 0, -1))
    assert len(dead) == 1 and " reason=poisoned" in dead[0] and " deliveries=3" in dead[0]
    assert service.book()["keys"]["poison"] == 3
    nothing_held(redis)


def test_poisoned_jobs_tell_the_channel_of_their_definition(redis, service, worker):
    service.define("quote", "/${n}", ["n"], channel="order:${n}")
    job = '{"service":"quote","params":{"n":"7"}}'
    redis.client.rpush("ringback:retry:default", f"rb1 id=j queue=default deliveries=3 at=1 reason=poisoned\n{job}")
    worker()
    event = wait_until(lambda: redis.terminal("order:7"))[0]
    assert event["job"] == "j" and event["error"]["code"] == "poisoned"
    assert wait_until(lambda: redis.client.zcard("ringback:dead")) == 1
    assert service.book()["total"] == 0


def test_who_reaps_the_poisoned_may_die_too(redis, service, worker):
    """The reaper has it in hand, marked, and dies before it could tell."""
    service.define("quote", "/")
    envelope = "rb1 id=p queue=default deliveries=3 at=1 reason=poisoned\n" + json.dumps(quote("c0"))
    redis.client.zadd("ringback:workers", {"gone": 1})
    redis.client.hset("ringback:held:gone", "5", envelope)
    worker(lease="1s")
    assert ends(redis, 1)[0]["error"]["code"] == "poisoned"
    dead = wait_until(lambda: redis.client.zrange("ringback:dead", 0, -1))
    assert len(dead) == 1
    assert service.book()["total"] == 0
    nothing_held(redis)
    assert "gone" not in workers(redis)


def test_a_great_many_held_are_reaped_in_portions(redis, service, worker):
    service.define("quote", "/")
    redis.client.zadd("ringback:workers", {"gone": 1, "empty": 2})
    pipe = redis.client.pipeline()
    for n in range(1000):
        envelope = f"rb1 id=j{n} queue=default deliveries=0 at=1\n" + json.dumps(quote(f"c{n}"))
        pipe.hset("ringback:held:gone", str(n), envelope)
    pipe.execute()
    worker(lease="1s")
    ends(redis, 1000)
    wait_until(lambda: len(workers(redis)) == 1, what="the dead ones to be forgotten")
    assert service.book()["total"] == 1000


# ---------------------------------------------------------------------- freezing


def test_a_frozen_worker_is_fenced(redis, service, worker):
    service.define("quote", "/?gate=g")
    port = free_port()
    frozen = worker(lease="1s", metrics=f"127.0.0.1:{port}")
    redis.push(*(quote(f"c{n}", id=f"job-{n}") for n in range(100)))
    service.wait_open(100)
    before = workers(redis)
    frozen.signal(signal.SIGSTOP)
    other = worker(lease="1s")
    wait_until(lambda: service.book()["total"] == 200, 10, "the jobs to be called again")
    frozen.signal(signal.SIGCONT)
    line = frozen.wait_line("worker.fenced")
    assert int(line["thrown_away"]) == 100 and line["worker"] == before[0]
    service.open("g")
    assert all(e["event"] == "done" for e in ends(redis, 100))
    nothing_held(redis)
    wait_until(lambda: len(workers(redis)) == 2)
    assert before[0] not in workers(redis)
    redis.push(*(quote(f"d{n}") for n in range(50)))  # both work on
    wait_until(lambda: all(redis.terminal(f"d{n}") for n in range(50)))
    assert not other.lines("worker.fenced")
    nothing_held(redis)
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    told = {name: int(value) for name, value in re.findall(r"^ringback_worker_(\w+) (\d+)$", page, re.M)}
    ended = sum(map(int, re.findall(r"^ringback_worker_jobs_total{.*} (\d+)$", page, re.M)))
    assert told["thrown_away_total"] == 100
    assert told["claimed_total"] == ended + told["thrown_away_total"] + told["given_back_total"]


def test_a_frozen_worker_that_has_results(redis, service, worker):
    """The answers came while it was frozen: they may be published or not, never twice."""
    service.define("quote", "/?gate=g")
    frozen = worker(lease="1s")
    redis.push(*(quote(f"c{n}", id=f"job-{n}") for n in range(100)))
    service.wait_open(100)
    frozen.signal(signal.SIGSTOP)
    service.open("g")
    worker(lease="1s")
    ends(redis, 100)
    frozen.signal(signal.SIGCONT)
    frozen.wait_line("worker.fenced")
    redis.push(quote("last"))
    wait_until(lambda: redis.terminal("last"))
    ends(redis, 100)
    nothing_held(redis)


# ---------------------------------------------------------------------- Redis


@pytest.mark.redis(aof=True)
def test_redis_restarts_with_jobs_in_flight(redis, service, worker):
    service.define("quote", "/?gate=g")
    daemon = worker(lease="10s")
    redis.push(*(quote(f"c{n}", id=f"job-{n}") for n in range(200)))
    service.wait_open(200)
    redis.kill()
    service.open("g")
    service.wait_open(0)
    redis.start()
    assert all(e["event"] == "done" for e in ends(redis, 200))
    assert service.book()["total"] == 200  # kept and published: no call was repeated
    assert not daemon.lines("worker.fenced")
    nothing_held(redis)
    redis.push(quote("after"))
    wait_until(lambda: redis.terminal("after"))


@pytest.mark.redis(aof=True)
def test_redis_is_gone_for_longer_than_the_lease(redis, service, worker):
    service.define("quote", "/?gate=g")
    daemon = worker(lease="1s")
    redis.push(*(quote(f"c{n}", id=f"job-{n}") for n in range(50)))
    service.wait_open(50)
    redis.kill()
    service.open("g")
    time.sleep(1.5)  # the lease runs on Redis's clock, which nobody can ask now
    redis.start()
    assert all(e["event"] == "done" for e in ends(redis, 50))
    assert daemon.lines("worker.fenced")
    assert max(service.book()["keys"].values()) == 2
    nothing_held(redis)


@pytest.mark.redis(aof=True)
def test_results_that_are_too_much_to_keep(redis, service, worker):
    """Their jobs are given back, and called once more: none is lost."""
    service.define("quote", "/?gate=g&size=10000")
    daemon = worker(lease="30s", max_kept_bytes="64KiB")
    redis.push(*(quote(f"c{n}", id=f"job-{n}") for n in range(20)))
    service.wait_open(20)
    redis.kill()
    service.open("g")
    service.wait_open(0)
    daemon.wait_line("worker.result_dropped")
    redis.start()
    assert all(e["event"] == "done" for e in ends(redis, 20))
    calls = service.book()["keys"]
    assert len(calls) == 20 and max(calls.values()) == 2
    assert 20 < sum(calls.values()) < 40  # some were kept
    nothing_held(redis)


def test_redis_loses_everything(redis, service, worker):
    service.define("quote", "/")
    daemon = worker()
    redis.kill()
    redis.start()
    daemon.wait_line("worker.fenced")
    redis.push(quote("c0"))
    assert ends(redis, 1)[0]["event"] == "done"


def test_killed_connections_are_replaced(redis, service, worker):
    service.define("quote", "/")
    worker()
    for n in range(5):
        redis.client.execute_command("CLIENT", "KILL", "TYPE", "normal")
        redis.push(quote(f"c{n}"))
        wait_until(lambda: redis.terminal(f"c{n}"), what="a result after CLIENT KILL")


def test_a_silent_redis_is_left(redis, service, worker):
    """Connections that are open and say nothing: commands time out, new ones are made."""
    service.define("quote", "/")
    proxy = RedisProxy(redis)
    try:
        worker({"redis": {"url": proxy.url, "command_timeout": "300ms", "connect_timeout": "300ms"}},
               lease="2s")  # fmt: skip
        known = proxy.connections
        proxy.mode = "silent"
        redis.push(quote("c0"))
        wait_until(lambda: proxy.connections > known, 10, "the silent link to be replaced")
        proxy.mode = "forward"
        assert ends(redis, 1)[0]["event"] == "done"
    finally:
        proxy.close()


@pytest.mark.redis(args=["--maxmemory", "3mb"])
def test_redis_is_full(redis, service, worker):
    service.define("quote", "/?gate=g")
    daemon = worker(lease="30s")
    redis.push(quote("c0"))
    service.wait_open(1)
    redis.client.config_set("maxmemory-policy", "noeviction")
    redis.client.config_set("maxmemory", "1")
    service.open("g")
    daemon.wait_line("redis.refused")
    assert not redis.client.exists("ringback:ch:{c0}")
    redis.client.config_set("maxmemory", "0")
    assert ends(redis, 1)[0]["event"] == "done"
    assert service.book()["total"] == 1
    nothing_held(redis)


def test_a_channel_that_is_no_stream(redis, service, worker):
    """Its event can never be published: buried, and nothing else suffers."""
    service.define("quote", "/")
    redis.client.set("ringback:ch:{c9}", "a string")
    worker()
    redis.push(quote("c9"), quote("c0"))
    assert ends(redis, 1)[0]["event"] == "done"
    dead = wait_until(lambda: redis.client.zrange("ringback:dead", 0, -1), 30)
    assert " reason=internal " in dead[0] and "WRONGTYPE" in dead[0]
    nothing_held(redis)


def test_a_queue_that_is_no_list(redis, service, worker):
    service.define("quote", "/")
    redis.client.set("ringback:queue:default", "a string")
    daemon = worker(lease="1s")
    daemon.wait_line("redis.refused")
    redis.client.delete("ringback:queue:default")
    redis.push(quote("c0"))
    assert ends(redis, 1)[0]["event"] == "done"
    assert len(daemon.lines("redis.refused")) < 60
    redis.client.flushall()
