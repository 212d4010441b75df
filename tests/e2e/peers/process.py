"""Processes that a test starts: their output, their end, and waiting for what they do."""

import functools
import itertools
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

SANITIZER = re.compile(
    r"ERROR: (Address|Leak|Thread|Undefined)\w*Sanitizer|runtime error:|WARNING: ThreadSanitizer"
)
ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("RINGBACK_BUILD", ROOT / "build")).resolve()  # the programs
_pause = threading.Event()


@functools.lru_cache
def sanitized():
    """Is the build under test slowed by sanitizers?"""
    cache = BUILD / "CMakeCache.txt"
    return cache.exists() and bool(
        re.search(r"^RINGBACK_SANITIZE:\w+=\w", cache.read_text(), re.MULTILINE)
    )


def crowd():
    """How many want a core for each core there is, the last minute or now; at least 1."""
    minute, _, _, running, _ = Path("/proc/loadavg").read_text().split()
    return max(1, max(float(minute), int(running.split("/")[0])) / os.cpu_count())


def patience(seconds):
    """A timeout, longer where sanitizers or other work on the machine slow everything."""
    return seconds * (4 if sanitized() else 1) * crowd()


def lasting(seconds):
    """patience() as a setting: time that a slow machine needs more of."""
    return f"{int(patience(seconds) * 1000)}ms"


def wait_until(condition, timeout=10.0, what=None, interval=0.003):
    """Returns the first true answer of condition(); fails after timeout seconds."""
    begun = time.monotonic()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() - begun > patience(timeout):
            raise AssertionError(f"waited {timeout} s in vain for {what or condition}")
        _pause.wait(interval)


@functools.lru_cache
def _ports():
    """Four hundred ports, around and around, that no other run of the tests uses meanwhile:
    the name of a unix socket, held until the end, says whose they are."""
    firsts = list(range(20000, 32000, 400))  # outside the range of outgoing connections
    random.shuffle(firsts)
    for first in firsts:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0ringback-tests-{first}")
        except OSError:
            claim.close()
            continue
        return claim, itertools.cycle(range(first, first + 400))
    raise AssertionError("all ports for tests are claimed")


def free_port():
    """A TCP port on loopback that nobody listens on, another one each time."""
    _, ports = _ports()
    for port in itertools.islice(ports, 1000):
        with socket.socket() as probe:
            # What lingers from connections long closed (TIME_WAIT) keeps nobody from it.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")


def logfmt(line):
    """One log line as a dict: 'event=x key="a b"' gives {'event': 'x', 'key': 'a b'}."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    return dict(word.split("=", 1) for word in words if "=" in word)


class Process:
    """One started program. Its stdout and stderr go to <folder>/<name>.log."""

    def __init__(self, argv, name, folder, env=None, stdin=None, cwd=None):
        self.name = name
        self.argv = [str(word) for word in argv]
        self.log_path = Path(folder) / f"{name}.log"
        self.expected_end = False  # the test ended it itself: any exit code is fine
        self.started = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                self.argv,
                stdin=stdin if stdin is not None else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(env or {})},
                start_new_session=True,
                cwd=cwd,
            )
        self.pid = self.popen.pid

    # ------------------------------------------------------------------ what it said
    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def lines(self, event=None, **fields):
        """Its log lines as dicts, those with this event and these fields."""
        found = []
        for line in self.log.splitlines():
            record = logfmt(line)
            if event is not None and record.get("event") != event:
                continue
            if all(record.get(key) == str(value) for key, value in fields.items()):
                found.append(record)
        return found

    def wait_line(self, event, timeout=10.0, **fields):
        """Waits for a log line with this event; returns it as a dict."""

        def look():
            found = self.lines(event, **fields)
            if found:
                return found[0]
            assert self.alive(), f"{self.name} ended with {self.popen.returncode}:\n{self.log}"
            return None

        return wait_until(look, timeout, f"{event} {fields} from {self.name}:\n{self.log}")

    def wait_text(self, text, timeout=10.0):
        def look():
            if text in self.log:
                return True
            assert self.alive(), f"{self.name} ended with {self.popen.returncode}:\n{self.log}"
            return False

        return wait_until(look, timeout, f"{text!r} from {self.name}:\n{self.log}")

    # ------------------------------------------------------------------ how it lives
    def alive(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def terminate(self):
        """SIGTERM, without waiting."""
        if self.alive():
            self.signal(signal.SIGTERM)

    def stop(self, timeout=10.0):
        """SIGTERM, waits for the end, returns the exit code."""
        self.expected_end = True
        self.terminate()
        return self.wait(timeout)

    def kill(self):
        """kill -9, waits until it is gone."""
        self.expected_end = True
        if self.alive():
            self.popen.kill()
        self.popen.wait()

    def wait(self, timeout=10.0):
        """Waits until it ends by itself, returns the exit code."""
        self.expected_end = True
        return self.popen.wait(patience(timeout))

    def session(self):
        """Pids that still live in its session: itself and what it forked."""
        members = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            state, _, _, session = stat.rpartition(")")[2].split()[:4]
            if int(session) == self.pid and state != "Z":
                members.append(int(entry))
        return members

    def children(self):
        """Pids of the processes that it forked."""
        return [pid for pid in self.session() if pid != self.pid]

    def rss_bytes(self):
        """Resident memory of it and what it forked."""
        total = 0
        for pid in self.session():
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            total += pages * os.sysconf("SC_PAGE_SIZE")
        return total

    def cpu_seconds(self):
        """User and system time of it and what it forked."""
        ticks = 0
        for pid in self.session():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    # ------------------------------------------------------------------ how it ended
    def finish(self, timeout=15.0):
        """Ends it if it lives. Returns what was wrong with it, as a list of sentences."""
        wrong = []
        if self.alive():
            self.terminate()
            try:
                self.popen.wait(patience(timeout))
            except subprocess.TimeoutExpired:
                wrong.append(f"{self.name} did not end within {timeout} s of SIGTERM")
                self.popen.kill()
                self.popen.wait()
            else:
                if self.popen.returncode != 0:
                    wrong.append(f"{self.name} ended with {self.popen.returncode}")
        elif not self.expected_end and self.popen.returncode != 0:
            wrong.append(f"{self.name} ended by itself with {self.popen.returncode}")
        if SANITIZER.search(self.log):
            wrong.append(f"{self.name}: a sanitizer found something")
        # Children end with their parent; give the kernel a moment to deliver that.
        try:
            wait_until(lambda: not self.session(), 3.0)
        except AssertionError:
            left = self.session()
            wrong.append(f"{self.name} left processes behind: {left}")
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        return wrong


class Processes:
    """All that one test starts, ended in the reverse order of their start."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.all = []

    def start(self, argv, name=None, **options):
        name = name or Path(str(argv[0])).name
        taken = sum(1 for p in self.all if p.name.split("#")[0] == name)
        process = Process(argv, f"{name}#{taken + 1}" if taken else name, self.folder, **options)
        self.all.append(process)
        return process

    def finish(self):
        wrong = []
        for process in reversed(self.all):
            wrong += process.finish()
        return wrong
