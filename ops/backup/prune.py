"""What may go: told to the bucket by a tag, taken off the drives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ops.backup.drive import Drive
from ops.backup.stores import Stores
from ops.errors import OpsError
from rollout.backups import DATABASE, Catalogue, Folder, held_by
from rollout.retention import Refused, RetentionTag, local_removals, tags


@dataclass(frozen=True)
class Plan:
    """refused: by place, why nothing may go there."""

    tags: Mapping[str, RetentionTag] = field(default_factory=dict)
    removals: Mapping[str, tuple[Folder, ...]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)


def plan(stores: Stores, max_percent: float) -> Plan:
    """Looks everywhere, changes nothing. The bucket's clock counts for the bucket."""
    tagged: dict[str, RetentionTag] = {}
    removals: dict[str, tuple[Folder, ...]] = {}
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
            removals[drive.name] = _removals(drive, held, max_percent)
        except (Refused, OpsError) as error:
            refused[drive.name] = str(error)
    return Plan(tagged, removals, refused)


def _removals(drive: Drive, held: Catalogue, max_percent: float) -> tuple[Folder, ...]:
    """Nothing that the bucket has not: without one a drive keeps everything."""
    listing = drive.catalogue().listing()
    going = local_removals(listing, held_by(held), datetime.now(UTC), max_percent)
    return tuple(sorted(Folder.of(b.series, b.taken) for b in going))


def carry_out(stores: Stores, decided: Plan) -> None:
    """Of each backup its dump last: an interrupted run finds it untagged, and goes on."""
    if stores.bucket:
        keys = sorted(decided.tags, key=lambda key: key.endswith(DATABASE))
        stores.bucket.tag({key: decided.tags[key] for key in keys})
    for drive in stores.drives:
        for folder in decided.removals.get(drive.name, ()):
            drive.remove(folder)
