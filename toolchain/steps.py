"""Shows the set-up as a list of steps: name, route, why, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable

NAME_WIDTH = 20


def step(name: str, action: Callable[[], str]) -> None:
    """Run one step; `action` returns what was done and why, in a few words."""
    print(f"{name:<{NAME_WIDTH}} ...", flush=True)
    started = time.monotonic()
    outcome = action()
    print(f"{name:<{NAME_WIDTH}} {outcome} ({time.monotonic() - started:.1f}s)", flush=True)
