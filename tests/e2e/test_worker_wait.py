"""An idle worker: Redis gives it a job in the moment in which it is pushed, by a claim that
stands ready there. Nothing is lost, kept, or called twice by that."""

import signal
import time

from peers.process import patience, wait_until
from peers.redis_proxy import DeafProxy, HoldingProxy

HELD = "ringback:held:*"


def quote(channel, **more):
    return {"service": "quote", "channel": channel, **more}


def ended(redis, channel):
    events = wait_until(lambda: redis.terminal(channel), 20, f"the end of {channel}")
    assert len(events) == 1
    assert events[0]["event"] == "done"


def blocked(redis, links):
    wait_until(lambda: redis.client.info("clients")["blocked_clients"] == links)


def held(redis):
    return sum(redis.client.hlen(key) for key in redis.client.keys(HELD))


def queued(redis, queue="default"):
    return redis.client.llen(f"ringback:queue:{queue}")


def freeze(daemon):
    daemon.signal(signal.SIGSTOP)
    return lambda: daemon.signal(signal.SIGCONT)


def test_redis_gives_the_job_away_by_itself(redis, service, worker):
    """The worker need not be asked: it stands still."""
    service.define("quote", "/")
    daemon = worker(lease="60s")
    blocked(redis, 2)
    thaw = freeze(daemon)
    redis.push(quote("c0"), quote("c1"))
    wait_until(lambda: held(redis) == 1)
    assert queued(redis) == 1  # one, so that a worker that is stuck takes no more with it
    thaw()
    ended(redis, "c0"), ended(redis, "c1")
    assert service.book()["total"] == 2
    wait_until(lambda: held(redis) == 0)


def test_one_claim_a_job(redis, service, worker):
    """None that finds nothing: not to fetch the job, and not to see that it was the last."""
    service.define("quote", "/")
    worker(lease="60s")
    for n in range(5):
        blocked(redis, 2)
        if n == 0:
            redis.client.config_resetstat()
        redis.push(quote(f"c{n}"))
        ended(redis, f"c{n}")
    blocked(redis, 2)
    stats = redis.client.info("commandstats")
    assert stats["cmdstat_blmove"]["calls"] == 5
    assert stats["cmdstat_lpop"]["calls"] == 5
    assert stats["cmdstat_smembers"]["calls"] == 5  # once in each claim


def test_nothing_is_given_to_a_lease_that_is_over(redis, service, worker):
    service.define("quote", "/")
    daemon = worker(lease="1s")
    blocked(redis, 2)
    thaw = freeze(daemon)
    end = float(redis.client.zrange("ringback:workers", 0, 0, withscores=True)[0][1])
    wait_until(lambda: redis.client.time()[0] > end / 1000, patience(5), "the lease to end")
    redis.push(quote("c0"))
    assert redis.client.execute_command("ECHO", "after the claim") == "after the claim"
    assert held(redis) == 0 and queued(redis) == 1
    thaw()
    ended(redis, "c0")
    assert service.book()["total"] == 1


def test_nothing_is_given_to_the_dead(redis, service, worker):
    service.define("quote", "/")
    daemon = worker(lease="60s")
    blocked(redis, 2)
    daemon.kill()
    blocked(redis, 0)
    redis.push(quote("c0"))
    assert redis.client.execute_command("ECHO", "after the claim") == "after the claim"
    assert held(redis) == 0 and queued(redis) == 1
    worker()
    ended(redis, "c0")


def test_a_draining_worker_takes_no_more(redis, service, worker):
    service.define("quote", "/?gate=g")
    daemon = worker(lease="60s")
    redis.push(quote("c0"))
    service.wait_open(1)
    blocked(redis, 2)
    daemon.signal(signal.SIGTERM)
    daemon.wait_line("worker.draining")
    blocked(redis, 0)
    redis.push(quote("c1"))
    service.open("g")
    assert daemon.wait(10) == 0
    ended(redis, "c0")
    assert queued(redis) == 1 and held(redis) == 0
    assert service.book()["total"] == 1


def test_a_full_worker_gives_back(redis, service, worker):
    """Its only slot is taken by queue a when a job for b comes: another worker has it."""
    service.define("quote", "/?gate=${n}", ["n"])
    first = worker(queues=["a", "b"], max_in_flight=1, lease="60s")
    blocked(redis, 4)
    redis.push(quote("c0", params={"n": "first"}), queue="a")
    service.wait_open(1)
    redis.push(quote("c1", params={"n": "second"}), queue="b")
    wait_until(lambda: redis.client.llen("ringback:retry:b") == 1)
    assert held(redis) == 1 and service.book()["total"] == 1
    worker(queues=["b"])
    service.wait_open(2)
    service.open("second")
    ended(redis, "c1")
    assert " deliveries=1" not in str(redis.client.zrange("ringback:dead", 0, -1))
    service.open("first")
    ended(redis, "c0")
    assert service.book()["total"] == 2
    assert not first.lines("worker.gave_back_unknown")


def test_a_busy_worker_keeps_its_limit(redis, service, worker):
    service.define("quote", "/?gate=g")
    worker(queues=["a", "b", "c"], max_in_flight=4, lease="60s")
    blocked(redis, 6)
    for n in range(12):
        redis.push(quote(f"c{n}"), queue="abc"[n % 3])
    service.wait_open(4)
    wait_until(lambda: held(redis) == 4)
    assert service.book()["total"] == 4
    service.open("g")
    for n in range(12):
        ended(redis, f"c{n}")
    assert service.book()["peak"] <= 4 and service.book()["total"] == 12


def test_a_claim_whose_answer_is_lost(redis, service, worker):
    service.define("quote", "/")
    proxy = DeafProxy(redis, "ringback-worker")
    try:
        daemon = worker({"redis": {"url": proxy.url, "command_timeout": "500ms"}}, lease="10s")
        blocked(redis, 2)
        proxy.fall_deaf()
        redis.push(*(quote(f"c{n}", id=f"job-{n}") for n in range(30)))
        wait_until(lambda: queued(redis) == 0, 10, "the claim to arrive")
        proxy.cut()  # and the answer with it, also if it is still on its way to the proxy
        for n in range(30):
            ended(redis, f"c{n}")
        assert int(daemon.lines("worker.gave_back_unknown")[0]["jobs"]) == 29
        assert service.book()["total"] == 30
        wait_until(lambda: held(redis) == 0)
    finally:
        proxy.close()


def test_a_job_that_came_over_a_connection_that_is_lost(redis, service, worker):
    """Given away by Redis, never heard of: found when the connection is replaced."""
    service.define("quote", "/")
    proxy = DeafProxy(redis, "ringback-worker-wait")
    try:
        daemon = worker({"redis": {"url": proxy.url}}, lease="60s")
        blocked(redis, 2)
        proxy.fall_deaf()
        redis.push(quote("c0"))
        wait_until(lambda: held(redis) == 1)
        proxy.cut()
        ended(redis, "c0")
        assert int(daemon.lines("worker.gave_back_unknown")[0]["jobs"]) == 1
        assert service.book()["total"] == 1
    finally:
        proxy.close()


def test_what_is_held_and_not_known_is_found(redis, service, worker):
    """However it came to be: a heartbeat tells how many there are."""
    service.define("quote", "/")
    daemon = worker(lease="2s")
    blocked(redis, 2)
    [name] = redis.client.zrange("ringback:workers", 0, -1)
    job = '{"service":"quote","channel":"c0"}'
    redis.client.hset(f"ringback:held:{name}", "999", f"rb1 id=j queue=default deliveries=0 at=1\n{job}")
    ended(redis, "c0")
    assert int(daemon.lines("worker.gave_back_unknown")[0]["jobs"]) == 1


def test_cancelled_while_the_answer_is_on_its_way(redis, service, worker):
    """Whichever the worker, which stands still, reads first."""
    service.define("quote", "/?gate=g")
    daemon = worker(lease="60s")
    blocked(redis, 2)
    thaw = freeze(daemon)
    redis.push(quote("c0", id="job-0"))
    wait_until(lambda: held(redis) == 1)
    key = "ringback:cancelled"
    redis.client.zadd(key, {"job-0": redis.client.time()[0] * 1000})
    assert redis.client.publish(key, "job-0") == 1
    thaw()
    event = wait_until(lambda: redis.terminal("c0"))[0]
    assert event["event"] == "failed" and event["error"]["code"] == "cancelled"
    wait_until(lambda: held(redis) == 0)


def test_what_a_lease_held_is_nothing_to_the_next(redis, service, worker):
    """Redis stands still until the lease is over. That is heard from the claim that stands
    ready, before the answer comes to what was asked for this lease on the other link."""
    service.define("quote", "/?gate=g")
    proxy = HoldingProxy(redis, "ringback-worker", "HKEYS")
    try:
        daemon = worker({"redis": {"url": proxy.url, "command_timeout": "30s"}}, lease="2s")
        redis.push(*(quote(f"c{n}") for n in range(3)))
        service.wait_open(3)
        blocked(redis, 2)
        [name] = redis.client.zrange("ringback:workers", 0, -1)
        job = '{"service":"quote","channel":"c3"}'
        unknown = f"rb1 id=j queue=default deliveries=0 at=1\n{job}"
        redis.client.hset(f"ringback:held:{name}", "999", unknown)
        assert proxy.holds.wait(patience(10))
        redis.pause()
        time.sleep(2)  # which is what the lease has left, at most
        redis.resume()
        daemon.wait_line("worker.fenced")
        proxy.release()
        service.open("g")
        for n in range(4):
            ended(redis, f"c{n}")
        wait_until(lambda: held(redis) == 0)
        assert len(daemon.lines("worker.fenced")) == 1
        assert not daemon.lines("worker.gave_back_unknown")
        assert service.book()["total"] == 3 + 4  # those of the lease that was over, and all
    finally:
        proxy.close()
