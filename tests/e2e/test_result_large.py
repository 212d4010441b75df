"""A result too large for its channel lies beside it, and the notifier serves it."""

import json
import urllib.error
import urllib.request

import pytest
from peers.process import wait_until

LARGE = 400_000


def ask(redis, channel="c1", **job):
    redis.push({"service": "quote", "channel": channel, "id": "j1", **job})
    return wait_until(lambda: redis.terminal(channel), 10, "a terminal event")[0]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.headers["Content-Type"], json.load(answer)


def refused(url):
    with pytest.raises(urllib.error.HTTPError) as error:
        get(url)
    return error.value.code


def test_the_event_has_a_link_to_it(redis, service, worker, notifier):
    service.define("quote", f"/?size={LARGE}&type=text/plain", result={"max_bytes": "1MiB"})
    worker()
    event = ask(redis)
    assert event["event"] == "done" and "data" not in event
    assert event["link"] == "/wait/c1?result=j1"
    assert event["bytes"] > LARGE
    base = notifier().url
    kind, result = get(base + event["link"])
    assert kind == "application/json"
    assert len(result["text"]) == LARGE
    assert 0 < redis.client.pttl("ringback:ch:{c1}:result:j1") <= 600_000


def test_what_fits_is_in_the_event(redis, service, worker):
    service.define("quote", "/?size=100000&type=text/plain")
    worker()
    assert len(ask(redis)["data"]["text"]) == 100_000
    assert not redis.client.keys("*:result:*")


def test_the_limit_is_a_setting(redis, service, worker):
    service.define("quote", "/?size=3000&type=text/plain")
    worker(settings={"channels": {"max_data": "2KiB", "ttl": "5s"}})
    assert ask(redis)["bytes"] > 3000
    assert redis.client.pttl("ringback:ch:{c1}:result:j1") <= 5000


def test_a_kept_answer_gets_a_link_of_each_job(redis, service, worker):
    service.define("quote", "/?size=3000&type=text/plain", cache={"ttl": "1m"})
    worker(settings={"channels": {"max_data": "2KiB"}})
    ask(redis)
    event = ask(redis, "c2", id="j2")
    assert event["cached"] is True and event["link"] == "/wait/c2?result=j2"
    assert redis.client.exists("ringback:ch:{c2}:result:j2")


def test_wrong_links(redis, notifier):
    base = notifier().url
    assert refused(base + "/wait/c1?result=none") == 404
    assert refused(base + "/wait/c1,c2?result=j1") == 400
    assert refused(base + "/wait/c1?result=") == 400
    assert refused(base + "/wait/c1?result=a%20b") == 400


def test_who_may_not_hear_may_not_read(redis, notifier, folder):
    (folder / "key").write_text("0123456789abcdef0123456789abcdef")
    base = notifier(auth={"mode": "token", "keys": [str(folder / "key")]}).url
    redis.client.set("ringback:ch:{c1}:result:j1", '"secret"')
    assert refused(base + "/wait/c1?result=j1") == 401
