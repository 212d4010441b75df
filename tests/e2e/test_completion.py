"""What the shells complete, and the pages of the manual."""

import gzip
import os
import re
import shutil
import subprocess

import pytest
from peers.process import BUILD, ROOT
from peers.terminal import Terminal

# ---------------------------------------------------------------------- completion

ASK = """
source <("$0" completion bash)
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<<"${COMP_LINE//=/ = }"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_ringback
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def bash():
    """bash(line) → what bash would offer at its end."""

    def ask(line):
        done = subprocess.run(
            ["bash", "--norc", "-c", ASK, BUILD / "ringback", line], text=True, timeout=30,
            capture_output=True, env={**os.environ, "PATH": f"{BUILD}:{os.environ['PATH']}"},
        )  # fmt: skip
        assert not done.stderr, done.stderr
        return done.stdout.split()

    return ask


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ringback li", ["listen"]),
        ("ringback pa", ["pause"]),
        ("ringback help st", ["status"]),
        ("ringback listen --cl", ["--clients"]),
        ("ringback -v listen --cl", ["--clients"]),
        ("ringback dead re", ["retry"]),
        ("ringback completion ", ["bash", "zsh", "fish"]),
        ("ringback --set worker.le", ["worker.lease="]),
        ("ringback status --set log.form", ["log.format="]),
        ("ringback --set log.level=w", ["warn"]),
        ("ringback --set=log.format=j", ["json"]),
        ("ringback-worker --dr", ["--drain"]),
        ("ringback-worker --dr --conf", ["--config"]),
        ("ringback-notifier --set notifier.ec", ["notifier.echo="]),
        ("ringback-notifier --set notifier.echo=", ["true", "false"]),
        ("ringback-worker -c /et", []),  # bash itself completes the file's name
        ("ringback enqueue --params x", []),
        ("ringback nothing ", []),
    ],
)
def test_bash_completes(bash, line, offered):
    assert bash(line) == offered


def test_all_verbs_and_settings(bash):
    said = subprocess.run([BUILD / "ringback", "--help"], capture_output=True, text=True).stdout
    verbs = re.findall(r"^  ([a-z]+) +[A-Z]", said, re.MULTILINE)
    assert len(verbs) >= 12 and {*verbs, "help"} == set(bash("ringback "))
    table = subprocess.run([BUILD / "ringback", "--help-settings"],
                           capture_output=True, text=True).stdout  # fmt: skip
    keys = re.findall(r"^([a-z_.]+) \(", table, re.MULTILINE)
    assert len(keys) > 50 and bash("ringback --set ") == [f"{key}=" for key in keys]


def test_services_that_are_defined(bash, service, ringback, folder):
    service.define("quote", "/")
    service.define("query", "/")
    ringback("check")  # writes the file
    assert sorted(bash(f"ringback -c {folder}/ringback.yaml enqueue qu")) == ["query", "quote"]


@pytest.mark.parametrize("verb", ["enqueue", "listen", "status", "dead", "token", "publish"])
def test_what_is_completed_is_understood(bash, ringback, verb):
    """Each option that is offered is one that the verb reads."""
    for option in bash(f"ringback {verb} --"):
        assert "unknown option" not in ringback(verb, option, "--help").stderr


def test_a_bash_that_somebody_types_into(folder):
    env = {"PATH": f"{BUILD}:{os.environ['PATH']}", "PS1": "$ ", "HISTFILE": "", "HOME": str(folder)}
    bash = Terminal("bash", "--norc", "--noprofile", "-i", env=env)
    try:
        bash.type("source <(ringback completion bash)\n")
        bash.type("echo ready-$((1+1))\n")
        bash.wait("ready-2")
        bash.type("ringback --set log.le\tde\t comple\tba\t | sed -n 's/# bash/done:/p'\n")
        bash.wait("done: completion")
    finally:
        bash.process.kill()
        bash.process.wait()
        os.close(bash.master)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_theirs(shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not on this machine")
    script = subprocess.run([BUILD / "ringback", "completion", shell], capture_output=True)
    assert subprocess.run([shell, "-n", "/dev/stdin"], input=script.stdout).returncode == 0


# ---------------------------------------------------------------------- the manual

PAGES = {
    "ringback.1": ["ringback", "--help-man"],
    "ringback-worker.8": ["ringback-worker", "--help-man"],
    "ringback-notifier.8": ["ringback-notifier", "--help-man"],
    "ringback.yaml.5": ["ringback", "--help-settings=man"],
}


def page(name):
    if name in PAGES:
        program, *words = PAGES[name]
        return subprocess.run([BUILD / program, *words], capture_output=True, check=True).stdout
    made = ["awk", "-v", "date=2026-01-02", "-v", "version=1", "-f", ROOT / "jobs" / "manual.awk",
            ROOT / "jobs" / "README.md"]  # fmt: skip
    return subprocess.run(made, capture_output=True, check=True).stdout


@pytest.mark.parametrize("name", [*PAGES, "ringback-services.5"])
def test_the_page_is_right(name, folder):
    text = page(name)
    assert all(byte < 0x80 for byte in text), "man(7) is written in ASCII here"
    file = folder / name
    file.write_bytes(text)
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", file], capture_output=True,
                              text=True)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    if shutil.which("man"):
        done = subprocess.run(["man", "--warnings", "-l", file], capture_output=True, text=True,
                              env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100"})  # fmt: skip
        assert done.returncode == 0 and not done.stderr and name.split(".")[0] in done.stdout


def test_the_pages_tell_all():
    verbs = page("ringback.1").decode()
    for verb in "enqueue wait listen publish check status cancel pause resume dead token".split():
        assert f"\n.SS {verb}\n\\fBringback {verb}\\fR" in verbs
    assert re.findall(r"^\.SH (.*)", verbs, re.M) == [
        "NAME", "SYNOPSIS", "DESCRIPTION", "VERBS", "OPTIONS OF EVERY VERB", "EXIT CODES", "FILES",
        "SEE ALSO"]  # fmt: skip
    settings = page("ringback.yaml.5").decode()
    assert "\\fBnotifier.max_queue\\fR\n" in settings and "RINGBACK_WORKER_LEASE" in settings
    services = page("ringback-services.5").decode().replace("\\", "")
    for heading in re.findall(r"^### (.*)$", (ROOT / "jobs" / "README.md").read_text(), re.M):
        if heading.isascii() and heading.islower():
            assert f"\n.SH {heading.upper()}\n" in services


def test_the_build_leaves_them(folder):
    made = BUILD / "manual"
    if not made.exists():
        pytest.skip("this build made single programs alone")
    for name in PAGES:
        assert gzip.decompress((made / f"{name}.gz").read_bytes()) == page(name)
