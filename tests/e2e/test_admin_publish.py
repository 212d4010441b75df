"""POST /publish: one event, one on many channels, a batch of lines; what is published only
once; and the bounds of size and rate."""

import concurrent.futures
import json
import random
import time

import pytest
from peers.clients import Sse, ask, get, post
from peers.process import wait_until

LINES = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def ready(redis, notifier):
    """A notifier that has found its Redis."""

    def start(**members):
        started = notifier(**members)
        wait_until(lambda: get(started.admin + "/readyz").status == 200, what="readyz")
        return started

    return start


def problem(answer, status):
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status and told["title"] and told["type"] == "about:blank"
    return told["detail"]


def batch(started, lines, headers=None):
    lines = [line if isinstance(line, (str, bytes)) else json.dumps(line) for line in lines]
    lines = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return ask(started.admin + "/publish", "POST", {**LINES, **(headers or {})}, b"\n".join(lines))


def kept(redis, channel):
    """[(id, event)] of the channel's stream."""
    return [(at, json.loads(entry["e"]))
            for at, entry in redis.client.xrange(f"ringback:ch:{{{channel}}}")]  # fmt: skip


def counted(started, line):
    for text in get(started.admin + "/metrics").text.splitlines():
        if text.startswith(line + " "):
            return float(text.split()[-1])
    return None


# ------------------------------------------------------------------ many channels


@pytest.mark.parametrize("path", ["/publish/a,b,order:7?event=tick",
                                  "/publish?channel=a&event=tick&channel=b&channel=order%3A7",
                                  "/publish/a%2Cb,order:7?event=tick"])  # fmt: skip
def test_one_message_on_many_channels(redis, ready, path):
    started = ready()
    answer = ask(started.admin + path, "POST", JSON, '{"n": 1.10}')
    assert answer.status == 200, answer
    told = answer.json()
    assert told["published"] == 3
    assert [one["channel"] for one in told["results"]] == ["a", "b", "order:7"]
    for one in told["results"]:
        ((at, event),) = kept(redis, one["channel"])
        assert at == one["id"] and set(one) == {"id", "channel"}
        assert event["channel"] == one["channel"] and event["event"] == "tick"
        assert event["data"] == {"n": 1.10}


def test_a_single_one_is_answered_in_short(redis, ready):
    started = ready()
    answer = post(started.admin + "/publish/c?event=tick", {"n": 1})
    ((at, _),) = kept(redis, "c")
    assert answer.body == f'{{"id":"{at}","channel":"c"}}'.encode()
    listed = post(started.admin + "/publish?channel=c", {"n": 1}).json()
    assert listed["published"] == 1 and len(listed["results"]) == 1


@pytest.mark.parametrize("path", ["/publish/a,", "/publish/,a", "/publish/a,,b", "/publish/a,a",
                                  "/publish/a,b%20c", "/publish/a,%zz", "/publish/a,%00",
                                  "/publish?channel=", "/publish?channel=a&channel=a",
                                  "/publish?channel=a%2Cb", "/publish?channel=%zz", "/publish",
                                  "/publish?event=x", "/publish?chanel=a",
                                  "/publish/@session", "/publish/a,@me", "/jobs/s?channel=@me",
                                  "/publish/a,b?event=gap", "/publish?channel=a&event=a%20b",
                                  "/publish/" + ",".join(f"c{i}" for i in range(101))],
                         ids=range(20))  # fmt: skip
def test_malformed_lists_publish_nothing(redis, ready, path):
    started = ready()
    problem(ask(started.admin + path, "POST", JSON, "{}"), 400)
    assert redis.client.keys("ringback:ch:{*") == []


def test_a_hundred_channels(redis, ready):
    started = ready()
    names = [f"c{i}" for i in range(100)]
    told = post(started.admin + "/publish/" + ",".join(names), {}).json()
    assert [one["channel"] for one in told["results"]] == names


# ------------------------------------------------------------------ batches


def test_a_batch(redis, ready):
    started = ready()
    with Sse(started.url, "a,b") as client:
        lines = [{"channel": "a", "data": {"n": 1}}, {"channel": "b", "event": "tick"},
                 '{"data": 1.10, "channel": "a"}\r', "", '  {"channel":"\\u0062","event":"done"}']
        answer = batch(started, lines)
        assert answer.status == 200, answer
        told = answer.json()
        assert told["published"] == 4 and [r["channel"] for r in told["results"]] == list("abab")
        heard = [client.event() for _ in range(4)]
    by_channel = {name: [e["id"] for e in heard if e["channel"] == name] for name in "ab"}
    for name in "ab":
        assert by_channel[name] == [r["id"] for r in told["results"] if r["channel"] == name]
    assert [e.get("data") for e in heard if e["channel"] == "a"] == [{"n": 1}, 1.10]
    assert [e["event"] for e in heard if e["channel"] == "b"] == ["tick", "done"]
    raw = redis.client.xrange("ringback:ch:{a}")[1][1]["e"]
    assert '"data":1.10' in raw, "digits stay"


WRONG = ["x", "[]", "7", "{}", '{"channel":7}', '{"channel":"a b"}', '{"channel":"a"',
         '{"channel":"a"} 1', '{"channel":"a","event":"gap"}', '{"channel":"a","event":"b c"}',
         '{"channel":"a","dada":1}', '{"channel":"a","data":1,"data":2}', b'{"channel":"\xff"}',
         b"\x00", '{"channel":"' + "c" * 129 + '"}', "[" * 600]  # fmt: skip


def test_a_wrong_line_stops_no_other(redis, ready):
    started = ready()
    lines = []
    for wrong in WRONG:
        lines += [{"channel": "good"}, wrong]
    answer = batch(started, lines)
    assert answer.status == 200
    told = answer.json()
    assert told["published"] == len(WRONG) == len(kept(redis, "good"))
    assert len(told["results"]) == len(lines)
    for number, result in enumerate(told["results"], 1):
        if number % 2:
            assert result["channel"] == "good" and result["id"]
        else:
            assert set(result) == {"line", "error"} and result["line"] == number
            assert result["error"]["status"] == 400 and result["error"]["detail"]
    assert counted(started, 'ringback_notifier_published_total{outcome="failed"}') == len(WRONG)
    assert counted(started, 'ringback_notifier_published_total{outcome="new"}') == len(WRONG)


def test_blank_lines_are_counted_and_no_message(redis, ready):
    started = ready()
    told = batch(started, ["", " ", '{"channel":"a"}', "\t", "x", ""]).json()
    assert told["published"] == 1
    assert [r.get("line") for r in told["results"]] == [None, 5]


@pytest.mark.parametrize("body", ["", "\n", " \r\n\t\n"])
def test_an_empty_batch(ready, body):
    problem(ask(ready().admin + "/publish", "POST", LINES, body), 400)


def test_a_large_batch_in_order(redis, ready):
    started = ready()
    lines = [{"channel": f"c{i % 3}", "data": i} for i in range(10000)]
    told = batch(started, lines).json()
    assert told["published"] == 10000
    for c in range(3):
        heard = [event["data"] for _, event in kept(redis, f"c{c}")]
        assert heard == [i for i in range(10000) if i % 3 == c][-100:]
    ids = [r["id"] for r in told["results"] if r["channel"] == "c1"]
    assert [at for at, _ in kept(redis, "c1")] == ids[-100:]
    problem(batch(started, lines + ['{"channel":"a"}']), 413)
    assert not redis.client.exists("ringback:ch:{a}")


def test_garbage_is_answered(redis, ready):
    started = ready()
    dice = random.Random(7)
    good = b'{"channel":"a","event":"tick","data":{"s":"\\u00e4","n":[1,2]}}'
    for _ in range(60):
        lines = []
        for _ in range(dice.randrange(1, 30)):
            line = bytearray(good)
            for _ in range(dice.randrange(4)):
                line[dice.randrange(len(line))] = dice.randrange(256)
            lines.append(bytes(line[: dice.randrange(len(line) + 1)] if dice.random() < 0.3 else line))
        answer = batch(started, lines)
        assert answer.status in (200, 400), answer
        if answer.status == 200:
            told = answer.json()
            wanted = [line for line in b"\n".join(lines).split(b"\n") if line.strip(b" \t\r")]
            assert len(told["results"]) == len(wanted)
            assert told["published"] == sum("id" in r for r in told["results"])


def test_without_redis_a_batch_may_be_sent_again(redis, ready):
    started = ready()
    redis.stop()
    wait_until(lambda: get(started.admin + "/readyz").status == 503, what="not ready")
    answer = batch(started, [{"channel": "a"}] * 300)
    problem(answer, 503)
    assert answer.headers["retry-after"] == "1"
    problem(post(started.admin + "/publish/a,b", {}), 503)


# ------------------------------------------------------------------ bounds


def test_size(redis, ready):
    started = ready(max_publish="1KiB")
    url = started.admin + "/publish/c"
    assert ask(url, "POST", JSON, '"' + "x" * 1022 + '"').status == 200
    problem(ask(url, "POST", JSON, '"' + "x" * 1023 + '"'), 413)
    problem(ask(url + ",d", "POST", {}, "x" * 1025), 413)
    told = batch(started, [{"channel": "c", "data": "x" * 1022}, {"channel": "c", "data": "x" * 1023},
                           {"channel": "c", "data": 3}]).json()  # fmt: skip
    assert told["published"] == 2 and told["results"][1]["error"]["status"] == 413
    assert counted(started, 'ringback_notifier_refused_total{reason="max_publish"}') == 3
    assert "publish.refused" in started.log


def test_a_body_beyond_all_bounds(ready):
    answer = ask(ready().admin + "/publish", "POST",
                 {**LINES, "Content-Length": str(8 * 1024 * 1024 + 1)}, None)  # fmt: skip
    problem(answer, 413)


def test_rate(redis, ready):
    started = ready(publish_rate=5)
    begun, taken = time.monotonic(), 0
    while (answer := post(started.admin + "/publish/c", {})).status == 200:
        taken += 1
        assert taken <= 5 + 5 * (time.monotonic() - begun) + 1
    assert taken >= 5, "a burst of a second's worth"
    assert "publish_rate" in problem(answer, 429)
    assert answer.headers["retry-after"] == "1"
    assert counted(started, 'ringback_notifier_refused_total{reason="publish_rate"}') == 1
    assert len(kept(redis, "c")) == taken
    # What is malformed takes nothing of the rate, and a batch is paid for afterwards.
    for _ in range(20):
        problem(post(started.admin + "/publish/a,a", {}), 400)
    wait_until(lambda: batch(started, [{"channel": "b"}] * 50).status == 200, what="the batch")
    paid = time.monotonic()
    answer = post(started.admin + "/publish/c", {})
    problem(answer, 429)
    assert 8 - (time.monotonic() - paid) <= int(answer.headers["retry-after"]) <= 10


# ------------------------------------------------------------------ only once


def key(text):
    return {"Idempotency-Key": text, **JSON}


def test_a_repeated_event_is_published_once(redis, ready):
    started = ready()
    url = started.admin + "/publish/c?event=tick"
    first = ask(url, "POST", key('"k-1"'), '{"n":1}')
    assert first.status == 200 and "idempotency-replayed" not in first.headers
    for text in ('"k-1"', "k-1"):
        again = ask(url, "POST", key(text), '{"n":1}')
        assert again.status == 200 and again.body == first.body
        assert again.headers["idempotency-replayed"] == "true"
    assert len(kept(redis, "c")) == 1
    assert ask(url, "POST", key("k-2"), '{"n":1}').json()["id"] != first.json()["id"]
    problem(ask(url, "POST", key("k-1"), '{"n":2}'), 422)
    problem(ask(started.admin + "/publish/d?event=tick", "POST", key("k-1"), '{"n":1}'), 422)
    problem(ask(started.admin + "/publish/c", "POST", key("k-1"), '{"n":1}'), 422)
    assert len(kept(redis, "c")) == 2 and not redis.client.exists("ringback:ch:{d}")
    for name in redis.client.keys("ringback*:once:*") + redis.client.keys("ringback:request:*"):
        assert 0 < redis.client.pttl(name) <= 600000
    assert counted(started, 'ringback_notifier_published_total{outcome="replayed"}') == 2


def test_batches_and_lists_once(redis, ready):
    started = ready()
    lines = [{"channel": "a", "data": 1}, {"channel": "a", "data": 1}, "x", {"channel": "b"}]
    first = batch(started, lines, {"Idempotency-Key": "batch"})
    again = batch(started, lines, {"Idempotency-Key": "batch"})
    assert first.status == 200 and first.body == again.body
    assert again.headers["idempotency-replayed"] == "true"
    assert len(kept(redis, "a")) == 2 and len(kept(redis, "b")) == 1
    problem(batch(started, lines[:2], {"Idempotency-Key": "batch"}), 422)
    url = started.admin + "/publish/x,y"
    assert ask(url, "POST", key("list"), "{}").body == ask(url, "POST", key("list"), "{}").body
    assert len(kept(redis, "x")) == len(kept(redis, "y")) == 1


def test_what_was_cut_off_is_completed(redis, ready):
    started = ready()
    lines = [{"channel": f"c{i}"} for i in range(5)]
    first = batch(started, lines, {"Idempotency-Key": "cut"}).json()
    for i in (3, 4):  # as if the process had died before them
        redis.client.delete(*redis.client.keys(f"ringback:ch:{{c{i}}}*"))
    again = batch(started, lines, {"Idempotency-Key": "cut"})
    assert "idempotency-replayed" not in again.headers
    assert again.json()["results"][:3] == first["results"][:3]
    assert [len(kept(redis, f"c{i}")) for i in range(5)] == [1] * 5


def test_racing_requests_publish_one(redis, ready):
    started = ready(processes=2)
    url = started.admin + "/publish/c"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(url, "POST", key("race"), "{}"), range(24)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1 == len(kept(redis, "c"))
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1


def test_a_key_is_forgotten(redis, ready):
    started = ready(idempotency="1s")
    url = started.admin + "/publish/c"
    first = ask(url, "POST", key("k"), "{}").json()["id"]
    wait_until(lambda: ask(url, "POST", key("k"), "{}").json()["id"] != first, what="forgotten")


@pytest.mark.parametrize("bad", ["", '""', "a b", "k" * 256, "\xe4"], ids=range(5))
def test_malformed_keys(redis, ready, bad):
    started = ready()
    answer = ask(started.admin + "/publish/c", "POST", {"Idempotency-Key": bad, **JSON}, "{}")
    problem(answer, 400)
    assert not redis.client.exists("ringback:ch:{c}")


def test_without_scripts_there_is_no_once(redis, notifier):
    started = notifier(settings={"worker": {"claim": "blpop"}})
    wait_until(lambda: get(started.admin + "/readyz").status == 200, what="readyz")
    problem(ask(started.admin + "/publish/c", "POST", key("k"), "{}"), 501)
    told = batch(started, [{"channel": "c"}] * 3).json()
    assert told["published"] == 3 == len(kept(redis, "c"))


# ------------------------------------------------------------------ jobs


def queue(redis):
    return [json.loads(job) for job in redis.client.lrange("ringback:queue:default", 0, -1)]


@pytest.mark.parametrize("path", ["/jobs/quote", "/jobs/quote?channel=page:1"])
def test_a_repeated_job_is_queued_once(redis, ready, path):
    started = ready()
    url = started.admin + path
    first = ask(url, "POST", key('"j-1"'), '{"symbol":"A"}')
    assert first.status == 202 and "idempotency-replayed" not in first.headers
    again = ask(url, "POST", key("j-1"), '{"symbol":"A"}')
    assert again.status == 202 and again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json() and again.headers["location"] == first.headers["location"]
    (job,) = queue(redis)
    assert job["id"] == first.json()["id"] and job["channel"] == first.json()["channel"]
    problem(ask(url, "POST", key("j-1"), '{"symbol":"B"}'), 422)
    problem(ask(started.admin + "/jobs/other", "POST", key("j-1"), '{"symbol":"A"}'), 422)
    # A key of publishing is another one.
    assert ask(started.admin + "/publish/c", "POST", key("j-1"), "{}").status == 200
    assert ask(url, "POST", key("j-2"), '{"symbol":"A"}').json()["id"] != job["id"]
    assert len(queue(redis)) == 2
    problem(ask(url, "POST", key("a b"), "{}"), 400)
    # What is wrong is not remembered.
    problem(ask(url, "POST", key("j-3"), "[]"), 400)
    assert ask(url, "POST", key("j-3"), "{}").status == 202


def test_racing_jobs_are_one(redis, ready):
    started = ready(processes=2)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(started.admin + "/jobs/quote", "POST", key("race"), "{}"),
                                range(24)))  # fmt: skip
    assert {answer.status for answer in answers} == {202}
    (job,) = queue(redis)
    assert {answer.json()["id"] for answer in answers} == {job["id"]}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1


def test_a_repeated_job_is_waited_for(redis, service, worker, ready):
    service.define("quote", "/v1/x", [])
    worker()
    started = ready()
    headers = {**key("wait"), "Prefer": "wait=10"}
    first = ask(started.admin + "/jobs/quote", "POST", headers, "{}")
    again = ask(started.admin + "/jobs/quote", "POST", headers, "{}")
    assert first.status == again.status == 200 and first.body == again.body
    assert again.headers["idempotency-replayed"] == "true"
    assert len(service.book()["calls"]) == 1
