"""What may go: told to the bucket by a tag, taken off the drives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ops.backup.stores import Stores
from ops.errors import OpsError
from rollout.backups import Catalogue, Folder, held_by, is_pack, leftovers, still_needed
from rollout.retention import (
    Backup,
    Listing,
    Refused,
    RetentionTag,
    Series,
    local_removals,
    tags,
)
from rollout.wal import Piece, backups, pieces


@dataclass(frozen=True)
class Plan:
    """refused: by place, why nothing may go there. stays: what a drive's other backups need of
    those that go. log: the files that go of the database's, by drive."""

    tags: Mapping[str, RetentionTag] = field(default_factory=dict)
    removals: Mapping[str, tuple[Folder, ...]] = field(default_factory=dict)
    stays: Mapping[str, frozenset[str]] = field(default_factory=dict)
    log: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def plan(stores: Stores, max_percent: float) -> Plan:
    """Looks everywhere, changes nothing. The bucket's clock counts for the bucket."""
    tagged: dict[str, RetentionTag] = {}
    removals: dict[str, tuple[Folder, ...]] = {}
    stays: dict[str, frozenset[str]] = {}
    refused: dict[str, str] = {}
    log: dict[str, tuple[str, ...]] = {}
    held, shipped = Catalogue("no bucket"), frozenset[Piece]()
    if stores.bucket:
        try:
            held = stores.bucket.catalogue(tags=True)
            shipped = frozenset(stores.bucket.wal())
            tagged = tags(_all(held, shipped), stores.bucket.now(), max_percent)
        except (Refused, OpsError) as error:
            refused[stores.bucket.name] = str(error)
    for drive in stores.drives:
        try:
            found = drive.catalogue()
            going = _going(_all(found, drive.wal()), held, shipped, max_percent)
            removals[drive.name] = _folders(found, going)
            stays[drive.name] = still_needed(found, removals[drive.name])
            log[drive.name] = tuple(key for b in going if b.series == Series.WAL for key in b.keys)
        except (Refused, OpsError) as error:
            refused[drive.name] = str(error)
    return Plan(tagged, removals, stays, log, refused)


def _all(found: Catalogue, log: Iterable[Piece]) -> Listing:
    """A place's backups, and what it has of the log."""
    listing = found.listing()
    return Listing((*listing.backups, *backups(log)), listing.problems)


def _going(
    listing: Listing, held: Catalogue, shipped: Iterable[Piece], max_percent: float
) -> frozenset[Backup]:
    """Nothing that the bucket has not: without one a drive keeps everything."""
    there = {piece.what for piece in shipped}
    is_held = held_by(held)

    def is_stored(backup: Backup) -> bool:
        if backup.series != Series.WAL:
            return is_held(backup)
        return all(piece.what in there for piece in pieces(backup.keys))

    return local_removals(listing, is_stored, datetime.now(UTC), max_percent)


def _folders(found: Catalogue, gone: Iterable[Backup]) -> tuple[Folder, ...]:
    going = {Folder.of(b.series, b.taken) for b in gone if b.series != Series.WAL}
    return tuple(sorted({*going, *leftovers(found, going, datetime.now(UTC))}))


def carry_out(stores: Stores, decided: Plan) -> None:
    """Packs first: an interrupted run finds a backup whose own files are not all tagged, and goes
    on."""
    if stores.bucket:
        keys = sorted(decided.tags, key=lambda key: not is_pack(key))
        stores.bucket.tag({key: decided.tags[key] for key in keys})
    for drive in stores.drives:
        for folder in decided.removals.get(drive.name, ()):
            drive.remove(folder, decided.stays[drive.name])
        if decided.log.get(drive.name):
            drive.forget(decided.log[drive.name])
