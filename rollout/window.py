"""When deploys go: the night's window, and once a night (manual 7.1).

The manual's "10 PM - 2 AM PST" is the wall clock of the configured zone, summer and winter. A
window that crosses midnight belongs to the evening that it began in. Pure: the caller has the
clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rollout.state import Event

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Night:
    """One window: from `begins` until before `ends`, in UTC; `evening` is the date it begins on."""

    evening: date
    begins: datetime
    ends: datetime

    def __contains__(self, at: datetime) -> bool:
        return self.begins <= at < self.ends


@dataclass(frozen=True)
class Window:
    """The same hours each night, on the wall clock of a zone."""

    begins: time
    ends: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> Window:
        """`22:00-02:00`. Raises ValueError that says what was expected."""
        try:
            begins, ends = (datetime.strptime(part, "%H:%M").time() for part in text.split("-"))
        except ValueError:
            raise ValueError("a window such as 22:00-02:00") from None
        if begins == ends:
            raise ValueError("a window whose end differs from its beginning")
        return cls(begins, ends, ZoneInfo(zone))

    def __str__(self) -> str:
        return f"{self.begins:%H:%M}-{self.ends:%H:%M} {self.zone.key}"

    def night(self, evening: date) -> Night:
        """The window that begins on that date there. Of an hour that the clock shows twice, the
        first counts; one that it leaves out begins where the clock goes on."""
        morning = evening if self.begins < self.ends else evening + _DAY
        begins = datetime.combine(evening, self.begins, self.zone).astimezone(UTC)
        ends = datetime.combine(morning, self.ends, self.zone).astimezone(UTC)
        return Night(evening, begins, ends)

    def now(self, at: datetime) -> Night | None:
        """The window that is open, None when none is."""
        last = self.last(at)
        return last if at in last else None

    def last(self, at: datetime) -> Night:
        """The window that opened last: it may be over."""
        today = at.astimezone(self.zone).date()
        nights = (self.night(today + n * _DAY) for n in (1, 0, -1, -2))
        return next(night for night in nights if night.begins <= at)

    def next(self, at: datetime) -> Night:
        """The window that is open, else the one that opens next."""
        today = at.astimezone(self.zone).date()
        nights = (self.night(today + n * _DAY) for n in (-1, 0, 1, 2))
        return next(night for night in nights if at < night.ends)

    def within(self, other: Window) -> bool:
        """Whether all of it lies in `other`, on the clock."""
        return (
            self.zone.key == other.zone.key
            and other._since(self.begins) < other._minutes
            and other._since(self.begins) + self._minutes <= other._minutes
        )

    @property
    def _minutes(self) -> int:
        return self._since(self.ends)

    def _since(self, at: time) -> int:
        """Minutes on the clock from the beginning until `at`."""
        of_day = (at.hour - self.begins.hour) * 60 + at.minute - self.begins.minute
        return of_day % (24 * 60)


def deploys_since(history: Iterable[Event], window: Window, at: datetime) -> tuple[Event, ...]:
    """The deploys of the night that `at` belongs to: since the last window opened, also after it
    has closed, so that an emergency at noon counts to the night before it.

    A rollback is none, nor is a deploy that was reverted: it left nothing changed; nor one that
    brought back what users had before a fault. Each event's target is what they had after it.
    """
    night, had, found = window.last(at), "", []
    for event in history:
        if event.kind == "deploy" and event.target != had and _time(event) >= night.begins:
            found.append(event)
        had = event.target
    return tuple(found)


def _time(event: Event) -> datetime:
    """An event that can't say when it was counts as just now: unknown is never free."""
    try:
        found = datetime.fromisoformat(event.at)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
