"""The processes below a command: the engine, its plugins, the program, and the steps."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One that runs, with the words of its command line."""

    pid: int
    parent: int
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        return self.words[0].rpartition("/")[2] if self.words else ""

    def is_step(self, verb: str) -> bool:
        """Whether it is `ytops-step VERB` itself, and not the shell around it."""
        return self.words[-1:] == (verb,) and any(w.endswith("/ytops-step") for w in self.words)


def below(root: int) -> list[Process]:
    """The process itself and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found, ahead = [], [(root, 0)]
    while ahead:
        pid, parent = ahead.pop()
        with suppress(OSError):
            found.append(Process(pid, parent, _words(pid)))
        ahead += [(child, pid) for child in children.get(pid, ())]
    return found


def _words(pid: int) -> tuple[str, ...]:
    text = (Path("/proc") / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    return tuple(text.split("\0")[:-1])


@contextmanager
def frozen(pids: Iterable[int]) -> Iterator[None]:
    """Stopped for the moment of a blow, so that a fast step is hit in its middle. What outlives
    the blow goes on."""
    held = list(pids)
    try:
        for pid in held:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in held:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
