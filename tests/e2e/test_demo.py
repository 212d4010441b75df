"""What a newcomer starts first: it works, twice at once, and leaves nothing behind."""

import re
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import pytest
from peers.process import BUILD, ROOT, patience, wait_until

DEMO = ROOT / "notifier" / "web" / "examples" / "demo.py"


@pytest.fixture
def demo(processes, folder):
    """Starts the demo with a temp folder inside the test's own."""

    def start(*words):
        return processes.start([sys.executable, "-u", DEMO, "--build", BUILD, *words], "demo",
                               env={"TMPDIR": str(folder)})  # fmt: skip

    return start


def left_behind(folder):
    """Folders and processes of a demo that ended."""
    left = [str(path) for path in folder.glob("ringback-demo-*")]
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if f"{folder}/ringback-demo-".encode() in words:
            left.append(words.replace(b"\0", b" ").decode())
    return left


def test_once(demo, folder):
    process = demo("--once")
    assert process.wait(60) == 0, process.log
    assert "7 of 7 results came" in process.log
    for transport in ("WebSocket", "SSE", "long-poll"):
        assert re.search(rf"{transport} .*enqueued \+.*result \+.*here \+", process.log), process.log
    assert left_behind(folder) == []


def test_two_at_once_and_a_port_in_use(demo, folder):
    busy = socket.socket()
    busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def taken():
        try:
            busy.bind(("127.0.0.1", 8080))
            busy.listen()
        except OSError:
            return False
        return True

    try:  # a demo of another test gives it back
        wait_until(taken, 20, interval=0.1)
    except AssertionError:
        pass  # somebody else has it for good: just as well
    with busy:
        processes = [demo("--once"), demo("--once")]
        for process in processes:
            assert process.wait(90) == 0, process.log
            assert "Port 8080 is in use: taking" in process.log
    assert left_behind(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_jobs_life_and_the_end(demo, folder, number):
    process = demo()
    process.wait_text("Ctrl-C ends all of it", 30)
    url = re.search(r"http://127\.0\.0\.1:\d+/", process.log).group()
    page = urllib.request.urlopen(url + "broker/?symbol=MERO", timeout=10).read().decode()
    assert "Asking the exchange" in page
    for word in ("enqueued", "claimed", "calling", "(done|failed)"):
        wait_until(lambda: re.search(rf":MERO +{word} +\+", process.log), 20, word)
    process.signal(number)
    assert process.wait(20) == 0, process.log
    assert left_behind(folder) == []


def test_kill_9_of_the_demo_ends_its_parts(demo, folder):
    process = demo()
    process.wait_text("Ctrl-C ends all of it", 30)
    process.kill()
    wait_until(lambda: not [p for p in left_behind(folder) if " " in p], patience(20),
               "the parts to end")  # fmt: skip


def test_a_missing_program_is_told(processes, folder):
    process = processes.start([sys.executable, DEMO, "--build", folder, "--once"], "demo",
                              env={"TMPDIR": str(folder)})  # fmt: skip
    assert process.wait(20) == 1
    assert "ringback-worker" in process.log and "Traceback" not in process.log
    assert left_behind(folder) == []
