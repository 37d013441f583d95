"""One item of the checklist as it stands: what the gate carries from the program to its judges.

Apart from `rollout/checklist.py`, which judges: every step's program reads this, and none of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from rollout.shapes import Shape

Severity = Literal["low", "medium", "high", "critical"]


class Status(StrEnum):
    """What is known of a statement. `waived`: a named person let it pass, and said why."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    WAIVED = "waived"


@dataclass(frozen=True, kw_only=True)
class Item(Shape):
    """One line of the checklist: what it says, how it stands, and what to do about it.

    `required`: a deploy stops unless it passes or was waived. `waived_by` is the change that lets
    it pass. `next` is empty where nothing is to be done."""

    id: str
    title: str
    section: str
    severity: Severity
    status: Status
    measured: str
    limit: str
    by: str = ""
    at: datetime | None = None
    next: str = ""
    required: bool = True
    waived_by: str = ""

    @property
    def is_good(self) -> bool:
        return self.status in (Status.PASS, Status.WAIVED)

    @property
    def stops(self) -> bool:
        return self.required and not self.is_good


def blocking(items: Iterable[Item]) -> tuple[Item, ...]:
    """Those that stop the run."""
    return tuple(item for item in items if item.stops)


def waived(items: Iterable[Item]) -> tuple[str, ...]:
    """The ids of what an emergency passes by: to be recorded with its deploy."""
    return tuple(item.id for item in items if item.status is Status.WAIVED)


def refusal(item: Item) -> str:
    """Why an item stops the deploy: the item, the measured value, the limit, the manual's section,
    and the next command."""
    limit = f"; the limit: {item.limit}" if item.limit else ""
    when = f" at {item.at:%Y-%m-%d %H:%M} UTC" if item.at else ""
    source = f" [{item.by}{when}]" if item.by else ""
    return (
        f"{item.id}: {item.title} must hold (manual {item.section}), and it is {item.status}: "
        f"{item.measured}{limit}{source}. Next: {item.next}"
    )
