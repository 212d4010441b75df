"""Everything is killed while jobs run, in a small size; ./run chaos does it in the full one."""

import subprocess
import sys
from pathlib import Path

from conftest import ARTIFACTS
from peers.process import patience

CHAOS = Path(__file__).with_name("chaos")


def test_every_job_has_one_end(request):
    logs = ARTIFACTS / "logs" / request.node.name
    run = subprocess.run(
        [sys.executable, CHAOS, "--jobs", "3000", "--seconds", "12", "--seed", "3", "--keep", logs],
        capture_output=True, text=True, timeout=patience(120))  # fmt: skip
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-4000:]
    assert "PASS" in run.stdout


def test_help():
    run = subprocess.run([sys.executable, CHAOS, "--help"], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and "--seed" in run.stdout
