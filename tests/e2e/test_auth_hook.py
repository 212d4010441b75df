"""auth.mode hook: the web app is asked who may hear what; anything but a clear yes is no."""

import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from peers.clients import Closed, Http, Raw, Sse, Stream, WebSocket, get, poll, post
from peers.process import patience, wait_until


class App(ThreadingHTTPServer):
    """The web app: `answer` decides, from what was asked, about status, body and type."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.answer = lambda request: (204, "", "")
        self.url = f"http://127.0.0.1:{self.server_port}/may-hear"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, *_):
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self)
        answer = self.server.answer(self)
        if answer is None:  # no answer at all
            self.close_connection = True
            return
        status, body, type = answer
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/login")
        if type:
            self.send_header("Content-Type", type)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def grant(channels, **more):
    return 200, json.dumps({"channels": channels, **more}), "application/json"


@pytest.fixture
def app():
    server = App()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def asking(app, notifier):
    def start(**auth):
        more = {key: auth.pop(key) for key in ("origins", "session_cookie") if key in auth}
        auth = {"mode": "hook", "hook": app.url, "leeway": "0s", **auth}
        served = notifier(auth=auth, **more)
        served.wait_line("feed.ready")
        return served

    return start


def published(served, channel):
    answer = post(f"{served.admin}/publish/{channel}?event=note", {"n": 1})
    assert answer.status == 200, answer
    return answer.json()["id"]


def counts(served, family="hook"):
    found = {}
    for line in get(f"{served.admin}/metrics").text.splitlines():
        name, _, rest = line.partition("{")
        if name == f"ringback_notifier_{family}_total":
            found[rest.split('"')[1]] = int(line.split()[-1])
    return found


def test_the_app_is_told_who_asks(redis, app, asking):
    served = asking()
    published(served, "a")
    answer = poll(served.url, "a,b", headers={
        "Cookie": "sid=s1; theme=dark", "Authorization": "Bearer t0", "User-Agent": "u/1",
        "Accept-Language": "de", "X-Other": "1",
    })  # fmt: skip
    assert answer.status == 200, answer
    (asked,) = app.asked
    assert asked.path == "/may-hear?channels=a,b"
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert headers["x-ringback-channels"] == "a,b"
    assert headers["cookie"] == "sid=s1; theme=dark"
    assert headers["authorization"] == "Bearer t0"
    assert headers["user-agent"] == "u/1"
    assert headers["accept-language"] == "de"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert "x-other" not in headers
    assert counts(served)["allowed"] == 1


@pytest.mark.parametrize("kind", ["websocket", "sse", "stream", "poll"])
def test_each_transport(redis, app, asking, kind):
    served = asking(hook_cache="300ms")
    published(served, "a")

    def asked():
        if kind == "poll":
            return poll(served.url, "a").status
        with {"websocket": WebSocket, "sse": Sse, "stream": Stream}[kind](served.url, "a") as c:
            return c.answer.status

    assert asked() == (101 if kind == "websocket" else 200)
    app.answer = lambda request: (403, "", "")
    wait_until(lambda: asked() == 403, 5, "the kept answer to end", 0.05)


@pytest.mark.parametrize(
    "said, status",
    [
        ((200, "", "text/html"), 200),
        ((204, "", ""), 200),
        (grant(["a"]), 200),
        (grant(["*"]), 200),
        (grant(["b"]), 403),
        (grant([]), 403),
        (grant(["a"], exp=1000), 403),
        (grant(["a"], exp="soon"), 503),
        ((401, "who?", "text/plain"), 401),
        ((403, "", ""), 403),
        ((302, "", ""), 403),
        ((404, "", ""), 503),
        ((429, "", ""), 503),
        ((500, "", ""), 503),
        ((503, "", ""), 503),
        ((200, "<form>log in</form>", "text/html"), 503),
        ((200, '{"channels": ["a"]}', "text/html"), 503),
        ((200, "{}", "application/json"), 503),
        ((200, "true", "application/json"), 503),
        ((200, "{", "application/json"), 503),
        ((200, '{"channels": "a"}', "application/json"), 503),
        ((200, '{"channels": ["a*b"]}', "application/json"), 503),
        ((200, " " * 70000, "application/json"), 503),
        (None, 503),
    ],
)
def test_what_counts_as_yes(redis, app, asking, said, status):
    served = asking()
    published(served, "a")
    app.answer = lambda request: said
    answer = poll(served.url, "a")
    assert answer.status == status, answer
    if status >= 400:
        assert answer.json()["status"] == status
    if status == 503:
        assert answer.headers["retry-after"]
        assert served.wait_line("hook.failed")
        assert counts(served)["failed"] == 1
        assert counts(served, "refused")["hook"] == 1


def test_an_app_that_is_late_or_gone(redis, app, asking):
    served = asking(hook_timeout="300ms")
    gate = threading.Event()
    app.answer = lambda request: (gate.wait(60), (204, "", ""))[1]
    begun = time.time()
    assert poll(served.url, "a").status == 503
    assert time.time() - begun < patience(3)
    gate.set()
    app.shutdown()
    app.server_close()
    assert poll(served.url, "a", headers={"Cookie": "b=1"}).status == 503


def test_answers_are_kept_by_session(redis, app, asking):
    served = asking(session_cookie="sid")
    published(served, "a")
    app.answer = lambda request: (204, "", "") if "sid=s1" in request.headers["Cookie"] else (403, "", "")

    def ask(cookie, channel="a", **headers):
        return poll(served.url, channel, headers={"Cookie": cookie, **headers}).status

    assert [ask("sid=s1; x=1"), ask("sid=s1; x=2"), ask("y=1; sid=s1")] == [200, 200, 200]
    assert len(app.asked) == 1
    assert ask("sid=s2; x=1") == 403
    assert len(app.asked) == 2
    assert ask("sid=s1", Authorization="Bearer z") == 200
    assert len(app.asked) == 3
    assert ask("sid=s1", Origin=served.url) == 200
    assert len(app.asked) == 4
    published(served, "b")
    assert ask("sid=s1", "b") == 200
    assert len(app.asked) == 5
    assert counts(served) == {"allowed": 4, "refused": 1, "failed": 0, "kept": 2}


def test_without_a_session_all_cookies_count(redis, app, asking):
    served = asking()
    published(served, "a")
    for cookie in ("x=1", "x=2", "x=1"):
        assert poll(served.url, "a", headers={"Cookie": cookie}).status == 200
    assert len(app.asked) == 2


def test_a_refusal_is_kept_shortly(redis, app, asking):
    served = asking(hook_cache="60s")
    published(served, "a")
    app.answer = lambda request: (403, "", "")
    assert poll(served.url, "a").status == 403
    app.answer = lambda request: (204, "", "")
    begun = time.time()
    wait_until(lambda: poll(served.url, "a").status == 200, 5, "another answer", 0.1)
    assert time.time() - begun < patience(3)


def test_trouble_is_not_kept(redis, app, asking):
    served = asking(hook_cache="60s")
    published(served, "a")
    app.answer = lambda request: (500, "", "")
    assert poll(served.url, "a").status == 503
    app.answer = lambda request: (204, "", "")
    assert poll(served.url, "a").status == 200


def test_the_same_question_is_asked_once(redis, app, asking):
    served = asking(hook_cache="0s")
    published(served, "a")
    gate = threading.Event()
    app.answer = lambda request: (gate.wait(10), (204, "", ""))[1]
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(poll, served.url, "a") for _ in range(20)]
        wait_until(lambda: counts(served)["kept"] == 19, 10, "all to ask")
        gate.set()
        assert {answer.result().status for answer in answers} == {200}
    assert len(app.asked) == 1


def test_many_different_questions(redis, app, asking):
    served = asking(hook_timeout="10s")
    for channel in range(300):
        published(served, f"c{channel}")
    with ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(lambda n: poll(served.url, f"c{n}").status, range(300)))
    assert set(statuses) == {200}
    assert len(app.asked) == 300


def test_clients_that_go_while_the_app_thinks(redis, app, asking):
    served = asking(hook_cache="0s")
    gate = threading.Event()
    app.answer = lambda request: (gate.wait(10), (204, "", ""))[1]
    for i in range(10):
        client = Http(served.url)
        client.request("GET", f"/wait/a{i % 3}")
        client.reset()
    wait_until(lambda: len(app.asked) >= 1, 5, "a question")
    with WebSocket.__new__(WebSocket) as ws:
        Raw.__init__(ws, served.url)
        ws.request("GET", "/wait/a0", {"Upgrade": "websocket", "Connection": "Upgrade",
                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                   "Sec-WebSocket-Version": "13"})  # fmt: skip
        gate.set()
        assert ws.head().status == 101


def test_subscribe_asks_too(redis, app, asking):
    served = asking()
    app.answer = lambda r: (403, "", "") if r.path.endswith("=no") else (
        (500, "", "") if r.path.endswith("=sick") else (204, "", "")
    )
    with WebSocket(served.url, "a", headers={"Cookie": "sid=s1"}) as ws:
        ws.send_json({"subscribe": "no"})
        assert ws.event()["error"]["code"] == "forbidden"
        ws.send_json({"subscribe": "sick"})
        assert ws.event()["error"]["code"] == "unavailable"
        ws.send_json({"subscribe": "b"})
        assert ws.event() == {"subscribed": "b"}
        assert {asked.headers["Cookie"] for asked in app.asked} == {"sid=s1"}
        id = published(served, "b")
        assert ws.event()["id"] == id
        published(served, "no")
        id = published(served, "a")
        assert ws.event()["id"] == id


def test_subscribers_that_go_while_the_app_thinks(redis, app, asking):
    served = asking()
    gate = threading.Event()
    app.answer = lambda r: (gate.wait(10) if not r.path.endswith("=a") else 0, (204, "", ""))[1]
    with WebSocket(served.url, "a") as ws:
        for i in range(20):
            ws.send_json({"subscribe": f"c{i}"})
        codes = [ws.event()["error"]["code"] for _ in range(4)]
        assert codes == ["unavailable"] * 4  # 16 at a time
        ws.reset()
    gate.set()
    published(served, "c1")


def test_a_grant_ends(redis, app, asking):
    served = asking(warning="1s")
    app.answer = lambda request: grant(["a", "b"], exp=time.time() + 2)
    with WebSocket(served.url, "a") as ws:
        assert ws.event()["event"] == "expiring"
        assert ws.event()["event"] == "expired"
        with pytest.raises(Closed) as closed:
            ws.recv()
        assert closed.value.args[0] == 1008
    asked = len(app.asked)
    app.answer = lambda request: (403, "", "")
    assert poll(served.url, "a").status == 403
    assert len(app.asked) == asked + 1


def test_other_sites_bring_no_cookies(redis, app, asking):
    served = asking(session_cookie="sid")
    app.answer = lambda r: (204, "", "") if r.headers["Cookie"] else (401, "", "")
    evil = {"Cookie": "sid=s1", "Origin": "https://evil.example", "Authorization": "Basic eDp5"}
    with WebSocket(served.url, "a", headers=evil) as ws:
        assert ws.answer.status == 401
    assert app.asked[-1].headers["Authorization"] is None
    with WebSocket(served.url, "a", headers={"Cookie": "sid=s1", "Origin": served.url}) as ws:
        assert ws.answer.status == 101


def test_a_token_in_the_query(redis, app, asking):
    served = asking()
    published(served, "a")
    for query, sent in [
        ("?token=abc.def-1~2", "Bearer abc.def-1~2"),
        ("?token=a%0d%0aX-Admin:%201", None),
        ("?token=a%20b", None),
        ("?token=", None),
    ]:
        assert poll(served.url, "a", query=query, headers={"Cookie": query[7:10]}).status == 200
        assert app.asked[-1].headers["Authorization"] == sent
        assert app.asked[-1].headers["X-Admin"] is None


def test_mode_is_reloaded(redis, app, asking):
    served = asking()
    published(served, "a")
    app.answer = lambda request: (403, "", "")
    assert poll(served.url, "a").status == 403
    served.configure({"notifier": {"auth": {"mode": "open"}}})
    served.signal(signal.SIGHUP)
    wait_until(lambda: poll(served.url, "a").status == 200, 5, "open doors")


def test_a_hook_that_is_not_set(redis, notifier):
    served = notifier(auth={"mode": "hook"}, wait=False)
    assert served.process.wait(5) == 78
    assert "notifier.auth.hook: expected http://" in served.process.log


def test_the_end_does_not_wait_for_the_app(redis, app, asking):
    served = asking(hook_timeout="30s")
    gate = threading.Event()
    app.answer = lambda r: (gate.wait(20) if not r.path.endswith("=a") else 0, (204, "", ""))[1]
    with WebSocket(served.url, "a") as ws, Http(served.url) as client:
        ws.send_json({"subscribe": "b"})
        client.request("GET", "/wait/c")
        wait_until(lambda: len(app.asked) == 3, 5, "questions")
        begun = time.time()
        served.terminate()
        assert ws.close_code() == 1001
        assert served.process.wait(10) == 0
        assert time.time() - begun < min(patience(8), 18)
    gate.set()
