"""What may go of the database's log: what no kept base backup needs, and the bucket has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from ops.backup.prune import plan
from ops.backup.stores import Stores
from rollout.backups import MANIFEST, Catalogue, Folder, Stored
from rollout.records import Artifact, BackupManifest, Status, Verification
from rollout.retention import Series
from rollout.wal import Piece, Segment

NOW = datetime.now(UTC)
SYSTEM, SUM = "7711186510008397845", "ab" * 32


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def base(days: float) -> Stored:
    """A proved one."""
    folder = Folder.of(Series.BASE, ago(days))
    key = folder.key("base.tar.zst.age")
    checks = ("restore", "counts")
    manifest = BackupManifest(
        series=Series.BASE,
        stack="production",
        started=folder.taken,
        finished=folder.taken,
        artifacts=(Artifact(key=key, bytes=1, sha256=SUM),),
        tools={},
        verifications=tuple(
            Verification(check=cast(Any, check), status=Status.PASS, at=NOW) for check in checks
        ),
    )
    return Stored(folder, (key, folder.key(MANIFEST)), manifest)


def piece(days: float) -> Piece:
    return Piece(ago(days).replace(microsecond=0), SYSTEM, str(Segment(int(9000 - days), 1)), SUM)


@dataclass
class Place:
    """What a drive or the bucket says of itself."""

    name: str
    stored: Sequence[Stored]
    log: Sequence[Piece]

    def catalogue(self, tags: bool = False) -> Catalogue:
        return Catalogue(self.name, tuple(self.stored))

    def wal(self) -> tuple[Piece, ...]:
        return tuple(self.log)

    def now(self) -> datetime:
        return NOW


def stores(drive: Place, bucket: Place | None) -> Stores:
    return Stores(cast(Any, None), [cast(Any, drive)], cast(Any, bucket))


def test_the_log_before_the_oldest_kept_base_backup_goes() -> None:
    bases = [base(days) for days in (31, 20, 1)]
    old, needed, young = piece(40), piece(30.5), piece(2)
    bucket = Place("bucket", bases, [old, needed, young])
    drive = Place("drive1", bases, [old, needed, young])
    decided = plan(stores(drive, bucket), 100)
    assert decided.refused == {}
    # The oldest is due by now, because a newer one is proved: so is the log that only it needs.
    assert {old.key, needed.key} <= set(decided.tags)
    assert young.key not in decided.tags
    assert set(decided.log["drive1"]) == {old.key, needed.key}


def test_a_drive_keeps_of_the_log_what_the_bucket_has_not() -> None:
    bases = [base(8), base(1)]
    shipped, missed = piece(12), piece(11)
    bucket = Place("bucket", bases, [shipped])
    decided = plan(stores(Place("drive1", bases, [shipped, missed]), bucket), 100)
    assert decided.log["drive1"] == (shipped.key,)
    assert plan(stores(Place("drive1", bases, [shipped]), None), 100).log["drive1"] == ()


def test_without_a_proved_base_backup_all_of_the_log_stays() -> None:
    place = Place("bucket", [], [piece(90), piece(60)])
    decided = plan(stores(Place("drive1", [], place.log), place), 100)
    assert decided.tags == {}
    assert decided.log["drive1"] == ()
