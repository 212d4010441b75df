"""ringback.js: by itself under Node with stand-ins, and in a real browser with the notifier."""

import functools
import http.server
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from peers.clients import get, post
from peers.process import ROOT, patience, wait_until

HERE = Path(__file__).resolve().parent
CHROMIUM = os.path.exists("/usr/bin/chromium") and os.path.exists("/usr/bin/chromedriver")

PAGE = """<!doctype html><meta charset="utf-8"><title>page</title><script src="{notifier}/ringback.js"></script>
<script src="{notifier}/ringback-enqueue.js"></script>
<script>
  window.told = [];
  const tell = (name) => (value) => told.push([name, value && value.message ? [value.code, value.message] : value]);
  const enqueue = (job, name, options) => ringback.enqueue(job, options).then(tell(name), tell(name + " failed"));
  const wait = (channel, name, options) => ringback.wait(channel, options).then(tell(name), tell(name + " failed"));
</script>
<script type="module">
  import {{ enqueue as ask, events }} from "{notifier}/ringback.mjs";
  window.ask = ask;
  window.listen = async (channel, enough) => {{
    for await (const event of events(channel)) {{
      told.push(["heard", event.data]);
      if (event.data === enough) break;
    }}
    told.push(["left", enough]);
  }};
</script>
<ring-back id="hotel" channel="hotel">
  <p>Asking three hotels … <progress></progress> <b data-when="partial">some are here</b></p>
  <template data-when="partial"><i data-field="data.name"></i></template>
  <template><h1 data-field="city"></h1><template data-each="offers"><p><span data-field="hotel"></span>
    <template data-each="rooms"><b data-field=""></b></template></p></template></template>
</ring-back>
<ring-back id="broken" channel="broken"><p>A moment …</p>
  <template data-when="failed"><em data-field="code"></em></template></ring-back>"""


@pytest.mark.skipif(not shutil.which("node"), reason="Node is not on this machine")
def test_under_node():
    files = sorted((HERE / "web").glob("*_test.js"))
    done = subprocess.run(["node", "--test", *files], text=True, capture_output=True, timeout=patience(60))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout and "# pass 0" not in done.stdout


def test_the_files_are_served(notifier):
    started = notifier()
    for name in ("ringback.js", "ringback.mjs", "ring-back.js", "ringback-enqueue.js", "ringback-tabs.js"):
        answer = get(f"{started.url}/{name}")
        assert answer.status == 200 and answer.headers["content-type"].startswith("text/javascript")
        assert answer.body == (ROOT / "notifier" / "web" / name).read_bytes()
        known = get(f"{started.url}/{name}", headers={"If-None-Match": answer.headers["etag"]})
        assert known.status == 304
    assert get(started.url + "/ringback.d.ts").status == 404


class Page(http.server.BaseHTTPRequestHandler):
    def __init__(self, text, *args):
        self.text = text
        super().__init__(*args)

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(self.text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def page(request, redis, notifier, folder):
    """A page of another origin that loaded the script, and its notifier; the parameter is
    of its settings."""
    from peers.browser import Browser

    started = notifier(**getattr(request, "param", {}))
    wait_until(lambda: get(started.admin + "/readyz").status == 200, what="readyz")
    handler = functools.partial(Page, PAGE.format(notifier=started.url))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = Browser(folder)
    browser.get(f"http://127.0.0.1:{server.server_port}/")
    browser.notifier = started
    yield browser
    browser.quit()
    server.shutdown()
    server.server_close()


def told(page, count):
    return wait_until(lambda: (lambda list: len(list) >= count and list)(
        page.driver.execute_script("return told")), 20, f"{count} to be told")  # fmt: skip


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not on this machine")
def test_in_a_browser(page, redis):
    run, admin = page.driver.execute_script, page.notifier.admin
    post(admin + "/publish/early?event=done", {"price": 1.5})
    run("""wait("early", "early"); wait("late", "late", {onEvent: tell("event")});
           wait("broken", "broken"); wait("no such name!", "refused");
           const control = new AbortController();
           wait("given-up", "given up", {signal: control.signal});
           setTimeout(() => control.abort(new Error("enough")), 50);""")
    wait_until(lambda: get(admin + "/channels/late").json()["waiters"] == 1)
    post(admin + "/publish/late?event=retrying", 1)
    redis.publish("broken", {"event": "failed", "job": "j", "error": {
        "code": "timeout", "message": "Too slow."}})  # fmt: skip
    post(admin + "/publish/late?event=done", "at last")
    list = told(page, 7)
    by_name = {name: value for name, value in list if name != "event"}
    assert by_name["early"] == {"price": 1.5} and by_name["late"] == "at last"
    assert by_name["broken failed"] == ["timeout", "Too slow."]
    assert by_name["refused failed"][0] == "refused" and "channel" in by_name["refused failed"][1]
    assert by_name["given up failed"][1] == "enough"
    assert [value["event"] for name, value in list if name == "event"] == ["retrying", "done"]
    wait_until(lambda: get(admin + "/channels/late").json()["waiters"] == 0)
    assert connections(admin) == 1, "the element's channel and all others on one connection"


def connections(admin):
    """How many WebSockets are open."""
    lines = get(admin + "/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines
               if line.startswith("ringback_notifier_connections{") and "websocket" in line)  # fmt: skip


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not on this machine")
def test_the_notifier_comes_back(page, redis, processes):
    run, admin = page.driver.execute_script, page.notifier.admin
    run('wait("c", "got", {onEvent: tell("event")});')
    wait_until(lambda: get(admin + "/channels/c").json()["waiters"] == 1)
    post(admin + "/publish/c", 1)
    told(page, 1)
    page.notifier.stop()
    redis.publish("c", {"event": "message", "data": 2})
    processes.start(page.notifier.process.argv, "notifier-again")
    list = told(page, 2)
    post(admin + "/publish/c?event=done", 3)
    list = told(page, 4)
    assert [value["data"] for name, value in list if name == "event"] == [1, 2, 3]
    assert ["got", 3] in list


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not on this machine")
@pytest.mark.parametrize("page", [{"enqueue": ["quote", "other"]}], indirect=True)
def test_a_page_asks_for_jobs(page, redis, service, worker, processes):
    service.define("quote", "/v1/${symbol}?gate=${symbol}", params=["symbol"], progress=["started"])
    worker()
    run = page.driver.execute_script
    run("""enqueue({service: "quote", params: {symbol: "a"}}, "a", {onEvent: tell("event")});
           enqueue({service: "quote", params: {symbol: "b"}, channel: "order:1"}, "b");
           enqueue({service: "other", id: "mine"}, "other");
           enqueue({service: "none"}, "none");
           enqueue({service: "quote", id: "a b"}, "wrong");""")
    service.wait_open(2)
    by_name = dict(told(page, 5))
    assert by_name["other failed"][0] == "unknown_service" and by_name["none failed"][0] == "not_allowed"
    assert by_name["wrong failed"][0] == "invalid_job"
    service.open("b")
    assert "b" in dict(told(page, 6)), "it is heard on its own channel"

    page.notifier.stop()  # its answer comes while nobody hears
    service.open("a")
    wait_until(lambda: redis.client.keys("ringback:ch:{me:*}"), what="events on the private channel")
    processes.start(page.notifier.process.argv, "notifier-again")
    list = told(page, 8)
    assert [value["event"] for name, value in list if name == "event"] == ["enqueued", "started", "done"]
    assert [name for name, _ in list if name == "a"] == ["a"]
    run("""ask({service: "quote", params: {symbol: "c"}}).then(tell("c"), tell("c failed"))""")
    service.wait_open(1)
    service.open("c")
    assert told(page, 9)[-1][0] == "c"


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not on this machine")
def test_events_in_a_loop(page):
    admin = page.notifier.admin
    page.driver.execute_script('listen("chat", 3)')
    for number in (1, 2, 3):
        post(admin + "/publish/chat", number)
    assert told(page, 4) == [["heard", 1], ["heard", 2], ["heard", 3], ["left", 3]]


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not on this machine")
def test_the_element(page, redis):
    admin, run = page.notifier.admin, page.driver.execute_script
    hotel = "return document.getElementById('hotel')"
    wait_until(lambda: get(admin + "/channels/hotel").json()["waiters"] == 1)
    assert run(hotel + ".getAttribute('state')") == "waiting"
    assert page.text("#hotel").strip() == "Asking three hotels …"
    for number, name in enumerate(("Adler", "Bellevue"), 1):
        redis.publish("hotel", {"event": "partial", "job": "j", "part": name, "parts": 3,
                                "data": {"name": name}})  # fmt: skip
    wait_until(lambda: page.count("#hotel > i") == 2, what="two parts")
    assert page.text("#hotel i") == "Adler\nBellevue" and "some are here" in page.text("#hotel")
    assert run(hotel + ".querySelector('progress').value") == 2
    assert run(hotel + ".getAttribute('aria-busy')") == "true"
    offers = [{"hotel": "<b>Adler</b>", "rooms": ["101", "102"]}, {"hotel": "Bellevue", "rooms": []}]
    redis.publish("hotel", {"event": "done", "job": "j", "data": {"city": "Bern", "offers": offers}})
    wait_until(lambda: page.text("#hotel h1") == "Bern", what="the result")
    assert page.text("#hotel span") == "<b>Adler</b>\nBellevue" and page.text("#hotel p b") == "101\n102"
    assert run(hotel + ".getAttribute('state')") == "done"
    redis.publish("broken", {"event": "failed", "job": "j", "error": {
        "code": "timeout", "message": "Too slow."}})  # fmt: skip
    wait_until(lambda: page.text("#broken em") == "timeout", what="the failure")
    run("document.getElementById('hotel').setAttribute('channel', 'hotel2')")
    wait_until(lambda: get(admin + "/channels/hotel2").json()["waiters"] == 1)
    assert "Asking three hotels" in page.text("#hotel")
    redis.publish("hotel2", {"event": "partial", "part": "Adler", "data": {"name": "Adler"}})
    wait_until(lambda: page.text("#hotel i") == "Adler", what="a part of nobody knows how many")
    assert run(hotel + ".getAttribute('state')") == "partial"
    run("document.getElementById('hotel').remove()")
    wait_until(lambda: get(admin + "/channels/hotel2").json()["waiters"] == 0)


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not on this machine")
@pytest.mark.parametrize("blocked", ["WebSocket", "WebSocket and streams"])
def test_behind_a_hostile_proxy(page, blocked):
    """No WebSocket opens; streams are held up: it gets through all the same."""
    run, admin = page.driver.execute_script, page.notifier.admin
    run("""window.WebSocket = class { constructor() { setTimeout(() => this.onclose({code: 1006})); }
                                      close() {} };""")
    if blocked != "WebSocket":
        run("""const real = window.fetch, hour = 3600e3;
               window.fetch = (url, options) => options.headers.Accept !== "text/event-stream"
                 ? real(url, options) : new Promise((_, no) => options.signal.addEventListener(
                     "abort", () => no(options.signal.reason)));
               const later = window.setTimeout;
               window.setTimeout = (fn, ms) => later(fn, ms === 10000 ? 100 : ms);""")
    run('wait("c", "got", {shared: false, onEvent: tell("event")});')
    post(admin + "/publish/c", 1)
    told(page, 1)
    post(admin + "/publish/c?event=done", 2)
    assert [value for name, value in told(page, 3) if name == "got"] == [2]
