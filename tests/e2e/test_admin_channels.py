"""GET /channels: what is kept and what is waited on, by pattern, page by page."""

import pytest
from peers.clients import Sse, WebSocket, get, post
from peers.process import wait_until


@pytest.fixture
def ready(redis, notifier):
    def start(**members):
        started = notifier(**members)
        wait_until(lambda: get(started.admin + "/readyz").status == 200, what="readyz")
        return started

    return start


def names(answer):
    assert answer.status == 200, answer
    return [one["channel"] for one in answer.json()["channels"]]


def all_pages(url):
    """Every page's channels, and how many pages there were."""
    found, cursor, pages = [], "", 0
    while cursor is not None:
        told = get(url + (f"&cursor={cursor}" if cursor else "")).json()
        found += told["channels"]
        cursor, pages = told["cursor"], pages + 1
        assert pages < 1000
    return found, pages


def test_what_is_kept(redis, ready):
    started = ready()
    for channel in ("order:1", "order:2", "orders", "user:7"):
        post(started.admin + f"/publish/{channel}", {})
    # Beside them lie meta hashes, and what others have.
    redis.client.xadd("other", {"e": "{}"})
    redis.client.set("ringback:ch:{order:x}", "no stream")
    url = started.admin + "/channels"
    assert sorted(names(get(url))) == ["order:1", "order:2", "orders", "user:7"]
    assert sorted(names(get(url + "?match=order:*"))) == ["order:1", "order:2"]
    assert names(get(url + "?match=order%3A1")) == ["order:1"]
    assert sorted(names(get(url + "?match=*&state=kept"))) == ["order:1", "order:2", "orders", "user:7"]
    assert names(get(url + "?match=none*")) == []
    assert get(url + "?match=none*").json() == {"channels": [], "cursor": None}


def test_pages_of_what_is_kept(redis, ready):
    started = ready()
    pipe = redis.client.pipeline()
    for i in range(3000):
        pipe.xadd(f"ringback:ch:{{c{i}}}", {"e": "{}"})
        pipe.set(f"noise{i}", "x")
    pipe.execute()
    found, pages = all_pages(started.admin + "/channels?limit=500&match=c*")
    assert {one["channel"] for one in found} == {f"c{i}" for i in range(3000)}
    assert pages > 2
    found, _ = all_pages(started.admin + "/channels?match=c29*")
    assert {one["channel"] for one in found} == {f"c{i}" for i in range(3000) if str(i).startswith("29")}


def test_zeros_before_a_cursor(redis, ready):
    started = ready()
    post(started.admin + "/publish/c", {})
    assert names(get(started.admin + "/channels?cursor=" + "0" * 128)) == ["c"]
    assert get(started.admin + "/channels?cursor=" + "0" * 129).status == 400


def test_a_prefix_with_special_characters(redis, notifier):
    started = notifier(settings={"redis": {"channel_prefix": "a*[b]"}})
    wait_until(lambda: get(started.admin + "/readyz").status == 200, what="readyz")
    redis.client.xadd("aXb:{other}", {"e": "{}"})
    post(started.admin + "/publish/c", {})
    assert names(get(started.admin + "/channels")) == ["c"]


def test_what_is_waited_on(redis, ready):
    started, other = ready(), ready(name="other")
    clients = [Sse(base, channel) for base, channel in
               ((started.url, "order:1"), (other.url, "order:1"), (other.url, "order:2,user:7"))]  # fmt: skip
    url = started.admin + "/channels?state=waiting"

    def told():
        return {one["channel"]: one["waiters"] for one in get(url).json()["channels"]}

    wait_until(lambda: told() == {"order:1": 2, "order:2": 1, "user:7": 1}, what="the waiters")
    answer = get(url).json()
    assert answer["complete"] is True and answer["cursor"] is None
    assert names(get(url + "&match=order:*")) == ["order:1", "order:2"]
    assert names(get(url + "&match=order:2")) == ["order:2"]
    clients.pop(0).close()
    wait_until(lambda: told().get("order:1") == 1, what="one waiter")
    for client in clients:
        client.close()
    wait_until(lambda: told() == {}, what="nobody")


def test_pages_of_what_is_waited_on(redis, ready):
    started = ready(processes=2)
    clients = [WebSocket(started.url, ",".join(f"c{10 * i + j}" for j in range(10))) for i in range(9)]
    more = [WebSocket(started.url, "c5") for _ in range(4)]
    wanted = sorted(f"c{i}" for i in range(90))

    def told(limit):
        return all_pages(started.admin + f"/channels?state=waiting&limit={limit}")

    wait_until(lambda: sum(one["waiters"] for one in told(100)[0]) == 94, what="all of them")
    for limit, pages in ((7, 13), (90, 1), (89, 2), (1, 90)):
        found, count = told(limit)
        assert [one["channel"] for one in found] == wanted and count == pages, limit
    assert next(one for one in found if one["channel"] == "c5")["waiters"] == 5
    for client in clients + more:
        client.close()


@pytest.mark.parametrize("query", ["match=", "match=a b", "match=a*b", "match=**", "match=%zz", "match=[a]",
                                   "match=" + "c" * 130, "limit=0", "limit=1001", "limit=x", "limit=",
                                   "state=x", "state=", "cursor=x", "cursor=-1", "cursor=%00",
                                   "state=waiting&cursor=a%22b", "cursor=" + "1" * 30], ids=range(18))  # fmt: skip
def test_malformed_questions(ready, query):
    answer = get(ready().admin + "/channels?" + query.replace(" ", "%20"))
    assert answer.status == 400 and answer.headers["content-type"] == "application/problem+json", answer


def test_without_redis(redis, ready):
    started = ready()
    redis.stop()
    wait_until(lambda: get(started.admin + "/readyz").status == 503, what="not ready")
    for state in ("kept", "waiting"):
        answer = get(started.admin + f"/channels?state={state}")
        assert answer.status == 503 and answer.headers["retry-after"] == "1"
