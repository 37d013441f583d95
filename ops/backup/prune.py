"""What may go: told to the bucket by a tag, taken off the drives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ops.backup.stores import Stores
from ops.errors import OpsError
from rollout.backups import Catalogue, Folder, held_by, leftovers, still_needed
from rollout.retention import Refused, RetentionTag, local_removals, tags


@dataclass(frozen=True)
class Plan:
    """refused: by place, why nothing may go there. stays: what a drive's other backups need of
    those that go."""

    tags: Mapping[str, RetentionTag] = field(default_factory=dict)
    removals: Mapping[str, tuple[Folder, ...]] = field(default_factory=dict)
    stays: Mapping[str, frozenset[str]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def plan(stores: Stores, max_percent: float) -> Plan:
    """Looks everywhere, changes nothing. The bucket's clock counts for the bucket."""
    tagged: dict[str, RetentionTag] = {}
    removals: dict[str, tuple[Folder, ...]] = {}
    stays: dict[str, frozenset[str]] = {}
    refused: dict[str, str] = {}
    held = Catalogue("no bucket")
    if stores.bucket:
        try:
            held = stores.bucket.catalogue(tags=True)
            tagged = tags(held.listing(), stores.bucket.now(), max_percent)
        except (Refused, OpsError) as error:
            refused[stores.bucket.name] = str(error)
    for drive in stores.drives:
        try:
            found = drive.catalogue()
            removals[drive.name] = _removals(found, held, max_percent)
            stays[drive.name] = still_needed(found, removals[drive.name])
        except (Refused, OpsError) as error:
            refused[drive.name] = str(error)
    return Plan(tagged, removals, stays, refused)


def _removals(found: Catalogue, held: Catalogue, max_percent: float) -> tuple[Folder, ...]:
    """Nothing that the bucket has not: without one a drive keeps everything."""
    now = datetime.now(UTC)
    gone = local_removals(found.listing(), held_by(held), now, max_percent)
    going = {Folder.of(b.series, b.taken) for b in gone}
    return tuple(sorted({*going, *leftovers(found, going, now)}))


def carry_out(stores: Stores, decided: Plan) -> None:
    """An interrupted run finds a backup that is not all tagged, and goes on."""
    if stores.bucket:
        stores.bucket.tag(decided.tags)
    for drive in stores.drives:
        for folder in decided.removals.get(drive.name, ()):
            drive.remove(folder, decided.stays[drive.name])
