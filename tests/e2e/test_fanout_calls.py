"""One job, several services: partial events, what is needed, deadlines, a leg's own retry."""

import json
from urllib.parse import quote as escape

import pytest
from peers.process import lasting, wait_until


def define(service, calls, **more):
    """calls: name → path, or name → a leg as the definition has it, with its path."""
    legs = {}
    for name, leg in calls.items():
        leg = {"path": leg} if isinstance(leg, str) else dict(leg)
        legs[name] = {"request": {"url": service.url + leg.pop("path")}, **leg}
    service.write("trip", json.dumps({"service": "trip", "calls": legs, **more}))


def push(redis, **job):
    redis.push({"service": "trip", "channel": "c1", "id": "j1", **job})


def terminal(redis, timeout=10.0):
    return wait_until(lambda: redis.terminal("c1"), timeout, "a terminal event")[0]


def partials(redis):
    return [e for e in redis.events("c1") if e["event"] == "partial"]


def answer(value, **query):
    more = "".join(f"&{k}={v}" for k, v in query.items())
    return "?json=" + escape(json.dumps(value)) + more


def test_all_answer(redis, service, worker):
    define(service, {"air": "/air" + answer({"price": 10}, gate="a"),
                     "rail": "/rail" + answer([1, 2], gate="b")})  # fmt: skip
    worker()
    push(redis)
    service.wait_open(2)
    service.open("b")
    wait_until(lambda: len(partials(redis)) == 1, 10, "a partial event")
    assert not redis.terminal("c1")
    service.open("a")
    event = terminal(redis)
    assert event["event"] == "done"
    assert event["data"] == {"air": {"price": 10}, "rail": [1, 2]}
    assert list(event["data"]) == ["air", "rail"]
    assert "missing" not in event
    first, second = partials(redis)
    assert (first["part"], first["parts"], first["data"]) == ("rail", 2, [1, 2])
    assert second["part"] == "air"
    keys = service.book()["keys"]
    assert keys == {"j1-air": 1, "j1-rail": 1}


def test_digits_pass(redis, service, worker):
    digits = '{"n":0.10,"big":12345678901234567890123}'
    define(service, {"a": "/?json=" + escape(digits)})
    worker()
    push(redis)
    terminal(redis)
    entries = redis.client.xrange("ringback:ch:{c1}")
    assert '"data":{"a":' + digits + "}}" in entries[-1][1]["e"]


def test_without_partial_events(redis, service, worker):
    define(service, {"a": "/a" + answer(1), "b": "/b" + answer(2)}, progress=[])
    worker()
    push(redis)
    assert terminal(redis)["data"] == {"a": 1, "b": 2}
    assert [e["event"] for e in redis.events("c1")] == ["done"]


def test_any_breaks_the_rest_off(redis, service, worker):
    define(service, {"a": "/a?hang=1", "b": "/b" + answer("fast")}, need="any")
    worker()
    push(redis)
    event = terminal(redis)
    assert event["data"] == {"b": "fast"}
    assert event["missing"] == ["a"]
    service.wait_open(0)


def test_any_outlives_a_failure(redis, service, worker):
    define(service, {"a": "/a?status=500", "b": "/b" + answer("slow", delay=0.3)}, need="any")
    worker()
    push(redis)
    event = terminal(redis)
    assert event["event"] == "done"
    assert event["data"]["b"] == "slow"
    error = event["data"]["a"]["error"]
    assert (error["code"], error["status"]) == ("http_status", 500)
    assert "missing" not in event


def test_any_of_none(redis, service, worker):
    define(service, {"a": "/a?status=500", "b": "/b?status=404&delay=0.2"}, need="any")
    worker()
    push(redis)
    event = terminal(redis)
    assert event["event"] == "failed"
    assert event["error"]["status"] == 500, "the error that came first"


def test_all_with_one_that_fails(redis, service, worker):
    define(service, {"a": "/a?hang=1", "b": "/b?status=503"})
    worker()
    push(redis)
    event = terminal(redis)
    assert (event["error"]["code"], event["error"]["status"]) == ("http_status", 503)
    service.wait_open(0)


def test_two_of_three(redis, service, worker):
    define(service, {"a": "/a?status=500", "b": "/b" + answer(1), "c": "/c" + answer(2)}, need=2)
    worker()
    push(redis)
    event = terminal(redis)
    assert event["event"] == "done"
    assert event["data"]["b"] == 1 and event["data"]["c"] == 2


def test_settled_waits_for_all_and_tells_what_failed(redis, service, worker):
    define(service, {"a": "/a" + answer(1), "b": "/b?status=500&delay=0.3"}, need="settled")
    worker()
    push(redis)
    event = terminal(redis)
    assert event["event"] == "done"
    assert event["data"]["a"] == 1
    assert event["data"]["b"]["error"]["code"] == "http_status"


@pytest.mark.parametrize("need", ["all", "settled"])
def test_the_deadline_closes_with_what_is_there(redis, service, worker, need):
    define(service, {"a": "/a" + answer(1), "b": "/b?hang=1"}, need=need, deadline=lasting(0.6))
    worker()
    push(redis)
    event = terminal(redis)
    assert event["event"] == "done"
    assert event["data"] == {"a": 1}
    assert event["missing"] == ["b"]
    service.wait_open(0)


def test_the_deadline_with_nothing_there(redis, service, worker):
    define(service, {"a": "/a?hang=1", "b": "/b?hang=1"}, deadline="300ms")
    worker()
    push(redis)
    event = terminal(redis)
    assert event["error"]["code"] == "timeout"
    service.wait_open(0)


def test_without_a_deadline_the_total_time_is_the_end(redis, service, worker):
    define(service, {"a": "/a" + answer(1), "b": "/b?hang=1"}, timeout={"total": "400ms"})
    worker()
    push(redis)
    assert terminal(redis)["error"]["code"] == "timeout"


def test_each_leg_has_its_own_time_and_tries(redis, service, worker):
    retry = {"max_attempts": 3, "on": ["5xx"], "backoff": {"base": "10ms", "max": "20ms"}}
    define(service, {
        "a": {"path": "/a?status=503,503,200", "retry": retry},
        "b": {"path": "/b?hang=1", "timeout": {"per_try": "200ms", "total": "300ms"}},
        "c": {"path": "/c" + answer({"x": [5]}), "result": {"select": "/x/0"}},
    }, need="settled")  # fmt: skip
    worker()
    push(redis)
    event = terminal(redis)
    assert event["data"]["b"]["error"]["code"] == "timeout"
    assert event["data"]["c"] == 5
    assert event["data"]["a"]["n"] == 3
    assert service.book()["paths"]["/a"] == 3
    assert service.book()["keys"]["j1-a"] == 3
    retrying = [e for e in redis.events("c1") if e["event"] == "retrying"]
    assert [(e["part"], e["attempt"]) for e in retrying] == [("a", 2), ("a", 3)]
    assert retrying[0]["error"]["status"] == 503


def test_a_leg_that_can_not_be_read(redis, service, worker):
    define(service, {"a": "/a" + answer(1), "b": {"path": "/b?json=%7B", "result": {"select": "/x"}}},
           need="any", progress=["partial"])  # fmt: skip
    worker()
    push(redis)
    assert terminal(redis)["data"]["a"] == 1


def test_parameters_reach_all_and_are_checked(redis, service, worker):
    define(service, {"a": "/a/${city}", "b": "/b?c=${city}"}, params={"city": {"required": True}})
    worker()
    push(redis, params={"city": "Nizza/Süd"})
    data = terminal(redis)["data"]
    assert data["a"]["path"] == "/a/Nizza%2FS%C3%BCd"
    redis.push({"service": "trip", "channel": "c2", "params": {}})
    bad = wait_until(lambda: redis.terminal("c2"), 10, "a terminal event")[0]
    assert bad["error"]["code"] == "invalid_params"


def test_expires_ends_it(redis, service, worker):
    define(service, {"a": "/a?hang=1"})
    worker()
    push(redis, expires=redis.now_ms() + 500)
    assert terminal(redis)["error"]["code"] == "expired"


def test_a_drain_gives_it_back_and_another_worker_finishes(redis, service, worker):
    define(service, {"a": "/a" + answer(1, gate="g"), "b": "/b" + answer(2)})
    first = worker(drain_timeout="100ms")
    push(redis)
    service.wait_open(1)
    first.stop()
    assert not redis.terminal("c1")
    service.open("g")
    worker(name="second")
    assert terminal(redis)["data"] == {"a": 1, "b": 2}


def test_many_at_once(redis, service, worker):
    define(service, {"a": "/a" + answer(1), "b": "/b" + answer(2), "c": "/c?status=500"},
           need=2, concurrency=10)  # fmt: skip
    worker()
    redis.push(*({"service": "trip", "channel": f"m{i}"} for i in range(200)))
    for i in range(200):
        event = wait_until(lambda: redis.terminal(f"m{i}"), 20, "a terminal event")[0]
        assert event["event"] == "done"
    for held in redis.client.keys("ringback:held:*"):
        wait_until(lambda: redis.client.hlen(held) == 0, 5, "nothing held")


def test_check_says_it_in_words(folder, ringback):
    (folder / "trip.yaml").write_text(json.dumps({"service": "trip", "calls": {
        "air": {"request": {"url": "https://a.example/"}, "hedge": {"after": "1500ms"}},
        "rail": {"request": {"url": "https://b.example/"}, "retry": {}},
    }, "need": "any", "deadline": "8s", "cache": {"ttl": "90s", "coalesce": True}}))  # fmt: skip
    words = ringback("check", folder / "trip.yaml", check=True).stdout
    assert "calls: 2" in words and "air" in words and "rail" in words
    assert "longer than 1.5s is made a second time" in words
    assert "up to 3 calls" in words
    assert "done when 1 of them has answered" in words and "after 8s" in words
    assert "share one call" in words


def test_cancelled_in_flight(redis, service, worker, ringback):
    define(service, {"a": "/a?hang=1", "b": "/b" + answer(1)})
    worker()
    push(redis)
    service.wait_calls(2)
    ringback("cancel", "j1", check=True)
    assert terminal(redis)["error"]["code"] == "cancelled"
    service.wait_open(0)
