"""Days and nights of backups: the schedule makes them, retention tags them, the bucket expires
them. A test says on which days what fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from rollout.retention import (
    KEEP,
    Backup,
    Listing,
    Series,
    full_series,
    jobs_at,
    reusable,
    tags,
)
from tests.unit.rollout.bucket_model import Bucket

# The first of 400 days: both changes of daylight saving, a 29 February and each month's end follow.
BEGIN = datetime(2027, 10, 20, tzinfo=UTC)
VERIFY_HOUR = 12
PRUNE_HOUR = 13

Days = Callable[[date], bool]


def never(_: date) -> bool:
    return False


def between(first: int, last: int) -> Days:
    """The days with these numbers, counted from the beginning."""
    begin = BEGIN.date()
    return lambda day: first <= (day - begin).days <= last


@dataclass
class Years:
    """fails: no backup is finished on these days. bad: what is made is found bad. idle: nobody
    prunes. max_percent: as configured; a test may play the operator who looked and raised it."""

    fails: Days = never
    bad: Days = never
    idle: Days = never
    max_percent: float = 25
    bucket: Bucket = field(default_factory=Bucket)
    kept: list[Backup] = field(default_factory=list)
    gone: list[Backup] = field(default_factory=list)
    now: datetime = BEGIN

    @property
    def made(self) -> list[Backup]:
        """All that ever were, but for those that have been gone for long."""
        return sorted([*self.gone, *self.kept], key=lambda b: b.taken)

    def run(self, days: int, each_day: Callable[[Years], None]) -> None:
        for _ in range(days * 24):
            self._hour()
            self.now += timedelta(hours=1)
            if self.now.hour == 0:
                self.bucket.midnight(self.now)
                self._sort_out()
                each_day(self)

    def _sort_out(self) -> None:
        long_ago = self.now - timedelta(days=200)
        gone = [b for b in self.kept if not self.bucket.holds(b.keys[0])]
        self.gone = [b for b in (*self.gone, *gone) if b.taken > long_ago]
        self.kept = [b for b in self.kept if self.bucket.holds(b.keys[0])]

    def _hour(self) -> None:
        day = self.now.date()
        if not self.fails(day):
            self._back_up()
        if self.now.hour == VERIFY_HOUR:
            self.kept = [
                replace(b, verified=not self.bad(b.taken.date())) if b.verified is None else b
                for b in self.kept
            ]
        if self.now.hour == PRUNE_HOUR and not self.idle(day):
            self.prune()

    def prune(self, clock: datetime | None = None) -> None:
        for key, tag in tags(self.listing(), clock or self.now, self.max_percent).items():
            self.bucket.tag(key, tag)

    def listing(self) -> Listing:
        """What the bucket holds, as a job would list it."""
        return Listing(
            tuple(
                replace(b, tagged=True) if self.bucket.tagged(b.keys[0]) else b
                for b in self.kept
                if self.bucket.holds(b.keys[0])
            )
        )

    def whole(self) -> list[Backup]:
        """The restore points: verified, and each object is there."""
        return [b for b in self.kept if b.verified and all(map(self.bucket.holds, b.keys))]

    def _back_up(self) -> None:
        for job in jobs_at(self.now):
            if job.kind == "dump":
                series = full_series(self.now, self.listing()) if job.full else Series.DAILY
                self._store(series)
            elif job.kind == "base":
                self._store(Series.BASE)
            elif job.kind == "media":
                self._store(Series.MEDIA, self._blobs())
            elif job.kind == "application":
                self._store(Series.APPLICATION)
        if self.now.hour % 6 == 5:
            self._store(Series.WAL)

    def _store(self, series: Series, shared: tuple[str, ...] = ()) -> None:
        key = f"{series.prefix}{self.now:%Y%m%dT%H%M%SZ}"
        keep = KEEP[series]
        self.bucket.put(key, self.now, keep.days if keep.locked else 0)
        self.kept.append(Backup(series, self.now, (key, *shared)))

    def _blobs(self) -> tuple[str, ...]:
        """Media by content: one file in ten changes each day; what may be referred to is not
        stored again."""
        number = (self.now - BEGIN).days
        there = reusable(self.listing(), self.now)
        keys: list[str] = []
        for name in range(10):
            content = f"{Series.MEDIA.prefix}blob-{name}-{(number + name) // 10}-"
            known = [key for key in there if key.startswith(content)]
            key = known[0] if known else f"{content}{number}"
            if not known:
                self.bucket.put(key, self.now)
            keys.append(key)
        return tuple(keys)


def newest(
    backups: list[Backup], of: frozenset[Series], period: Callable[[datetime], Any], count: int
) -> set[Any]:
    """The newest so many days, weeks or months that have one."""
    return set(sorted({period(b.taken) for b in backups if b.series in of})[-count:])
