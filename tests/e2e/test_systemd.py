"""The units that the build makes: systemd accepts them, they are shut tight, and the
daemons say to systemd what Type=notify and the watchdog need."""

import re
import shutil
import socket
import struct
import subprocess

import pytest
from peers.process import BUILD, ROOT, patience

UNITS = ["ringback-worker.service", "ringback-notifier.service",
         "ringback-worker-drain.service", "ringback-worker-drain.timer",
         "ringback-notifier.socket"]  # fmt: skip

with_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd is not on this machine"
)


@pytest.fixture
def units(folder):
    """The folder of units as systemd would see it, with the programs of this build."""
    source = ROOT / "config" / "systemd"
    shutil.copytree(source / "ringback-.service.d", folder / "ringback-.service.d")
    for unit in UNITS:
        made = BUILD / "config" / "systemd" / unit
        text = (made if made.exists() else source / unit).read_text()
        text = re.sub(r"ExecStart=\S+/(ringback-\w+)", rf"ExecStart={BUILD}/\1", text)
        (folder / unit).write_text(text)
    return folder


def analyze(units, *words):
    return subprocess.run(
        ["systemd-analyze", *words], env={"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/bin"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@with_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts(units, unit):
    answer = analyze(units, "verify", "--man=no", str(units / unit))
    assert answer.returncode == 0 and unit not in answer.stderr, answer.stderr


@with_systemd
@pytest.mark.parametrize("unit", UNITS[:3])
def test_the_unit_is_shut_tight(units, unit):
    answer = analyze(units, "security", "--offline=yes", "--no-pager", str(units / unit))
    rating = re.search(r"exposure level for \S+: ([\d.]+)", answer.stdout)
    assert rating and float(rating.group(1)) <= 1.5, answer.stdout + answer.stderr


# ---------------------------------------------------------------------- Type=notify


class NotifySocket:
    """systemd's end of sd_notify(3): what was said, and by which process."""

    def __init__(self, folder):
        self.path = folder / "notify.sock"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(str(self.path))
        self.socket.settimeout(patience(10))

    def heard(self):
        """(pid, text) of the next message."""
        text, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
        (pid, _, _) = struct.unpack("3i", ancillary[0][2])
        return pid, text.decode()

    def until(self, word):
        """Reads on to a message that holds the word; its pid."""
        while True:
            pid, text = self.heard()
            if word in text.splitlines():
                return pid


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("program", ["worker", "notifier"])
def test_the_daemons_speak_to_systemd(redis, service, worker, notifier, folder, program, count):
    """READY, WATCHDOG and STOPPING come from the main process: NotifyAccess=main."""
    systemd = NotifySocket(folder)
    env = {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "400000"}
    start = {"worker": worker, "notifier": notifier}[program]
    daemon = start(processes=count, env=env)
    assert systemd.until("READY=1") == daemon.pid
    for _ in range(3):
        assert systemd.until("WATCHDOG=1") == daemon.pid
    daemon.terminate()
    assert systemd.until("STOPPING=1") == daemon.pid
    assert daemon.wait() == 0
