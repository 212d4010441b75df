"""Who may ask the admin listener, what it takes back, and whose word on clients counts."""

import hashlib
import socket
import time

import pytest
from peers.clients import Closed, Http, Sse, Stream, WebSocket, ask, get, post
from peers.process import patience, wait_until
from peers.tokens import SECRET, token


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def published(served, channel):
    answer = post(f"{served.admin}/publish/{channel}?event=note", {"n": 1})
    assert answer.status == 200, answer
    return answer.json()["id"]


def ready(served):
    served.wait_line("feed.ready")
    return served


# --- asking the admin listener ---


def test_admin_tokens(redis, notifier):
    served = ready(notifier(admin_tokens=[digest("first token"), digest("second")]))
    for path in ("/metrics", "/channels/a", "/nothing"):
        for headers in (None, bearer("third"), bearer(""), bearer(digest("second")),
                        {"Authorization": "second"}, {"Authorization": "Basic c2Vjb25k"}):  # fmt: skip
            answer = get(f"{served.admin}{path}", headers)
            assert answer.status == 401, answer
            assert answer.headers["www-authenticate"] == 'Bearer realm="ringback admin"'
            assert answer.json()["detail"] == "A token is needed."
    for text in ("first token", "second"):
        assert get(f"{served.admin}/metrics", bearer(text)).status == 200
        answer = post(f"{served.admin}/publish/a?event=x", "1", bearer(text))
        assert answer.status == 200
    assert get(f"{served.admin}/healthz").status == 200
    assert get(f"{served.admin}/readyz").status == 200
    text = get(f"{served.admin}/metrics", bearer("second")).text
    assert 'ringback_notifier_refused_total{reason="admin"} 18' in text
    assert served.wait_line("admin.refused", why="token")


def test_no_body_is_taken_of_who_may_not_ask(redis, notifier):
    served = ready(notifier(admin_tokens=[digest("good")]))
    for expect, token in (({}, "bad"), ({"Expect": "100-continue"}, "bad"), ({}, None)):
        with Http(served.admin) as client:
            fields = {**expect, **(bearer(token) if token else {}), "Content-Length": "8000000"}
            client.request("POST", "/publish/a", fields)
            answer = client.response()
            assert answer.status == 401 and answer.headers["connection"] == "close"
            assert client.rest() == b""
    with Http(served.admin) as client:
        client.request("POST", "/publish/a", {"Expect": "100-continue", **bearer("good"), "Content-Length": "5"})
        assert client.head().status == 100
        client.send(b"hello")
        assert client.response().status == 200
        client.request("POST", "/publish/a", {**bearer("good"), "Content-Length": "5"})
        client.send(b"he")
        client.send(b"llo")
        assert client.response().status == 200


def test_admin_addresses(redis, notifier, folder):
    path = folder / "admin.sock"
    served = notifier(admin_allow=["10.1.0.0/16"], settings={})
    answer = get(f"{served.admin}/healthz")
    assert answer.status == 403, answer
    assert served.wait_line("admin.refused", why="address")
    for allowed in (["127.0.0.0/8"], ["10.1.0.0/16", "loopback"], ["127.0.0.1"]):
        served = notifier(admin_allow=allowed, name=f"n{len(str(allowed))}")
        assert get(f"{served.admin}/healthz").status == 200
    served = notifier(admin=[f"unix:{path}?mode=0600"], admin_allow=["10.1.0.0/16"], wait=False, name="unix")
    served.wait_line("notifier.started")
    assert path.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("bad", ["secret", "sha256:00", "sha256:" + "g" * 64, "md5:" + "0" * 64])
def test_admin_tokens_are_digests(redis, notifier, bad):
    served = notifier(admin_tokens=[bad], wait=False)
    assert served.process.wait(5) == 78
    assert "notifier.admin_tokens: expected sha256:" in served.process.log


# --- revoking ---


@pytest.fixture
def revoke():
    def run(served, query, status=200):
        answer = ask(f"{served.admin}/subscriptions?{query}", "DELETE")
        assert answer.status == status, answer
        return answer.json()

    return run


def test_a_channel_is_taken_back(redis, notifier, revoke):
    served = ready(notifier())
    with WebSocket(served.url, "a:1,b") as both, WebSocket(served.url, "a:1") as one, Sse(
        served.url, "a:2"
    ) as sse, Stream(served.url, "b,a:2") as stream, WebSocket(served.url, "b") as other:
        assert revoke(served, "channel=a:*") == {"notifiers": 1}
        told = both.event()
        assert (told["event"], told["channel"]) == ("revoked", "a:1")
        assert one.event()["event"] == "revoked"
        with pytest.raises(Closed) as closed:
            one.recv()
        assert closed.value.args == (1008, "revoked")
        assert sse.next()[1] == "revoked"
        assert stream.next()["event"] == "revoked"
        for client in (sse, stream):
            with pytest.raises(Closed):
                client.next()
        published(served, "a:1")
        id = published(served, "b")
        assert both.event()["id"] == id
        assert other.event()["id"] == id
    assert served.wait_line("subscriptions.revoked", channel="a:*")
    assert 'closed_total{reason="revoked"} 3' in get(f"{served.admin}/metrics").text


def test_a_session_is_taken_back(redis, notifier, revoke):
    served = ready(notifier(session_cookie="sid"))
    one, two = {"Cookie": "sid=s1"}, {"Cookie": "sid=s2"}
    with WebSocket(served.url, "a,b", headers=one) as first, Sse(
        served.url, "a", headers=one
    ) as sse, WebSocket(served.url, "a", headers=two) as second:
        revoke(served, "session=s3")
        revoke(served, "session=s1&channel=c")
        revoke(served, "session=s1")
        assert first.event()["event"] == "revoked"
        assert first.close_code() == 1008
        assert sse.next()[1] == "revoked"
        id = published(served, "a")
        assert second.event()["id"] == id


def test_a_subject_is_taken_back(redis, notifier, revoke, folder):
    (folder / "key").write_text(SECRET)
    served = ready(notifier(auth={"mode": "token", "keys": ["key"]}))
    with WebSocket(served.url, "a", query=f"?token={token('*', sub='u7')}") as first, WebSocket(
        served.url, "a", query=f"?token={token('*', sub='u8')}"
    ) as second:
        first.send_json({"unsubscribe": "a"})
        assert first.event() == {"unsubscribed": "a"}
        revoke(served, "subject=u7")
        assert first.event()["event"] == "revoked"  # though it hears nothing now
        assert first.close_code() == 1008
        id = published(served, "a")
        assert second.event()["id"] == id


def test_a_poll_is_taken_back(redis, notifier, revoke):
    served = ready(notifier())
    with Http(served.url) as client:
        client.request("GET", "/wait/a")
        wait_until(lambda: get(f"{served.admin}/channels/a").json()["waiters"] == 1, 5, "waiter")
        begun = time.time()
        revoke(served, "channel=a")
        assert client.response().status == 204
        assert time.time() - begun < patience(3)


def test_all_processes_hear_it(redis, notifier, revoke):
    served = ready(notifier(processes=2))
    wait_until(lambda: len(served.lines("feed.ready")) == 2, 5, "both")
    clients = [WebSocket(served.url, "a") for _ in range(12)]
    assert revoke(served, "channel=a") == {"notifiers": 2}
    for client in clients:
        assert client.close_code() == 1008
        client.close()


def test_what_revoking_needs(redis, notifier, revoke):
    served = ready(notifier())
    for query in ("", "x=1", "channel=", "channel=a*b", "channel=a%20b", "session=",
                  "subject=" + "a" * 300, "channel=%zz"):  # fmt: skip
        revoke(served, query, 400)
    assert get(f"{served.admin}/subscriptions").status == 405
    redis.stop()
    wait_until(lambda: get(f"{served.admin}/readyz").status == 503, 5, "trouble")
    revoke(served, "channel=a", 503)


# --- whose word on clients counts ---


def test_addresses_behind_a_proxy(redis, notifier):
    served = ready(notifier(max_connections_per_address=2, trusted_proxies=["loopback"]))

    def status(address):
        client = Http(served.url)
        client.request("GET", "/wait/a?mode=stream", {"X-Forwarded-For": address})
        kept.append(client)
        return client.head().status

    kept = []
    assert [status("192.0.2.7") for _ in range(3)] == [200, 200, 503]
    assert [status("6.6.6.6, 192.0.2.7")] == [503]
    assert [status("192.0.2.8") for _ in range(3)] == [200, 200, 503]
    assert [status("127.0.0.1") for _ in range(4)] == [200] * 4  # the proxy's own checks
    for client in kept:
        client.close()
    wait_until(lambda: status("192.0.2.7") == 200, 5, "room again")
    for client in kept:
        client.close()


def test_nobody_is_believed_by_default(redis, notifier):
    served = ready(notifier(max_connections_per_address=2))
    kept = []
    for n in range(4):
        client = Http(served.url)
        client.request("GET", "/wait/a?mode=stream", {"X-Forwarded-For": f"192.0.2.{n}"})
        kept.append(client)
    assert [client.head().status for client in kept][2:] == [503, 503]
    for client in kept:
        client.close()


def test_admin_behind_a_proxy(redis, notifier):
    served = ready(notifier(trusted_proxies=["loopback"], admin_allow=["10.0.0.0/8", "loopback"]))
    for address, status in (("10.1.2.3", 200), ("192.0.2.7", 403), ("10.1.2.3, 192.0.2.7", 403)):
        assert get(f"{served.admin}/healthz", {"X-Forwarded-For": address}).status == status
    assert get(f"{served.admin}/healthz").status == 200
