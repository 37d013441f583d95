"""A backup as it lies in a place, a drive or the bucket: under which keys, what makes it one, and
what is known of it there.

    database/daily/20270101T100000Z/database.dump.zst.age
    database/daily/20270101T100000Z/globals.sql.zst.age
    database/daily/20270101T100000Z/manifest.json                 last: without it there is none
    database/daily/20270101T100000Z/looked-20270101T120000Z.json  what was found later

A key is written once and never again, so what is found later is a file of its own. Of a backup of
files the content is in packs, which later ones refer to where they lie (rollout/files.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TypeVar

from pydantic import ValidationError

from rollout.dumps import STAMP
from rollout.records import CHECKS, BackupManifest, Status, Time, Verification
from rollout.retention import (
    DUMPS,
    FILES,
    FOR_EVER,
    FULL_HOUR,
    LOCAL_DAYS,
    Backup,
    Kind,
    Listing,
    Series,
    days,
    full_series,
    jobs_at,
    runs_between,
    utc,
)
from rollout.state import Record

MANIFEST = "manifest.json"
DATABASE = "database.dump.zst.age"
GLOBALS = "globals.sql.zst.age"
BASE = "base.tar.zst.age"
_LOOKED = "looked-"
_PACK = "pack-"
_PACK_END = ".tar.zst.age"

# Those that a restore is tried of; a base backup's is another story.
RESTORED = DUMPS | FILES | FOR_EVER

# A dump of less than half of the one before is worth a look; tables are emptied on purpose, too.
SHRUNK = 0.5


class Look(Record):
    """`looked-STAMP.json`: what was found when a finished backup was looked at."""

    at: Time
    verifications: tuple[Verification, ...]


# Keys


@dataclass(frozen=True, order=True)
class Folder:
    """Where a backup lies in each place that holds it."""

    taken: datetime
    series: Series

    @classmethod
    def of(cls, series: Series, taken: datetime) -> Folder:
        """To the second, as its name says it."""
        return cls(utc(taken).replace(microsecond=0), series)

    def __str__(self) -> str:
        return f"{self.series.prefix}{self.taken:{STAMP}}"

    def key(self, name: str) -> str:
        return f"{self}/{name}"

    def look(self, at: datetime) -> str:
        return self.key(f"{_LOOKED}{utc(at):{STAMP}}.json")


def folder_of(key: str) -> tuple[Folder, str] | None:
    """A key's folder and its name there; None for what is no backup's."""
    where, _, name = key.rpartition("/")
    prefix, _, stamp = where.rpartition("/")
    try:
        taken = datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
        return Folder(taken, Series(prefix)), name
    except ValueError:
        return None


def is_text(key: str) -> bool:
    """Whether what a place says of its backups is in it: a manifest, or a look."""
    found = folder_of(key)
    return found is not None and (found[1] == MANIFEST or found[1].startswith(_LOOKED))


def pack_name(number: int) -> str:
    return f"{_PACK}{number:05}{_PACK_END}"


def is_pack(key: str) -> bool:
    """Whether later backups may need it, too."""
    name = key.rpartition("/")[2]
    return name.startswith(_PACK) and name.endswith(_PACK_END)


# What there is


@dataclass(frozen=True)
class Stored:
    """One backup in one place. `keys`: what is there of it, in whichever folder. `manifest`: with
    all that was found there later; None where there is none, which makes it no backup but something
    that was begun."""

    folder: Folder
    keys: tuple[str, ...]
    manifest: BackupManifest | None = None
    tagged: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """The artifacts that the manifest names and the place has not."""
        named = self.manifest.artifacts if self.manifest else ()
        return tuple(a.key for a in named if a.key not in self.keys)

    @property
    def is_rest(self) -> bool:
        """Packs of a backup that is gone: those who need them have them among their keys."""
        return self.manifest is None and all(map(is_pack, self.keys))

    @property
    def backup(self) -> Backup:
        """As retention sees it. What was only begun, or lost a file, is as good as found bad: it
        counts for nothing, and may go when it is old."""
        whole = self.manifest is not None and not self.missing
        proved = self.proved if whole else False
        return Backup(self.folder.series, self.folder.taken, self.keys, proved, self.tagged)

    @property
    def proved(self) -> bool | None:
        """Whether a restore of it was seen to work, and nothing was found since."""
        if self.manifest is None:
            return False
        statuses = {check: self.manifest.status(check) for check in CHECKS}
        if Status.FAIL in statuses.values():
            return False
        return True if {statuses["restore"], statuses["counts"]} == {Status.PASS} else None


@dataclass(frozen=True)
class Catalogue:
    """All that one place holds, the newest first. problems: what could not be read there."""

    where: str
    stored: tuple[Stored, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def backups(self) -> tuple[Stored, ...]:
        """Those that are one: with their manifest and all of their files."""
        return tuple(s for s in self.stored if s.manifest and not s.missing)

    def listing(self) -> Listing:
        return Listing(tuple(s.backup for s in self.stored if not s.is_rest), self.problems)


def catalogue(
    where: str,
    stack: str,
    keys: Iterable[str],
    texts: Mapping[str, str],
    tagged: frozenset[str] = frozenset(),
) -> Catalogue:
    """What a place's keys and texts amount to; other stacks' backups are left out. A text that is
    not there or does not parse is a problem: where there is one, nothing may be removed."""
    found = sorted((at, key) for key in keys if (at := folder_of(key)))
    there = {key for _, key in found}
    stored: list[Stored] = []
    problems: list[str] = []
    for folder, group in groupby(found, key=lambda one: one[0][0]):
        mine = tuple(key for _, key in group)
        looks = [_parsed(Look, key, texts, problems) for key in mine if _LOOKED in key]
        manifest = None
        if folder.key(MANIFEST) in mine:
            manifest = _parsed(BackupManifest, folder.key(MANIFEST), texts, problems)
        if manifest:
            if manifest.stack != stack:
                continue
            problems += _contradiction(manifest, folder)
            manifest = with_looks(manifest, [look for look in looks if look])
        stored.append(
            Stored(folder, mine + _elsewhere(manifest, mine, there), manifest, _told(mine, tagged))
        )
    return Catalogue(where, tuple(reversed(stored)), tuple(problems))


def _elsewhere(
    manifest: BackupManifest | None, mine: tuple[str, ...], there: set[str]
) -> tuple[str, ...]:
    """What it needs and an earlier one stored."""
    named = manifest.artifacts if manifest else ()
    return tuple(sorted({a.key for a in named if a.key in there}.difference(mine)))


def _told(mine: tuple[str, ...], tagged: frozenset[str]) -> bool:
    """Whether all that is its own was told to expire; an interrupted run goes on. A pack may have
    to stay for others, and a look may have come later."""
    own = [key for key in mine if not is_pack(key) and f"/{_LOOKED}" not in key]
    return bool(own) and tagged.issuperset(own)


def with_looks(manifest: BackupManifest, looks: Iterable[Look]) -> BackupManifest:
    found = (v for look in looks for v in look.verifications)
    return manifest.model_copy(update={"verifications": (*manifest.verifications, *found)})


R = TypeVar("R", bound=Record)


def _parsed(model: type[R], key: str, texts: Mapping[str, str], problems: list[str]) -> R | None:
    if key not in texts:
        problems.append(f"{key} can't be read")
        return None
    try:
        return model.model_validate_json(texts[key])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        problems.append(f"{key} is not whole: {f'{where}: ' if where else ''}{first['msg']}")
        return None


def _contradiction(manifest: BackupManifest, folder: Folder) -> Iterator[str]:
    if Folder.of(manifest.series, manifest.started) != folder:
        yield f"{folder.key(MANIFEST)} is another backup's: {manifest.series} of " + (
            f"{manifest.started:%Y-%m-%d %H:%M:%S} UTC"
        )


# What is due


def next_series(listing: Listing, now: datetime) -> Series:
    """What a dump taken now is. The first one at or after the full's hour is the day's full; it may
    be the week's or the month's, too. So a run that was missed is made up for by the next."""
    last_full = _last(utc(now), lambda at: at.hour == FULL_HOUR)
    since = (b for b in listing.backups if b.series in DUMPS and b.taken >= last_full)
    if any(b.verified is not False for b in since):
        return Series.DAILY
    return full_series(now, listing)


def overdue(listing: Listing, now: datetime, kind: Kind = "dump") -> timedelta | None:
    """For how long one has been wanting that the schedule asks for; None when none is."""
    wanted = _last(utc(now), lambda at: _wants(kind, at))
    good = [b for b in listing.backups if b.series.kind == kind and b.verified is not False]
    if any(b.taken >= wanted for b in good):
        return None
    newest = max((b.taken for b in good), default=None)
    if newest is None:
        return utc(now) - wanted
    first = next(at for at in runs_between(newest, now) if _wants(kind, at))
    return utc(now) - first


def _wants(kind: Kind, at: datetime) -> bool:
    return any(job.kind == kind for job in jobs_at(at))


def _last(now: datetime, fits: Callable[[datetime], bool]) -> datetime:
    """The last full hour that fits, within a day."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return next(at for back in range(25) if fits(at := hour - timedelta(hours=back)))


def to_restore(found: Catalogue) -> tuple[Stored, ...]:
    """What a restore should be tried of: the newest of each series, where nobody has. So each
    week's and each month's is proved, and can let older ones go."""
    newest: dict[Series, Stored] = {}
    for stored in found.backups:
        if stored.folder.series in RESTORED:
            newest.setdefault(stored.folder.series, stored)
    return tuple(s for s in sorted(newest.values(), key=lambda s: s.folder) if s.proved is None)


def to_recover(found: Catalogue) -> tuple[Stored, ...]:
    """The newest base backup, where no recovery from it was seen to work yet."""
    bases = (s for s in found.backups if s.folder.series is Series.BASE)
    return tuple(s for s in (*bases,)[:1] if s.proved is None)


def proved_keys(found: Catalogue) -> frozenset[str]:
    """What a proof has read: a backup of files need not be read as far as earlier ones were."""
    return frozenset(key for s in found.backups if s.proved for key in s.keys)


def together(catalogues: Mapping[str, Catalogue]) -> dict[Folder, dict[str, Stored]]:
    """Every backup that is one anywhere, the newest first, by the places that have it."""
    found: dict[Folder, dict[str, Stored]] = {}
    for name, one in catalogues.items():
        for stored in one.backups:
            found.setdefault(stored.folder, {})[name] = stored
    return {folder: found[folder] for folder in sorted(found, reverse=True)}


def best_copy(at: Mapping[str, Stored]) -> Stored:
    """The copy that knows most: a look may be missing where a place was away."""
    return max(at.values(), key=lambda s: len(s.manifest.verifications) if s.manifest else 0)


def held_by(bucket: Catalogue) -> Callable[[Backup], bool]:
    """Whether a drive's backup is in the bucket, whole and not found bad."""
    there = {s.folder for s in bucket.backups if s.proved is not False}
    return lambda backup: Folder.of(backup.series, backup.taken) in there


def leftovers(found: Catalogue, going: Collection[Folder], now: datetime) -> tuple[Folder, ...]:
    """Folders of a drive that hold no backup, and content that none needs which stays: of runs that
    were cut off for good, and of backups that went before their packs could."""
    needed = still_needed(found, going)
    return tuple(
        s.folder
        for s in found.stored
        if s.manifest is None
        and s.folder.series in FILES
        and now - s.folder.taken >= days(LOCAL_DAYS)
        and not needed.issuperset(s.keys)
    )


def still_needed(found: Catalogue, going: Collection[Folder]) -> frozenset[str]:
    """The keys of all backups that stay."""
    return frozenset(
        k for s in found.stored if s.manifest and s.folder not in going for k in s.keys
    )


# What is found


def differing_rows(told: Mapping[str, int], counted: Mapping[str, int]) -> str:
    """Where a restored database's tables are not those of the dump; empty when they are."""
    wrong = (
        f"{table}: expected {_rows(told.get(table))}, got {_rows(counted.get(table))}"
        for table in sorted({*told, *counted})
        if told.get(table) != counted.get(table)
    )
    return "; ".join(wrong)


def _rows(count: int | None) -> str:
    return "no such table" if count is None else f"{count} row{'' if count == 1 else 's'}"


def has_shrunk(size: int, before: int) -> bool:
    return size < before * SHRUNK


def text(record: Record) -> str:
    """As a place keeps it."""
    return json.dumps(record.model_dump(mode="json", exclude_defaults=True), indent=2) + "\n"
