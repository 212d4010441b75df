"""What a program and its children cost, as the kernel tells it."""

import os
from pathlib import Path


def pss_bytes(process):
    """Memory in proportion: what is shared counts by how many share it."""
    total = 0
    for pid in process.session():
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def cpu_seconds(process):
    """Time on a core, to the nanosecond where the kernel counts so."""
    total = 0
    for pid in process.session():
        for task in os.scandir(f"/proc/{pid}/task"):
            try:
                total += int(Path(task.path, "schedstat").read_text().split()[0])
            except OSError:
                return process.cpu_seconds()
    return total / 1e9


def wakeups(process):
    """How often it was woken: each time it had gone to sleep by itself."""
    total = 0
    for pid in process.session():
        for task in os.scandir(f"/proc/{pid}/task"):
            for line in Path(task.path, "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    total += int(line.split()[1])
    return total


def machine():
    """One line about where this runs."""
    model, memory = "unknown processor", 0
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = " ".join(line.partition(":")[2].split())
            break
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            memory = round(int(line.split()[1]) / 2**20)
    return f"{os.cpu_count()} cores of {model}, {memory} GiB, Linux {os.uname().release}"
