"""What the scheduler does next: pure, from the timetable, what the store says, and how a task went
last.

What was done is read off the backups themselves, so that nothing which remembers it can lie. Only
failures are remembered, for as long as the scheduler lives: when to try again, and whom was told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal, get_args

from rollout.backups import Catalogue, Stored, best_copy, together
from rollout.judge import is_verified
from rollout.retention import FULL_HOUR, Kind, jobs_at, utc

# What comes after the backups, daily: every copy is read and the newest are restored; then what is
# no longer needed may go.
Check = Literal["verify", "prune"]
Task = Kind | Check

# A backup that is wanted may take so long; then it is missing, and somebody is told.
LATE = timedelta(hours=1)
# A restore is tried daily, with as much to spare; and a base backup made.
UNPROVED = BASE_LATE = timedelta(hours=26)
# Of a clock that was ahead: a backup from further on says nothing of now.
SKEW = timedelta(minutes=5)

FIRST_PAUSE = 300.0
LONGEST_PAUSE = 3600.0
BUSY_PAUSE = 60.0  # while somebody else's job is at it
# One that is there, and not everywhere: a drive that is being replaced is no reason for a backup
# each hour.
PARTIAL_TRIES = 3


# What is known


@dataclass(frozen=True)
class Newest:
    """Of one kind. `good`: when each was taken that nobody found bad; `verified`, `proved`: the
    newest whose content was read, and of which a restore was seen to work. bytes: of the newest
    verified."""

    good: tuple[datetime, ...] = ()
    verified: datetime | None = None
    proved: datetime | None = None
    bytes: int = 0


@dataclass(frozen=True)
class Known:
    """`tried`: when a restore of a dump was last tried. away: the places that do not answer, and
    why."""

    kinds: Mapping[Task, Newest] = field(default_factory=dict)
    tried: datetime | None = None
    places: tuple[str, ...] = ()
    away: Mapping[str, str] = field(default_factory=dict)

    def newest(self, kind: Task) -> Newest:
        return self.kinds.get(kind, Newest())


def known(catalogues: Mapping[str, Catalogue], away: Mapping[str, str]) -> Known:
    """What the places say together."""
    by_kind: dict[Task, list[Stored]] = {}
    for folder, at in together(catalogues).items():
        by_kind.setdefault(folder.series.kind, []).append(best_copy(at))
    tried = [
        v.at
        for stored in by_kind.get("dump", ())
        for v in (stored.manifest.verifications if stored.manifest else ())
        if v.check == "restore"
    ]
    return Known(
        {kind: _newest(found) for kind, found in by_kind.items()},
        max(tried, default=None),
        tuple(catalogues),
        dict(away),
    )


def _newest(found: list[Stored]) -> Newest:
    """The newest come first."""
    verified = next((s for s in found if s.manifest and is_verified(s.manifest)), None)
    proved = next((s for s in found if s.proved), None)
    return Newest(
        good=tuple(s.folder.taken for s in found if s.proved is not False),
        verified=verified.folder.taken if verified else None,
        proved=proved.folder.taken if proved else None,
        bytes=verified.manifest.bytes if verified and verified.manifest else 0,
    )


# What is wanted


def last_run(task: Task, now: datetime) -> datetime:
    """When the timetable last asked for it."""
    hour = utc(now).replace(minute=0, second=0, microsecond=0)
    times = (hour - timedelta(hours=back) for back in range(25))
    return next(at for at in times if _asked(task, at))


def interval(task: Task) -> timedelta:
    """The longest that the timetable leaves between two of them."""
    day = [datetime.fromisoformat(f"2027-01-01T{hour:02}:00:00+00:00") for hour in range(24)]
    runs = [at for at in day if _asked(task, at)]
    return max(b - a for a, b in pairwise([*runs, runs[0] + timedelta(days=1)]))


def timetable(kinds: Collection[str]) -> tuple[Task, ...]:
    """Of these kinds, those that it names; in the order in which they are done."""
    hours = [datetime.fromisoformat(f"2027-01-01T{hour:02}:00:00+00:00") for hour in range(24)]
    named = {job.kind for at in hours for job in jobs_at(at)}
    made: tuple[Task, ...] = tuple(k for k in get_args(Kind) if k in named and k in kinds)
    return (*made, *get_args(Check))


def wanted(task: Task, now: datetime, what: Known) -> datetime | None:
    """The run that a backup, or a check of them, is still missing for; None when there is one."""
    run = last_run(task, now)
    if task == "prune":
        return run
    if task == "verify":
        done = _tried_since(run, now, what)
        early = not _any_since(run, now, what.newest("dump")) and now - run < LATE
        return None if done or early else run
    return None if _any_since(run, now, what.newest(task)) else run


def _tried_since(run: datetime, now: datetime, what: Known) -> bool:
    return what.tried is not None and run <= what.tried <= now + SKEW


def _any_since(run: datetime, now: datetime, newest: Newest) -> bool:
    return any(run <= at <= now + SKEW for at in newest.good)


def _asked(task: Task, at: datetime) -> bool:
    if task in get_args(Check):
        return at.hour == FULL_HOUR
    return any(job.kind == task for job in jobs_at(at))


def late(task: Task, now: datetime, what: Known) -> timedelta | None:
    """For how long a backup has been missing; None when none is."""
    run = wanted(task, now, what) if task not in get_args(Check) else None
    return utc(now) - run if run else None


# How it went


@dataclass(frozen=True)
class Attempts:
    """At one task, for one run of the timetable. `again`: when it may be tried once more, on the
    clock that nobody sets."""

    run: datetime
    failures: int = 0
    done: bool = False
    again: float = 0.0


def succeeded(run: datetime) -> Attempts:
    return Attempts(run, done=True)


def failed(before: Attempts | None, run: datetime, clock: float) -> Attempts:
    """Twice as long a pause each time; a new run of the timetable goes on from there."""
    failures = (before.failures if before else 0) + 1
    pause = min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE)
    return Attempts(run, failures, again=clock + pause)


def put_off(before: Attempts | None, run: datetime, clock: float) -> Attempts:
    """Somebody else's job was at it: no failure."""
    return replace(before or Attempts(run), run=run, done=False, again=clock + BUSY_PAUSE)


def due(
    tasks: Collection[Task],
    now: datetime,
    clock: float,
    what: Known,
    went: Mapping[Task, Attempts],
) -> Task | None:
    """What to begin now: the first that is wanted and not held back."""

    def is_due(task: Task) -> bool:
        run, last = wanted(task, now, what), went.get(task)
        if task in get_args(Check) and any(_is_put_off(kind, now, what, went) for kind in tasks):
            return False
        if task == "prune" and not _verified(now, what, went):
            return False
        if last is None:
            return run is not None
        if clock < last.again:
            return False
        if run is None:
            # It is there, but its job failed: somewhere it is not.
            return _since(last, task, now) and 0 < last.failures <= PARTIAL_TRIES and not last.done
        return not (last.done and _since(last, task, now))

    return next((task for task in tasks if is_due(task)), None)


def _is_put_off(kind: Task, now: datetime, what: Known, went: Mapping[Task, Attempts]) -> bool:
    """A backup that waits for somebody else's job, such as the first deploy's migrations: checks
    before it would leave it unproved until tomorrow."""
    last = went.get(kind)
    waits = last is not None and not last.done and not last.failures
    return kind not in get_args(Check) and waits and wanted(kind, now, what) is not None


def _verified(now: datetime, what: Known, went: Mapping[Task, Attempts]) -> bool:
    """Only what was proved lets anything go, so nothing goes before the day's proof."""
    last = went.get("verify")
    if last is None:
        return _tried_since(last_run("verify", now), now, what)
    return last.done and _since(last, "verify", now)


def _since(last: Attempts, task: Task, now: datetime) -> bool:
    return last.run >= last_run(task, now)
