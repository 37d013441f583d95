"""A step that is told to stop: once, as an exception where it stands, so that it ends in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(BaseException):
    """A signal came. `outcome` says how the step left things, and what to do next."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.outcome = ""


@contextmanager
def listening() -> Iterator[None]:
    """Turn the first signal into Stopped; those that follow find the step stopping already."""

    stopping = False

    def stop(signal_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping  # not SIG_IGN: what we start while stopping would inherit it
        if not stopping:
            stopping = True
            raise Stopped(signal_number)

    before = [(number, signal.signal(number, stop)) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
