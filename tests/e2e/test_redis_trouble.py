"""What a real Redis answers when it is in trouble: worker and notifier live through it, lose
nothing, and need no restart."""

import pytest
from peers.clients import WebSocket, get, post
from peers.process import lasting, wait_until
from peers.redis_proxy import RedisProxy


def quote(channel, **more):
    return {"service": "quote", "channel": channel, **more}


def done(redis, channel):
    event = wait_until(lambda: redis.terminal(channel), 20, f"the end of {channel}")
    assert len(event) == 1
    return event[0]


def blocked(redis):
    return redis.client.info("clients")["blocked_clients"]


def refused(daemon, word):
    wait_until(lambda: any(line["error"].startswith(word) for line in daemon.lines("redis.refused")),
               10, f"{word} in\n{daemon.log}")  # fmt: skip


def test_readonly(redis, service, worker, notifier):
    """Made a replica, and a master again. Its blocked clients hear UNBLOCKED, writes
    READONLY; reads go on."""
    service.define("quote", "/?gate=g")
    daemon, front = worker(lease="30s"), notifier()
    client = WebSocket(front.url, "c0")
    redis.push(*(quote(f"c{n}", id=f"j{n}") for n in range(10)))
    service.wait_open(10)
    wait_until(lambda: blocked(redis) == 2)
    redis.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    service.open("g")
    refused(daemon, "READONLY")
    assert post(front.admin + "/publish/x", {}).status == 503
    assert post(front.admin + "/jobs/quote", {}).status == 503
    assert get(front.admin + "/healthz").status == 200
    redis.client.execute_command("REPLICAOF", "NO", "ONE")
    for n in range(10):
        assert done(redis, f"c{n}")["event"] == "done"
    assert client.event()["job"] == "j0"
    assert service.book()["total"] == 10
    redis.push(quote("after"))
    assert done(redis, "after")["event"] == "done"
    wait_until(lambda: post(front.admin + "/publish/c0", {}).status == 200)


def test_unblocked(redis, service, worker):
    """CLIENT UNBLOCK … ERROR: as a failover does it, and as an operator may."""
    service.define("quote", "/")
    daemon = worker(queues=["a", "b"])
    for n in range(3):
        wait_until(lambda: blocked(redis) == 4)
        for line in redis.cli("CLIENT", "LIST").splitlines():
            if "cmd=blmove" in line:
                redis.client.execute_command("CLIENT", "UNBLOCK", line.split()[0][3:], "ERROR")
        redis.push(quote(f"c{n}"), queue="ab"[n % 2])
        assert done(redis, f"c{n}")["event"] == "done"
    refused(daemon, "UNBLOCKED")


def test_unblocked_under_blpop(redis, service, worker):
    service.define("quote", "/")
    worker(claim="blpop")
    wait_until(lambda: blocked(redis) == 1)
    for line in redis.cli("CLIENT", "LIST").splitlines():
        if "cmd=blpop" in line:
            redis.client.execute_command("CLIENT", "UNBLOCK", line.split()[0][3:], "ERROR")
    redis.push(quote("c"))
    assert done(redis, "c")["event"] == "done"


class ForgetfulProxy(RedisProxy):
    """Connections that blocked before forget() are lost, and nobody is told: what a firewall
    does to those that were silent for long."""

    def __init__(self, redis):
        self.blocked, self.forgotten = set(), set()
        super().__init__(redis)

    def forget(self):
        self.forgotten |= self.blocked

    def _pass(self, source, target, asked):
        try:
            while data := source.recv(65536):
                if asked and b"BLMOVE" in data:
                    self.blocked |= {source, target}
                if source not in self.forgotten:
                    target.sendall(data)
        except OSError:
            pass
        self._drop(source, target)


def test_a_blocked_connection_that_is_forgotten(redis, service, worker):
    """Noticed and replaced; until then the heartbeat looks into the queues."""
    service.define("quote", "/")
    proxy = ForgetfulProxy(redis)
    try:
        daemon = worker({"redis": {"url": proxy.url}}, lease=lasting(1.5))
        wait_until(lambda: len(proxy.blocked) == 4)
        proxy.forget()
        known = proxy.connections
        redis.push(quote("c0"))
        assert done(redis, "c0")["event"] == "done"
        wait_until(lambda: proxy.connections >= known + 2, 20, "two new connections")
        wait_until(lambda: len(proxy.blocked) >= 8)
        redis.push(quote("c1"))
        assert done(redis, "c1")["event"] == "done"
        assert not daemon.lines("worker.fenced")
    finally:
        proxy.close()


def test_out_of_memory(redis, service, worker, notifier):
    service.define("quote", "/?gate=g")
    daemon, front = worker(lease="30s"), notifier()
    client = WebSocket(front.url, "c0")
    redis.push(*(quote(f"c{n}") for n in range(10)))
    service.wait_open(10)
    redis.push(*(quote(f"d{n}") for n in range(10)))
    redis.client.config_set("maxmemory", 1)
    service.open("g")
    refused(daemon, "OOM")
    answer = post(front.admin + "/publish/x", {})
    assert answer.status == 503 and answer.json()["status"] == 503
    assert post(front.admin + "/jobs/quote", {}).status == 503
    redis.client.config_set("maxmemory", 0)
    for n in range(10):
        assert done(redis, f"c{n}")["event"] == "done"
        assert done(redis, f"d{n}")["event"] == "done"
    assert client.event()["event"] == "done"
    assert service.book()["total"] == 20
    assert post(front.admin + "/publish/c0", {}).status == 200


@pytest.mark.redis(args=["--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024"])
def test_loading(redis, service, worker, notifier):
    service.define("quote", "/")
    daemon, front = worker(lease="30s"), notifier()
    client = WebSocket(front.url, "c")
    pipe = redis.client.pipeline()
    for n in range(5000):
        pipe.set(f"ballast:{n}", "x" * 50)
    pipe.execute()
    redis.push(quote("c", id="kept", run_at=redis.now_ms() + 60000))
    wait_until(lambda: redis.client.zcard("ringback:due"))
    redis.client.save()
    redis.kill()
    redis.start()
    assert redis.client.zcard("ringback:due") == 1
    for process in (daemon, front):
        assert any("LOADING" in line["why"] for line in process.lines("redis.connect_failed"))
    redis.push(quote("c", id="j"))
    assert client.event()["job"] == "j"


def test_noscript(redis, service, worker, notifier):
    service.define("quote", "/")
    worker()
    front = notifier()
    client = WebSocket(front.url, "c")
    for n in range(10):
        redis.client.script_flush()
        redis.push(quote("c", id=f"j{n}"))
        assert client.event()["job"] == f"j{n}"
    redis.client.script_flush()
    assert post(front.admin + "/publish/c", {"n": 1}).status == 200
    assert client.event()["data"] == {"n": 1}


@pytest.mark.parametrize("key", ["queue:low", "retry:low", "cancelled", "paused"])
def test_a_key_of_another_type_loses_no_job(redis, service, worker, key):
    """A script is not undone where it fails: it must look before it takes."""
    service.define("quote", "/")
    redis.client.set(f"ringback:{key}", "x")
    redis.push(quote("c1"), quote("c2"), queue="high")
    daemon = worker(queues=["high", "low"])
    refused(daemon, "WRONGTYPE")
    redis.client.delete(f"ringback:{key}")
    done(redis, "c1")
    done(redis, "c2")


def test_the_dead_stay_where_they_can_not_be_queued(redis, service, worker, ringback):
    worker()
    redis.push("garbage")
    wait_until(lambda: redis.client.zcard("ringback:dead") == 1)
    for key in ("queue", "retry"):
        redis.client.set(f"ringback:{key}:default", "x")
    assert ringback("dead", "retry", "--all").returncode == 1
    assert redis.client.zcard("ringback:dead") == 1
    redis.client.delete("ringback:queue:default", "ringback:retry:default")
