"""A run on the screen: what is under way moves on a terminal, a log gets plain lines."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Protocol

from ops.verbs._paper import is_terminal, say
from ops.verbs._progress import NAME_WIDTH, Progress

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
FRAMES_A_SECOND = 8


class View(Protocol):
    def line(self, text: str) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...


class Plain:
    """Lines as they come."""

    def line(self, text: str) -> None:
        say(text)

    def tick(self) -> None:
        pass

    def close(self) -> None:
        pass


class Moving:
    """Lines above, the steps under way below, with a clock each."""

    def __init__(self, progress: Progress, waiting: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._progress, self._waiting, self._begun = progress, waiting, time.monotonic()
        console = Console(highlight=False, markup=False, soft_wrap=True)
        self._live = Live("", console=console, transient=True, auto_refresh=False)
        self._live.start()
        self._shown = 0.0

    def line(self, text: str) -> None:
        from rich.text import Text

        self._live.console.print(Text.from_ansi(text))

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._shown >= 1 / FRAMES_A_SECOND:
            self._shown = now
            with suppress(OSError):  # the terminal was closed; the deploy goes on
                self._live.update("\n".join(self._under_way(now)), refresh=True)

    def close(self) -> None:
        with suppress(OSError):
            self._live.update("", refresh=True)
            self._live.stop()

    def _under_way(self, now: float) -> list[str]:
        frame = FRAMES[int(now * FRAMES_A_SECOND) % len(FRAMES)]
        width = self._live.console.width - 1
        steps = [
            f"{frame} {step.name:<{NAME_WIDTH}} {step.said or '…'} {now - step.begun:.0f} s"
            for step in self._progress.running.values()
        ]
        waiting = [f"{frame} {self._waiting} {now - self._begun:.0f} s"]
        return [line[:width] for line in steps or waiting]


def view(progress: Progress, waiting: str) -> View:
    return Moving(progress, waiting) if is_terminal() else Plain()
