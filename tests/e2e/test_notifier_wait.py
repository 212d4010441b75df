"""/wait on the four transports, to the letter of the contract."""

import json
import socket

import pytest
from peers.clients import (
    Closed, Http, Raw, Response, Sse, Stream, WebSocket, ask, get, poll,
)  # fmt: skip
from peers.process import lasting, wait_until


def put(redis, channel, *data, event="tick"):
    return [redis.publish(channel, {"event": event, "data": n}) for n in data]


def answered(base, channel, **how):
    """A poll's answer when there is something: one whose time was over before comes again."""
    return wait_until(lambda: (a := poll(base, channel, **how)).status != 204 and a, what=channel)


def script_publish(ringback, channel, data="1", event="tick"):
    """Through the real script, which keeps the chain of ids."""
    done = ringback("publish", channel, data, "--event", event, check=True)
    return json.loads(done.stdout)["id"]


def heard(redis, channel):
    """Waits until the notifier is subscribed."""
    wait_until(lambda: redis.client.pubsub_numsub(f"ringback:ch:{{{channel}}}")[0][1] == 1)


# ---------------------------------------------------------------------- heads and frames


def test_sse_head_and_frames(redis, notifier):
    client = Sse(notifier().url, "c")
    assert client.answer.status == 200
    head = client.answer.headers
    assert head["content-type"] == "text/event-stream"
    assert head["cache-control"] == "no-store" and head["x-accel-buffering"] == "no"
    assert head["transfer-encoding"] == "chunked" and head["access-control-allow-origin"] == "*"
    heard(redis, "c")
    (id,) = put(redis, "c", "a\r\nb")
    got = client.next()
    assert got[:2] == (id, "tick") and json.loads(got[2])["data"] == "a\r\nb"
    assert 1000 <= client.retry <= 5000
    redis.client.publish("ringback:ch:{c}", "raw\r\ntwo\rthree\n")
    assert client.next() == (id, "message", "raw\ntwo\nthree\n")


def test_sse_and_stream_for_http_1_0(redis, notifier):
    """As nginx speaks to what is behind it when it is not told otherwise."""
    base = notifier().url
    put(redis, "c", 1)
    for accept, end in (("text/event-stream", b"\n\n"), ("*/*", b"}\n")):
        with Raw(base) as raw:
            mode = "" if "event" in accept else "?mode=stream"
            raw.send(f"GET /wait/c{mode} HTTP/1.0\r\nAccept: {accept}\r\n\r\n")
            answer = Response(raw)
            assert answer.status == 200 and "transfer-encoding" not in answer.headers
            assert answer.headers["connection"] == "close"
            body = raw.until(b"data: ") if mode == "" else b""
            assert body in (b"", body) and b"\r\n" not in body
            assert b'"data": 1' in raw.until(end)


def test_stream_lines(redis, notifier):
    client = Stream(notifier().url, "c")
    assert client.answer.headers["content-type"] == "application/x-ndjson"
    heard(redis, "c")
    put(redis, "c", 1)
    assert client.next()["data"] == 1
    for raw, value in (("[1,\n2]", [1, 2]), ('{"a":1}', {"a": 1}), ("x", "x"), ("", "")):
        redis.client.publish("ringback:ch:{c}", raw)
        assert client.next() == value


def test_websocket_raw_is_text_or_binary(redis, notifier):
    client = WebSocket(notifier().url, "c")
    heard(redis, "c")
    redis.client.publish("ringback:ch:{c}", "grüße")
    assert client.recv() == "grüße"
    redis.client.publish("ringback:ch:{c}", b"\xff\x00")
    assert client.recv() == b"\xff\x00"
    redis.client.publish("ringback:ch:{c}", "")
    assert client.recv() == ""
    large = "x" * 300_000
    redis.client.publish("ringback:ch:{c}", large)
    assert client.recv() == large


def test_poll_answers_what_is_there(redis, notifier):
    base = notifier(poll_timeout="200ms").url
    ids = put(redis, "c", 1, 2)
    answer = answered(base, "c")
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    assert [e["data"] for e in answer.json()["events"]] == [1, 2]
    assert answer.json()["cursor"] == ids[-1]
    assert answer.headers["etag"] == f'"{ids[-1]}"'
    assert answer.headers["cache-control"] == "no-store"
    # Nothing new: 204 with the cursor, by since and by If-None-Match.
    for again in (
        poll(base, "c", since=ids[-1]),
        poll(base, "c", headers={"If-None-Match": answer.headers["etag"]}),
        poll(base, "c", headers={"If-None-Match": "W/" + answer.headers["etag"]}),
    ):
        assert again.status == 204 and again.headers["etag"] == f'"{ids[-1]}"'
        assert again.body == b"" and "content-length" not in again.headers
    assert poll(base, "empty").headers["etag"] == '"-"'


def test_poll_gets_all_of_a_long_history(redis, notifier):
    base = notifier().url
    put(redis, "c", *range(100))
    events = poll(base, "c").json()["events"]
    assert [e["data"] for e in events] == list(range(100))


def test_poll_waits_and_keeps_the_connection(redis, notifier):
    with Http(notifier().url) as http:
        cursor = None
        for n in range(20):
            http.request("GET", "/wait/c" + (f"?since={cursor}" if cursor else ""))
            if n == 0:
                heard(redis, "c")
            put(redis, "c", n)
            answer = http.response()
            assert [e["data"] for e in answer.json()["events"]] == [n]
            cursor = answer.json()["cursor"]


def test_polls_one_behind_the_other(redis, notifier):
    """Pipelined: the second waits for the first one's answer."""
    base = notifier().url
    with Http(base) as http:
        http.request("GET", "/wait/a")
        http.request("GET", "/wait/b")
        http.request("GET", "/nothing")
        heard(redis, "a")
        put(redis, "b", "second")
        assert http.silent(0.1)
        put(redis, "a", "first")
        assert http.response().json()["events"][0]["data"] == "first"
        assert http.response().json()["events"][0]["data"] == "second"
        assert http.response().status == 404


def test_poll_of_raw_messages(redis, notifier):
    with Http(notifier().url) as http:
        http.request("GET", "/wait/c")
        heard(redis, "c")
        redis.client.publish("ringback:ch:{c}", '{"n": 1}')
        answer = http.response()
        assert answer.json() == {"events": [{"n": 1}], "cursor": "-"}


def test_jsonp(redis, notifier):
    base = notifier(poll_timeout=lasting(0.3)).url
    (id,) = put(redis, "c", "\u2028<")
    answer = poll(base, "c", query="?callback=page.hear")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text.startswith("/**/page.hear({") and answer.text.endswith("});")
    inner = answer.text[len("/**/page.hear(") : -2]
    assert json.loads(inner)["events"][0]["data"] == "\u2028<"
    # A script must come even when nothing has.
    answer = poll(base, "c", since=id, query="?callback=f")
    assert answer.status == 200
    assert answer.text == '/**/f({"events":[],"cursor":"%s"});' % id
    for bad in ("alert(1)", "a-b", "1a", "a;b", "", "x" * 65, "<script>"):
        assert poll(base, "c", query=f"?callback={bad}").status == 400
    assert get(base + "/wait/c?callback=f", {"Sec-Fetch-Site": "cross-site"}).status == 200


# ---------------------------------------------------------------------- until=done


def test_until_done_sse(redis, notifier):
    base = notifier().url
    client = Sse(base, "c", query="?until=done")
    heard(redis, "c")
    put(redis, "c", 1)
    (done,) = put(redis, "c", 2, event="done")
    assert client.event()["data"] == 1 and client.event()["event"] == "done"
    assert next(client.pieces, None) is None and client.rest() == b""
    # The browser comes back by itself, and is told to stay away.
    again = Sse(base, "c", since=done, query="?until=done")
    assert again.answer.status == 204
    assert Sse(base, "c", since=done).answer.status == 200  # who did not ask for the end
    put(redis, "c", 3)
    assert Sse(base, "c", since=done, query="?until=done").answer.status == 204


def test_until_done_on_the_others(redis, notifier):
    base = notifier(poll_timeout="10s").url
    (done,) = put(redis, "c", 1, event="failed")
    stream = Stream(base, "c", "&until=done")
    assert stream.next()["event"] == "failed"
    with pytest.raises(Closed):
        stream.next()
    assert Stream(base, "c", f"&until=done&since={done}").answer.status == 204
    websocket = WebSocket(base, "c", "?until=done")
    assert websocket.event()["event"] == "failed" and websocket.close_code() == 1000
    assert WebSocket(base, "c", f"?until=done&since={done}").close_code() == 1000
    answer = poll(base, "c", query="?until=done")
    assert answer.json()["events"][0]["event"] == "failed"
    assert poll(base, "c", since=done, query="?until=done").status == 204


def test_until_done_of_several_channels(redis, notifier):
    base = notifier().url
    websocket, sse = WebSocket(base, "a,b", "?until=done"), Sse(base, "a,b", query="?until=done")
    heard(redis, "b")
    put(redis, "a", 1, event="done")
    put(redis, "a", 2)  # behind its end: not theirs
    put(redis, "b", 3, event="done")
    for client in (websocket, sse):
        assert [client.event()["data"] for _ in range(2)] == [1, 3]
    assert websocket.close_code() == 1000
    assert next(sse.pieces, None) is None
    assert Sse(base, "a,b", since=sse.id, query="?until=done").answer.status == 204
    # One that has not ended yet keeps the stream open.
    put(redis, "c", 4, event="done")
    client = Sse(base, "a,d", since=sse.id.split(",")[0] + ",-", query="?until=done")
    assert client.answer.status == 200


def test_until_done_when_the_stream_expired(redis, notifier, ringback):
    base = notifier().url
    done = script_publish(ringback, "c", event="done")
    redis.client.delete("ringback:ch:{c}")
    assert Sse(base, "c", since=done, query="?until=done").answer.status == 204


# ---------------------------------------------------------------------- cursors


def test_several_channels_and_their_cursor(redis, notifier):
    base = notifier(poll_timeout="200ms").url
    (a,), (b,) = put(redis, "a", 1), put(redis, "b", 2)
    answer = answered(base, "a,none,b")
    assert answer.json()["cursor"] == f"{a},-,{b}"
    assert sorted(e["data"] for e in answer.json()["events"]) == [1, 2]
    assert poll(base, "a,none,b", since=f"{a},-,{b}").status == 204
    put(redis, "a", 3)
    answer = answered(base, "b,a", since=f"{b},{a}")
    assert [e["data"] for e in answer.json()["events"]] == [3]
    sse = Sse(base, "b,a", since=f"-,{a}")
    ids = sorted((sse.next()[0], sse.next()[0]))
    assert sse.id.startswith(b + ",") and len(ids[0].split(",")) == 2


@pytest.mark.parametrize(
    "since", ["x", "1", "1-", "-1", "1-2-3", "01-1", "1-1,2-2", "99999999999999999999-0", ","]
)
def test_wrong_cursors(redis, notifier, since):
    base = notifier().url
    assert poll(base, "c", since=since).status == 400
    assert Sse(base, "c", since=since).answer.status == 400
    answer = get(f"{base}/wait/c?since={since}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 400 and "cursor" in answer.json()["detail"].lower()


def test_gap_is_told(redis, notifier, ringback, config):
    base = notifier(poll_timeout="200ms").url
    ids = [script_publish(ringback, "c", str(n)) for n in range(5)]
    redis.client.xtrim("ringback:ch:{c}", maxlen=2, approximate=False)
    events = answered(base, "c", since=ids[0]).json()["events"]
    assert [e["event"] for e in events] == ["gap", "tick", "tick"]
    gap = events[0]
    assert gap["since"] == ids[0] and gap["first"] == ids[3] and gap["id"] == ids[2]
    assert gap["channel"] == "c" and gap["at"] > 1700000000000
    # The last one trimmed away, and nothing missed.
    assert [e["event"] for e in answered(base, "c", since=ids[2]).json()["events"]] == ["tick"] * 2
    # From the gap's own id it is not told again, and SSE calls it by its name.
    assert answered(base, "c", since=gap["id"]).json()["events"][0]["event"] == "tick"
    assert Sse(base, "c", since=ids[0]).next()[:2] == (gap["id"], "gap")
    # All expired: the last id is known for a while.
    redis.client.delete("ringback:ch:{c}")
    assert poll(base, "c", since=ids[4]).status == 204
    (gap,) = answered(base, "c", since=ids[1]).json()["events"]
    assert (gap["event"], gap["id"], gap["first"]) == ("gap", ids[4], None)
    # From a future that a failover took back.
    (gap,) = answered(base, "c", since="9999999999999-0").json()["events"]
    assert (gap["event"], gap["id"]) == ("gap", ids[4])


def test_gap_when_nothing_is_known_any_more(redis, notifier):
    base = notifier(poll_timeout="200ms").url
    (gap,) = answered(base, "c", since="5-0").json()["events"]
    assert (gap["event"], gap["id"], gap["since"], gap["first"]) == ("gap", "0-0", "5-0", None)
    assert poll(base, "c", since=gap["id"]).status == 204  # not told again and again


def test_long_history_to_a_late_client(redis, notifier, config):
    base = notifier().url
    script = (
        "for n = 1, 3000 do redis.call('XADD', KEYS[1], '*', 'e', "
        "'{\"channel\":\"c\",\"event\":\"tick\",\"data\":' .. n .. '}') end"
    )
    redis.client.eval(script, 1, "ringback:ch:{c}")
    for client in (WebSocket(base, "c"), Sse(base, "c"), Stream(base, "c")):
        assert [client.event()["data"] for _ in range(3000)] == list(range(1, 3001))
        client.close()
    cursor, seen = None, 0
    while seen < 3000:
        answer = poll(base, "c", since=cursor).json()
        seen, cursor = seen + len(answer["events"]), answer["cursor"]
    assert seen == 3000


# ---------------------------------------------------------------------- HTTP


def test_paths_and_methods(redis, notifier):
    base = notifier().url
    for path in ("/", "/waiting", "/wait", "/Wait/c", "/echo", "/metrics", "/favicon.ico"):
        answer = get(base + path)
        assert answer.status == 404, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["title"] == "Not Found"
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = ask(base + "/wait/c", method)
        assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert ask(base + "/ringback.js", "POST").headers["allow"] == "GET, HEAD"
    assert ask(base + "/wait/c", "POST", body="x").status == 413


def test_head_does_not_wait(redis, notifier):
    base = notifier().url
    for headers, kind in (({}, "application/json"),
                          ({"Accept": "text/event-stream"}, "text/event-stream")):  # fmt: skip
        answer = ask(base + "/wait/c", "HEAD", headers)
        assert answer.status == 200 and answer.headers["content-type"] == kind
    kind = ask(base + "/wait/c?callback=f", "HEAD").headers["content-type"]
    assert kind == "text/javascript; charset=utf-8"
    assert ask(base + "/ringback.js", "HEAD").headers["content-length"] == str(
        len(get(base + "/ringback.js").body)
    )


def test_the_library_and_its_cache(redis, notifier):
    base = notifier().url
    answer = get(base + "/ringback.js")
    assert answer.status == 200 and b"ringback" in answer.body
    assert answer.headers["content-type"].startswith("text/javascript")
    tag = answer.headers["etag"]
    for value in (tag, f'"x", {tag}', "W/" + tag, "*"):
        again = get(base + "/ringback.js", {"If-None-Match": value})
        assert again.status == 304 and again.body == b"" and again.headers["etag"] == tag
    assert get(base + "/ringback.js", {"If-None-Match": '"x"'}).status == 200


def test_cors(redis, notifier):
    base = notifier(origins=["https://a.example"], poll_timeout="100ms").url
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    preflight = ask(base + "/wait/c", "OPTIONS", asked)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "https://a.example"
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert "Last-Event-ID" in preflight.headers["access-control-allow-headers"]
    for path in ("/wait/c", "/wait/a%20b"):
        answer = get(base + path, {"Origin": "https://a.example"})
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert answer.headers["vary"] == "Origin"
        assert "ETag" in answer.headers["access-control-expose-headers"]
    other = get(base + "/wait/c", {"Origin": "https://b.example"})
    assert "access-control-allow-origin" not in other.headers and other.headers["vary"]
    assert get(base + "/wait/c?callback=f", {"Sec-Fetch-Site": "cross-site"}).status == 403
    for origin, status in (("https://a.example", 101), ("https://b.example", 403), ("null", 403),
                           (None, 101)):  # fmt: skip
        headers = {"Origin": origin} if origin else {}
        assert WebSocket(base, "c", headers=headers).answer.status == status


def test_session(redis, notifier):
    base = notifier(session_cookie="sid").url
    put(redis, "session:abc", 1)
    cookie = {"Cookie": "a=b; sid=abc; c=d"}
    (event,) = get(base + "/wait/@session", cookie).json()["events"]
    assert event["data"] == 1 and event["channel"] == "session:abc"
    assert get(base + "/wait/@session").status == 403
    assert get(base + "/wait/@session", {"Cookie": "sid=a b"}).status == 403
    client = WebSocket(base, "c", headers=cookie)
    client.send_json({"subscribe": "@session"})
    assert client.event() == {"subscribed": "@session"} and client.event()["data"] == 1
    client.send_json({"unsubscribe": "@session"})
    assert client.event() == {"unsubscribed": "@session"}
    assert get(notifier().url + "/wait/@session", cookie).status == 403


def test_half_closed_clients(redis, notifier):
    """A request that is answered at once is; one that waits has nobody to wait for."""
    daemon = notifier()
    with Raw(daemon.url) as raw:
        raw.send("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        raw.socket.shutdown(socket.SHUT_WR)
        assert b" 404 " in raw.rest()
    with Http(daemon.url) as http:
        http.request("GET", "/wait/c")
        heard(redis, "c")
        http.socket.shutdown(socket.SHUT_WR)
        assert http.rest() == b""


def test_heartbeats(redis, notifier):
    base = notifier(ping_interval=lasting(0.2)).url
    sse, stream = Sse(base, "c"), Stream(base, "c")
    for piece, comment in ((sse.pieces, b":\n\n"), (stream.pieces, b"\n")):
        first = next(piece)
        assert first.startswith(b"retry: ") or first == comment
        assert next(piece) == comment and next(piece) == comment
    websocket = WebSocket(base, "c")
    for _ in range(5):
        fin, opcode, payload = websocket.recv_frame()
        assert (fin, opcode, payload) == (True, 0x9, b"")
        websocket.send_frame(0xA, payload)
    put(redis, "c", 1)
    assert websocket.event()["data"] == 1 and sse.event()["data"] == 1
