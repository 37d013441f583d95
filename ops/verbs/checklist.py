"""`ytops checklist VERSION`: the manual's pre-deployment checklist, with its evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import msgspec

from ops.gather import items as gathered
from ops.verbs._exit import DONE, FAILED
from ops.verbs._night import sources
from ops.verbs._paper import BAD, MAYBE, OK, paint, plural, say
from ops.verbs._place import Place
from rollout.items import Item, Status, blocking
from rollout.judge import Phase

WIDTH = 22
MARKS = {
    Status.PASS: (OK, "green"),
    Status.WAIVED: ("~", "yellow"),
    Status.FAIL: (BAD, "red"),
    Status.UNKNOWN: (MAYBE, "yellow"),
}


def checklist(
    place: Place,
    version: str,
    *,
    phase: Phase = "up",
    backups: Path | None = None,
    as_json: bool = False,
) -> int:
    """Exit code 0 when a deploy may go."""
    now = datetime.now(UTC)
    items = gathered(sources(place, backups), version, phase)
    if as_json:
        say(json.dumps(report(version, phase, now, items), indent=2))
    else:
        for line in screen(version, phase, items):
            say(line)
    return FAILED if blocking(items) else DONE


def report(version: str, phase: Phase, now: datetime, items: tuple[Item, ...]) -> object:
    return {
        "version": version,
        "phase": phase,
        "at": now.isoformat(),
        "ready": not blocking(items),
        "items": msgspec.to_builtins(items),
    }


def screen(version: str, phase: Phase, items: tuple[Item, ...]) -> Iterator[str]:
    for section, group in groupby(items, key=lambda item: item.section):
        yield paint(f"manual {section}", "bold")
        for item in group:
            yield from _lines(item)
    stops = blocking(items)
    if stops:
        verb = "stops" if len(stops) == 1 else "stop"
        yield f"{plural(len(stops), 'item')} of {len(items)} {verb} {version}"
        return
    later = [item.id for item in items if not item.required and item.next]
    note = f"; on the night also: {', '.join(later)}" if later else ""
    yield paint(f"{OK} nothing stops {version}", "green") + note
    if phase == "up":
        yield f"Next: `ytops up {version}`"


def _lines(item: Item) -> Iterator[str]:
    mark, colour = MARKS[item.status]
    advisory = "" if item.required else " (tonight)"
    yield f"  {paint(mark, colour)} {item.id:<{WIDTH}} {item.measured}{advisory}"
    indent = " " * (WIDTH + 5)
    yield f"{indent}{paint(_evidence(item), 'dim')}"
    if item.next:
        yield f"{indent}Next: {item.next}"


def _evidence(item: Item) -> str:
    """What it is judged by, and who measured it when."""
    at = f" at {item.at:%Y-%m-%d %H:%M} UTC" if item.at else ""
    return "; ".join(
        (f"must be: {item.limit}", f"by: {item.by}{at}" if item.by else "not measured")
    )
