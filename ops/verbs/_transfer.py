"""How far a long stage is: a bar with rate and time left on a terminal, a line now and then in a
log."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from ops.steps.backup import megabytes
from ops.verbs._paper import is_terminal, say, span

LINE_SECONDS = 10.0
BAR_SECONDS = 0.1  # whoever tells of each block need not think of how often


@dataclass
class Transfer:
    """Takes `(stage, bytes, of how many)`. A stage ends when another begins, or with `close`."""

    _stage: str = ""
    _begun: float = 0.0
    _said: float = 0.0
    _shown: float = 0.0
    _bar: Any = field(default=None, repr=False)
    _task: Any = field(default=None, repr=False)

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self.close()
            self._stage, self._begun, self._said = stage, now, now
            if is_terminal():
                self._bar, self._task = _bar(stage, total)
        if self._bar is not None:
            if now - self._shown >= BAR_SECONDS or done >= total:
                self._shown = now
                self._bar.update(self._task, completed=done, total=max(total, done) or None)
        elif now - self._said >= LINE_SECONDS:
            self._said = now
            say(line(stage, done, total, now - self._begun))

    def say(self, words: str) -> None:
        """Above the bar, where there is one."""
        if self._bar is None:
            say(words)
        else:
            from rich.text import Text

            self._bar.console.print(Text.from_ansi(words))

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._stage, self._bar = "", None


def line(stage: str, done: int, total: int, seconds: float) -> str:
    """`read: 1.2 of 4.0 GB, 110.0 MB/s, 26 s left`."""
    rate = done / seconds if seconds else 0.0
    words = f"{stage}: {megabytes(done)} of {megabytes(total)}, {megabytes(round(rate))}/s"
    if rate and total > done:
        words += f", {span((total - done) / rate)} left"
    return words


def _bar(stage: str, total: int) -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    bar = Progress(
        TextColumn("{task.description:<9}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(highlight=False),
        transient=True,
    )
    task = bar.add_task(stage, total=total or None)
    bar.start()
    return bar, task
