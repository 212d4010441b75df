"""The dead over the admin listener: listed, shown, queued again, dropped."""

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
