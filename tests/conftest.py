"""Fixtures for tests/e2e and tests/conformance: real parts, a temp folder for each test.

    def test_result_reaches_the_browser(redis, service, worker, notifier):
        service.define("quote", path="/v1/${symbol}?gate=g", params=["symbol"])
        worker()
        browser = WebSocket(notifier().url, "c1")
        redis.push({"service": "quote", "params": {"symbol": "X"}, "channel": "c1"})
        service.wait_open(1)
        service.open("g")
        assert browser.event()["event"] == "done"

redis          a redis-server on a unix socket (peers/redis_server.py). Ask for more with
               @pytest.mark.redis(aof=True, tcp=True, args=[…])
redis_server   a function that starts further ones: redis_server("other", tcp=True)
service        a slow HTTP service in its own process that does what the URL's query asks:
               delay, gate, status, body, chunked, close … (peers/slow_service.py), with
               define() for service definitions and book() for what happened
worker(**w)    starts a ringback-worker and waits for worker.ready; w are members of
               `worker:` in its config: worker(lease="2s", max_in_flight=10)
notifier(**n)  starts a ringback-notifier on free ports and waits until it listens:
               .url, .admin; n are members of `notifier:`
               Both also take settings={"redis": {…}} (other parts of the config file),
               args=[…] (more words on the command line), env={…}, name="…", wait=False
ringback(*w)   runs the `ringback` command with the same config, returns the
               CompletedProcess (stdout and stderr as text); input="…", check=True
processes      starts any program: processes.start([…], "name")
folder         the test's temp folder (a short path: unix sockets fit)
config(…)      the config that the fixtures above write, as a dict

Nothing sleeps: peers.process.wait_until(condition) polls, Process.wait_line(event) waits
for a log line. Binaries come from $RINGBACK_BUILD (default build/). At the end of a test
every process is ended with SIGTERM and must end in time with exit code 0 (unless the test
itself killed it), leave no child behind, and have no sanitizer report in its output; else
the test fails. The logs of a failed test are printed and kept in artifacts/.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS / "e2e"))

from peers.daemons import Notifier, Worker, merge, program  # noqa: E402
from peers.process import Processes, patience, wait_until  # noqa: E402
from peers.redis_server import RedisServer  # noqa: E402
from peers.service import Service  # noqa: E402

ARTIFACTS = Path(os.environ.get("RINGBACK_ARTIFACTS", TESTS.parent / "artifacts"))
LOG_TAIL = 6000  # characters of each log that a failed test prints

os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=1:strict_string_checks=1")
os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
for variable in list(os.environ):
    # The suite's own settings: what the shell has for a ringback must not mix in.
    if variable.startswith(("RINGBACK_REDIS", "RINGBACK_WORKER", "RINGBACK_NOTIFIER",
                            "RINGBACK_CHANNELS", "RINGBACK_LOG")):  # fmt: skip
        del os.environ[variable]


def pytest_configure(config):
    config.addinivalue_line("markers", "redis(aof, tcp, args): options of the redis fixture")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.call_failed = report.failed


@pytest.fixture
def folder(request):
    path = Path(tempfile.mkdtemp(prefix="rb-"))
    yield path

    def gone():  # a browser that has just ended may still write into it
        shutil.rmtree(path, ignore_errors=True)
        return not path.exists()

    wait_until(gone, what=f"{path} to be gone", interval=0.05)


@pytest.fixture
def processes(request, folder):
    started = Processes(folder)
    yield started
    wrong = started.finish()
    if wrong or getattr(request.node, "call_failed", True):
        keep = ARTIFACTS / "logs" / request.node.name.replace("/", "_")
        shutil.rmtree(keep, ignore_errors=True)
        keep.mkdir(parents=True)
        for process in started.all:
            shutil.copy(process.log_path, keep)
            print(f"--- {process.name}\n{process.log[-LOG_TAIL:]}")
    if wrong:
        pytest.fail("; ".join(wrong), pytrace=False)


@pytest.fixture
def redis_server(processes):
    def start(name="redis2", **options):
        return RedisServer(processes, name, **options)

    return start


@pytest.fixture
def redis(request, processes):
    marker = request.node.get_closest_marker("redis")
    return RedisServer(processes, **(marker.kwargs if marker else {}))


@pytest.fixture
def service(processes):
    return Service(processes)


@pytest.fixture
def config(request, folder):
    """config(settings) → the config file's content as a dict."""

    def make(settings=None):
        base = {"log": {"level": "debug"}, "worker": {"drain_timeout": "2s", "metrics": ""},
                "notifier": {"processes": 1, "drain_timeout": "1s"}}  # fmt: skip
        if "redis" in request.fixturenames:
            base["redis"] = {"url": request.getfixturevalue("redis").url}
        services = folder / "no-definitions"
        if "service" in request.fixturenames:
            services = request.getfixturevalue("service").folder
        services.mkdir(exist_ok=True)
        base["worker"]["services"] = str(services)
        return merge(base, settings or {})

    return make


@pytest.fixture
def worker(processes, config):
    def start(settings=None, **members):
        options = {k: members.pop(k) for k in ("args", "env", "name", "wait") if k in members}
        return Worker(processes, config(merge(settings or {}, {"worker": members})), **options)

    return start


@pytest.fixture
def notifier(processes, config):
    def start(settings=None, **members):
        options = {k: members.pop(k) for k in ("args", "env", "name", "wait") if k in members}
        return Notifier(processes, config(merge(settings or {}, {"notifier": members})), **options)

    return start


@pytest.fixture
def ringback(folder, config):
    """Runs the command with the test's config file (settings={…} adds to it)."""

    def run(*words, input=None, check=False, timeout=30, settings=None, env=None):
        file = folder / "ringback.yaml"
        file.write_text(json.dumps(config(settings)))
        return subprocess.run(
            [program("ringback"), "-c", file, *map(str, words)],
            input=input, check=check, text=True, capture_output=True,
            timeout=patience(timeout), env={**os.environ, **(env or {})},
        )  # fmt: skip

    return run
