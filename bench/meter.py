"""Runs one command and notes its cost. A process of its own, so that whatever it has for children
is the tool: also what outlives its parent, as `ytops` lets its engine.

Reads a task as JSON, prints what it cost as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

SAMPLE_SECONDS = 0.1
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PR_SET_CHILD_SUBREAPER = 36  # prctl(2): orphans become our children


class Memory:
    """Looks at the processes from beside, every tenth of a second."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, sum(map(_resident, _descendants(os.getpid()))))


def main() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        json.dump(_run(json.load(sys.stdin)), sys.stdout)
    finally:
        _end_all()


def _run(task: dict[str, Any]) -> dict[str, Any]:
    memory = Memory()
    begun = time.monotonic()
    # A file: a pipe would be waited for as long as anything that was left behind holds it open.
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        with memory:
            done = subprocess.run(
                task["command"],
                cwd=task["folder"],
                env={**os.environ, **task["environment"]},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            ended = time.monotonic()
        _end_all()
        output.seek(0)
        said = output.read()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "code": done.returncode,
        "begun": begun,
        "ended": ended,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "memory_mb": memory.peak / 1e6,
        "text": said,
    }


def _end_all() -> None:
    """What is still there, and wait for it, so that its cost counts as ours."""
    while left := list(_descendants(os.getpid())):
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.wait()


def _descendants(parent: int) -> Iterator[int]:
    for child in _children(parent):
        yield child
        yield from _descendants(child)


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


if __name__ == "__main__":
    main()
