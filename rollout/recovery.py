"""Recovery to a point in time, decided: which base backup, what of the log must follow it, and
which times can be reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rollout.backups import Stored
from rollout.records import BackupManifest
from rollout.retention import Series, utc
from rollout.wal import Piece, Segment, is_segment

# What follows what


def bases_of(found: Iterable[Stored]) -> list[BackupManifest]:
    """The base backups of a place; not those that were found bad."""
    return [
        s.manifest
        for s in found
        if s.manifest and s.folder.series is Series.BASE and s.proved is not False
    ]


@dataclass(frozen=True)
class Chain:
    """A base backup and the log that follows it without a gap. reached: until when it is all
    there. missing: the first segment that is not, though later ones are."""

    base: BackupManifest
    segments: tuple[Piece, ...]
    histories: tuple[Piece, ...]
    reached: datetime
    missing: Segment | None = None


def chain(base: BackupManifest, found: Iterable[Piece]) -> Chain:
    """From the first segment that the base backup does not hold itself. Where two timelines have a
    segment, the later one goes on: so does a server that recovers to the latest."""
    own = sorted((p for p in found if p.system == base.system), key=lambda piece: piece.key)
    histories = tuple(piece for piece in own if not is_segment(piece.name))
    # A receiver that was killed may have one twice; the first is as good.
    known = {Segment.of(piece.name): piece for piece in reversed(own) if is_segment(piece.name)}
    by_number: dict[int, Segment] = {}
    for segment in sorted(known):  # the later timeline last
        by_number[segment.number] = segment
    at = Segment.ending(base.wal_to, base.timeline)
    segments: list[Piece] = []
    while (following := by_number.get(at.number + 1)) and following.timeline >= at.timeline:
        at = following
        segments.append(known[at])
    reached = max([base.finished, *(piece.closed for piece in segments)])
    missing = Segment(at.number + 1, at.timeline)
    gap = missing if any(number > missing.number for number in by_number) else None
    return Chain(base, tuple(segments), histories, reached, gap)


@dataclass(frozen=True)
class Range:
    """Every moment from one to the other can be brought back."""

    since: datetime
    until: datetime
    missing: Segment | None = None


def ranges(bases: Iterable[BackupManifest], found: Sequence[Piece]) -> tuple[Range, ...]:
    """Which times can be reached, the oldest first. Where two base backups lead through the same
    log, that is one range."""
    told: list[Range] = []
    for base in sorted(bases, key=lambda base: base.finished):
        reach = chain(base, found)
        if told and told[-1].until == reach.reached:
            continue
        told.append(Range(utc(base.finished), utc(reach.reached), reach.missing))
    return tuple(told)


class OutOfReach(Exception):
    """A time that no base backup and log lead to, and why."""


def towards(
    at: datetime, bases: Iterable[BackupManifest], found: Sequence[Piece], now: datetime
) -> Chain:
    """The newest base backup before a time, and the log that leads to it. Raises OutOfReach."""
    known = sorted(bases, key=lambda base: base.finished)
    if at > now:
        raise OutOfReach(f"{_time(at)} is in the future; it is {_time(now)} now")
    before = [base for base in known if base.finished <= at]
    if not before:
        oldest = f"the oldest is of {_time(known[0].finished)}" if known else "there is none"
        raise OutOfReach(f"No base backup is from before {_time(at)}: {oldest}")
    reach = chain(before[-1], found)
    if reach.reached < at:
        raise OutOfReach(_short(reach, at, found))
    return reach


def _short(reach: Chain, at: datetime, found: Sequence[Piece]) -> str:
    until = f"the last time that can be reached is {_time(reach.reached)}"
    if reach.missing:
        return f"WAL segment {reach.missing} is missing on the way to {_time(at)}: {until}"
    others = [p for p in found if p.system != reach.base.system and p.closed > reach.reached]
    if others:
        return (
            f"The database was made anew after {_time(reach.reached)}: WAL from then on is of "
            f"system {others[0].system}, the base backup before {_time(at)} of "
            f"{reach.base.system}; {until}"
        )
    return f"WAL of {_time(at)} has not been shipped: {until}"


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
