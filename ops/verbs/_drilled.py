"""When the recovery of a stack was last tried, as `status` and `backup status` say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from ops.verbs._paper import when
from rollout.drills import EVERY, Remembered, is_overdue, remembered

NEXT = "Next: `ytops drill`"


@dataclass(frozen=True)
class Drilled:
    """held: as the host remembers it. needed: whether to be without a good one is a failure."""

    held: Remembered | None
    now: datetime
    needed: bool

    @classmethod
    def of(cls, markers: Mapping[str, str], now: datetime, *, needed: bool) -> Drilled:
        return cls(remembered(markers), now, needed)

    @property
    def is_well(self) -> bool:
        return not (self.needed and is_overdue(self.held, self.now))

    @property
    def words(self) -> str:
        if self.held is None:
            return f"no drill was held yet. {NEXT}"
        if self.held.good is None:
            return f"no drill was good yet, the last {self._at(self.held.at)}. {NEXT}"
        told = f"last good drill {self._at(self.held.good)}"
        told += "" if self.held.well else f"; one failed {self._at(self.held.at)}"
        overdue = is_overdue(self.held, self.now) and self.needed
        return f"{told}; one is wanted every {EVERY.days} days. {NEXT}" if overdue else told

    def values(self) -> dict[str, object]:
        held = self.held
        return {
            "last": held.at.isoformat() if held else None,
            "well": held.well if held else None,
            "good": held.good.isoformat() if held and held.good else None,
            "overdue": is_overdue(held, self.now),
        }

    def _at(self, at: datetime) -> str:
        return when(at.isoformat(), self.now)
