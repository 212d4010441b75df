"""The `ringback` command against a real Redis: what it prints, and its exit codes."""

import json
import subprocess

import pytest
from peers.daemons import program
from peers.process import lasting, wait_until

QUOTE = """
service: quote
description: Last price of a share
params:
  symbol: {type: string, pattern: "^[A-Z]{1,8}$", required: true}
  count: {type: integer}
  price: {type: number}
  live: {type: boolean}
  tags: {type: array}
channel: quote:${symbol}
request: {url: "http://127.0.0.1:1/${symbol}"}
"""


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def start(processes, folder, config):
    """Starts the command; its output is in .log."""

    def run(*words, name="command", stdin=None):
        file = folder / "started.yaml"
        file.write_text(json.dumps(config()))
        return processes.start([program("ringback"), "-c", file, *words], name, stdin=stdin)

    return run


# ---------------------------------------------------------------------- the command line


def test_help_and_versions(ringback):
    done = ringback("--help")
    assert done.returncode == 0
    for verb in "enqueue wait listen publish check status dead".split():
        assert verb in done.stdout
        one = ringback("help", verb)
        assert one.returncode == 0 and one.stdout.startswith(f"Usage: ringback {verb}")
        assert ringback(verb, "--help").stdout == one.stdout
    assert ringback("--version").stdout.startswith("ringback 0.")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "verb"),
        (["enqeue"], "did you mean \"enqueue\""),
        (["wait"], "one channel"),
        (["wait", "a b"], "channel"),
        (["wait", "c", "--timeot", "1s"], "did you mean --timeout"),
        (["wait", "c", "--timeout", "soon"], "duration"),
        (["wait", "c", "--timeout"], "missing"),
        (["enqueue", "quote", "symbol"], "KEY=VALUE"),
        (["enqueue", "quote", "symbol:=x"], "JSON"),
        (["enqueue", "quote", "--queue", "a b"], "queue"),
        (["enqueue", "quote", "--expires", "106751991167d"], "duration"),
        (["publish", "c"], "data"),
        (["publish", "c", "x", "--event", "a b"], "event"),
        (["status", "x"], "no words"),
        (["dead", "bury"], "list, show, retry or drop"),
        (["dead", "drop"], "--all"),
        (["listen", "--set", "x"], "KEY=VALUE"),
    ],
)
def test_misuse_is_told(redis, ringback, words, said):
    done = ringback(*words)
    assert done.returncode == 64 and said in done.stderr and not done.stdout


def test_redis_away(ringback, folder):
    away = {"redis": {"url": f"unix://{folder}/nothing.sock", "connect_timeout": "200ms"}}
    done = ringback("status", settings=away)
    assert done.returncode == 69 and "nothing.sock" in done.stderr
    assert ringback("status", settings={"redis": {"url": "redis://u@h"}}).returncode == 78


# ---------------------------------------------------------------------- enqueue


def queued(redis, queue="default"):
    return json.loads(redis.client.lindex(f"ringback:queue:{queue}", -1))


def test_enqueue_without_definitions(redis, ringback):
    done = ringback("enqueue", "any", "a=1", "b=x=y", "c:=[1.10,null]", "--channel", "c")
    assert done.returncode == 0
    job = queued(redis)
    assert job["params"] == {"a": "1", "b": "x=y", "c": [1.1, None]}
    assert lines(done) == [{"id": job["id"], "queue": "default", "channel": "c"}]
    assert abs(job["at"] - redis.now_ms()) < 60000


def test_enqueue_types_by_definition(redis, service, ringback):
    service.write("quote", QUOTE)
    words = ["symbol=TRUE", "count=12345678901234567", "price=0.1", "live=true", "tags=[]"]
    done = ringback("enqueue", "quote", *words)
    assert done.returncode == 0, done
    job = redis.client.lindex("ringback:queue:default", -1)
    assert '"params":{"symbol":"TRUE","count":12345678901234567,"price":0.1,' in job
    assert json.loads(job)["channel"] == "quote:TRUE"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["qoute", "symbol=A"], 'did you mean "quote"'),
        (["quote"], "symbol"),
        (["quote", "symbol=a"], "symbol"),
        (["quote", "symbol=A", "count=x"], "integer"),
        (["quote", "symbol=A", "nope=1"], "nope"),
        (["quote", "symbol=A", "--channel", "a b"], "channel"),
        (["quote", "symbol=A", "--id", "a b"], "id"),
        (["quote", "symbol=A", "--trace", "x"], "trace"),
    ],
)
def test_enqueue_checks(redis, service, ringback, words, said):
    service.write("quote", QUOTE)
    done = ringback("enqueue", *words)
    assert done.returncode == 1 and said in done.stderr, done
    assert redis.client.llen("ringback:queue:default") == 0
    if words[0] == "qoute":
        assert ringback("enqueue", *words, "--unchecked").returncode == 0


def test_enqueue_options(redis, ringback):
    now = redis.now_ms()
    done = ringback("enqueue", "any", "k=v", "--params", "-", "--queue", "fast", "--id", "i1",
                    "--expires", "1h", "--delay", "1m", "--unique", "u", "--", "-x=1",
                    input='{"k": "old", "n": 1}', check=True)  # fmt: skip
    job = queued(redis, "fast")
    assert job["params"] == {"k": "v", "n": 1, "-x": "1"}
    assert job["id"] == "i1" and job["unique"] == "u"
    assert 0 <= job["expires"] - now - 3600000 < 30000
    assert 0 <= job["run_at"] - now - 60000 < 30000
    assert lines(done) == [{"id": "i1", "queue": "fast"}]


def test_enqueue_and_wait(redis, start, ringback):
    ringback("publish", "c", "old", "--event", "done", check=True)
    waiting = start("enqueue", "any", "--id", "i1", "--channel", "c", "--wait")
    wait_until(lambda: redis.client.llen("ringback:queue:default") == 1)
    redis.publish("c", {"event": "done", "job": "other", "data": 1})
    redis.publish("c", {"event": "started", "job": "i1"})
    assert waiting.alive()
    redis.publish("c", {"event": "failed", "job": "i1", "error": {"code": "timeout"}})
    assert waiting.wait() == 1
    (event,) = [json.loads(line) for line in waiting.log.splitlines()]
    assert event["job"] == "i1" and event["event"] == "failed"


def test_enqueue_and_wait_on_its_own_channel(redis, start):
    waiting = start("enqueue", "any", "--wait")
    wait_until(lambda: redis.client.llen("ringback:queue:default") == 1)
    job = queued(redis)
    redis.publish(job["channel"], {"event": "done", "job": job["id"], "data": 7})
    assert waiting.wait() == 0
    assert json.loads(waiting.log)["data"] == 7


def test_enqueue_and_wait_in_vain(redis, ringback):
    done = ringback("enqueue", "any", "--wait", "--timeout", "100ms")
    assert done.returncode == 124 and "no result" in done.stderr and not done.stdout


# ---------------------------------------------------------------------- publish, wait, listen


def test_publish(redis, ringback):
    done = ringback("publish", "c", '{"price": 1.10}', check=True)
    ringback("publish", "c", "hello", "--event", "note", check=True)
    ringback("publish", "c", "-", input="line\n", check=True)
    events = redis.events("c")
    assert [e["event"] for e in events] == ["message", "note", "message"]
    assert [e["data"] for e in events] == [{"price": 1.1}, "hello", "line"]
    assert lines(done) == [{"id": events[0]["id"], "channel": "c", "receivers": 0}]
    raw = redis.client.xrange("ringback:ch:{c}")
    assert '{"price": 1.10}' in raw[0][1]["e"]
    assert [fields["p"] for _, fields in raw] == ["0-0", raw[0][0], raw[1][0]]


def test_publish_lines(redis, ringback):
    text = [json.dumps({"channel": f"c{i % 2}", "data": i}) for i in range(3000)]
    done = ringback("publish", "--stdin", input="\n".join(text), check=True)
    assert len(lines(done)) == 3000 and done.stderr == ""
    for c in range(2):
        assert [e["data"] for e in redis.events(f"c{c}")] == list(range(2800 + c, 3000, 2))
    text = ['{"channel":"a","event":"tick"}', "x", "", '{"channel":"b c"}', '{"channel":"a","data":1.10}']
    done = ringback("publish", "--stdin", input="\n".join(text) + "\n")
    assert done.returncode == 1 and [one["channel"] for one in lines(done)] == ["a", "a"]
    assert "line 2: " in done.stderr and "line 4: " in done.stderr
    assert ringback("publish", "--stdin", input="", check=True).stdout == ""
    done = ringback("publish", "--stdin", input="x\n" * 2500 + '{"channel":"a"}')
    assert done.returncode == 1 and len(lines(done)) == 1 and "line 2500: " in done.stderr
    assert ringback("publish", "--stdin", "c", input="").returncode == 64


def test_publish_without_scripts(redis, ringback):
    redis.client.execute_command("ACL", "SETUSER", "default", "-@scripting")
    done = ringback("publish", "c", "1", settings={"worker": {"claim": "blpop"}})
    assert done.returncode == 0 and redis.events("c")[0]["data"] == 1
    assert ringback("publish", "c", "1").returncode == 1


def test_wait_finds_what_came_before(redis, ringback):
    redis.publish("c", {"event": "started"})
    id = redis.publish("c", {"event": "done", "data": 1})
    done = ringback("wait", "c")
    assert done.returncode == 0 and lines(done)[0]["id"] == id
    assert ringback("wait", "c", "--since", id, "--timeout", "100ms").returncode == 124
    assert ringback("wait", "c", "--since", "now", "--timeout", "100ms").returncode == 124
    assert ringback("wait", "c", "--since", "x").returncode == 64


def test_wait_survives_a_restart_of_redis(redis, start, ringback):
    waiting = start("wait", "c")
    wait_until(lambda: redis.client.pubsub_numsub("ringback:ch:{c}")[0][1] == 1)
    redis.kill()
    waiting.wait_text("trying again")
    redis.start()
    redis.publish("c", {"event": "done", "data": 1})
    assert waiting.wait() == 0


def test_listen_prints_lines(redis, start, ringback):
    ringback("publish", "a", "1", check=True)
    listening = start("listen", "a", "b")
    listening.wait_text(" a message ")
    wait_until(lambda: redis.client.pubsub_numsub("ringback:ch:{b}")[0][1] == 1)
    ringback("publish", "b", "2", "--event", "note", check=True)
    listening.wait_text(" b note ")
    redis.client.publish("ringback:ch:{b}", "raw \x1b[31m\n")
    listening.wait_text(' b message "raw \\u001b[31m\\n"')
    first = listening.log.splitlines()[0].split(" ", 3)
    assert first[0].endswith("Z") and json.loads(first[3])["data"] == 1


def test_listen_as_ndjson_to_the_next_program(redis, start, ringback, folder):
    listening = start("listen", "c", "--json")
    wait_until(lambda: redis.client.pubsub_numsub("ringback:ch:{c}")[0][1] == 1)
    redis.client.publish("ringback:ch:{c}", '{"n": 1.10}')
    redis.client.publish("ringback:ch:{c}", "not JSON")
    ringback("publish", "c", "3", check=True)
    wait_until(lambda: len(listening.log.splitlines()) == 3)
    assert '"data":{"n": 1.10}' in listening.log
    assert [json.loads(x)["data"] for x in listening.log.splitlines()][1:] == ["not JSON", 3]


def test_listen_resumes_and_tells_gaps(redis, start, ringback):
    small = {"channels": {"max_events": 3}}
    id = ringback("publish", "c", "0", settings=small, check=True)
    id = lines(id)[0]["id"]
    for n in range(1, 6):
        ringback("publish", "c", n, settings=small, check=True)
    heard = ringback("listen", "c", "--json", "--since", id, "--idle", lasting(0.4))
    events = lines(heard)
    assert [e["event"] for e in events] == ["gap"] + ["message"] * 3
    assert events[0]["since"] == id and events[0]["id"] < events[1]["id"]
    # All of it expired: told as well. The cursor of the last one misses nothing.
    redis.client.delete("ringback:ch:{c}")
    gone = lines(ringback("listen", "c", "--json", "--since", id, "--idle", lasting(0.4)))
    assert [e["event"] for e in gone] == ["gap"]
    last = events[-1]["id"]
    assert not ringback("listen", "c", "--since", last, "--idle", "200ms").stdout
    # A cursor from a future that a failover took back.
    lost = lines(ringback("listen", "c", "--json", "--since", "9999999999999-0",
                          "--idle", lasting(0.4)))  # fmt: skip
    assert [(e["event"], e["id"]) for e in lost] == [("gap", last)]


def test_listen_hears_everything_once_over_losses(redis, start, ringback):
    listening = start("listen", "c", "--json")
    wait_until(lambda: redis.client.pubsub_numsub("ringback:ch:{c}")[0][1] == 1)

    def data():
        found = [json.loads(x) for x in listening.log.splitlines() if x.startswith("{")]
        return [e["data"] for e in found]

    for n in range(300):
        redis.publish("c", {"event": "message", "data": n})
        if n % 50 == 25:
            redis.client.client_kill_filter(_type="pubsub")
        if n % 50 == 40:
            redis.client.client_kill_filter(_type="normal", skipme=True)
        if n % 50 == 49:  # the stream keeps a hundred
            wait_until(lambda: len(data()) > n)
    assert data() == list(range(300))


def test_listen_in_dialogue(redis, ringback, folder, config):
    file = folder / "dialogue.yaml"
    file.write_text(json.dumps(config()))
    talk = subprocess.Popen(
        [program("ringback"), "-c", file, "listen", "--json", "--idle", "20s"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        ringback("publish", "a", "1", check=True)
        ringback("publish", "b", "2", check=True)
        talk.stdin.write("a\nno name\n")
        talk.stdin.flush()
        assert json.loads(talk.stdout.readline())["data"] == 1
        talk.stdin.write("  b\r\n")
        talk.stdin.flush()
        assert json.loads(talk.stdout.readline())["data"] == 2
    finally:
        talk.kill()
        _, said = talk.communicate()
    assert "channel's name" in said
    ended = ringback("listen", "--idle", lasting(0.4), input="a\nb")
    assert ended.returncode == 0 and len(ended.stdout.splitlines()) == 2
    assert ringback("listen", input="").returncode == 0


# ---------------------------------------------------------------------- check, status, dead


def test_check_says_what_is_there(redis, service, ringback):
    service.write("quote", QUOTE)
    done = ringback("check", "--connect")
    assert done.returncode == 0, done
    for said in ("Last price of a share", "symbol, count, price", "1 definition", "Redis "):
        assert said in done.stdout
    redis.client.config_set("maxmemory-policy", "allkeys-lru")
    assert "noeviction" in ringback("check", "--connect").stderr
    redis.client.execute_command("ACL", "SETUSER", "default", "-@scripting")
    assert ringback("check", "--connect").returncode == 1
    assert ringback("check").returncode == 0


def test_check_of_files(ringback, folder):
    good, bad = folder / "quote.yaml", folder / "bad.yaml"
    good.write_text(QUOTE)
    bad.write_text("service: bad\nreqest: 1\n")
    assert ringback("check", good).returncode == 0
    done = ringback("check", good, bad)
    assert done.returncode == 78 and "bad.yaml:2:1: " in done.stderr
    assert ringback("check", folder / "none.yaml").returncode == 78


def test_status(redis, ringback):
    redis.push({"service": "x"}, {"service": "y"})
    redis.client.rpush("ringback:retry:default", "z")
    redis.client.zadd("ringback:due", {"d": 1})
    redis.client.zadd("ringback:workers", {"w1": redis.now_ms() + 60000, "w2": 1})
    redis.client.hset("ringback:held:w1", mapping={"1": "a", "2": "b"})
    done = ringback("status", "--json", check=True)
    (status,) = lines(done)
    lease = {w["id"]: w.pop("lease_ms") for w in status["workers"]}
    assert status == {
        "queues": {"default": {"waiting": 2, "retry": 1, "oldest_s": None, "paused": False}},
        "due": 1, "dead": 0, "paused_services": [], "services": {},
        "workers": [{"id": "w2", "held": 0}, {"id": "w1", "held": 2}],
    }  # fmt: skip
    assert 50000 < lease["w1"] <= 60000 and lease["w2"] < 0
    text = ringback("status", check=True).stdout
    assert "lapsed" in text and "w1" in text
    redis.client.delete("ringback:due")
    redis.client.set("ringback:due", "x")
    assert ringback("status").returncode == 1


def bury(redis, *ids):
    for at, id in enumerate(ids):
        job = json.dumps({"service": "x", "channel": "c", "id": id})
        line = (f"rb1 id={id} queue=fast deliveries=3 at=5 attempts=2 until=6 reason=poisoned "
                "error=it%20died")
        redis.client.zadd("ringback:dead", {f"{line}\n{job}": 1000 + at})


def test_dead(redis, ringback):
    bury(redis, "a", "b", "c")
    redis.client.hset("ringback:ch:{c}:meta", mapping={"t:a": "1-1", "t:b": "1-2"})
    listed = lines(ringback("dead", "list", check=True))
    assert [d["id"] for d in listed] == ["c", "b", "a"]
    assert listed[0] == {"died": 1002, "id": "c", "queue": "fast", "reason": "poisoned",
                         "error": "it died", "deliveries": "3"}  # fmt: skip
    assert len(lines(ringback("dead", "list", "--limit", "2"))) == 2
    (shown,) = lines(ringback("dead", "show", "b", check=True))
    assert shown["job"] == {"service": "x", "channel": "c", "id": "b"}

    ringback("dead", "retry", "a", check=True)
    again = redis.client.lindex("ringback:retry:fast", 0)
    head, job = again.split("\n")
    fields = dict(word.split("=") for word in head.split(" ")[1:])
    assert fields["id"] == "a" and fields["deliveries"] == "0" and fields.keys() <= {"id", "queue", "deliveries", "at"}
    assert json.loads(job) == {"service": "x", "channel": "c", "id": "a"}
    assert abs(int(fields["at"]) - redis.now_ms()) < 60000  # it is asked for now
    assert redis.client.hkeys("ringback:ch:{c}:meta") == ["t:b"]

    done = ringback("dead", "drop", "b", "nobody")
    assert done.returncode == 1 and "1 of 2" in done.stderr
    assert redis.client.zcard("ringback:dead") == 1
    assert redis.client.llen("ringback:retry:fast") == 1
    ringback("dead", "drop", "--all", check=True)
    assert redis.client.zcard("ringback:dead") == 0


@pytest.mark.parametrize("claim", ["lease", "blpop"])
def test_a_dead_job_is_asked_for_again(redis, ringback, claim):
    """Its time in the queue counts from then; nothing else of it changes."""
    job = '{ "params": {"at": 1.50}, "at" : 1700000000000 ,"id":"j","service":"x"}'
    redis.client.zadd("ringback:dead", {f"rb1 id=j queue=q deliveries=3 at=5 reason=poisoned\n{job}": 1})
    settings = {"worker": {"claim": claim}}
    assert ringback("dead", "retry", "j", settings=settings, check=True).stdout == "1 queued again\n"
    assert ringback("dead", "drop", "--all", settings=settings, check=True).stdout == "0 dropped\n"
    again = redis.client.lindex("ringback:retry:q", 0).partition("\n")[2]
    at = json.loads(again)["at"]
    assert again == job.replace("1700000000000", str(at)) and abs(at - redis.now_ms()) < 60000


@pytest.mark.parametrize("claim", ["lease", "blpop"])
@pytest.mark.parametrize("marker, left", [("7-1", []), ("8-0", ["t:j", "r:j"]), (None, [])])
def test_only_its_own_end_is_forgotten(redis, ringback, claim, marker, left):
    """Who retries what another has retried a moment ago must not forget how that ended."""
    job = '{"service":"x","id":"j"}'
    line = "rb1 id=w-1 queue=q deliveries=3 at=5 channel=user:7%3Da end=7-1 reason=poisoned error=it"
    redis.client.zadd("ringback:dead", {f"{line}\n{job}": 1})
    meta = "ringback:ch:{user:7=a}:meta"
    if marker:
        redis.client.hset(meta, mapping={"t:j": marker, "r:j": "7"})  # delivered, too
    done = ringback("dead", "retry", "j", settings={"worker": {"claim": claim}}, check=True)
    assert done.stdout == "1 queued again\n" and redis.client.llen("ringback:retry:q") == 1
    assert redis.client.hkeys(meta) == left


@pytest.mark.parametrize("claim", ["lease", "blpop"])
def test_a_redis_that_refuses_is_told(redis, ringback, claim):
    """And is not taken for one that has no such job."""
    bury(redis, "a", "b")
    redis.client.execute_command("ACL", "SETUSER", "default", "-zrem", "-zscore")
    done = ringback("dead", "retry", "--all", settings={"worker": {"claim": claim}})
    assert done.returncode == 1 and "run th" in done.stderr and "not among" not in done.stderr, done
    redis.client.execute_command("ACL", "SETUSER", "default", "+zrem", "+zscore")
    assert redis.client.zcard("ringback:dead") == 2 and not redis.client.exists("ringback:retry:fast")


def test_dead_that_are_not_readable(redis, ringback):
    redis.client.zadd("ringback:dead", {"garbage\x1b": 1, "rb1 id=x\nno json": 2})
    listed = lines(ringback("dead", "list", check=True))
    assert len(listed) == 2
    assert ringback("dead", "retry", "--all").returncode == 0
    assert redis.client.zcard("ringback:dead") == 2
    ringback("dead", "drop", "--all", check=True)
    assert redis.client.zcard("ringback:dead") == 0
