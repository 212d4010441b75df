"""A person with a browser on the broker's page: first the splash, then the quote."""

import os

import pytest
from peers.process import patience, wait_until

if not (os.path.exists("/usr/bin/chromium") and os.path.exists("/usr/bin/chromedriver")):
    pytest.skip("Chromium is not on this machine", allow_module_level=True)

from peers.browser import Browser  # noqa: E402
from peers.examples import Examples  # noqa: E402

# Long enough for a page to be looked at, shorter than the service's timeout.
WHILE = min(patience(3), 6)


@pytest.fixture
def browser(folder):
    browser = Browser(folder)
    yield browser
    browser.quit()


@pytest.fixture
def broker(processes, redis, service, worker, notifier):
    return lambda delay: Examples(processes, redis, service, worker, notifier, delay)


def test_splash_then_quote(broker, browser):
    app = broker(WHILE)
    browser.get(app.url + "broker/?symbol=NOVA")
    assert "Asking the exchange" in browser.text("#hero") and browser.count(".splash") == 5
    assert browser.text(".price") == ""
    browser.shot("1-splash")
    wait_until(lambda: browser.count(".splash") == 0, 20, "all quotes")
    wait_until(lambda: browser.driver.execute_script(
        "return document.getAnimations().length == 0"), what="the page to be still")  # fmt: skip
    assert "Novatek Optics" in browser.text("#hero")
    assert "EUR" in browser.text(".price") and browser.count("#watchlist .small") == 4
    browser.shot("2-quote")
    browser.dark()
    browser.shot("3-quote-dark")
    browser.size(390, 844)
    browser.shot("4-quote-phone-dark")
    browser.dark(False)
    browser.shot("5-quote-phone")
    width = browser.driver.execute_script("return document.documentElement.scrollWidth")
    assert width <= 390, "the page is wider than the phone"
    assert browser.complaints() == []


def test_trouble_is_told_and_can_be_tried_again(broker, browser):
    app = broker("0")
    browser.get(app.url + "broker/?symbol=HALT")
    wait_until(lambda: browser.count(".splash") == 0, 20, "all answers")
    assert "interrupted" in browser.text("#hero")
    browser.shot("6-trouble")
    channel = browser.driver.execute_script("return hero.dataset.channel")
    assert len(app.redis.terminal(channel)) == 1
    browser.driver.find_element("css selector", "#hero button").click()
    wait_until(lambda: len(app.redis.terminal(channel)) == 2, what="the second answer")
    wait_until(lambda: "Ask again" in browser.text("#hero"), what="the page to tell it")
    browser.get(app.url + "broker/?symbol=NOPE")
    wait_until(lambda: "no such share" in browser.text("#hero"), what="the answer")
    assert browser.complaints() == []


def test_the_notifier_restarts_under_the_page(broker, browser, notifier):
    """The page keeps waiting, comes back by itself, and misses nothing."""
    app = broker(WHILE)
    browser.get(app.url + "broker/?symbol=NOVA")
    assert browser.count(".splash") == 5
    app.notifier.kill()
    port = app.notifier.port
    again = notifier(**app.settings, listen=[f"127.0.0.1:{port}"], wait=False)
    again.wait_line("notifier.listening")
    wait_until(lambda: browser.count(".splash") == 0, 30, "all quotes")
    assert "Novatek Optics" in browser.text("#hero")
