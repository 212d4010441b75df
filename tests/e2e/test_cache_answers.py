"""Answers that are kept, and questions that are asked once: in a process and across them."""

import json
import re
import urllib.request
from pathlib import Path
from urllib.parse import quote as escape

import pytest
from peers.process import free_port, lasting, patience, wait_until

SCRIPTS = Path(__file__).resolve().parents[2] / "jobs" / "scripts"


def ask(redis, channel, service="quote", **job):
    redis.push({"service": service, "channel": channel, **job})


def terminal(redis, channel, timeout=10.0):
    return wait_until(lambda: redis.terminal(channel), timeout, f"terminal event on {channel}")[0]


def define(service, path="/v1/${symbol}", **more):
    service.define("quote", path, params=["symbol"], **more)


# ------------------------------------------------------------------------------ kept
def test_a_kept_answer_costs_no_call(redis, service, worker):
    define(service, cache={"ttl": "1m"})
    worker()
    ask(redis, "c1", params={"symbol": "A"})
    first = terminal(redis, "c1")
    assert "cached" not in first and "shared" not in first
    ask(redis, "c2", params={"symbol": "A"})
    second = terminal(redis, "c2")
    assert second["cached"] is True
    assert 0 <= second["age"] < 10000
    assert second["data"] == first["data"]
    ask(redis, "c3", params={"symbol": "B"})
    assert "cached" not in terminal(redis, "c3")
    assert service.book()["total"] == 2


def test_digits_are_kept(redis, service, worker):
    digits = '{"n":0.10,"big":12345678901234567890123}'
    service.define("quote", "/?json=" + escape(digits), cache={"ttl": "1m"})
    worker()
    ask(redis, "c1")
    terminal(redis, "c1")
    ask(redis, "c2")
    terminal(redis, "c2")
    _, fields = redis.client.xrange("ringback:ch:{c2}")[-1]
    assert '"data":' + digits in fields["e"] and '"cached":true' in fields["e"]


def test_another_process_has_it_too(redis, service, worker):
    define(service, cache={"ttl": "1m"})
    first = worker(name="first")
    ask(redis, "c1", params={"symbol": "A"})
    terminal(redis, "c1")
    first.stop()
    worker(name="second")
    ask(redis, "c2", params={"symbol": "A"})
    assert terminal(redis, "c2")["cached"] is True
    assert service.book()["total"] == 1


def test_it_ends_with_its_ttl(redis, service, worker):
    define(service, cache={"ttl": "200ms"})
    worker()
    ask(redis, "c1", params={"symbol": "A"})
    terminal(redis, "c1")
    wait_until(lambda: not redis.client.keys("ringback:cache:*"), 10, "the answer's end")
    ask(redis, "c2", params={"symbol": "A"})
    assert "cached" not in terminal(redis, "c2")
    assert service.book()["total"] == 2


def test_a_failure_is_not_kept(redis, service, worker):
    define(service, "/v1?status=404", cache={"ttl": "1m"})
    worker()
    for channel in ("c1", "c2"):
        ask(redis, channel)
        assert terminal(redis, channel)["error"]["status"] == 404
    assert service.book()["total"] == 2


def test_unless_it_shall_be(redis, service, worker):
    define(service, "/v1?status=404", cache={"negative_ttl": "1m"})
    worker()
    ask(redis, "c1")
    first = terminal(redis, "c1")
    assert "cached" not in first
    ask(redis, "c2")
    second = terminal(redis, "c2")
    assert second["event"] == "failed" and second["cached"] is True
    assert second["error"] == first["error"]
    assert service.book()["total"] == 1


# ----------------------------------------------------------------------------- stale
def age_it(redis):
    """What is kept is no more fresh, as if its ttl had passed."""
    (key,) = redis.client.keys("ringback:cache:*")
    redis.client.hset(key, "fresh", 1)


def test_an_old_result_is_better_than_none(redis, service, worker):
    define(service, "/v1?status=200,503", cache={"ttl": "1m", "stale_if_error": "1h"})
    worker()
    ask(redis, "c1")
    first = terminal(redis, "c1")
    age_it(redis)
    ask(redis, "c2")
    second = terminal(redis, "c2")
    assert second["event"] == "done"
    assert (second["cached"], second["stale"]) == (True, True)
    assert second["data"] == first["data"]
    assert service.book()["total"] == 2


def test_a_refusal_is_no_outage(redis, service, worker):
    define(service, "/v1?status=200,404", cache={"ttl": "1m", "stale_if_error": "1h"})
    worker()
    ask(redis, "c1")
    terminal(redis, "c1")
    age_it(redis)
    ask(redis, "c2")
    assert terminal(redis, "c2")["error"]["status"] == 404


def test_a_timeout_of_all_gives_the_old_one(redis, service, worker):
    define(service, "/v1?gate=g", cache={"ttl": "1m", "stale_if_error": "1h", "coalesce": True},
           timeout={"total": lasting(0.7)})  # fmt: skip
    worker()
    service.open("g")
    ask(redis, "c1")
    terminal(redis, "c1")
    age_it(redis)
    service.shut("g")
    for channel in ("c2", "c3"):
        ask(redis, channel)
    assert terminal(redis, "c2")["stale"] is True
    assert terminal(redis, "c3")["stale"] is True


def test_without_an_old_one_the_failure_is_told(redis, service, worker):
    define(service, "/v1?status=503", cache={"ttl": "1m", "stale_if_error": "1h"})
    worker()
    ask(redis, "c1")
    event = terminal(redis, "c1")
    assert event["error"]["status"] == 503
    assert "cached" not in event and "stale" not in event


# ------------------------------------------------------------------------- coalesced
def test_many_ask_the_same_at_once(redis, service, worker):
    define(service, "/v1/${symbol}?gate=g", cache={"coalesce": True})
    worker()
    redis.push(*({"service": "quote", "channel": f"c{i}", "params": {"symbol": "A"}}
                 for i in range(50)))  # fmt: skip
    ask(redis, "other", params={"symbol": "B"})
    service.wait_open(2)
    redis.wait_empty()
    service.open("g")
    events = [terminal(redis, f"c{i}") for i in range(50)]
    assert len({json.dumps(e["data"]) for e in events}) == 1
    assert len({e["job"] for e in events}) == 50
    assert sum("shared" not in e for e in events) == 1
    assert all("cached" not in e for e in events)
    assert "shared" not in terminal(redis, "other")
    assert service.book()["total"] == 2
    # In flight no more: the next one is asked again.
    ask(redis, "again", params={"symbol": "A"})
    assert "shared" not in terminal(redis, "again")
    assert service.book()["total"] == 3


def test_a_failure_is_shared_as_well(redis, service, worker):
    define(service, "/v1?gate=g&status=500", cache={"coalesce": True})
    worker()
    redis.push(*({"service": "quote", "channel": f"c{i}"} for i in range(5)))
    service.wait_open(1)
    redis.wait_empty()
    service.open("g")
    events = [terminal(redis, f"c{i}") for i in range(5)]
    assert {e["error"]["status"] for e in events} == {500}
    assert sum(e.get("shared", False) for e in events) == 4
    assert service.book()["total"] == 1


def test_across_processes(redis, service, worker):
    define(service, "/v1/${symbol}?gate=g", cache={"coalesce": True})
    # One slot each, so that both claim.
    worker(name="one", max_in_flight=1)
    worker(name="two", max_in_flight=1)
    ask(redis, "c0", params={"symbol": "A"})
    service.wait_open(1)
    redis.push(*({"service": "quote", "channel": f"c{i}", "params": {"symbol": "A"}}
                 for i in range(1, 20)))  # fmt: skip
    redis.wait_empty()
    service.open("g")
    events = [terminal(redis, f"c{i}") for i in range(20)]
    assert sum("shared" not in e for e in events) == 1
    assert service.book()["total"] == 1
    assert not redis.client.hgetall("ringback:held:none")


def test_the_one_who_asks_dies(redis, service, worker):
    define(service, "/v1?gate=g", cache={"coalesce": True})
    first = worker(name="first", lease="1s")
    ask(redis, "c1")
    service.wait_open(1)
    worker(name="second", lease="1s")
    ask(redis, "c2")
    first.kill()
    service.open("g")
    assert terminal(redis, "c2", 20)["event"] == "done"
    assert terminal(redis, "c1", 20)["event"] == "done"


def test_the_leaders_own_end_is_not_the_others(redis, service, worker):
    define(service, "/v1?gate=g", cache={"coalesce": True})
    worker()
    ask(redis, "c1", expires=redis.now_ms() + int(patience(700)))
    service.wait_open(1)
    ask(redis, "c2")
    ask(redis, "c3")
    redis.wait_empty()
    assert terminal(redis, "c1")["error"]["code"] == "expired"
    service.wait_calls(2)
    service.open("g")
    assert terminal(redis, "c2")["event"] == "done"
    assert terminal(redis, "c3")["event"] == "done"
    assert service.book()["total"] == 2


def test_a_follower_that_expires_fails_alone(redis, service, worker):
    define(service, "/v1?gate=g", cache={"coalesce": True})
    worker()
    ask(redis, "c1")
    service.wait_open(1)
    ask(redis, "c2", expires=redis.now_ms() + 400)
    assert terminal(redis, "c2")["error"]["code"] == "expired"
    service.open("g")
    assert terminal(redis, "c1")["event"] == "done"
    assert service.book()["total"] == 1


def test_a_retry_is_waited_for(redis, service, worker):
    define(service, "/v1?status=503,200", cache={"coalesce": True},
           retry={"max_attempts": 2, "on": ["5xx"], "backoff": {"base": "300ms", "max": "300ms"}})  # fmt: skip
    worker()
    redis.push(*({"service": "quote", "channel": f"c{i}"} for i in range(5)))
    for i in range(5):
        assert terminal(redis, f"c{i}")["event"] == "done"
    assert service.book()["total"] == 2


def test_a_drain_gives_all_of_them_back(redis, service, worker):
    define(service, "/v1?gate=g", cache={"coalesce": True, "ttl": "1m"})
    first = worker(drain_timeout="100ms")
    redis.push(*({"service": "quote", "channel": f"c{i}"} for i in range(10)))
    service.wait_open(1)
    redis.wait_empty()
    first.stop()
    service.open("g")
    worker(name="second")
    for i in range(10):
        assert terminal(redis, f"c{i}")["event"] == "done"


def test_without_redis_for_a_while(redis, service, worker):
    define(service, "/v1?gate=g", cache={"coalesce": True, "ttl": "1m"})
    worker()
    redis.push(*({"service": "quote", "channel": f"c{i}"} for i in range(5)))
    service.wait_open(1)
    redis.wait_empty()
    redis.pause()
    service.open("g")
    redis.resume()
    for i in range(5):
        assert terminal(redis, f"c{i}", 20)["event"] == "done"
    assert service.book()["total"] == 1


def test_claim_blpop_coalesces_in_the_process(redis, service, worker):
    define(service, "/v1?gate=g", cache={"coalesce": True, "ttl": "1m"})
    worker(claim="blpop")
    redis.push(*({"service": "quote", "channel": f"c{i}"} for i in range(5)))
    service.wait_open(1)
    redis.wait_empty()
    service.open("g")
    assert sum(terminal(redis, f"c{i}").get("shared", False) for i in range(5)) == 4
    assert service.book()["total"] == 1


def test_several_calls_are_one_question(redis, service, worker):
    service.write("quote", json.dumps({"service": "quote", "cache": {"ttl": "1m", "coalesce": True},
        "calls": {n: {"request": {"url": service.url + f"/{n}?gate=g"}} for n in ("a", "b")}}))  # fmt: skip
    worker()
    ask(redis, "c1")
    ask(redis, "c2")
    service.wait_open(2)
    redis.wait_empty()
    service.open("g")
    events = [terminal(redis, c) for c in ("c1", "c2")]
    assert sum(e.get("shared", False) for e in events) == 1
    ask(redis, "c3")
    third = terminal(redis, "c3")
    assert third["cached"] is True
    assert set(third["data"]) == {"a", "b"}
    assert service.book()["total"] == 2


def test_what_is_missing_is_not_kept(redis, service, worker):
    service.write("quote", json.dumps({"service": "quote", "cache": {"ttl": "1m"}, "need": "any",
        "calls": {"a": {"request": {"url": service.url + "/a"}},
                  "b": {"request": {"url": service.url + "/b?hang=1"}}}}))  # fmt: skip
    worker()
    for channel in ("c1", "c2"):
        ask(redis, channel)
        event = terminal(redis, channel)
        assert event["missing"] == ["b"] and "cached" not in event
    assert service.book()["paths"]["/a"] == 2


def test_secrets_are_nowhere_in_redis(redis, service, worker, processes):
    define(service, "/v1?k=${secret.key}", secrets={"key": {"env": "CACHE_TEST_KEY"}},
           cache={"ttl": "1m", "coalesce": True}, result={"select": "/n"})  # fmt: skip
    worker(env={"CACHE_TEST_KEY": "s3cr3t-value"})
    ask(redis, "c1")
    terminal(redis, "c1")
    assert service.book()["calls"][0]["query"] == "k=s3cr3t-value"
    (key,) = redis.client.keys("ringback:cache:*")
    assert re.fullmatch(r"ringback:cache:quote:[0-9a-f]{32}", key)
    assert "s3cr3t" not in key + str(redis.client.hgetall(key))
    assert "s3cr3t" not in str(redis.events("c1"))


def test_a_follower_is_cancelled_alone(redis, service, worker, ringback):
    define(service, "/v1?gate=g", cache={"coalesce": True})
    worker()
    ask(redis, "c1", id="j1")
    service.wait_open(1)
    ask(redis, "c2", id="j2")
    redis.wait_empty()
    ringback("cancel", "j2", check=True)
    assert terminal(redis, "c2")["error"]["code"] == "cancelled"
    service.open("g")
    assert terminal(redis, "c1")["event"] == "done"


def test_it_is_counted(redis, service, worker):
    define(service, "/v1?status=200,503", cache={"ttl": "1m", "stale_if_error": "1h"})
    port = free_port()
    worker(metrics=f"127.0.0.1:{port}")
    for channel in ("c1", "c2"):
        ask(redis, channel)
        terminal(redis, channel)
    age_it(redis)
    ask(redis, "c3")
    terminal(redis, "c3")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    for outcome, count in (("miss", 2), ("hit", 1), ("stale", 1)):
        name = f'ringback_worker_cache_total{{service="quote",outcome="{outcome}"}} {count}'
        assert name in text


def test_every_job_ends_once_whoever_dies(redis, service, worker):
    define(service, "/v1/${symbol}?delay=0.3", cache={"coalesce": True, "ttl": "1s"})
    workers = [worker(name=f"w{i}", lease="1s", max_in_flight=40) for i in range(3)]
    jobs = [{"service": "quote", "channel": f"c{i}", "params": {"symbol": f"S{i % 7}"}}
            for i in range(600)]  # fmt: skip
    for start in range(0, 600, 200):
        redis.push(*jobs[start : start + 200])
        service.wait_calls(start // 200 + 1)
        if start < 400:
            workers.pop().kill()
            workers.append(worker(name=f"again{start}", lease="1s", max_in_flight=40))
    for i in range(600):
        event = terminal(redis, f"c{i}", 30)
        assert event["event"] == "done", event
        assert len(redis.terminal(f"c{i}")) == 1
    assert service.book()["total"] < 200


# --------------------------------------------------------------------------- scripts
@pytest.fixture
def script(redis):
    def run(name, *args):
        return redis.client.eval((SCRIPTS / f"{name}.lua").read_text(), 1, "k", *args)

    return run


def test_scripts_one_asks_and_the_others_wait(redis, script):
    assert script("cache_ask", "t1", 3000, "") == [2]
    assert script("cache_ask", "t1", 3000, "") == [2], "renewed"
    verdict, owner, left = script("cache_ask", "t2", 3000, "")
    assert (verdict, owner) == (3, "t1") and 0 < left <= 3000
    assert script("cache_ask", "t3", 0, "") == [2], "who does not coalesce does not wait"
    assert script("cache_put", "t1", "done", "42", 0, 0, 2000) == 1
    assert script("cache_ask", "t2", 3000, "t1")[0::3] == [1, "42"]
    assert script("cache_ask", "t4", 3000, "") == [2], "nobody else gets it"
    assert 0 < redis.client.pttl("k") <= 3000


def test_scripts_what_nobody_waits_for_is_not_stored(redis, script):
    script("cache_ask", "t1", 3000, "")
    assert script("cache_put", "t1", "done", "42", 0, 0, 2000) == 0
    assert not redis.client.exists("k")


def test_scripts_a_lock_ends(redis, script):
    script("cache_ask", "t1", 3000, "")
    redis.client.hset("k", "lock", 1)
    assert script("cache_ask", "t2", 3000, "t1") == [2]
    script("cache_put", "t1", "", "", 0, 0, 0)
    assert redis.client.hget("k", "owner") == "t2", "the late one does not let go of it"


def test_scripts_fresh_then_stale(redis, script):
    assert script("cache_put", "t1", "done", "42", 60000, 3600000, 2000) == 1
    assert 3_600_000 < redis.client.pttl("k") <= 3_660_000
    verdict, kind, age, answer, awaited = script("cache_ask", "t2", 3000, "")
    assert (verdict, kind, answer, awaited) == (1, "done", "42", 0) and age >= 0
    redis.client.hset("k", "fresh", 1)
    assert script("cache_ask", "t2", 3000, "") == [2]
    assert script("cache_ask", "t2", "stale", "")[0] == 1
    script("cache_put", "t2", "timeout 0", "too late", 0, 0, 2000)
    assert script("cache_ask", "t2", "stale", "")[3] == "42", "a failure does not end it"
    redis.client.hset("k", "last", 1)
    assert script("cache_ask", "t2", "stale", "") == [2]


def test_scripts_a_negative_answer_is_never_stale(redis, script):
    script("cache_put", "t1", "http_status 404", "no", 60000, 0, 2000)
    assert script("cache_ask", "t2", 0, "")[1] == "http_status 404"
    redis.client.hset("k", "fresh", 1)
    assert script("cache_ask", "t2", "stale", "") == [2]


def test_who_is_handed_the_question_and_has_no_turn_was_too_late(redis, service, worker, ringback):
    """Its time began as it waited for the other's answer; nobody spoke of max_queue_time."""
    service.define("quote", "/", cache={"coalesce": True}, timeout={"total": "2s"},
                   concurrency={"limit": 1, "scope": "global"})  # fmt: skip
    redis.client.zadd("ringback:slots:quote", {"another's": redis.now_ms() + 600_000})
    daemon = worker()
    redis.push({"service": "quote", "id": "first", "channel": "c1"},
               {"service": "quote", "channel": "c2"})  # fmt: skip
    wait_until(lambda: len(daemon.lines("job.claimed")) == 2)
    assert ringback("cancel", "first").returncode == 0
    error = wait_until(lambda: redis.terminal("c2"))[0]["error"]
    assert error["code"] == "timeout", error
    assert redis.terminal("c1")[0]["error"]["code"] == "cancelled"
