"""From what was measured to rows: for the terminal, for the document, for programs."""

import statistics

from .scenario import OURS


def number(value):
    if value is None:
        return ""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.2f} M"
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def values(results, name, key):
    return [result[key] for result in results.get(name, []) if key in result]


def ratios(results, name, other, key):
    """Of figures taken one after the other in the same round."""
    pairs = zip(results.get(name, []), results.get(other, []), strict=False)
    return [a[key] / b[key] for a, b in pairs if key in a and b.get(key)]


def median(numbers):
    return statistics.median(numbers) if numbers else None


def rows(scenario, results, missing):
    """One dict a figure."""
    for figure in scenario.figures:
        ours = values(results, OURS, figure.key)
        floor = median(values(results, scenario.floor_name, figure.key))
        ratio = median(ratios(results, OURS, scenario.floor_name, figure.key))
        peers = {}
        for name in scenario.peers:
            theirs = median(values(results, name, figure.key))
            if theirs is not None:
                times = median(ratios(results, OURS, name, figure.key))
                peers[name] = {"median": theirs, "ratio": times}
        row = {
            "scenario": scenario.name, "figure": figure.what, "unit": figure.unit,
            "min": min(ours, default=None), "median": median(ours),
            "max": max(ours, default=None),
            "floor": floor, "floor_name": scenario.floor_name if floor is not None else "",
            "ratio": ratio, "peers": peers,
            "target": figure.target.text if figure.target else "", "ok": None,
        }  # fmt: skip
        if figure.target and ours:
            row["ok"] = bool(figure.target.good(row["median"], ratio))
        elif figure.target:
            row["ok"] = False
        yield row


def cells(row):
    ours = "–".join(number(row[key]) for key in ("min", "median", "max"))
    if row["min"] == row["max"]:
        ours = number(row["median"])
    peers = ", ".join(
        f"{name} {number(peer['median'])}" + (f" (×{number(peer['ratio'])})" if peer["ratio"] else "")
        for name, peer in row["peers"].items()
    )
    floor = f"{number(row['floor'])} ({row['floor_name']})" if row["floor_name"] else ""
    verdict = {None: "", True: "ok", False: "below"}[row["ok"]]
    return [
        row["scenario"], row["figure"] + (f", {row['unit']}" if row["unit"] else ""),
        ours if row["median"] is not None else "not measured", floor,
        f"×{number(row['ratio'])}" if row["ratio"] is not None else "",
        peers, row["target"], verdict,
    ]  # fmt: skip


HEAD = ["scenario", "figure", "ringback (min–median–max)", "floor", "to the floor", "peers (ours to theirs)",
        "where we must be", ""]  # fmt: skip


def markdown(all_rows):
    yield "| " + " | ".join(HEAD) + " |"
    yield "|" + "---|" * len(HEAD)
    before = None
    for row in all_rows:
        line = cells(row)
        if line[0] == before:
            line[0] = ""
        else:
            before = line[0]
        yield "| " + " | ".join(line) + " |"


def text(all_rows):
    """The same for a terminal, as each scenario ends."""
    for row in all_rows:
        name, figure, ours, floor, ratio, peers, target, verdict = cells(row)
        line = f"  {figure:<44} {ours:>26}"
        if floor:
            line += f"   floor {floor} {ratio}"
        if target:
            line += f"   [{target}: {verdict}]"
        yield line
        if peers:
            yield f"  {'':<44} {peers}"
