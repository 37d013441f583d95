"""Runs the tool that is measured, and notes what it cost: seconds, and CPU and memory of all its
processes."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_SECONDS = 0.1
TIMEOUT_SECONDS = 900
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


@dataclass(frozen=True)
class Task:
    """A command to run, in a folder, with variables beside those that are set."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ran:
    """`begun` and `ended` on the monotonic clock, which all processes share. `memory_mb`: resident
    sets added up, so what they share counts more than once."""

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


def adopt_orphans() -> None:
    """What outlives its parent becomes our child, so that its cost is seen as well (Linux)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(task: Task, but: frozenset[int] = frozenset()) -> Ran:
    """Run it to its end; `but` are children of ours that are not its."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory = _Memory(but)
    begun = time.monotonic()
    with memory:
        done = subprocess.run(
            task.command,
            cwd=task.folder,
            env={**os.environ, **task.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        ended = time.monotonic()
    _reap(but)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode:
        raise Failed(f"{' '.join(task.command)} ended with {done.returncode}:\n{done.stdout}")
    return Ran(done.returncode, begun, ended, cpu, memory.peak / 1e6, done.stdout)


class _Memory:
    """Looks at the processes from beside, every tenth of a second."""

    def __init__(self, but: frozenset[int]) -> None:
        self.peak = 0
        self._but = but
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, sum(map(_resident, _descendants(os.getpid(), self._but))))


def _descendants(parent: int, but: frozenset[int]) -> Iterator[int]:
    for child in _children(parent):
        if child not in but:
            yield child
            yield from _descendants(child, but)


def _children(process: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def _resident(process: int) -> int:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES
    return 0


def _reap(but: frozenset[int]) -> None:
    """Adopted ones that have ended; what they used counts as ours from then on."""
    for child in _children(os.getpid()):
        if child not in but:
            with suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)
