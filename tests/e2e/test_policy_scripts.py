"""The scripts behind rate limits, places, unique jobs and recurring jobs, on the real
redis-server. Time passes by moving what they wrote down, not by waiting."""

from pathlib import Path

import pytest
from redis import exceptions as redis_errors

SCRIPTS = Path(__file__).resolve().parents[2] / "jobs" / "scripts"


@pytest.fixture
def script(redis):
    def run(name, keys, *args):
        return redis.client.eval((SCRIPTS / f"{name}.lua").read_text(), len(keys), *keys, *args)

    return run


# ------------------------------------------------------------------------------- rate
KEY = "ringback:rate:quote"
HOUR_US = 3_600_000_000


def test_rate_gives_a_burst_then_an_interval(script):
    assert script("rate", [KEY], HOUR_US, 1, 5, 3) == [3, 0]
    given, wait_ms = script("rate", [KEY], HOUR_US, 1, 5, 3)
    assert given == 2
    assert 3_590_000 < wait_ms <= 3_600_000
    given, wait_ms = script("rate", [KEY], HOUR_US, 1, 5, 1)
    assert given == 0
    assert 3_590_000 < wait_ms <= 3_600_000


def test_rate_without_burst_is_evenly_spaced(script):
    given, wait_ms = script("rate", [KEY], HOUR_US, 4, 1, 10)
    assert given == 1
    assert 890_000 < wait_ms <= 900_000


def test_rate_comes_back_with_time(redis, script):
    script("rate", [KEY], HOUR_US, 1, 5, 5)
    arrival = int(redis.client.get(KEY))
    redis.client.set(KEY, arrival - 2 * HOUR_US)
    assert script("rate", [KEY], HOUR_US, 1, 5, 10)[0] == 2
    redis.client.set(KEY, arrival - 1000 * HOUR_US)
    assert script("rate", [KEY], HOUR_US, 1, 5, 10)[0] == 5


def test_rate_is_forgotten_when_it_does_not_matter(redis, script):
    script("rate", [KEY], 1_000_000, 10, 5, 5)
    assert 0 < redis.client.pttl(KEY) <= 501
    script("rate", [KEY], HOUR_US, 1, 5, 0)
    assert redis.client.pttl(KEY) <= 501


@pytest.mark.parametrize("left", ["9e15", "nonsense", "-5", ""])
def test_rate_mends_what_a_wrong_clock_left(redis, script, left):
    redis.client.set(KEY, left)
    given, wait_ms = script("rate", [KEY], HOUR_US, 1, 5, 9)
    assert given in (0, 5)
    assert 0 <= wait_ms <= 3_600_000


def test_rate_of_the_fastest_limit_loses_nothing(script):
    assert script("rate", [KEY], 1_000_000, 1_000_000, 1000, 1000)[0] == 1000
    assert script("rate", [KEY], 86_400_000_000, 1_000_000, 1, 1)[0] <= 1


# ------------------------------------------------------------------------------ slots
SLOTS = "ringback:slots:quote"


def test_slots_are_given_up_to_the_limit(redis, script):
    assert script("slots", [SLOTS], 3, 60000, 0, "a", "b") == [2, 1]
    assert script("slots", [SLOTS], 3, 60000, 0, "c", "d") == [1, 0]
    assert sorted(redis.client.zrange(SLOTS, 0, -1)) == ["a", "b", "c"]
    # Given back and taken in one call.
    assert script("slots", [SLOTS], 3, 60000, 1, "a", "d", "e") == [1, 0]
    assert script("slots", [SLOTS], 3, 60000, 3, "b", "c", "d") == [0, 3]
    assert not redis.client.exists(SLOTS)


def test_slots_of_the_dead_come_back(redis, script):
    script("slots", [SLOTS], 2, 60000, 0, "a", "b")
    redis.client.zadd(SLOTS, {"a": redis.now_ms() - 1})
    assert script("slots", [SLOTS], 2, 60000, 0, "c", "d") == [1, 0]
    assert sorted(redis.client.zrange(SLOTS, 0, -1)) == ["b", "c"]
    assert 0 < redis.client.pttl(SLOTS) <= 60001


def test_slots_of_a_limit_that_was_lowered(script):
    script("slots", [SLOTS], 3, 60000, 0, "a", "b", "c")
    assert script("slots", [SLOTS], 1, 60000, 1, "a", "d") == [0, 0]


# ------------------------------------------------------------------------------- once
ONCE = "ringback:once:report"


def test_once_belongs_to_the_first(redis, script):
    assert script("once", [ONCE], "take", "j1", "c1", 60000) == [1]
    assert script("once", [ONCE], "take", "j2", "c2", 60000) == [0, "j1", "c1"]
    assert script("once", [ONCE], "take", "j1", "c1", 90000) == [1]
    assert 60000 < redis.client.pttl(ONCE) <= 90000
    assert script("once", [ONCE], "drop", "j2") == [0]
    assert redis.client.exists(ONCE)
    assert script("once", [ONCE], "drop", "j1") == [1]
    assert script("once", [ONCE], "drop", "j1") == [0]
    assert script("once", [ONCE], "take", "j2", "", 60000) == [1]
    assert script("once", [ONCE], "take", "j3", "c3", 60000) == [0, "j2", ""]


# ------------------------------------------------------------------------------- tick
def test_a_tick_is_queued_once(redis, script):
    keys = ["ringback:once:tick:report:1767225600", "ringback:queue:default"]
    assert script("tick", keys, 60000, '{"n":1}') == 1
    assert script("tick", keys, 60000, '{"n":1}') == 0
    assert redis.client.lrange(keys[1], 0, -1) == ['{"n":1}']
    assert 0 < redis.client.pttl(keys[0]) <= 60000


def test_a_tick_that_can_not_be_queued_is_not_remembered(redis, script):
    keys = ["ringback:once:tick:report:1767225600", "ringback:queue:default"]
    redis.client.set(keys[1], "x")
    with pytest.raises(redis_errors.ResponseError):
        script("tick", keys, 60000, '{"n":1}')
    redis.client.delete(keys[1])
    assert script("tick", keys, 60000, '{"n":1}') == 1
