"""Three real Sentinels, a master and its replica: failover under work, without a restart."""

import signal

import pytest
from peers.clients import WebSocket, post
from peers.process import wait_until
from peers.redis_proxy import RedisProxy
from peers.sentinels import Sentinels


def quote(channel, **more):
    return {"service": "quote", "channel": channel, **more}


@pytest.fixture
def sentinels(processes):
    return Sentinels(processes)


def in_step(sentinels):
    """The replica has everything: what is lost otherwise is Redis's, not ours."""
    assert sentinels.master.client.wait(1, 10000) == 1


def done(redis, channel):
    return wait_until(lambda: redis.terminal(channel), 20, f"the end of {channel}")[0]


def test_failover_under_work(sentinels, service, worker, notifier, ringback):
    service.define("quote", "/?gate=${n}", ["n"])
    settings = {"redis": sentinels.settings()}
    busy = worker(settings, lease="30s")
    front = notifier(settings)
    clients = [WebSocket(front.url, f"c{n}") for n in range(20)]
    sentinels.master.push(*(quote(f"c{n}", id=f"j{n}", params={"n": "a"}) for n in range(20)))
    service.wait_open(20)
    in_step(sentinels)

    sentinels.master.kill()
    service.open("a")  # the answers come while there is no master
    service.wait_open(0)
    sentinels.wait_promoted()
    for n, client in enumerate(clients):
        event = client.event()
        assert event["event"] == "done" and event["job"] == f"j{n}"
        assert len(sentinels.replica.terminal(f"c{n}")) == 1
    assert service.book()["total"] == 20  # nothing was called twice

    sentinels.replica.push(*(quote(f"d{n}", params={"n": "a"}) for n in range(20)))
    for n in range(20):
        assert done(sentinels.replica, f"d{n}")["event"] == "done"
    answer = post(front.admin + "/publish/c0", {"n": 1})
    assert answer.status == 200 and clients[0].event()["data"] == {"n": 1}
    assert ringback("status", "--json", settings=settings).returncode == 0
    assert busy.lines("redis.master", port=str(sentinels.replica.port))
    wait_until(lambda: not sentinels.replica.client.keys("ringback:held:*"))


def test_the_old_master_comes_back_as_a_replica(sentinels, service, worker, notifier):
    service.define("quote", "/")
    settings = {"redis": sentinels.settings()}
    worker(settings), notifier(settings)
    sentinels.fail_over()
    sentinels.master.start()
    wait_until(lambda: sentinels.is_now(sentinels.master, "slave"), 30, "it to be a replica")
    for n in range(10):
        sentinels.replica.push(quote(f"c{n}"))
        assert done(sentinels.replica, f"c{n}")["event"] == "done"


def test_a_failover_by_command_loses_nothing(sentinels, service, worker, notifier):
    """The master lives on until it is demoted, which Sentinel does some seconds later: its
    links are cut then, the new master is found, and nothing that was pushed is lost."""
    service.define("quote", "/")
    settings = {"redis": sentinels.settings()}
    worker(settings)
    front = notifier(settings)
    client = WebSocket(front.url, "c", timeout=40)
    in_step(sentinels)
    assert sentinels.ask(0, "FAILOVER", sentinels.NAME)
    sentinels.wait_promoted()
    sentinels.replica.push(quote("c", id="after"))
    assert client.event()["job"] == "after"


def test_the_master_hangs(sentinels, service, worker):
    """A stopped master closes nothing: the links notice it by their own timeouts."""
    service.define("quote", "/")
    worker({"redis": sentinels.settings()}, lease="2s")
    in_step(sentinels)
    sentinels.master.pause()
    sentinels.wait_promoted()
    sentinels.replica.push(quote("c"))
    assert done(sentinels.replica, "c")["event"] == "done"
    sentinels.master.resume()


def test_sentinels_that_are_dead_hang_or_know_nothing(sentinels, service, worker, redis_server):
    service.define("quote", "/")
    sentinels.processes[0].kill()
    sentinels.processes[1].signal(signal.SIGSTOP)
    stranger = redis_server("stranger", tcp=True)  # no Sentinel at all
    redis = sentinels.settings()
    redis["sentinel"]["nodes"] = [*sentinels.nodes[:2], f"127.0.0.1:{stranger.port}",
                                  f"localhost:{sentinels.ports[2]}"]  # fmt: skip
    worker({"redis": redis})
    sentinels.master.push(quote("c"))
    assert done(sentinels.master, "c")["event"] == "done"
    sentinels.processes[1].signal(signal.SIGCONT)


def test_a_sentinel_that_is_behind_is_not_believed(sentinels, service, worker, redis_server):
    """It names a replica: ROLE tells, and the next one is asked."""
    service.define("quote", "/")
    proxy = RedisProxy(redis_server("liar"))
    port = str(sentinels.replica.port)
    proxy.mode = f"*2\r\n$9\r\n127.0.0.1\r\n${len(port)}\r\n{port}\r\n".encode()
    redis = sentinels.settings()
    redis["sentinel"]["nodes"] = [f"127.0.0.1:{proxy.port}", sentinels.nodes[0]]
    try:
        daemon = worker({"redis": redis})
        sentinels.master.push(quote("c"))
        assert done(sentinels.master, "c")["event"] == "done"
        assert any("no master" in line["why"] for line in daemon.lines("redis.connect_failed"))
    finally:
        proxy.close()


def test_no_master_of_that_name(sentinels, worker, ringback, service):
    redis = sentinels.settings()
    redis["sentinel"]["master"] = "other"
    daemon = worker({"redis": redis}, wait=False)
    line = daemon.wait_line("redis.connect_failed")
    assert "no Sentinel knows where other is" in line["why"]
    said = ringback("status", settings={"redis": redis})
    assert said.returncode == 69 and "watches no master of that name" in said.stderr


def test_passwords(processes, service, worker):
    guarded = Sentinels(processes, password="s3cret")
    service.define("quote", "/")
    redis = guarded.settings()
    redis["url"] = "redis://:s3cret@nowhere.invalid/0"
    worker({"redis": redis})
    guarded.master.push(quote("c"))
    assert done(guarded.master, "c")["event"] == "done"


@pytest.mark.parametrize(
    "sentinel, words",
    [
        ({"master": "main"}, "redis.sentinel: expected nodes too"),
        ({"nodes": ["127.0.0.1:1"]}, "redis.sentinel: expected master too"),
        ({"master": "main", "nodes": ["h:0"]}, "redis.sentinel.nodes: expected a port"),
        ({"master": "a b", "nodes": ["h"]}, "redis.sentinel.master: expected a name"),
    ],
)
def test_half_a_setting_is_refused(sentinel, words, ringback, notifier, worker, config):
    settings = {"redis": {"url": "redis://127.0.0.1:1", "sentinel": sentinel}}
    said = ringback("status", settings=settings)
    assert said.returncode == 78 and words in said.stderr
    for start in (worker, notifier):
        daemon = start(settings, wait=False)
        assert daemon.wait() == 78 and words in daemon.log


def test_sentinels_know_no_unix_sockets(ringback):
    settings = {"redis": {"url": "unix:///x", "sentinel": {"master": "m", "nodes": ["h"]}}}
    said = ringback("status", settings=settings)
    assert said.returncode == 78 and "not unix sockets" in said.stderr
