"""A person with a browser on each example; the broker has a file of its own (test_chromium)."""

import os
import re

import pytest
from peers.clients import get, post
from peers.process import patience, wait_until

if not (os.path.exists("/usr/bin/chromium") and os.path.exists("/usr/bin/chromedriver")):
    pytest.skip("Chromium is not on this machine", allow_module_level=True)

from peers.browser import Browser  # noqa: E402
from peers.examples import Examples  # noqa: E402


@pytest.fixture
def browser(folder):
    browser = Browser(folder)
    yield browser
    browser.quit()


@pytest.fixture
def apps(processes, redis, service, worker, notifier):
    return lambda **more: Examples(processes, redis, service, worker, notifier, **more)


def fill(browser, css, text):
    field = browser.driver.find_element("css selector", css)
    field.clear()
    field.send_keys(text)


def click(browser, css):
    browser.driver.find_element("css selector", css).click()


def until(browser, css, text, seconds=20):
    return wait_until(lambda: text in browser.text(css), seconds, f"{text!r} in {css}")


def shots(browser, name):
    """The page as it is, dark, and on a phone; it must fit there."""
    wait_until(lambda: browser.driver.execute_script(
        "return document.getAnimations().every((one) => one.playState === 'finished')"))  # fmt: skip
    browser.shot(name)
    browser.size(390, 844)
    browser.dark()
    browser.shot(f"{name}-phone-dark")
    width = browser.driver.execute_script("return document.documentElement.scrollWidth")
    assert width <= 390, "the page is wider than the phone"
    browser.dark(False)
    browser.size(1200, 900)


def test_the_list(apps, browser):
    browser.get(apps().url)
    links = browser.driver.find_elements("css selector", ".grid a")
    assert len(links) == 7
    shots(browser, "examples-list")
    for url in [link.get_attribute("href") for link in links]:
        browser.get(url)
        assert browser.text("h1, h2, .brand"), url
    assert browser.complaints() == []


def test_hotels(apps, browser):
    app = apps(delay=f"{min(patience(1.2), 3)}-{min(patience(2), 4)}")
    browser.get(app.url + "hotels/?city=Bern")
    assert "Asking three agencies" in browser.text("ring-back")
    wait_until(lambda: browser.count("ring-back section") >= 1, 20, "the first agency")
    browser.shot("hotels-partial")
    until(browser, "ring-back h1", "Rooms in Bern")
    assert browser.count(".offer") == 9 and browser.count(".bad") == 0
    assert browser.driver.execute_script(
        "return document.querySelector('ring-back').getAttribute('state')") == "done"  # fmt: skip
    shots(browser, "hotels-done")
    browser.get(app.url + "hotels/?city=Atlantis")
    until(browser, "ring-back h1", "Rooms in Atlantis")
    assert browser.text(".bad") == "This agency does not answer." and browser.count(".offer") == 6
    browser.get(app.url + "hotels/?city=%3Cscript%3E")
    assert browser.count("ring-back[channel='']") == 1
    assert browser.complaints() == []


def test_hotels_without_scripts(apps, browser):
    app = apps()
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(app.url + "hotels/?city=Bern")
    rows = lambda: browser.driver.find_elements("css selector", "tr")  # noqa: E731
    wait_until(lambda: len(rows()) == 9, 20, "nine offers")
    assert "plain?city=Bern" in browser.driver.current_url
    browser.shot("hotels-plain")


def test_sign_in_by_phone(apps, browser):
    app = apps()
    browser.get(app.url + "signin/")
    assert browser.count("#qr svg") == 1
    shots(browser, "signin-code")
    screen = browser.driver.current_window_handle
    phone_url = browser.driver.find_element("id", "phone").get_attribute("href")
    browser.driver.switch_to.new_window("tab")
    phone = browser.driver.current_window_handle
    browser.get(phone_url)
    assert "Is that you?" in browser.text("h1")
    fill(browser, "[name=name]", "Ada <b>")
    browser.shot("signin-phone")
    click(browser, "button")
    until(browser, "h1", "Confirmed")
    browser.driver.switch_to.window(screen)
    until(browser, "h1", "Welcome, Ada <b>")
    shots(browser, "signin-inside")
    browser.driver.switch_to.window(phone)
    browser.get(phone_url)
    until(browser, "h1", "not good any more")
    browser.driver.switch_to.window(screen)
    click(browser, "button")
    wait_until(lambda: browser.count("#qr svg") == 1, what="a new code")
    assert browser.driver.find_element("id", "phone").get_attribute("href") != phone_url


def test_a_code_expires(apps, browser):
    app = apps()
    browser.get(app.url + "signin/")
    phone = browser.driver.find_element("id", "phone").get_attribute("href")
    code = re.search("code=(.+)", phone)[1]
    assert 0 < app.redis.client.ttl(f"demo:signin:code:{code}") <= 60
    app.redis.client.delete(f"demo:signin:code:{code}")
    browser.driver.execute_script("const now = Date.now; Date.now = () => now() + 61000")
    until(browser, "#left", "The code has expired")
    browser.get(phone)
    until(browser, "h1", "not good any more")


def test_a_code_is_nothing_but_a_code(apps):
    """Who reads it over a shoulder learns from it neither where the screen listens nor gets in."""
    app = apps()
    screen = get(app.url + "signin/").text
    code = re.search(r"phone\?code=([\w-]+)", screen)[1]
    channel = re.search(r'data-channel="([^"]+)"', screen)[1]
    assert channel not in get(app.url + "signin/", headers={"Cookie": f"screen={code}"}).text
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert post(app.url + "signin/enter", f"ticket={code}".encode(), headers=form).status == 403
    assert "Is that you?" in get(app.url + f"signin/phone?code={code}").text
    # Nor is a session a code, which would publish on a channel that its owner named.
    app.redis.client.set("demo:signin:session:s1", "../jobs/parcel-state")
    assert post(app.url + "signin/confirm", b"code=s1", headers=form).status == 410


def test_chat(apps, browser):
    app = apps()
    browser.get(app.url + "chat/?room=tea")
    first = browser.driver.current_window_handle
    fill(browser, "[name=name]", "Ada")
    for text in ("Good morning", "<img src=x onerror=alert(1)>"):
        fill(browser, "[name=text]", text)
        click(browser, "button")
        until(browser, "#said", text)
    assert browser.count("#said .mine") == 2 and browser.count("#said img") == 0
    browser.driver.switch_to.new_window("tab")
    browser.get(app.url + "chat/?room=tea")
    until(browser, "#said", "Good morning")
    fill(browser, "[name=name]", "Bea")
    fill(browser, "[name=text]", "Hello Ada")
    click(browser, "button")
    until(browser, "#said", "Hello Ada")
    shots(browser, "chat")
    browser.driver.switch_to.window(first)
    until(browser, "#said", "Hello Ada")
    browser.get(app.url + "chat/?room=other")
    assert browser.count("#said li") == 0
    assert browser.complaints() == []


def test_orders_in_two_tabs(apps, browser):
    app = apps(delay="0.1-0.2")
    browser.get(app.url + "orders/")
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    browser.get(app.url + "orders/")
    click(browser, "#buy")
    until(browser, "#orders h2", "Order ")
    until(browser, "#orders .reached", "Paid")
    browser.shot("orders-under-way")
    until(browser, "#orders .reached", "Delivered", 40)
    browser.driver.switch_to.window(first)
    until(browser, "#orders .reached", "Delivered")
    assert browser.count("#orders .reached") == 4 and "at your door" in browser.text("#orders")
    shots(browser, "orders-delivered")
    browser.driver.delete_all_cookies()
    browser.get(app.url + "orders/")
    assert "There are none yet" in browser.text("main") and browser.count("#orders h2") == 0
    assert browser.complaints() == []


def test_ticker(apps, browser):
    app = apps(delay="0.3-0.6")
    browser.get(app.url + "ticker/")
    for symbol in ("NOVA", "ALBA", "x1"):
        fill(browser, "input", symbol)
        click(browser, "button")
    until(browser, "tbody", "Novatek Optics")
    until(browser, "tbody", "Alba Shipping")
    assert browser.text("tbody").count("EUR") == 2 and "symbol" in browser.text("td.bad")
    assert len(app.redis.client.keys("ringback:ch:{me:*}")) == 1, "one channel for all questions"
    shots(browser, "ticker")
    assert browser.complaints() == []


def test_websocket_page(apps, browser):
    browser.get(apps().url + "websocket/")
    click(browser, "#open")
    until(browser, "#state", "connected")
    fill(browser, "[name=text]", "hello")
    click(browser, "#go")
    wait_until(lambda: browser.text("tbody").count("hello") == 2, what="the echo")
    click(browser, "[name=binary]")
    click(browser, "#go")
    until(browser, "tbody", "5 bytes: 68 65 6c 6c 6f")
    shots(browser, "websocket")
    fill(browser, "[name=code]", "3001")
    click(browser, "#close")
    until(browser, "tbody", "closed with 3001")
    assert browser.text("#state") == "not connected"
