"""What `ytops` prints with: a line, a colour where a terminal shows it, a moment in words."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}

OK, BAD, MAYBE = "✓", "✗", "?"


def say(line: str = "") -> None:
    print(line, flush=True)


def complain(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str) -> str:
    if not is_terminal() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{_CODES[colour]}m{text}\033[0m"


def moment(text: str) -> datetime | None:
    """An ISO 8601 time; None when it isn't one."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def when(text: str, now: datetime | None = None) -> str:
    """`2026-11-22 16:32 UTC (3 min ago)`."""
    found = moment(text)
    if found is None:
        return text or "an unknown time"
    ago = ((now or datetime.now(UTC)) - found).total_seconds()
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({span(max(ago, 0))} ago)"


def span(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"


def indented(text: str, by: str = "  ") -> str:
    return "\n".join(f"{by}{line}".rstrip() for line in text.splitlines())


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
