"""A step that is told to stop: once, as an exception where it stands, so that it ends in order."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


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


def end_with_parent() -> None:
    """Ask the kernel for a SIGTERM when whoever started this process is gone: nobody waits for
    the step any more. Linux only; elsewhere the switch agent's checks have to do."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
