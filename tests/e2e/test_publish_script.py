"""The corners of the script that publishes (jobs/scripts/publish.lua), on the real
redis-server. What it promises as a whole: tests/e2e/c/test_publish.c."""

import pytest
from peers.process import ROOT
from redis import exceptions as redis_errors

STREAM, META, ONCE = "ringback:ch:{c}", "ringback:ch:{c}:meta", "ringback:ch:{c}:once:d"
SCRIPT = (ROOT / "jobs/scripts/publish.lua").read_text()


@pytest.fixture
def publish(redis):
    """Gives [id, receivers], or [id] of what was out before."""

    def run(job="j", terminal=True, kept=100, once=False, event="{}"):
        keys = [STREAM, META] + [ONCE] * once
        values = [event, job, "1" if terminal else "0", kept, 60000, 660000] + [5000] * once
        return redis.client.eval(SCRIPT, len(keys), *keys, *values).split(" ")

    return run


def before(redis):
    """The id before, as the newest entry says."""
    return redis.client.xrevrange(STREAM, count=1)[0][1]["p"]


def test_the_answer(redis, publish):
    first = publish("")
    assert first == [redis.client.hget(META, "last"), "0"]
    listeners = [redis.client.pubsub() for _ in range(12)]
    for listener in listeners:
        listener.subscribe(STREAM)
        assert listener.get_message(timeout=5)["type"] == "subscribe"
    second = publish("j", event="{1}")
    assert second[1] == "12"
    for listener in listeners:
        assert listener.get_message(timeout=5)["data"] == f"{first[0]} {second[0]} {{1}}"
    assert publish("j") == publish("j", terminal=False) == second[:1]


@pytest.mark.parametrize(
    "last, after",
    [
        ("9999999999999-7", "9999999999999-8"),
        ("9999999999999-99", "9999999999999-100"),
        ("10000000000000-7", "10000000000000-8"),  # longer than an id of today
        ("300000000000-12", None),  # as long, yet far behind
        ("9-9", None),
        ("0-0", None),
    ],
)
def test_ids_compare_as_numbers(redis, publish, last, after):
    redis.client.hset(META, "last", last)
    now = redis.now_ms()
    id = publish()[0]
    assert id == after if after else now <= int(id.split("-")[0]) <= redis.now_ms()
    assert [(id, last)] == [(at, fields["p"]) for at, fields in redis.client.xrange(STREAM)]
    assert publish("k")[0] != id
    assert before(redis) == id


def test_a_stream_that_was_emptied(redis, publish):
    old = publish()[0]
    redis.client.xdel(STREAM, old)
    new = publish("k")[0]
    assert before(redis) == old
    redis.client.xdel(STREAM, new)
    redis.client.delete(META)
    publish("l")
    assert before(redis) == "0-0"
    assert redis.client.pttl(STREAM) <= 60000 < redis.client.pttl(META) <= 660000


def test_one_event_is_kept(redis, publish):
    ids = [publish(f"j{n}", kept=1)[0] for n in range(3)]
    assert redis.client.xrange(STREAM) == [(ids[2], {"e": "{}", "p": ids[1]})]
    redis.client.delete(META)
    publish("k", kept=1)
    assert redis.client.xlen(STREAM) == 1
    assert before(redis) == ids[2]


def test_once(redis, publish):
    id = publish("", terminal=False, once=True)[0]
    assert publish("", terminal=False, once=True) == [id]
    assert 0 < redis.client.pttl(ONCE) <= 5000
    redis.client.delete(STREAM, META)
    assert publish("", terminal=False, once=True) == [id]
    assert not redis.client.exists(STREAM, META)


@pytest.mark.parametrize("known", [False, True])
def test_a_full_redis_takes_all_or_nothing(redis, publish, known):
    if known:
        publish("", terminal=False)
    marks = redis.client.hgetall(META)
    redis.client.config_set("maxmemory", 1)
    with pytest.raises(redis_errors.ResponseError, match="OOM|maxmemory"):
        publish(once=True)
    redis.client.config_set("maxmemory", 0)
    assert redis.client.xlen(STREAM) == known
    assert redis.client.hgetall(META) == marks and not redis.client.exists(ONCE)
    assert len(publish(once=True)) == 2  # and so it is no duplicate now


@pytest.mark.parametrize("wrong", [STREAM, META])
def test_a_key_of_another_type(redis, publish, wrong):
    redis.client.set(wrong, "x")
    with pytest.raises(redis_errors.ResponseError, match="WRONGTYPE"):
        publish()
    assert redis.client.get(wrong) == "x" and redis.client.pttl(wrong) == -1
    redis.client.delete(wrong)
    assert len(publish()) == 2


def test_only_keys_that_were_named(redis, publish):
    """In a cluster others would be somewhere else."""
    old = {f"t:old{n}": "1-0" for n in range(1200)}
    with redis.client.monitor() as monitor:
        for n in range(30):
            publish(f"j{n}", once=n % 12 == 0)
            redis.client.hset(META, mapping=old)
            if n % 12 == 11:
                redis.client.delete(META, ONCE)
        redis.client.ping()
        seen, names = set(), set()
        while "PING" not in names:
            said = monitor.next_command()
            names.add(said["command"].split(" ")[0])
            if said["client_type"] == "lua":
                seen.add(tuple(said["command"].split(" ")[:2]))
    assert {key for _, key in seen} == {STREAM, META, ONCE}
    assert {"XADD", "XREVRANGE", "HSCAN", "HDEL", "PUBLISH", "SET"} <= {name for name, _ in seen}
