"""Python under libfaketime, which gets a sleep until a moment (clock_nanosleep, Python's own since
3.11) wrong: this one sleeps by select. On the PYTHONPATH of what lives in the past."""

from __future__ import annotations

import select
import time
from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex) -> None:
    select.select([], [], [], float(seconds))


time.sleep = _sleep
