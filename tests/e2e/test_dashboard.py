"""The operator's page in Chromium, over a real worker and several services; what it shows is
compared with what happened. Screenshots go to artifacts/screenshots."""

import hashlib
import json

import pytest
from peers.browser import Browser
from peers.clients import WebSocket, get, post
from peers.process import wait_until
from selenium.webdriver.common.by import By

BREAKER = {"failure_rate": 50, "minimum_calls": 5, "window": "60s", "open_for": "60s"}


@pytest.fixture
def browser(folder):
    browser = Browser(folder)
    yield browser
    browser.quit()


def click(browser, css):
    browser.driver.find_element(By.CSS_SELECTOR, css).click()


def button(browser, label):
    click(browser, f'button[aria-label="{label}"]')


def shows(browser, css, *words):
    """Waits until the element's text has all the words."""

    def look():
        text = " ".join(browser.text(css).lower().split())
        return all(word.lower() in text for word in words) and text

    return wait_until(look, what=f"{words} in {css}")


def row(name, part):
    """CSS of the table row that begins with that name."""
    return f'#{part} tr[data-key="{name}"]'


def opened(browser, served):
    browser.size(1280, 1500)
    browser.get(served.admin + "/")
    shows(browser, "#line", "live")


def open_breaker(redis, service, name="flights"):
    service.define(name, "/?status=500", circuit_breaker=BREAKER, retry={"max_attempts": 1})
    redis.push(*({"service": name, "channel": f"{name}:{n}"} for n in range(6)))


def busy(redis, service):
    """Several services: one quick and cached, one that fails, one that holds its jobs."""
    service.define("stock-quote", "/?delay=0.03", cache={"ttl": "1m"}, progress=["started", "retrying", "partial"])
    service.define("hotels", "/?delay=0.2")
    service.define("reports", "/?gate=never")
    open_breaker(redis, service)


def load(redis):
    redis.push(*({"service": "stock-quote", "channel": f"quote:{n}"} for n in range(40)))
    redis.push(*({"service": "hotels", "channel": f"hotel:{n}"} for n in range(25)))
    redis.push(*({"service": "reports", "channel": f"report:{n}", "id": f"report-{n}", "at": redis.now_ms()} for n in range(3)))


def test_all_at_a_glance(redis, service, worker, notifier, browser):
    busy(redis, service)
    settings = {"worker": {"queues": ["urgent", "default", "batch"]}}
    worker(settings, lease="2s")
    served = notifier(settings=settings, processes=2)
    clients = [WebSocket(served.url, f"quote:{n}") for n in range(12)]
    load(redis)
    redis.push({"service": "nowhere", "id": "order-4711", "channel": "lost"},
               {"service": "stock-quote", "id": "order-4712", "unknown": 1})
    opened(browser, served)
    shows(browser, row("flights", "services"), "open")
    shows(browser, row("reports", "services"), "reports 3")
    shows(browser, row("stock-quote", "services"), "ms")
    shows(browser, "#notices", "circuit breaker of flights is open")
    shows(browser, "#dead", "order-4711", "order-4712")
    shows(browser, "#transports", "websocket 12")
    shows(browser, "#workers", "3")
    assert browser.count(".histogram rect:not(.empty)") >= 2
    # Rates come of differences: jobs go on while the page looks.
    for n in range(100, 400):
        redis.push({"service": "stock-quote", "channel": f"quote:{n % 12}"})
    wait_until(lambda: any(c in browser.text("#tiles .tile:first-child .value") for c in "123456789"), what="a rate")
    shows(browser, "#clients", "delivered")
    wait_until(lambda: browser.driver.execute_script(
        "return document.querySelectorAll('.tile .spark path:last-child')[0].getAttribute('d').split('L').length") > 4)
    browser.shot("dashboard")
    browser.dark()
    browser.shot("dashboard-dark")
    browser.size(400, 2600)
    browser.shot("dashboard-phone")
    wide = browser.driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= 400
    browser.dark(False)
    browser.shot("dashboard-phone-light")
    assert browser.complaints() == []
    for client in clients:
        client.close()


def test_a_queue_is_paused_by_a_click(redis, service, worker, notifier, browser):
    service.define("quote", "/")
    worker()
    served = notifier()
    opened(browser, served)
    button(browser, "Pause queue default")
    shows(browser, row("default", "queues"), "paused", "resume")
    assert redis.client.smembers("ringback:paused") == {"queue:default"}
    redis.push(*({"service": "quote", "id": f"q{n}", "at": redis.now_ms() - 90_000} for n in range(4)))
    shows(browser, row("default", "queues"), "default paused 4 0 9")
    browser.shot("dashboard-paused")
    button(browser, "Resume queue default")
    shows(browser, row("quote", "services"), "quote 0 4")
    shows(browser, row("default", "queues"), "default 0 0")
    button(browser, "Pause service quote")
    shows(browser, row("quote", "services"), "paused")
    assert redis.client.smembers("ringback:paused") == {"service:quote"}
    shows(browser, "#said", "quote is paused")
    assert browser.complaints() == []


def test_the_dead_are_queued_again_or_dropped(redis, service, worker, notifier, browser):
    started = worker()
    served = notifier()
    redis.push({"service": "late", "id": "again", "channel": "a"}, {"service": "none", "id": "<b>away</b>"},
               {"service": "none", "id": "away", "channel": "b"})  # fmt: skip
    opened(browser, served)
    shows(browser, "#dead", "again", "away", "unknown_service", "no service is called late")
    assert browser.count("#dead b") == 0
    service.define("late", "/")
    started.signal(1)
    started.wait_line("worker.reloaded")
    button(browser, "Retry job again")
    wait_until(lambda: "done" in [e["event"] for e in redis.events("a")], what="it to be done")
    wait_until(lambda: "again" not in browser.text("#dead"))
    button(browser, "Drop job away")
    shows(browser, "#sure", "drop this job", "away")
    browser.shot("dashboard-drop")
    click(browser, "#sure-no")
    assert redis.client.zcard("ringback:dead") == 2
    button(browser, "Drop job away")
    click(browser, "#sure-yes")
    wait_until(lambda: redis.client.zcard("ringback:dead") == 1, what="it to be dropped")
    shows(browser, "#dead-count", "1")
    assert browser.complaints() == []


def test_one_job_s_life(redis, service, worker, notifier, browser):
    service.define("stock-quote", "/?status=503,200&gate=${n}", ["n"], progress=["started", "retrying"],
                   retry={"max_attempts": 3, "on": ["5xx"], "backoff": {"base": "100ms"}})  # fmt: skip
    worker()
    served = notifier(receipts=True)
    redis.push({"service": "stock-quote", "id": "order-4711", "channel": "order:4711",
                "params": {"n": "a"}, "at": redis.now_ms()})  # fmt: skip
    service.wait_open(1)
    browser.size(1280, 1500)
    browser.get(served.admin + "/#job=order-4711&channel=order:4711")
    shows(browser, "#job-place", "has it in hand", "order:4711")
    shows(browser, "#job-life", "asked", "first claimed", "started", "now")
    client = WebSocket(served.url, "order:4711")
    service.open("a")
    shows(browser, "#job-life", "retrying, attempt", "503")
    shows(browser, "#job-place", "it has ended")
    shows(browser, "#job-life", "asked", "first claimed", "started", "done", "bytes", "written to a client")
    browser.driver.execute_script("arguments[0].scrollIntoView()", browser.driver.find_element(By.ID, "workers-title"))
    browser.shot("dashboard-life")
    browser.driver.find_element(By.ID, "job-id").clear()
    browser.driver.find_element(By.ID, "job-id").send_keys("nobody")
    click(browser, "#job-form button")
    shows(browser, "#job-place", "no such job")
    assert browser.count("#job-life li") == 0
    client.close()
    complaints = [c for c in browser.complaints() if "404" not in c]
    assert complaints == []


def test_the_line_is_lost_and_comes_back(redis, service, worker, notifier, browser):
    served = notifier()
    opened(browser, served)
    redis.stop()
    shows(browser, "#notices", "redis does not tell")
    browser.shot("dashboard-redis-lost")
    redis.start()
    wait_until(lambda: "Redis" not in browser.text("#notices"))
    served.terminate()
    shows(browser, "#line", "connection lost")
    assert browser.count("#board.stale") == 1
    browser.shot("dashboard-lost")
    assert served.wait() == 0
    again = {"listen": [f"127.0.0.1:{served.port}"], "admin": [f"127.0.0.1:{served.admin_port}"]}
    notifier(settings={"notifier": again}, name="again", wait=False).wait_line("notifier.listening")
    shows(browser, "#line", "live")
    assert browser.count("#board.stale") == 0


def test_a_token_opens_it(redis, notifier, browser):
    served = notifier(admin_tokens=["sha256:" + hashlib.sha256(b"open sesame!".replace(b" ", b"-")).hexdigest()])
    browser.size(1280, 900)
    browser.get(served.admin + "/")
    shows(browser, "#door", "a token is needed")
    assert not browser.driver.find_element(By.ID, "board").is_displayed()
    browser.shot("dashboard-door")
    for token, words in (("wrong", "not one of its tokens"), ("open-sesame!", "")):
        field = browser.driver.find_element(By.ID, "token")
        field.clear()
        field.send_keys(token)
        click(browser, "#door button")
        shows(browser, "#door-wrong" if words else "#line", words or "live")
    shows(browser, "#queues", "default")
    button(browser, "Pause queue default")
    wait_until(lambda: redis.client.scard("ringback:paused") == 1)
    browser.driver.refresh()
    shows(browser, "#line", "live")


def test_pages_of_others_reach_nothing(redis, service, notifier, browser):
    """Chromium itself, from a page of another origin on this machine: what it may send is
    refused, and what it may not see it does not see."""
    served = notifier()
    browser.get(service.url + "/?body=hello")
    script = """
        const [url, done] = arguments, say = (r) => r.type + " " + r.status;
        const post = (more) => fetch(url + "/paused/default", {method: "POST", ...more}).then(say, () => "failed");
        Promise.all([post(), post({mode: "no-cors"}), post({mode: "no-cors", referrerPolicy: "no-referrer"}),
                     fetch(url + "/status").then(say, () => "failed")]).then((all) => done(all));
    """
    assert browser.driver.execute_async_script(script, served.admin) == ["failed", "opaque 0", "opaque 0", "failed"]
    browser.driver.execute_script("""
        const form = document.createElement("form");
        form.method = "post";
        form.action = arguments[0] + "/paused/default";
        document.body.append(form);
        form.submit();
    """, served.admin)  # fmt: skip
    shows(browser, "body", "403")
    assert redis.client.exists("ringback:paused") == 0
    assert json.loads(get(served.admin + "/paused").text) == {"queues": [], "services": []}
    page = get(served.admin + "/")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert post(served.admin + "/paused/default").status == 204
