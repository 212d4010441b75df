"""What README.md tells a newcomer to write, run as it stands there; only the port is the
test's own. A language that is not on the machine is skipped."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from peers.clients import WebSocket
from peers.process import ROOT, wait_until

README = (ROOT / "README.md").read_text()
JOBS = (ROOT / "jobs" / "README.md").read_text()


def snippets(language, page=README):
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def snippet(language, page=README):
    found = snippets(language, page)
    assert len(found) == 1, f"the page has {len(found)} snippets in {language}"
    return found[0]


def can(*argv):
    """Is the language there, with its Redis client?"""
    if not shutil.which(argv[0]):
        return False
    return subprocess.run(argv, capture_output=True, env=environment()).returncode == 0


def environment():
    # Where Debian puts Node's modules; its own Node looks there by itself.
    return {**os.environ, "NODE_PATH": "/usr/share/nodejs"}


LANGUAGES = {
    "php": (["php"], ["php", "-r", "exit(class_exists('Redis') ? 0 : 1);"], "<?php\n"),
    "python": ([sys.executable], [sys.executable, "-c", "import redis"], ""),
    "js": (["node"], ["node", "-e", "require('redis')"], ""),
    "ruby": (["ruby"], ["ruby", "-e", "require 'redis'"], ""),
    "sh": (["sh"], ["redis-cli", "--version"], ""),
}


@pytest.mark.redis(tcp=True)
@pytest.mark.parametrize("language", LANGUAGES)
def test_enqueue(language, redis, service, worker, notifier, folder):
    run, probe, prefix = LANGUAGES[language]
    if not can(*probe):
        pytest.skip(f"{language} or its Redis client is not on this machine")
    enqueues(run, prefix + snippet(language), f"snippet.{language}", redis, service, worker,
             notifier, folder)  # fmt: skip


JEDIS = ":".join(str(jar) for jar in Path("/usr/share/java").glob("*.jar"))
MORE = {
    "php": (["php"], ["php", "-r", "require 'Predis/Autoloader.php';"], "<?php\n"),
    "go": (["go", "run"], ["go", "list", "github.com/redis/go-redis/v9"], ""),
    "java": (["java", "-cp", JEDIS], ["sh", "-c", "java -version && ls /usr/share/java/jedis*"], ""),
}


@pytest.mark.redis(tcp=True)
@pytest.mark.parametrize("language", MORE)
def test_enqueue_from_other_languages(language, redis, service, worker, notifier, folder):
    run, probe, prefix = MORE[language]
    if not can(*probe):
        pytest.skip(f"{language} or its Redis client is not on this machine")
    enqueues(run, prefix + snippet(language, JOBS), f"snippet.{language}", redis, service, worker,
             notifier, folder)  # fmt: skip


def enqueues(run, text, name, redis, service, worker, notifier, folder):
    assert "6379" in text
    file = folder / name
    file.write_text(text.replace("6379", str(redis.port)))
    service.define("stock-quote", "/v1/${symbol}", ["symbol"])
    worker()
    page = WebSocket(notifier().url, "page:4711")
    done = subprocess.run([*run, file], capture_output=True, text=True, timeout=30,
                          env=environment())  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    event = page.event()
    assert event["event"] == "done" and event["data"]["path"] == "/v1/NOVA"


def test_the_definition(service, ringback):
    service.write("stock-quote", snippet("yaml"))
    done = ringback("check", env={"QUOTES_TOKEN": "t"})
    assert done.returncode == 0, done.stdout + done.stderr


PAGES = [page for page in ROOT.glob("**/*.md")
         if not {"build", "artifacts", "node_modules"} & {part.split("-")[0] for part in page.parts}]  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page):
    """Every page, file and heading that a page points to is there."""
    for target in re.findall(r"\]\(([^):]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name} points to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in anchors, f"{page.name} points to {target}"


def test_the_tests_that_are_named():
    """jobs/GUARANTEES.md names tests that there are."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "jobs" / "GUARANTEES.md").read_text()))
    tests = "\n".join(file.read_text() for file in (ROOT / "tests").glob("**/*test_*.py"))
    there = set(re.findall(r"def (test_\w+)", tests))
    there |= {file.stem for file in (ROOT / "tests").glob("**/test_*.*")}
    assert len(named) > 30 and named <= there, named - there


@pytest.mark.parametrize("outcome", ["done", "failed"])
def test_the_page_waits(redis, notifier, folder, outcome):
    """The three lines of the page, in Chromium; only the addresses are made absolute."""
    if not os.path.exists("/usr/bin/chromedriver"):
        pytest.skip("Chromium is not on this machine")
    from peers.browser import Browser

    base = notifier().url
    text = snippet("html")
    assert text.count('"/ringback.js"') == 1 and text.count('"/wait/') == 1
    text = text.replace('"/ringback.js"', f'"{base}/ringback.js"')
    text = text.replace('"/wait/', f'"{base}/wait/')
    page = folder / "page.html"
    page.write_text(f"<!doctype html><title>x</title><p id=price>…</p>{text}")
    browser = Browser(folder)
    try:
        browser.get(f"file://{page}")
        assert browser.text("#price") == "…"
        if outcome == "done":
            redis.publish("page:4711", {"event": "done", "job": "j", "data": {"price": 184.2}})
        else:
            error = {"code": "timeout", "message": "The service did not answer in time."}
            redis.publish("page:4711", {"event": "failed", "job": "j", "error": error})
        said = {"done": "184.2", "failed": "The service did not answer in time."}[outcome]
        wait_until(lambda: browser.text("#price") == said, what=said)
    finally:
        browser.quit()
