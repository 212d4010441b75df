"""What the programs say in their logs and metrics stands in the README of the room."""

import re

import pytest
from peers.process import ROOT

ROOMS = ["config", "jobs", "worker", "notifier"]


def sources(room):
    return "\n".join(file.read_text() for file in sorted((ROOT / room).rglob("*.c")))


def log_names(room):
    """The first words with a point in them behind each rb_log( are the event's name, or
    the names, where it has a choice."""
    names = set()
    for call in re.findall(r"\brb_log\((.*?)(?:RB_[A-Z]\(|\);)", sources(room), re.DOTALL):
        names |= set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)+)"', call))
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_log_events(room):
    names = log_names(room)
    assert names or room == "config"
    text = (ROOT / room / "README.md").read_text()
    missing = [name for name in sorted(names) if f"`{name}`" not in text]
    assert not missing, f"{room}/README.md does not explain {missing}"


@pytest.mark.parametrize("room", ["worker", "notifier"])
def test_metrics(room):
    names = set(re.findall(rf'"ringback_{room}_([a-z_]+)"', sources(room)))
    assert len(names) > 10
    text = (ROOT / room / "README.md").read_text()
    missing = [name for name in sorted(names) if not re.search(rf"`(ringback_{room})?_?{name}[`{{]", text)]
    assert not missing, f"{room}/README.md does not list {missing}"
