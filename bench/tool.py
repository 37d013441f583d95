"""A tool that is measured: what to run, what it cost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Task:
    """A command to run, in a folder, with variables beside those that are set."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ran:
    """`begun` and `ended` on the monotonic clock, which all processes share. `memory_mb`: the peak
    of all its processes' resident sets added up, so what they share counts more than once."""

    code: int
    begun: float
    ended: float
    cpu_seconds: float
    memory_mb: float
    text: str

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


class Failed(Exception):
    """A command that is measured failed: there is nothing to measure."""


def run(task: Task, timeout: float = TIMEOUT_SECONDS) -> Ran:
    """Run it to its end, watched by a process that has no other children (bench/meter.py)."""
    meter = subprocess.Popen(
        [sys.executable, "-m", "bench.meter"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = meter.communicate(json.dumps(asdict(task), default=str), timeout)
    except BaseException:
        meter.terminate()  # it ends all that it started
        meter.wait()
        raise
    ran = Ran(**json.loads(said))
    if ran.code:
        raise Failed(f"{' '.join(task.command)} ended with {ran.code}:\n{ran.text}")
    return ran
