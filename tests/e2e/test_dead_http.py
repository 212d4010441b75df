"""The dead over the admin listener: listed, shown, queued again, dropped."""

import json

import pytest
from peers.clients import ask, get, post
from peers.process import wait_until


def test_the_dead(redis, service, worker, notifier):
    front = notifier()
    assert get(front.admin + "/dead").json() == {"dead": []}
    worker()
    redis.push(*({"service": "nix", "id": f"j{n}", "channel": f"c{n}", "params": {"n": n}}
                 for n in range(70)))  # fmt: skip
    wait_until(lambda: redis.client.zcard("ringback:dead") == 70)
    assert len(get(front.admin + "/dead").json()["dead"]) == 50
    dead = get(front.admin + "/dead?limit=70").json()["dead"]
    assert len(dead) == 70 and [d["died"] for d in dead] == sorted((d["died"] for d in dead), reverse=True)
    assert all(d["reason"] == "unknown_service" and "job" not in d for d in dead)

    one = get(front.admin + "/dead/j3").json()  # by the job's own id …
    assert one["job"]["params"] == {"n": 3} and one["error"].startswith("no service is called nix")
    assert get(front.admin + f"/dead/{one['id']}").json() == one  # … and by that of its claim
    assert ask(front.admin + "/dead/j3", "DELETE").status == 204
    assert get(front.admin + "/dead/j3").status == 404
    assert ask(front.admin + "/dead/j3", "DELETE").status == 404
    assert redis.client.zcard("ringback:dead") == 69


def test_a_great_many_come_in_pages(redis, notifier, ringback):
    """Each may be of a megabyte: one answer with all of them would break the link."""
    front, many = notifier(), 340
    pipe = redis.client.pipeline(transaction=False)
    for n in range(many):
        pipe.zadd("ringback:dead", {f"rb1 id=w-{n} queue=q deliveries=3 at=1 reason=poisoned\n{{}}": n})
    pipe.execute()
    pages = lambda: redis.client.info("commandstats").get("cmdstat_zrevrange", {}).get("calls", 0)  # noqa: E731
    for limit, told, asked in (("?limit=1000", 340, 4), ("?limit=250", 250, 3), ("?limit=100", 100, 1), ("", 50, 1)):
        before = pages()
        dead = get(front.admin + "/dead" + limit).json()["dead"]
        assert [d["id"] for d in dead] == [f"w-{n}" for n in range(many)][::-1][:told]
        assert pages() - before == asked
    before = pages()
    assert json.loads(ringback("dead", "show", "w-0", check=True).stdout)["id"] == "w-0"
    assert pages() - before == 4
    assert len(ringback("dead", "list", "--limit", "250", check=True).stdout.splitlines()) == 250
    assert ringback("dead", "drop", "w-7", "w-300", check=True).stdout == "2 dropped\n"
    assert ringback("dead", "drop", "--all", check=True).stdout == f"{many - 2} dropped\n"
    assert not redis.client.exists("ringback:dead")


def test_queued_again(redis, service, worker, notifier):
    daemon, front = worker(), notifier()
    long_ago = redis.now_ms() - 3600_000
    redis.push({"service": "quote", "id": "j", "channel": "c", "at": long_ago})
    wait_until(lambda: redis.client.zcard("ringback:dead"))
    assert [e["event"] for e in redis.terminal("c")] == ["failed"]
    service.define("quote", "/", max_queue_time="1m")  # which begins anew
    daemon.signal(1)
    daemon.wait_line("worker.reloaded")
    assert post(front.admin + "/dead/j").status == 202
    wait_until(lambda: [e["event"] for e in redis.terminal("c")] == ["failed", "done"])
    assert redis.client.zcard("ringback:dead") == 0
    assert post(front.admin + "/dead/j").status == 404


@pytest.mark.parametrize("claim", ["lease", "blpop"])
def test_what_its_definition_told_is_told_again(redis, service, worker, ringback, claim):
    """The job names no channel: where its end is marked, the dead remember."""
    service.define("quote", "/", channel="n=${n}", params={"n": {"type": "string"}})
    settings = {"worker": {"claim": claim}}
    daemon = worker(settings)
    redis.push({"service": "quote", "id": "j", "params": {"n": "1", "wrong": 1}})
    wait_until(lambda: redis.client.zcard("ringback:dead"))
    ((dead, _),) = redis.client.zscan_iter("ringback:dead")
    assert " channel=n%3D1 end=" + redis.client.hget("ringback:ch:{n=1}:meta", "t:j") + " reason=" in dead
    service.define("quote", "/", channel="n=${n}", params={"n": {"type": "string"}, "wrong": {"type": "integer"}})
    daemon.signal(1)
    daemon.wait_line("worker.reloaded")
    ringback("dead", "retry", "j", settings=settings, check=True)
    wait_until(lambda: [e["event"] for e in redis.terminal("n=1")] == ["failed", "done"])
    assert redis.client.zcard("ringback:dead") == 0


@pytest.mark.parametrize("claim", ["lease", "blpop"])
def test_a_job_that_was_wrong_is_told_of_again(redis, service, worker, ringback, claim):
    settings = {"worker": {"claim": claim}}
    worker(settings)
    redis.push({"service": "quote", "id": "j", "channel": "c", "wrong": 1})
    for times in (1, 2):
        wait_until(lambda: redis.client.zcard("ringback:dead"))  # noqa: B023
        assert [e["error"]["code"] for e in redis.terminal("c")] == ["invalid_job"] * times
        ringback("dead", "retry" if times == 1 else "drop", "j", settings=settings, check=True)


def test_what_is_no_job(redis, notifier):
    front = notifier()
    redis.client.zadd("ringback:dead", {"rubbish": 1, "rb1 id=x queue=default deliveries=0 at=1\n{": 2})
    dead = get(front.admin + "/dead").json()["dead"]
    assert [d["id"] for d in dead] == ["x", None]
    assert get(front.admin + "/dead/x").json()["job"] == "{"
    assert get(front.admin + "/dead/rubbish").status == 404
    assert get(front.admin + "/dead/a%20b").status == 400
    for limit in ("0", "1001", "x", ""):
        assert get(front.admin + f"/dead?limit={limit}").status == 400
    assert ask(front.admin + "/dead", "POST").status == 405
    redis.client.delete("ringback:dead")
    redis.client.set("ringback:dead", "x")
    assert get(front.admin + "/dead").status == 503
    assert get(front.admin + "/dead/x").status == 503
