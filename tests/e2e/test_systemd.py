"""The units that the build makes: systemd accepts them, and they are shut tight."""

import re
import shutil
import subprocess

import pytest
from peers.process import BUILD, ROOT

UNITS = ["ringback-worker.service", "ringback-notifier.service",
         "ringback-worker-drain.service", "ringback-worker-drain.timer"]  # fmt: skip

pytestmark = pytest.mark.skipif(
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


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_accepts(units, unit):
    answer = analyze(units, "verify", "--man=no", str(units / unit))
    assert answer.returncode == 0 and unit not in answer.stderr, answer.stderr


@pytest.mark.parametrize("unit", UNITS[:3])
def test_the_unit_is_shut_tight(units, unit):
    answer = analyze(units, "security", "--offline=yes", "--no-pager", str(units / unit))
    rating = re.search(r"exposure level for \S+: ([\d.]+)", answer.stdout)
    assert rating and float(rating.group(1)) <= 1.5, answer.stdout + answer.stderr
