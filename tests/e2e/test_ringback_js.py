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
from peers.process import patience, wait_until

HERE = Path(__file__).resolve().parent
CHROMIUM = os.path.exists("/usr/bin/chromium") and os.path.exists("/usr/bin/chromedriver")

PAGE = """<!doctype html><title>page</title><script src="{notifier}/ringback.js"></script>
<script>
  window.told = [];
  const tell = (name) => (value) => told.push([name, value && value.message ? [value.code, value.message] : value]);
  const wait = (channel, name, options) => ringback.wait(channel, options).then(tell(name), tell(name + " failed"));
</script>"""


@pytest.mark.skipif(not shutil.which("node"), reason="Node is not on this machine")
def test_under_node():
    done = subprocess.run(["node", "--test", HERE / "ringback_test.js"], text=True,
                          capture_output=True, timeout=patience(60))  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout and "# pass 0" not in done.stdout


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
def page(redis, notifier, folder):
    """A page of another origin that loaded the script, and its notifier."""
    from peers.browser import Browser

    started = notifier()
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
