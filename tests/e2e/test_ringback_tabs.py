"""ringback-tabs.js: the tabs of a site share one connection to the notifier."""

import os
import socket
import threading

import pytest
from peers.clients import get, post
from peers.process import wait_until

if not (os.path.exists("/usr/bin/chromium") and os.path.exists("/usr/bin/chromedriver")):
    pytest.skip("Chromium is not on this machine", allow_module_level=True)

from peers.browser import Browser  # noqa: E402

PAGE = """<!doctype html><meta charset="utf-8"><title>page</title>
<script src="/ringback.js"></script><script src="/ringback-tabs.js"></script>
<script>
  window.told = [];
  const listen = async (channel) => {
    for await (const { data } of ringback.events(channel)) told.push(data);
  };
  const wait = (channel, options) => ringback(channel, options)
    .then((data) => told.push(data), (error) => told.push(error.code || error.message));
</script>"""


class Site:
    """One origin, as behind a proxy: /page is ours, all else goes to the notifier."""

    def __init__(self, notifier, worker=True):
        self.port, self.worker = notifier.port, worker
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/page"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece:
                return client.close()
            head += piece
        if head.startswith(b"GET /page"):
            body = PAGE.encode()
            policy = b"" if self.worker else b"Content-Security-Policy: worker-src 'none'\r\n"
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + policy +
                           b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)  # fmt: skip
            return client.close()
        server = socket.create_connection(("127.0.0.1", self.port))
        # One request a connection, or the next one's page would be asked of the notifier.
        server.sendall(head.replace(b"Connection: keep-alive", b"Connection: close"))
        threading.Thread(target=self.pump, args=(server, client), daemon=True).start()
        self.pump(client, server)

    @staticmethod
    def pump(source, target):
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


@pytest.fixture
def tabs(redis, notifier, folder):
    """tabs(worker=True): a browser, its notifier, and a function that opens tabs."""
    browser = Browser(folder)
    sites = []

    def start(**options):
        browser.notifier = notifier()
        sites.append(Site(browser.notifier, **options))
        browser.get(sites[-1].url)
        return browser

    def open_tab():
        browser.driver.switch_to.new_window("tab")
        browser.get(sites[-1].url)
        return browser.driver.current_window_handle

    browser.open_tab = open_tab
    yield start
    browser.quit()
    for site in sites:
        site.listener.close()


def websockets(notifier):
    """How many are open, and on how many channels."""
    lines = get(notifier.admin + "/metrics").body.decode().splitlines()
    found = lambda start: sum(float(line.split()[-1]) for line in lines if line.startswith(start))  # noqa: E731
    return (found('ringback_notifier_connections{transport="websocket"}'),
            found("ringback_notifier_subscriptions"))  # fmt: skip


def told(browser, count):
    return wait_until(lambda: (lambda list: len(list) >= count and list)(
        browser.driver.execute_script("return told")), 20, f"{count} to be told")  # fmt: skip


def test_one_connection_for_all_tabs(tabs):
    browser = tabs()
    run, served = browser.driver.execute_script, browser.notifier
    first = browser.driver.current_window_handle
    post(served.admin + "/publish/chat", "early")
    run("listen('chat'); wait('quote')")
    assert told(browser, 1) == ["early"]
    browser.open_tab()
    run("listen('chat'); wait('other')")
    assert told(browser, 1) == ["early"], "what was before the second tab"
    wait_until(lambda: websockets(served) == (1, 3), what="one WebSocket, three channels")
    post(served.admin + "/publish/chat", "late")
    assert told(browser, 2) == ["early", "late"]
    post(served.admin + "/publish/quote?event=done", 7)
    browser.driver.switch_to.window(first)
    assert sorted(map(str, told(browser, 3))) == ["7", "early", "late"]
    wait_until(lambda: websockets(served) == (1, 2), what="the quote to be let go")


def test_a_tab_that_goes_leaves_nothing(tabs):
    browser = tabs()
    run, served = browser.driver.execute_script, browser.notifier
    first = browser.driver.current_window_handle
    run("listen('a')")
    wait_until(lambda: websockets(served)[1] == 1, what="the first tab")
    browser.open_tab()
    run("listen('a'); listen('b')")
    wait_until(lambda: websockets(served) == (1, 2), what="the second tab")
    browser.driver.close()
    browser.driver.switch_to.window(first)
    wait_until(lambda: websockets(served) == (1, 1), what="b to be let go")
    post(served.admin + "/publish/a", 1)
    assert told(browser, 1) == [1]


def test_failures_and_giving_up(tabs):
    browser = tabs()
    run, served = browser.driver.execute_script, browser.notifier
    run("""wait("no such name!"); const control = new AbortController();
           wait("long", {signal: control.signal}); setTimeout(() => control.abort(new Error("enough")), 50)""")
    assert sorted(told(browser, 2)) == ["enough", "refused"]
    wait_until(lambda: websockets(served)[1] == 0, what="all to be let go")


def test_where_workers_are_not_allowed(tabs):
    browser = tabs(worker=False)
    run, served = browser.driver.execute_script, browser.notifier
    run("listen('a')")
    wait_until(lambda: websockets(served) == (1, 1), what="a connection of the tab's own")
    post(served.admin + "/publish/a", 1)
    assert told(browser, 1) == [1]
