"""Which backups are taken when, how long each is kept, and when one may go.

All times are UTC. docs/decisions/0020 says where the manuals disagree and what is taken.

Two guards stand before an object is lost, and each by itself keeps what is young:
- `due`: a backup gets its retention tag only when it is old enough *and* enough newer verified ones
  exist. Expiry can't count; this counts.
- `LIFECYCLE`: the bucket expires by the tag *and* by its own clock, so that a tag set by mistake
  takes nothing before its days have passed. (Of an object that several file backups share, it
  counts them from the first. So `now` is always the store's clock, as it dates its answers.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Literal

TAG = "retention"
RetentionTag = Literal["14d", "30d", "93d"]
Kind = Literal["dump", "base", "wal", "media", "application", "config", "secrets", "logs"]


class Series(StrEnum):
    """Backups that follow each other; the value is their folder in the bucket."""

    DAILY = "database/daily"
    WEEKLY = "database/weekly"
    MONTHLY = "database/monthly"
    BASE = "database/base"
    WAL = "database/wal"
    MEDIA = "files/media"
    APPLICATION = "files/application"
    CONFIG = "config"
    SECRETS = "secrets"
    LOGS = "logs"

    @property
    def prefix(self) -> str:
        return f"{self.value}/"

    @property
    def kind(self) -> Kind:
        """What its backups are: a dump is one in whichever of its folders it lies."""
        return _KIND[self]


_KIND: Mapping[Series, Kind] = {
    Series.DAILY: "dump",
    Series.WEEKLY: "dump",
    Series.MONTHLY: "dump",
    Series.BASE: "base",
    Series.WAL: "wal",
    Series.MEDIA: "media",
    Series.APPLICATION: "application",
    Series.CONFIG: "config",
    Series.SECRETS: "secrets",
    Series.LOGS: "logs",
}
DUMPS = frozenset(series for series, kind in _KIND.items() if kind == "dump")
FILES = frozenset(series for series, kind in _KIND.items() if kind in ("media", "application"))


# When

# Every 4 hours (7.3), placed so that one of them is 5.3's full, at 02:00 PST all the year.
DUMP_HOURS = (2, 6, 10, 14, 18, 22)
FULL_HOUR = 10
FILES_HOUR = 11  # 03:00 PST


@dataclass(frozen=True)
class Job:
    """What a scheduled run makes. `full`: the day's, which may become the week's or the month's."""

    kind: Kind
    full: bool = False


def jobs_at(at: datetime) -> tuple[Job, ...]:
    """What is to be done at this minute."""
    at = utc(at)
    if at.minute:
        return ()
    jobs: list[Job] = []
    if at.hour in DUMP_HOURS:
        jobs.append(Job("dump", full=at.hour == FULL_HOUR))
    if at.hour == FULL_HOUR:
        jobs.append(Job("base", full=True))
    if at.hour == FILES_HOUR:
        jobs += [Job("media"), Job("application", full=True)]
    return tuple(jobs)


def runs_between(after: datetime, until: datetime) -> Iterator[datetime]:
    """The times in (after, until] at which something is to be done: what a restart has missed."""
    at = utc(after).replace(minute=0, second=0, microsecond=0)
    while (at := at + timedelta(hours=1)) <= utc(until):
        if jobs_at(at):
            yield at


def utc(at: datetime) -> datetime:
    """A time without a zone is refused: twice a year it would be an hour off."""
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()}: expected a time with its zone, got none")
    return at.astimezone(UTC)


# What there is


@dataclass(frozen=True)
class Backup:
    """A finished backup. keys: its objects; some may belong to others, too (increments).
    verified: None until somebody looked. tagged: it was told to expire."""

    series: Series
    taken: datetime
    keys: tuple[str, ...]
    verified: bool | None = None
    tagged: bool = False


@dataclass(frozen=True)
class Listing:
    """All backups of one place. problems: what could not be listed or read."""

    backups: tuple[Backup, ...]
    problems: tuple[str, ...] = ()


# How long

Period = Callable[[datetime], object]


def day(at: datetime) -> date:
    return utc(at).date()


def week(at: datetime) -> tuple[int, int]:
    """ISO week: its year and number."""
    return utc(at).isocalendar()[:2]


def month(at: datetime) -> tuple[int, int]:
    return utc(at).year, utc(at).month


@dataclass(frozen=True)
class Least:
    """So many periods must have a newer verified backup; a series of `of` counts as one."""

    count: int
    period: Period
    of: frozenset[Series]


@dataclass(frozen=True)
class Keep:
    """How a series is kept in the bucket. days: nothing younger goes. tag: what its objects expire
    by. locked: nobody can delete them before."""

    days: int
    tag: RetentionTag
    least: tuple[Least, ...]
    locked: bool = False


_MONTHS = Least(3, month, frozenset({Series.MONTHLY}))
_WEEKS = Least(4, week, frozenset({Series.WEEKLY, Series.MONTHLY}))
_DAYS = Least(7, day, frozenset({Series.DAILY, Series.WEEKLY, Series.MONTHLY}))

# Of each the stricter: 7.3 keeps the database 30 days and files 14; 5.3 keeps 7 daily, 4 weekly and
# 3 monthly, and the third month's is at most 92 days old when the next is due. A month's backup is
# also its week's and its day's, so it counts as all three. Base and WAL are beyond the manuals:
# they are backups of the database.
KEEP: Mapping[Series, Keep] = {
    Series.DAILY: Keep(30, "30d", (_DAYS,)),
    Series.WEEKLY: Keep(30, "30d", (_DAYS, _WEEKS), locked=True),
    Series.MONTHLY: Keep(93, "93d", (_DAYS, _WEEKS, _MONTHS), locked=True),
    Series.BASE: Keep(30, "30d", (Least(1, day, frozenset({Series.BASE})),)),
    Series.WAL: Keep(30, "30d", ()),  # counted by the bases that it follows
    Series.MEDIA: Keep(14, "14d", (Least(7, day, frozenset({Series.MEDIA})),)),
    Series.APPLICATION: Keep(14, "14d", (Least(7, day, frozenset({Series.APPLICATION})),)),
}
# 7.3: unlimited. Of secrets no manual says that they may go.
FOR_EVER = frozenset({Series.CONFIG, Series.SECRETS})

# On each of the two drives (7.3: the database 7 days, files 3).
LOCAL_DAYS = 7


def full_series(at: datetime, listing: Listing) -> Series:
    """What the day's full dump is: the first of a month the month's, the first of a week the
    week's. One that was found bad is none, so that the next takes its place."""
    good = [b for b in listing.backups if b.verified is not False]
    for series, least in ((Series.MONTHLY, _MONTHS), (Series.WEEKLY, _WEEKS)):
        period = least.period(at)
        if not any(b.series in least.of and least.period(b.taken) == period for b in good):
            return series
    return Series.DAILY


# What may go


class Refused(Exception):
    """Nothing may go, because what was found can't be right."""


def due(listing: Listing, now: datetime) -> frozenset[Backup]:
    """The backups of the bucket that are no longer needed, tagged already or not."""
    _check(listing, now)
    # The log's files are many, and no backup is counted by them.
    others = Listing(tuple(b for b in listing.backups if b.series != Series.WAL))
    going = {b for b in others.backups if _is_due(b, others, now)}
    bases = [b for b in others.backups if b.series == Series.BASE and b not in going]
    wal = (b for b in listing.backups if b.series == Series.WAL)
    return frozenset(going | {segment for segment in wal if _wal_is_due(segment, bases, now)})


def tags(listing: Listing, now: datetime, max_percent: float = 25) -> dict[str, RetentionTag]:
    """The objects to tag now, and how. One that a kept backup needs, too, is not among them.

    Refuses to let more than `max_percent` of a series go at once: a clock or a listing is wrong
    more often than a quarter of the backups is old.
    """
    going = due(listing, now)
    fresh = [b for b in going if not b.tagged]
    _plausible(fresh, listing, max_percent)
    needed = reusable(listing, now)
    return {key: KEEP[b.series].tag for b in fresh for key in b.keys if key not in needed}


def reusable(listing: Listing, now: datetime) -> frozenset[str]:
    """The objects that an incremental backup may refer to instead of storing them again: not those
    that may be told to expire meanwhile."""
    going = due(listing, now)
    return frozenset(key for b in listing.backups if b not in going for key in b.keys)


def local_removals(
    listing: Listing, stored: Callable[[Backup], bool], now: datetime, max_percent: float = 25
) -> frozenset[Backup]:
    """What a drive need not hold any more: old, not the newest verified one of its series, and
    seen to be whole in the bucket. Refuses what `tags` would."""
    _check(listing, now)
    newest = {newest_verified(series, listing) for series in Series}

    def goes(backup: Backup) -> bool:
        old = now - backup.taken >= days(LOCAL_DAYS)
        return old and backup not in newest and stored(backup)

    going = {b for b in listing.backups if goes(b)}
    bases = [b for b in listing.backups if b.series == Series.BASE and b not in going]
    gone = [b for b in going if b.series != Series.WAL or _precedes_all(b, bases)]
    _plausible(gone, listing, max_percent)
    return frozenset(gone)


def newest_verified(series: Series, listing: Listing) -> Backup | None:
    found = [b for b in listing.backups if b.series == series and b.verified]
    return max(found, key=lambda b: b.taken, default=None)


def days(count: int) -> timedelta:
    return timedelta(days=count)


def _is_due(backup: Backup, listing: Listing, now: datetime) -> bool:
    keep = KEEP.get(backup.series)
    if keep is None or now - backup.taken < days(keep.days):
        return False
    return all(_newer(backup, least, listing) >= least.count for least in keep.least)


def _newer(backup: Backup, least: Least, listing: Listing) -> int:
    """In how many periods a newer verified backup was taken."""
    return len(
        {
            least.period(b.taken)
            for b in listing.backups
            if b.series in least.of and b.verified and not b.tagged and b.taken > backup.taken
        }
    )


def _wal_is_due(segment: Backup, bases: list[Backup], now: datetime) -> bool:
    """WAL is of use after a base backup; without a verified one nobody can tell which."""
    if now - segment.taken < days(KEEP[Series.WAL].days):
        return False
    return _precedes_all(segment, bases)


def _precedes_all(segment: Backup, bases: list[Backup]) -> bool:
    verified = [b for b in bases if b.verified]
    return bool(verified) and all(segment.taken < b.taken for b in bases)


def _check(listing: Listing, now: datetime) -> None:
    if listing.problems:
        raise Refused(
            f"the listing is incomplete ({'; '.join(listing.problems)}): nothing is removed"
        )
    ahead = [b for b in listing.backups if b.taken > now]
    if ahead:
        raise Refused(
            f"{ahead[0].series} of {ahead[0].taken:%Y-%m-%d %H:%M} UTC is in the future: the clock "
            "is wrong, or was; nothing is removed"
        )


def _plausible(going: list[Backup], listing: Listing, max_percent: float) -> None:
    """What falls due within a day is plausible, even when it is much of a series that has not
    grown for weeks."""
    for series in {b.series for b in going}:
        taken = sorted(b.taken for b in going if b.series == series)
        of = sum(b.series == series for b in listing.backups)
        if taken[-1] - taken[0] > days(1) and len(taken) * 100 > max_percent * of:
            raise Refused(
                f"{len(taken)} of {of} of {series} would go at once, more than {max_percent:g} "
                "percent: look at `ytops backup prune --dry-run`; if they may, raise "
                "backupPrunePercent"
            )


# What the bucket does by itself

# Until an expired object is really gone: time to notice, and to bring it back.
UNDO_DAYS = 7
# The same for one without a tag: somebody deleted it by hand.
DELETED_DAYS = 30
# An interrupted upload may be taken up for so long.
UPLOAD_DAYS = 7
# 7.2: 30 days of archive. Logs are verified by nobody and go by age alone. By prefix, because
# whoever may upload with a tag may also tag what exists.
LOG_DAYS = 30


@dataclass(frozen=True)
class LifecycleRule:
    """A rule by one tag or by one prefix ("" for all), never both: docs/decisions/0021.

    S3 takes no clean-up of uploads or delete markers in a rule by tag, so the rule for all has it.
    """

    id: str
    gone_days: int
    tag: RetentionTag | None = None
    prefix: str | None = None
    expire_days: int | None = None
    upload_days: int | None = None
    markers: bool = False


_TAG_DAYS: Mapping[RetentionTag, int] = {keep.tag: keep.days for keep in KEEP.values()}

LIFECYCLE: tuple[LifecycleRule, ...] = (
    *(
        LifecycleRule(f"{TAG}-{tag}", UNDO_DAYS, tag=tag, expire_days=count)
        for tag, count in sorted(_TAG_DAYS.items())
    ),
    LifecycleRule(
        "logs",
        UNDO_DAYS,
        prefix=Series.LOGS.prefix,
        expire_days=LOG_DAYS,
        upload_days=UPLOAD_DAYS,
    ),
    LifecycleRule("all", DELETED_DAYS, prefix="", upload_days=UPLOAD_DAYS, markers=True),
)
