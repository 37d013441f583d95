"""Where the time of one run goes: `python -m bench.timeline [FLAG…]` in a project's folder.

It runs `pulumi up --yes --skip-preview` and prints, for each resource that took part, when its turn
came and how long it took; what no resource accounts for is the engine's, the program's and the
plugins' start, and the end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

COMMAND = ("pulumi", "up", "--yes", "--skip-preview", "--json", "--non-interactive")
UNCHANGED = ("same", "read")


@dataclass(frozen=True)
class Span:
    """One resource's turn, in seconds from the command's start."""

    name: str
    op: str
    begun: float
    ended: float

    def __str__(self) -> str:
        took = self.ended - self.begun
        return f"{self.begun:6.2f} {took:6.2f}  {self.op:<14} {self.name}"


def spans(heard: Iterable[tuple[float, dict[str, Any]]]) -> Iterator[Span]:
    """From the engine's events, each with its moment."""
    begun: dict[tuple[str, str], float] = {}
    for moment, event in heard:
        for kind in ("resourcePreEvent", "resOutputsEvent", "resOpFailedEvent"):
            about = (event.get(kind) or {}).get("metadata")
            if not about:
                continue
            key = (about["urn"], about["op"])
            if kind == "resourcePreEvent":
                begun[key] = moment
            elif key in begun:
                yield Span(about["urn"].rsplit("::", 1)[-1], about["op"], begun.pop(key), moment)


def follow(flags: Iterable[str]) -> tuple[int, float, list[tuple[float, dict[str, Any]]]]:
    """Run it: its exit code, its seconds, and what it said when."""
    started = time.monotonic()
    heard = []
    environment = {**os.environ, "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
    with subprocess.Popen([*COMMAND, *flags], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout
        for line in process.stdout:
            heard.append((time.monotonic() - started, json.loads(line)))
    return process.returncode, time.monotonic() - started, heard


def main(flags: list[str]) -> int:
    code, took, heard = follow(flags)
    every = sorted(spans(heard), key=lambda span: span.begun)
    done = [span for span in every if span.op not in UNCHANGED]
    print(f"{'at':>6} {'took':>6}")
    print(*done, sep="\n")
    if every:
        print(f"first resource at {every[0].begun:.2f}, last over at {heard[-1][0]:.2f}")
    print(f"{took:.2f} s, exit code {code}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
