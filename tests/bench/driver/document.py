"""The table of ../BENCHMARKS.md: written between its marks, the prose stays as it is."""

from .stage import BENCH
from .table import markdown

FILE = BENCH / "BENCHMARKS.md"
BEGIN = "<!-- table: made by `./run bench --write` -->"
END = "<!-- end of table -->"


def lines_of(report):
    how = "a tenth of the load" if report["quick"] else "the full load"
    yield (
        f"{report['date']}, {report['machine']}; {how}, at most {report['rounds']} rounds; "
        f"the machine's load average was {report['load']} when it began."
    )
    yield ""
    yield from markdown(report["rows"])
    notes = [
        f"- {scenario['name']}: {note}"
        for scenario in report["scenarios"]
        for note in scenario["notes"]
    ]
    if notes:
        yield ""
        yield from notes
    yield ""
    yield "| scenario | what is done |"
    yield "|---|---|"
    for scenario in report["scenarios"]:
        yield f"| {scenario['name']} | {scenario['about']} |"


def write(report):
    text = FILE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{FILE} has no marks for the table")
    table = "\n".join(lines_of(report))
    FILE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
