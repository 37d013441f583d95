"""One backup of the database, in order: dump and globals to all places at once, then what they say
lies there, then the manifest, which makes it a backup."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ops.backup.dump import Facts, Source
from ops.backup.packing import Recipient, Sum, pack
from ops.backup.place import File, Place
from ops.backup.shell import Pipe
from ops.backup.stores import Stores
from ops.errors import OpsError, StepFailed
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
    together,
)
from rollout.records import Artifact, BackupManifest, Status, Verification
from rollout.retention import DUMPS, Listing, Series

Tell = Callable[[str, bool, float, str], None]


@dataclass
class _Fan:
    """One file to all places. A place that fails is left behind; the last one's failure is ours."""

    files: dict[str, File]
    lost: dict[str, str]

    def write(self, data: bytes) -> None:
        for name in list(self.files):
            try:
                self.files[name].write(data)
            except OpsError as error:
                self._leave(name, str(error))

    def finish(self, sha256: str) -> str:
        """What S3 calls it, where it is there. Each place has to have what was sent."""
        s3_sha256 = ""
        for name in list(self.files):
            try:
                written = self.files[name].finish()
                if written.sha256 not in ("", sha256):
                    raise OpsError(f"what was written has SHA-256 {written.sha256}, not {sha256}")
            except OpsError as error:
                self._leave(name, str(error))
            else:
                s3_sha256 = written.s3_sha256 or s3_sha256
        return s3_sha256

    def _leave(self, name: str, why: str) -> None:
        self.files.pop(name).abort()
        self.lost[name] = why
        if not self.files:
            raise OpsError(f"No place could take it: {name}: {why}")

    def abort(self) -> None:
        for file in self.files.values():
            file.abort()


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
        before = self._before()
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

    def _before(self) -> list[Stored]:
        """All that is known to be kept anywhere, the newest first, once."""
        found = together(self.stores.catalogues())
        if not self.stores.places:
            why = "; ".join(f"{name}: {why}" for name, why in self.stores.lost.items())
            raise StepFailed(
                f"There is no place to put a backup: {why or 'none is configured'}.\n"
                "Next: see to it, or set `backupDrives`; then `ytops backup run`"
            )
        return [next(iter(places.values())) for places in found.values()]

    def _make(self, folder: Folder, before: list[Stored]) -> BackupManifest:
        begun = time.monotonic()
        dump = self._artifact(folder, DATABASE, self.source.database)
        facts = self.source.facts()
        self._require_tables(facts)
        self.tell("dump", True, time.monotonic() - begun, _dump_words(dump, facts, before))
        begun = time.monotonic()
        roles = self._artifact(folder, GLOBALS, self.source.globals)
        self.tell("globals", True, time.monotonic() - begun, "roles and their settings")
        manifest = self._manifest(folder, facts, (dump, roles))
        for place in self.stores.places:
            self._seal(place, folder, manifest)
        if not self.stores.places:
            raise StepFailed(f"No place has the backup: {'; '.join(self.stores.lost.values())}")
        return manifest

    def _artifact(
        self,
        folder: Folder,
        name: str,
        reading: Callable[[], AbstractContextManager[Pipe]],
    ) -> Artifact:
        """One file, read once and written everywhere. The reader's exit code is known before the
        file gets its name anywhere."""
        fan = _Fan(self._begin(folder, name), {})
        total = Sum(fan.write)
        try:
            with reading() as pipe:
                pack(pipe, total, self.recipients)
            total.flush()
            s3_sha256 = fan.finish(total.sha256)
        except BaseException:
            fan.abort()
            raise
        finally:
            self._forget(folder, fan.lost)
        return Artifact(
            key=folder.key(name),
            bytes=total.bytes,
            sha256=total.sha256,
            s3_sha256=s3_sha256,
            encryption="age",
        )

    def _begin(self, folder: Folder, name: str) -> dict[str, File]:
        files: dict[str, File] = {}
        lost: dict[str, str] = {}
        for place in self.stores.places:
            try:
                files[place.name] = place.begin(folder, name)
            except OpsError as error:
                lost[place.name] = str(error)
        self._forget(folder, lost)
        if not files:
            raise OpsError(f"No place can take a backup: {'; '.join(lost.values())}")
        return files

    def _forget(self, folder: Folder, lost: dict[str, str]) -> None:
        for place in self.stores.places:
            if place.name in lost:
                with suppress(OpsError):
                    place.discard(folder)
                self.stores.lose(place, lost[place.name])

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

    def _seal(self, place: Place, folder: Folder, manifest: BackupManifest) -> None:
        begun = time.monotonic()
        try:
            place.seal(folder, text(manifest))
        except OpsError as error:
            self._forget(folder, {place.name: str(error)})
        else:
            took = time.monotonic() - begun
            self.tell(place.name, True, took, f"{place.where}, {folder}")


def _dump_words(dump: Artifact, facts: Facts, before: list[Stored]) -> str:
    rows = sum(facts.rows.values())
    words = f"{megabytes(dump.bytes)}, {facts.entries} tables, {rows} rows"
    last = next((s.manifest for s in before if s.folder.series in DUMPS and s.manifest), None)
    size = last.artifacts[0].bytes if last else 0
    if has_shrunk(dump.bytes, size):
        words += f"; the one before had {megabytes(size)}, more than twice as much"
    return words
