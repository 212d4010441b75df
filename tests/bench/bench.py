#!/usr/bin/env python3
"""Measures ringback beside what bounds it and beside its peers, each scenario with all who
contend taking turns in one run. `./run bench` builds what it needs and calls it."""

import argparse
import datetime
import json
import os
import signal
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE)]
os.environ.setdefault("RINGBACK_BUILD", str(ROOT / "build-release"))

from driver import (  # noqa: E402
    calls, contest, counting, crash, delivery, document, growth, idle, measure, memory, peers,
    table,
)  # fmt: skip

SCENARIOS = [
    scenario
    for module in (memory, delivery, calls, crash, idle, growth, counting)
    for scenario in module.SCENARIOS
]


def words():
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help="only these")
    parser.add_argument("--list", action="store_true", help="what there is, and end")
    parser.add_argument("--peers", action="store_true", help="also nchan, ws, BullMQ, …")
    parser.add_argument("--quick", action="store_true", help="one round, a tenth of the load")
    parser.add_argument("--rounds", type=int, help="at most so many of each")
    parser.add_argument("--json", type=Path, help="default artifacts/bench.json")
    parser.add_argument("--write", action="store_true", help="the table into BENCHMARKS.md")
    return parser.parse_args()


def chosen(names):
    known = {scenario.name: scenario for scenario in SCENARIOS}
    wrong = [name for name in names if name not in known]
    if wrong:
        sys.exit(f"there is no scenario {wrong[0]}; --list says what there is")
    return [known[name] for name in names] or SCENARIOS


def notes_of(results, missing):
    for name, why in missing.items():
        yield f"{name}: {why}"
    for name, rounds in results.items():
        for number, result in enumerate(rounds):
            for note in result.get("notes", []):
                yield f"{name}, round {number + 1}: {note}"


def main():
    asked = words()
    scenarios = chosen(asked.scenarios)
    if asked.list:
        for scenario in scenarios:
            print(f"{scenario.name:<16} {scenario.about}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that stages end what they began
    if asked.peers:
        peers.install()
    report = {
        "machine": measure.machine(),
        "date": datetime.date.today().isoformat(),
        "quick": asked.quick,
        "load": round(os.getloadavg()[0], 1),
        "rounds": 1 if asked.quick else asked.rounds or 3,
        "scenarios": [],
        "rows": [],
    }
    print(report["machine"])
    for scenario in scenarios:
        results, missing, seconds = contest.run(
            scenario, asked.peers, asked.quick, report["rounds"]
        )
        notes = list(notes_of(results, missing))
        rows = list(table.rows(scenario, results, missing))
        print(f"\n{scenario.name}: {scenario.about}  ({seconds:.0f} s)")
        print("\n".join([*table.text(rows), *(f"  ! {note}" for note in notes)]), flush=True)
        report["scenarios"].append({
            "name": scenario.name, "about": scenario.about, "seconds": round(seconds, 1),
            "results": results, "notes": notes,
        })  # fmt: skip
        report["rows"] += rows
    file = asked.json or ROOT / "artifacts" / "bench.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    if asked.write:
        document.write(report)
    below = [row for row in report["rows"] if row["ok"] is False]
    print(f"\n{len(report['rows'])} figures, {len(below)} below target; {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
