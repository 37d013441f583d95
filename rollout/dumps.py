"""What a dump holds; when the one before a deploy was taken, and whether that is still good
enough."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# A run that goes on after a failure need not dump again; one that comes a week later must.
FRESH = timedelta(hours=1)
STAMP = "%Y%m%dT%H%M%SZ"

# In the database itself, where every dump and every migration is: the number of an advisory lock.
# Who dumps shares it, who migrates has it alone. A dump reads all tables, so a migration would
# wait for it, and all that asks for its table would wait behind the migration.
MIGRATING = 0x79746D70

# The tables whose data a dump holds: those of an extension are the extension's.
TABLES = """\
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""
# For psql: the rows of each, as lines of JSON.
COUNT_ROWS = rf"""
SELECT format('SELECT json_build_array(''row'', %L, count(*)) FROM %I.%I',
              n.nspname || '.' || c.relname, n.nspname, c.relname)
{TABLES} ORDER BY 1 \gexec
"""


def name(at: datetime, identity: str) -> str:
    """`20260102T030405Z-1.2.0+ab12cd34ef56.dump`."""
    return f"{at.astimezone(UTC):{STAMP}}-{identity}.dump"


def stamp_of(note: str) -> str:
    """What its time is called, which is what a restore is asked for by."""
    return note.partition("-")[0]


def taken(note: str) -> datetime | None:
    """When, by a dump's name or the note of its marker, which begins with it."""
    try:
        return datetime.strptime(stamp_of(note), STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def is_fresh(note: str, now: datetime) -> bool:
    """Without a time in it, it is not."""
    at = taken(note)
    return at is not None and abs(now - at) < FRESH


def noted(note: str) -> str:
    """The dump's name, by the note of its marker."""
    return note.partition(",")[0]


# The dumps that deploys left on the host


@dataclass(frozen=True)
class DeployDump:
    """What a deploy took of the database before it changed anything. before: the release that it
    brought."""

    name: str
    taken: datetime
    before: str
    bytes: int

    @property
    def stamp(self) -> str:
        return f"{self.taken:{STAMP}}"


def deploy_dumps(listing: Iterable[str]) -> list[DeployDump]:
    """Of lines of bytes and name; the newest first. What is named otherwise is none of them."""
    found = (_deploy_dump(*line.split(" ", 1)) for line in listing)
    return sorted(filter(None, found), key=lambda one: one.taken, reverse=True)


def _deploy_dump(size: str, name: str) -> DeployDump | None:
    at = taken(name)
    if at is None:
        return None
    return DeployDump(name, at, name.partition("-")[2].removesuffix(".dump"), int(size))
