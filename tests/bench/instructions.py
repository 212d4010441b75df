#!/usr/bin/python3
"""Fails when a hot path takes more instructions than its ceiling, so that what became slower
shows without a clock.

    instructions.py BUILD [job|message|connection …]      exit 77 = there is no valgrind"""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SKIPPED = 77


def main():
    if not shutil.which("valgrind") or not shutil.which("redis-server"):
        print("skipped: valgrind and redis-server are needed to count instructions")
        return SKIPPED
    os.environ["RINGBACK_BUILD"] = sys.argv[1]
    sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE)]
    from driver.counting import CEILINGS, MEANING, PATHS, instructions

    failed = False
    for path in sys.argv[2:] or PATHS:
        each, most = instructions(path), CEILINGS[path]
        failed |= each > most
        verdict = "ok" if each <= most else "TOO MANY"
        print(f"{MEANING[path]:<32} {each:10,.0f} instructions, at most {most:,}: {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
