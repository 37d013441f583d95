"""What can be restored: which copies of a backup may be relied on, and the SQL that brings one of
them beside the live database, in its place, or a few of its rows back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rollout.backups import Catalogue, Folder, Stored, together
from rollout.dumps import STAMP
from rollout.records import BackupManifest, Check, Status
from rollout.retention import DUMPS, utc

NEWEST = "newest"
# A setting of the database that was set aside: what took its place, as JSON.
KEPT = "ytempire.kept"
REMEMBERED = "restore#"
# PostgreSQL cuts longer names off, and would find another database by what remains.
LONGEST_NAME = 63
# Beside the live database there is the dump and what is made of it; and what the server logs
# ahead of its files meanwhile.
SPARE_BYTES = 1 << 30
# Where no manifest says how large the database was. zstd was measured at 2 to 4.
UNPACKED = 4
_CONTENT: tuple[Check, ...] = ("list", "restore", "counts", "amcheck")


# Restore points


@dataclass(frozen=True)
class Point:
    """One backup of the database. copies: the places whose copy nothing is known against, in the
    order of the catalogues, which begin with the fast ones. damaged: the others."""

    folder: Folder
    manifest: BackupManifest
    copies: tuple[str, ...]
    damaged: tuple[str, ...]
    proved: bool | None

    @property
    def stamp(self) -> str:
        return f"{self.folder.taken:{STAMP}}"


def points(catalogues: Mapping[str, Catalogue]) -> list[Point]:
    """All of them, the newest first."""
    return [_point(f, at) for f, at in together(catalogues).items() if f.series in DUMPS]


def _point(folder: Folder, at: Mapping[str, Stored]) -> Point:
    best = max(at.values(), key=lambda s: len(s.manifest.verifications) if s.manifest else 0)
    assert best.manifest
    good = tuple(place for place in at if not _is_bad(best.manifest, place))
    bad = tuple(place for place in at if place not in good)
    return Point(folder, best.manifest, good, bad, best.proved)


def _is_bad(manifest: BackupManifest, place: str) -> bool:
    """Its content was found wrong, wherever it was read; or the bytes of this copy were."""
    if any(manifest.status(check) is Status.FAIL for check in _CONTENT):
        return True
    said = [v for v in manifest.verifications if (v.check, v.place) == ("checksum", place)]
    return bool(said) and max(said, key=lambda v: v.at).status is Status.FAIL


def choose(found: Sequence[Point], wanted: str) -> Point | None:
    """By its stamp, its folder, or the newest that is whole anywhere; None: there is none such."""
    if wanted == NEWEST:
        return next((point for point in found if point.copies), None)
    return next((p for p in found if wanted in (p.stamp, str(p.folder))), None)


def database_bytes(manifest: BackupManifest, live: int) -> int:
    """How large it will be: as it was, or a guess that is too large rather than too small."""
    return manifest.database_bytes or max(live, UNPACKED * manifest.bytes)


def wanting(size: int, dump_free: int, data_free: int, same: bool) -> int:
    """How many bytes the disk lacks for a dump of this size and the database beside it; 0: none."""
    if same:
        return max(0, 2 * size + SPARE_BYTES - data_free)
    return max(0, size + SPARE_BYTES - dump_free, size + SPARE_BYTES - data_free)


# Names


def aside(database: str, at: datetime) -> str:
    """What a database is called whose place another one takes at this time."""
    tail = f"_before_{utc(at):{STAMP}}".lower()  # so that psql takes it unquoted
    return database[: LONGEST_NAME - len(tail)] + tail


def remembered(at: datetime) -> str:
    """What the host remembers a restore by."""
    return f"{REMEMBERED}{utc(at):{STAMP}}"


def schema(at: datetime) -> str:
    """Where single tables are put, in the live database."""
    return f"restored_{utc(at):{STAMP}}".lower()


def quoted(name: str) -> str:
    """An identifier, as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    escaped = text.replace("'", "''")
    if "\\" in escaped:
        doubled = escaped.replace("\\", "\\\\")
        return f" E'{doubled}'"
    return f"'{escaped}'"


# SQL: the dump's own words, changed as far as need be

_NAME = r'(?:"(?:[^"]|"")+"|[^\s;"]+)'
_OF_DATABASE = re.compile(
    r"^((?:CREATE|ALTER) DATABASE |(?:COMMENT|SECURITY LABEL FOR \S+) ON DATABASE "
    rf"|(?:GRANT|REVOKE) [A-Z, ]+ ON DATABASE |ALTER ROLE {_NAME} IN DATABASE )({_NAME})",
    re.MULTILINE,
)
_ROLE = re.compile(rf"^(?:CREATE|ALTER) ROLE ({_NAME})(?=[ ;]).*;$", re.MULTILINE)
_MEMBER = re.compile(rf"^GRANT {_NAME} TO ({_NAME})(?=[ ;]).*;$", re.MULTILINE)


def renamed(properties: str, name: str) -> str:
    """The entries of a dump that make its database (pg_restore --create), for another name."""
    lines = (line for line in properties.splitlines() if not line.startswith("\\"))
    return _OF_DATABASE.sub(lambda found: found[1] + quoted(name), "\n".join(lines)) + "\n"


def missing_roles(globals_sql: str, present: Iterable[str]) -> str:
    """Of `pg_dumpall --globals-only`, what makes the roles that the server has not. Those that it
    has keep their passwords and settings: they are today's."""
    known = set(present)
    found = sorted(
        (m for pattern in (_ROLE, _MEMBER) for m in pattern.finditer(globals_sql)),
        key=lambda m: m.start(),
    )
    return "".join(f"{m[0]}\n" for m in found if _plain(m[1]) not in known)


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


# Migrations


def lacking(live: Sequence[str] | None, restored: Sequence[str] | None) -> tuple[str, ...]:
    """The migrations that the live database has and the restored one is from before of."""
    return tuple(name for name in live or () if name not in set(restored or ()))


# Single tables


@dataclass(frozen=True)
class Column:
    """One that both the live table and the restored one have. always: it is made by the server, and
    a value of ours only taken on demand."""

    name: str
    always: bool = False


def copy_back(source: str, table: str, columns: Sequence[Column]) -> str:
    """The SQL that a person may use: rows that are missing come back, the others stay."""
    names = ", ".join(quoted(column.name) for column in columns)
    always = " OVERRIDING SYSTEM VALUE" if any(c.always for c in columns) else ""
    rows = f"SELECT {names} FROM {source}"
    return f"INSERT INTO {table} ({names}){always} {rows} ON CONFLICT DO NOTHING;"
