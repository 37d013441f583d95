"""The database's write-ahead log away from its host: what a segment is called there, and what it
must be.

    database/wal/20270101T100003Z/7711186510008397845-000000010000000000000003-SHA256.zst.age

The folder is the second in which the segment was full. The name is its manifest: the database
system that wrote it, the segment (or a timeline's history), and the SHA-256 of what lies there. A
day has some 1,440 segments, so that what is known of one must be read off the listing.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollout.backups import Folder, folder_of
from rollout.records import Artifact
from rollout.retention import Backup, Series

# The receiver's place in the database's log, which keeps what it has not had yet.
SLOT = "ytempire_wal"
# initdb's own size. The entrypoint of neither image is told another.
SEGMENT_BYTES = 16 << 20
_PER_LOG = (1 << 32) // SEGMENT_BYTES
_SUFFIX = ".zst.age"
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_HISTORY = re.compile(r"[0-9A-F]{8}\.history")
_NAME = re.compile(r"([0-9]{1,20})-([0-9A-F]{24}|[0-9A-F]{8}\.history)-([0-9a-f]{64})\.zst\.age")
# XLogLongPageHeaderData: magic, info, timeline, address, remaining length; system, segment size.
_HEADER = struct.Struct("<HHIQI4xQI")

# Where the receiver has its volume: a folder that the image gives to the database's user, so that
# Docker gives the volume to him. Below it one folder for each database system.
RECEIVED = "/var/lib/postgresql/data"
STREAMING = "/tmp/streaming"
# As much as the database keeps for its slot: shipping that stands still must not fill the disk.
UNSHIPPED_MB = 4096
# It ends with each connection, and Docker starts it again: the database behind a name may be
# another one by then. A volume that fills up ends it, too; the slot keeps what comes next.
RECEIVE = f"""
set -eu
rm -f {STREAMING}
is_full() {{ [ "$(du -sm {RECEIVED} | cut -f1)" -ge "$LIMIT_MB" ]; }}
if is_full; then
    echo "$LIMIT_MB MB of WAL wait to be shipped: no more is received" >&2
    sleep 30
    exit 1
fi
PGPASSWORD=$(cat "$PASSWORD_FILE")
export PGPASSWORD
system=$(psql -X -qAt -d "dbname=replication replication=true" -c IDENTIFY_SYSTEM | cut -d '|' -f 1)
mkdir -p "{RECEIVED}/${{system:?the database does not answer}}"
pg_receivewal --no-password --create-slot --if-not-exists --slot "$SLOT"
while sleep 10; do ! is_full || kill -INT $$; done &
touch {STREAMING}
exec pg_receivewal --no-password --no-loop --slot "$SLOT" --directory "{RECEIVED}/$system"
"""

# What the server says of it, as JSON; no row where there is none.
SLOT_SQL = f"""
    SELECT json_build_object('state', wal_status, 'active', active,
        'behind', pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))
    FROM pg_replication_slots WHERE slot_name = '{SLOT}'"""

# With traffic, a segment is closed after so long at most (rollout/postgres.py) ...
CLOSE_SECONDS = 60
# ... and shipped by the next run of the job. What takes longer than this is late.
LATE = timedelta(minutes=5)


class WalError(ValueError):
    """A file is not what its name says."""


@dataclass(frozen=True)
class Slot:
    """state: PostgreSQL's `wal_status`, empty where there is no slot. behind: bytes."""

    state: str = ""
    active: bool = False
    behind: int = 0

    @classmethod
    def of(cls, found: Mapping[str, Any] | None) -> Slot:
        """From what SLOT_SQL gives."""
        told = found or {}
        return cls(told.get("state") or "", bool(told.get("active")), int(told.get("behind") or 0))

    @property
    def wrong(self) -> str:
        """Why the log is not received, and the next command; empty where it is."""
        if self.state == "lost":
            return (
                f"the database has given up slot {SLOT}: WAL that was not received is gone. "
                "Next: `ytops backup run base`"
            )
        if not self.state or not self.active:
            return f"nobody receives slot {SLOT}. Next: `ytops logs wal`, `ytops up`"
        return ""


@dataclass(frozen=True, order=True)
class Segment:
    """One file of the log: 16 MB of it, on a timeline."""

    number: int
    timeline: int

    @classmethod
    def of(cls, name: str) -> Segment:
        found = _SEGMENT.fullmatch(name)
        if not found:
            raise WalError(f"{name}: expected the name of a WAL segment, 24 hexadecimal digits")
        timeline, log, segment = (int(word, 16) for word in found.groups())
        return cls(log * _PER_LOG + segment, timeline)

    @classmethod
    def ending(cls, lsn: str, timeline: int) -> Segment:
        """The one that holds the last byte before a position such as `0/8000100`."""
        return cls((position(lsn) - 1) // SEGMENT_BYTES, timeline)

    def __str__(self) -> str:
        log, segment = divmod(self.number, _PER_LOG)
        return f"{self.timeline:08X}{log:08X}{segment:08X}"


def position(lsn: str) -> int:
    """`0/8000100`, as PostgreSQL writes a position in its log, as a number of bytes."""
    high, _, low = lsn.partition("/")
    try:
        return (int(high, 16) << 32) + int(low, 16)
    except ValueError:
        raise WalError(f"{lsn}: expected a position in the log such as 0/8000100") from None


def is_segment(name: str) -> bool:
    return _SEGMENT.fullmatch(name) is not None


def is_whole_file(name: str) -> bool:
    """Whether the receiver is done with a file of this name."""
    return is_segment(name) or _HISTORY.fullmatch(name) is not None


def check_segment(name: str, data: bytes, system: str) -> None:
    """That a segment's first page is what its name and folder say. Raises WalError."""
    if len(data) != SEGMENT_BYTES:
        raise WalError(f"{name}: expected {SEGMENT_BYTES} bytes, got {len(data)}")
    _, _, _, address, _, written_by, size = _HEADER.unpack_from(data)
    if size != SEGMENT_BYTES:
        raise WalError(f"{name}: expected segments of {SEGMENT_BYTES} bytes, got {size}")
    if str(written_by) != system:
        raise WalError(f"{name}: expected WAL of system {system}, got {written_by}'s")
    # The timeline of its first page is an older one where the segment is the first of a new.
    if address != Segment.of(name).number * SEGMENT_BYTES:
        raise WalError(f"{name}: its first page is that of position {address:X}")


# As it is stored


@dataclass(frozen=True)
class Piece:
    """A file of the log as a place has it. closed: when the receiver had all of it."""

    closed: datetime
    system: str
    name: str
    sha256: str

    @property
    def folder(self) -> Folder:
        return Folder.of(Series.WAL, self.closed)

    @property
    def key(self) -> str:
        return self.folder.key(f"{self.system}-{self.name}-{self.sha256}{_SUFFIX}")

    @property
    def what(self) -> tuple[str, str]:
        """What it holds, whichever copy it is: packed twice, it has two sums."""
        return self.system, self.name

    @property
    def artifact(self) -> Artifact:
        """It is sent to S3 in one part."""
        told = base64.b64encode(hashlib.sha256(bytes.fromhex(self.sha256)).digest()).decode()
        return Artifact(
            key=self.key, bytes=0, sha256=self.sha256, s3_sha256=f"{told}-1", encryption="age"
        )


def piece_of(key: str) -> Piece | None:
    """None for what is no file of the log."""
    found = folder_of(key)
    name = _NAME.fullmatch(found[1]) if found and found[0].series is Series.WAL else None
    return Piece(found[0].taken, *name.groups()) if found and name else None


def pieces(keys: Iterable[str]) -> tuple[Piece, ...]:
    return tuple(piece for key in keys if (piece := piece_of(key)))


def backups(found: Iterable[Piece]) -> tuple[Backup, ...]:
    """As retention sees them: each file for itself, which nobody restores by itself."""
    return tuple(Backup(Series.WAL, piece.closed, (piece.key,)) for piece in found)
