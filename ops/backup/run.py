"""One backup of the database, in order: dump and globals to all places at once, then what they say
lies there, then the manifest, which makes it a backup."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ops.backup.dump import Facts, Source
from ops.backup.packing import Recipient
from ops.backup.stores import Stores
from ops.backup.writing import Tell, Writing, known
from ops.errors import StepFailed
from ops.steps.backup import megabytes
from rollout import migrations
from rollout.backups import (
    DATABASE,
    GLOBALS,
    Folder,
    Stored,
    has_shrunk,
    next_series,
    text,
)
from rollout.records import Artifact, BackupManifest, Status, Verification
from rollout.retention import DUMPS, Listing, Series


@dataclass
class Backup:
    """One that is being made. `live`: the release that serves; beside one, an empty database is a
    wrong one."""

    stores: Stores
    source: Source
    recipients: tuple[Recipient, ...]
    stack: str
    image: str
    live: str
    tell: Tell
    series: Series | None = None
    _started: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def go(self) -> BackupManifest:
        """The manifest. What could not be written where is in `stores.lost`: a failure of the whole
        that leaves the other copies. Raises OpsError where there is no backup."""
        before = known(self.stores)
        series = self.series or next_series(Listing(tuple(s.backup for s in before)), self._started)
        folder = Folder.of(series, self._started)
        for drive in self.stores.drives:
            drive.sweep()
        try:
            return self._make(folder, before)
        except BaseException:
            for place in self.stores.places:
                place.discard(folder)
            raise

    def _make(self, folder: Folder, before: list[Stored]) -> BackupManifest:
        begun = time.monotonic()
        writing = Writing(self.stores, folder, self.recipients)
        dump = writing.artifact(DATABASE, self.source.database)
        facts = self.source.facts()
        self._require_tables(facts)
        self.tell("dump", True, time.monotonic() - begun, _dump_words(dump, facts, before))
        begun = time.monotonic()
        roles = writing.artifact(GLOBALS, self.source.globals)
        self.tell("globals", True, time.monotonic() - begun, "roles and their settings")
        manifest = self._manifest(folder, facts, (dump, roles))
        writing.seal(text(manifest), self.tell)
        return manifest

    def _require_tables(self, facts: Facts) -> None:
        if self.live and not facts.rows:
            raise StepFailed(
                f"Database {self.source.settings.database} has no tables, though {self.live} "
                "serves: is it the right one?\nNext: `ytops status`"
            )

    def _manifest(
        self, folder: Folder, facts: Facts, artifacts: tuple[Artifact, ...]
    ) -> BackupManifest:
        finished = datetime.now(UTC)
        seen = f"data of {facts.entries} tables in the archive's table of contents"
        return BackupManifest(
            series=folder.series,
            stack=self.stack,
            started=folder.taken,
            finished=finished,
            release=self.live,
            schema_revision=migrations.newest(facts.migrations),
            rows=facts.rows,
            database_bytes=facts.bytes,
            objects=facts.entries,
            artifacts=artifacts,
            tools={"pg_dump": facts.pg_dump, "postgresql": facts.server},
            image=self.image,
            verifications=(
                Verification(check="list", status=Status.PASS, at=finished, detail=seen),
                *(
                    Verification(
                        check="checksum", status=Status.PASS, at=finished, place=place.name
                    )
                    for place in self.stores.places
                ),
            ),
        )


def _dump_words(dump: Artifact, facts: Facts, before: list[Stored]) -> str:
    rows = sum(facts.rows.values())
    words = f"{megabytes(dump.bytes)}, {facts.entries} tables, {rows} rows"
    last = next((s.manifest for s in before if s.folder.series in DUMPS and s.manifest), None)
    size = last.artifacts[0].bytes if last else 0
    if has_shrunk(dump.bytes, size):
        words += f"; the one before had {megabytes(size)}, more than twice as much"
    return words
