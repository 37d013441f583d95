"""How long a deploy is going to take, by those before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

LAST = 10  # older ones were of another machine, other data, another declaration


@dataclass(frozen=True)
class EngineRun:
    """An update that went well. `creates`: it made something, as a deploy does."""

    begun: datetime
    ended: datetime
    creates: bool

    @property
    def seconds(self) -> float:
        return (self.ended - self.begun).total_seconds()


def deploys(runs: Iterable[EngineRun], switched: Sequence[datetime] | None) -> list[float]:
    """How long each took that brought a release, the newest first. `switched`: when the host moved
    traffic to a new one; None where nobody knows, and what made something counts."""
    return [run.seconds for run in runs if _brought(run, switched)][:LAST]


def _brought(run: EngineRun, switched: Sequence[datetime] | None) -> bool:
    if switched is None:
        return run.creates
    return any(run.begun <= at <= run.ended for at in switched)


def expected(seconds: Sequence[float]) -> str:
    if not seconds:
        return "not known: no earlier deploy is on record"
    if len(seconds) == 1:
        return f"about {seconds[0]:.0f} s, as the one before"
    return (
        f"about {median(seconds):.0f} s: the last {len(seconds)} deploys took {min(seconds):.0f} "
        f"to {max(seconds):.0f} s"
    )
