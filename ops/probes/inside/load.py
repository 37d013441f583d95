"""The host's load, seen from a container: /proc is the host's there. `load.py SECONDS [PATH…]`."""

from __future__ import annotations

import json
import os
import sys
import time


def main(arguments: list[str]) -> None:
    seconds, paths = float(arguments[0]), arguments[1:]
    before = ticks(_read("/proc/stat"))
    time.sleep(seconds)
    after = ticks(_read("/proc/stat"))
    print(
        json.dumps(
            {
                "cpu": busy(before, after),
                "memory": used(_read("/proc/meminfo")),
                "free": {path: free(path) for path in paths},
                "at": time.time(),
            }
        )
    )


def ticks(stat: str) -> tuple[int, int]:
    """All ticks since the start, and those that did nothing (idle, or waiting for a disk).
    A guest's are in its host's already."""
    numbers = [int(word) for word in stat.splitlines()[0].split()[1:9]]
    return sum(numbers), numbers[3] + numbers[4]


def busy(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Percent of the time between two readings."""
    total, idle = after[0] - before[0], after[1] - before[1]
    return round(100 * (1 - idle / total), 1) if total > 0 else 100.0


def used(meminfo: str) -> float:
    """Percent of memory that programs can't have any more."""
    lines = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    total, free = (int(lines[key].split()[0]) for key in ("MemTotal", "MemAvailable"))
    return round(100 * (1 - free / total), 1)


def free(path: str) -> float:
    """Percent that is free to who is not root, as `df` counts."""
    found = os.statvfs(path)
    usable = found.f_blocks - found.f_bfree + found.f_bavail
    return round(100 * found.f_bavail / usable, 1) if usable else 0.0


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


if __name__ == "__main__":
    main(sys.argv[1:])
