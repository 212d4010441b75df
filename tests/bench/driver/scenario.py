"""What a scenario is: figures with targets, and those who contend for them."""

from dataclasses import dataclass, field
from typing import Callable

OURS = "ringback"


class Unavailable(Exception):
    """A peer that can't be had here; its words stand in the table."""


@dataclass(frozen=True)
class Target:
    """Where we must be. `good` gets our median and our median ratio to the floor."""

    text: str
    good: Callable


def at_most(value, text=None):
    return Target(text or f"≤ {value:,}", lambda ours, ratio: ours <= value)


def at_least(value, text=None):
    return Target(text or f"≥ {value:,}", lambda ours, ratio: ours >= value)


def of_floor(share, name="floor"):
    """At least this share of the floor's figure."""
    return Target(f"≥ {share:g} × {name}", lambda ours, ratio: ratio is None or ratio >= share)


def above_floor(share, name="floor"):
    """At most so many times the floor's figure."""
    return Target(f"≤ {share:g} × {name}", lambda ours, ratio: ratio is None or ratio <= share)


def both(*targets):
    return Target(
        ", ".join(target.text for target in targets),
        lambda ours, ratio: all(target.good(ours, ratio) for target in targets),
    )


@dataclass(frozen=True)
class Figure:
    """One number that each contender gives under `key`."""

    key: str
    what: str
    unit: str = ""
    target: Target | None = None


@dataclass(frozen=True)
class Scenario:
    """ours, the floor and the peers take turns; each is a function of a Stage that returns
    {figure's key: number}. Notes, under "notes", are sentences about what went wrong."""

    name: str
    about: str
    figures: list
    ours: Callable
    floor: Callable | None = None
    floor_name: str = "floor"
    peers: dict = field(default_factory=dict)
    rounds: int = 3
    peer_rounds: int = 1
