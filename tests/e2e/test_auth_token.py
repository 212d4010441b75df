"""auth.mode token: who shows a token hears the channels that it names, until it ends."""

import json
import time

import pytest
from peers.clients import Closed, Sse, Stream, WebSocket, ask, get, poll, post
from peers.process import lasting, patience, wait_until
from peers.tokens import encode, token


@pytest.fixture
def guarded(notifier, folder):
    """guarded(**auth): a notifier that wants tokens."""

    def start(secrets=("key",), **auth):
        from peers.tokens import SECRET

        auth.setdefault("leeway", "0s")
        files = []
        for name in secrets:
            file = folder / f"{name}.secret"
            if not file.exists():
                file.write_text((SECRET if name == "key" else f"{name} secret " * 4) + "\n")
            files.append(str(file))
        origins = auth.pop("origins", ["*"])
        session = auth.pop("session_cookie", "")
        served = notifier(
            auth={"mode": "token", "keys": files, **auth}, origins=origins, session_cookie=session
        )
        served.wait_line("feed.ready")
        return served

    return start


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def refused(answer, status, error=None):
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="ringback"')
    assert ("error=" in challenge) == (error is not None)
    if error:
        assert f'error="{error}"' in challenge


def published(served, channel, event="note"):
    answer = post(f"{served.admin}/publish/{channel}?event={event}", {"n": 1})
    assert answer.status == 200, answer
    return answer.json()["id"]


def metric(served, name, **labels):
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    for line in get(f"{served.admin}/metrics").text.splitlines():
        if line.startswith(f"{name}{{{inner}}} "):
            return int(line.split()[-1])
    raise AssertionError(f"no {name}{{{inner}}}")


TRANSPORTS = ["websocket", "sse", "stream", "poll"]


def asked(served, kind, channel, query="", headers=None):
    """The first answer of a transport."""
    if kind == "poll":
        return poll(served.url, channel, None, query, headers)
    make = {"websocket": WebSocket, "sse": Sse, "stream": Stream}[kind]
    tail = query if kind != "stream" else query.replace("?", "&")
    with make(served.url, channel, query=tail, headers=headers) as client:
        return client.answer


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_each_transport_wants_a_token(redis, guarded, kind):
    served = guarded()
    published(served, "order:1")
    good = token("order:1")
    welcome = 101 if kind == "websocket" else 200
    refused(asked(served, kind, "order:1"), 401)
    refused(asked(served, kind, "order:1", "?token=x.y.z"), 401, "invalid_token")
    refused(asked(served, kind, "order:1", f"?token={token('order:1', ttl=-1)}"), 401, "invalid_token")
    refused(asked(served, kind, "order:2", f"?token={good}"), 403, "insufficient_scope")
    assert asked(served, kind, "order:1", f"?token={good}").status == welcome
    assert asked(served, kind, "order:1", headers=bearer(good)).status == welcome
    assert metric(served, "ringback_notifier_refused_total", reason="token") == 3
    assert metric(served, "ringback_notifier_refused_total", reason="channel") == 1
    assert served.wait_line("wait.refused")


def test_channels_of_a_token(redis, guarded):
    served = guarded()
    for channel in ("a:1", "b", "user:7:x"):
        published(served, channel)
    for channels, path, status in [
        (["a:1", "b"], "a:1,b", 200),
        (["a:*", "b"], "a:1,b", 200),
        (["a:1"], "a:1,b", 403),
        (["user:7:*"], "user:7:x", 200),
        (["user:7:*"], "user:71:x", 403),
        (["*"], "b", 200),
        ([], "b", 403),
    ]:
        assert poll(served.url, path, query=f"?token={token(*channels)}").status == status
    for channels in (["a*b"], ["**"], ["a b"], "b", {"b": 1}, [7]):
        text = token(channels=channels) if not isinstance(channels, list) else token(*channels)
        refused(poll(served.url, "b", query=f"?token={text}"), 401, "invalid_token")


def test_forgeries(redis, guarded):
    served = guarded()
    published(served, "b")
    good = token("b")
    head, claims, signature = good.split(".")
    none = encode({"alg": "none"})
    for bad in [
        f"{none}.{claims}.",
        f"{none}.{claims}.{signature}",
        f"{head}.{claims}.",
        f"{head}.{encode({'channels': ['*']})}.{signature}",
        f"{good}=",
        f"{good}.",
        good + "A",
        token("b", secret="x" * 32),
        token("b", header={"alg": "HS384"}),
        token("b", header={"alg": "RS256"}),
        token("b", header={"alg": "HS256", "crit": ["exp"]}),
        token("b", nbf=time.time() + 60),
        token("b", exp="soon", ttl=None),
        "%00",
        "a" * 8193,
    ]:
        refused(poll(served.url, "b", query=f"?token={bad}"), 401, "invalid_token")
    assert poll(served.url, "b", query=f"?token={good}").status == 200


def test_issuer_and_audience(redis, guarded):
    served = guarded(issuer="shop", audience="ringback")
    published(served, "b")
    for claims, status in [
        ({"iss": "shop", "aud": "ringback"}, 200),
        ({"iss": "shop", "aud": ["x", "ringback"]}, 200),
        ({"iss": "shop"}, 401),
        ({"iss": "other", "aud": "ringback"}, 401),
        ({"aud": "ringback"}, 401),
    ]:
        assert poll(served.url, "b", query=f"?token={token('b', **claims)}").status == status


def test_cookie_counts_only_for_the_own_site(redis, guarded):
    served = guarded(cookie="rb")
    published(served, "b")
    cookie = {"Cookie": f"x=1; rb={token('b')}"}
    own = served.url
    assert poll(served.url, "b", headers=cookie).status == 200
    assert poll(served.url, "b", headers={**cookie, "Origin": own}).status == 200
    refused(poll(served.url, "b", headers={**cookie, "Origin": "https://evil.example"}), 401)
    refused(poll(served.url, "b", headers={**cookie, "Sec-Fetch-Site": "cross-site"}), 401)
    with WebSocket(served.url, "b", headers={**cookie, "Origin": "https://evil.example"}) as ws:
        refused(ws.answer, 401)
    with WebSocket(served.url, "b", headers={**cookie, "Origin": own}) as ws:
        assert ws.answer.status == 101
    # A token that the page itself holds is the page's own doing.
    text = token("b")
    answer = poll(served.url, "b", query=f"?token={text}", headers={"Origin": "https://evil.example"})
    assert answer.status == 200


def test_cookie_counts_for_listed_sites(redis, guarded):
    served = guarded(cookie="rb", origins=["https://shop.example"])
    published(served, "b")
    cookie = {"Cookie": f"rb={token('b')}"}
    answer = poll(served.url, "b", headers={**cookie, "Origin": "https://shop.example"})
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    refused(poll(served.url, "b", headers={**cookie, "Origin": "https://evil.example"}), 401)


def test_session_is_nobody_elses(redis, guarded):
    served = guarded(session_cookie="sid")
    published(served, "session:s1")
    query = f"?token={token('@session')}"
    one, two = {"Cookie": "sid=s1"}, {"Cookie": "sid=s2"}
    assert poll(served.url, "@session", query=query, headers=one).status == 200
    assert poll(served.url, "session:s1", query=query, headers=one).status == 200
    assert poll(served.url, "session:s1", query=query, headers=two).status == 403
    evil = {**one, "Origin": "https://evil.example"}
    assert poll(served.url, "@session", query=query, headers=evil).status == 403
    with WebSocket(served.url, "session:s1", query=query, headers=one) as ws:
        assert ws.event()["channel"] == "session:s1"
        ws.send_json({"unsubscribe": "session:s1"})
        assert ws.event() == {"unsubscribed": "session:s1"}
        ws.send_json({"subscribe": "@session"})
        assert ws.event() == {"subscribed": "@session"}
        assert ws.event()["channel"] == "session:s1"
        ws.send_json({"subscribe": "session:s2"})
        assert ws.event()["error"]["code"] == "forbidden"


def test_subscribe_is_checked(redis, guarded):
    served = guarded()
    with WebSocket(served.url, "a:1", query=f"?token={token('a:*')}") as ws:
        ws.send_json({"subscribe": "b"})
        assert ws.event()["error"] == {
            "code": "forbidden", "channel": "b",
            "message": "This channel is not among those that are allowed.",
        }  # fmt: skip
        ws.send_json({"subscribe": "a:2"})
        assert ws.event() == {"subscribed": "a:2"}
        published(served, "b")
        id = published(served, "a:2")
        assert ws.event()["id"] == id


def test_a_live_websocket_is_warned_and_ended(redis, guarded):
    served = guarded(warning="1s")
    begun = time.time()
    text = token("b", ttl=None, exp=begun + 2)
    with WebSocket(served.url, "b", query=f"?token={text}") as ws:
        warning = ws.event()
        assert warning["event"] == "expiring"
        assert 0.9 < time.time() - begun < patience(1.6)
        assert abs(warning["expires"] / 1000 - begun - 2) < 0.5
        assert ws.event()["event"] == "expired"
        with pytest.raises(Closed) as closed:
            ws.recv()
        assert closed.value.args == (1008, "the token has expired")
        assert 1.9 < time.time() - begun < patience(3)
    assert metric(served, "ringback_notifier_closed_total", reason="expired") == 1


def test_a_live_stream_is_warned_and_ended(redis, guarded):
    served = guarded(warning="1s")
    query = f"?token={token('b', ttl=1 + patience(1))}"
    with Sse(served.url, "b", query=query) as sse, Stream(
        served.url, "b", query=query.replace("?", "&")
    ) as stream:
        published(served, "b")
        id, name, _ = sse.next()
        assert name == "note"
        assert stream.next()["event"] == "note"
        for name in ("expiring", "expired"):
            assert sse.next()[:2] == (id, name)  # the cursor stays
            assert stream.next()["event"] == name
        with pytest.raises(Closed):
            sse.next()
        with pytest.raises(Closed):
            stream.next()


def test_a_poll_ends_with_its_token(redis, guarded):
    served = guarded()
    begun = time.time()
    query = f"?token={token('b', ttl=min(patience(1), 5))}"
    assert poll(served.url, "b", query=query).status == 204
    assert time.time() - begun < min(patience(5), 20)
    refused(poll(served.url, "b", query=query), 401, "invalid_token")


def test_refresh(redis, guarded):
    served = guarded(warning=lasting(2))
    end = time.time() + 1 + patience(2)
    with WebSocket(served.url, "a,b", query=f"?token={token('*', ttl=None, exp=end)}") as ws:
        assert ws.event()["event"] == "expiring"
        ws.send_json({"token": token("*", ttl=-1)})
        assert ws.event()["error"]["code"] == "invalid_token"
        ws.send_json({"token": token("a", ttl=60)})
        revoked = ws.event()  # b is not in the new one
        assert (revoked["event"], revoked["channel"]) == ("revoked", "b")
        assert ws.event() == {"token": "accepted"}
        wait_until(lambda: time.time() > end + 0.2, 30, what="the end of the first token")
        published(served, "b")
        id = published(served, "a")
        assert ws.event()["id"] == id
        ws.send_json({"token": token("c")})
        assert ws.event()["event"] == "revoked"
        assert ws.close_code() == 1008


def test_head_and_options(redis, guarded):
    served = guarded()
    assert ask(f"{served.url}/wait/a", "HEAD").status == 401
    assert ask(f"{served.url}/wait/a?token={token('b')}", "HEAD").status == 403
    assert ask(f"{served.url}/wait/a?token={token('a')}", "HEAD").status == 200
    preflight = ask(f"{served.url}/wait/a", "OPTIONS", {"Origin": "https://a.example"})
    assert preflight.status == 204
    assert "Authorization" in preflight.headers["access-control-allow-headers"]


def test_open_mode_has_no_tokens(redis, notifier):
    served = notifier()
    with WebSocket(served.url, "a") as ws:
        ws.send_json({"token": token("a")})
        assert ws.event()["error"]["code"] == "forbidden"


def test_rotation_by_sighup(redis, guarded, folder):
    import signal

    served = guarded()
    published(served, "b")
    old, new = token("b"), token("b", secret="fresh secret " * 4)
    assert poll(served.url, "b", query=f"?token={new}").status == 401
    key, fresh = folder / "key.secret", folder / "fresh.secret"
    auth = {"mode": "token", "leeway": "0s"}
    served.configure({"notifier": {"auth": {**auth, "keys": [str(key), str(fresh)]}}})
    with WebSocket(served.url, "b", query=f"?token={old}") as ws:
        assert ws.event()["event"] == "note"
        served.signal(signal.SIGHUP)
        served.wait_line("notifier.reload_failed")  # there is no such file yet
        assert poll(served.url, "b", query=f"?token={old}").status == 200
        fresh.write_text("fresh secret " * 4)
        served.signal(signal.SIGHUP)
        served.wait_line("notifier.reloaded")
        for text in (old, new):
            assert poll(served.url, "b", query=f"?token={text}").status == 200
        served.configure({"notifier": {"auth": {**auth, "keys": [str(fresh)]}}})
        served.signal(signal.SIGHUP)
        wait_until(lambda: poll(served.url, "b", query=f"?token={old}").status == 401, 5, "401")
        published(served, "b")
        assert ws.event()["event"] == "note"  # who is in stays in, until its token ends


def test_mistakes_are_told_at_start(redis, notifier, folder):
    for auth, expected in [
        ({"mode": "token"}, "notifier.auth.keys: expected at least one file"),
        ({"mode": "token", "keys": ["/nowhere"]}, "/nowhere: the key can't be read"),
    ]:
        served = notifier(auth=auth, wait=False, name=f"wrong{len(expected)}")
        assert served.process.wait(5) == 78
        assert expected in served.process.log
    short = folder / "short"
    short.write_text("secret")
    served = notifier(auth={"mode": "token", "keys": ["short"]}, wait=False, name="short")
    assert served.process.wait(5) == 78
    assert f"{short}: a secret has at least 32 bytes" in served.process.log


def test_garbage_in_commands(redis, guarded):
    served = guarded()
    with WebSocket(served.url, "b", query=f"?token={token('b')}") as ws:
        for command in [{"token": 7}, {"token": None}, {"token": "x", "more": 1}]:
            ws.send_json(command)
            assert ws.event()["error"]["code"] == "invalid_message"
        for text in ["", ".", "x" * 9000, json.dumps({"a": 1})]:
            ws.send_json({"token": text})
            assert ws.event()["error"]["code"] == "invalid_token"
