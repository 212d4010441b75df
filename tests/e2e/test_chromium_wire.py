"""A browser's own WebSocket and EventSource: compressed, and over TLS."""

import os
import subprocess

import pytest
from peers.clients import get
from peers.process import free_port, wait_until

if not (os.path.exists("/usr/bin/chromium") and os.path.exists("/usr/bin/chromedriver")):
    pytest.skip("Chromium is not on this machine", allow_module_level=True)

from peers.browser import Browser  # noqa: E402

ECHO = """
const [url, size, done] = arguments;
const socket = new WebSocket(url), text = "price 12.50, ".repeat(size / 13), heard = [];
socket.onerror = () => done({error: "refused"});
socket.onopen = () => { for (let n = 0; n < 3; n++) socket.send(n + text); };
socket.onmessage = e => {
    heard.push(e.data);
    if (heard.length == 3) socket.close(1000);
};
socket.onclose = e => done({code: e.code, clean: e.wasClean, extensions: socket.extensions,
                            same: heard.every((data, n) => data === n + text)});
"""
WAIT = """
window.heard = {};
const source = new EventSource("/wait/c"), socket = new WebSocket(arguments[0] + "/wait/c");
source.addEventListener("tick", e => { window.heard.sse = JSON.parse(e.data).data; });
socket.onmessage = e => { window.heard.websocket = JSON.parse(e.data).data; };
"""


@pytest.fixture
def browser(folder):
    browser = Browser(folder)
    browser.driver.set_script_timeout(30)
    yield browser
    browser.quit()


def test_compressed_messages(redis, notifier, browser):
    base = notifier(echo=True, compression=True).url
    browser.get(base + "/ringback.js")
    for size in (13, 3000, 30_000, 900_000):
        url = base.replace("http", "ws") + "/echo"
        answer = browser.driver.execute_async_script(ECHO, url, size)
        assert answer["extensions"].startswith("permessage-deflate; server_no_context_takeover")
        assert (answer["code"], answer["clean"], answer["same"]) == (1000, True, True), answer


def test_tls(redis, notifier, browser, folder):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=x", "-keyout", folder / "key", "-out",
         folder / "crt", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    address = f"127.0.0.1:{free_port()}"
    daemon = notifier(
        listen=[f"tls://{address}"], wait=False, compression=True,
        tls={"certificate": str(folder / "crt"), "key": str(folder / "key")},
    )  # fmt: skip
    daemon.wait_line("notifier.started")
    browser.driver.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})
    browser.get(f"https://{address}/ringback.js")
    browser.driver.execute_script(WAIT, f"wss://{address}")
    lines = ('_connections{transport="sse"} 1', '_connections{transport="websocket"} 1')
    wait_until(lambda: all(line in get(daemon.admin + "/metrics").text for line in lines))
    wait_until(lambda: redis.client.pubsub_numsub("ringback:ch:{c}")[0][1] == 1)
    text = "x" * 50_000
    redis.publish("c", {"event": "tick", "data": text})
    wait_until(lambda: browser.driver.execute_script("return window.heard")
               == {"sse": text, "websocket": text})  # fmt: skip
