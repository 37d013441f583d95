"""How a bench is stopped: what it started is removed."""

from __future__ import annotations

import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interruptible() -> None:
    """Either signal ends it as Ctrl-C does, once."""
    for number in SIGNALS:
        signal.signal(number, _interrupted)


def _interrupted(*_: object) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # what follows is the cleaning up
    raise KeyboardInterrupt
