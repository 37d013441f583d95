"""How a bench is run, and stopped: what it started is removed."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(bench: Callable[[], None]) -> None:
    """To its end. Either signal ends it as Ctrl-C does, once."""
    for number in SIGNALS:
        signal.signal(number, _interrupted)
    try:
        bench()
    except KeyboardInterrupt:
        sys.exit(130)


def _interrupted(*_: object) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # what follows is the cleaning up
    raise KeyboardInterrupt
