"""What a drill restores: the newest backup away from the host, into a database that is empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ops.backup.bucket import Bucket, client
from ops.backup.drive import Drive
from ops.backup.host import DriveArgs, HostArgs, helper
from ops.backup.packing import Identity as Key
from ops.backup.place import Place as Kept
from ops.backup.stores import NO_CREDENTIALS
from ops.docker import Docker
from ops.errors import OpsError
from ops.restore.beside import Beside
from ops.restore.server import Server
from ops.restore.source import BackupSource
from ops.restore.story import Restore
from ops.verbs._exit import Misused
from ops.verbs._place import Place
from ops.verbs._store import image
from rollout.backups import Catalogue, Stored, differing_rows
from rollout.bucket_policies import Identity
from rollout.drills import key_rows
from rollout.judge import is_verified
from rollout.names import Names
from rollout.restores import database_bytes
from rollout.settings import Settings


@dataclass(frozen=True)
class Source:
    """The backup that a drill restores, and where it is read."""

    kept: Kept
    stored: Stored


@contextmanager
def source(drilled: Place, settings: Settings, drive: str) -> Iterator[Source]:
    """From the bucket, as who may only read; from a drive where that is asked for. Raises OpsError
    where there is no backup that was verified."""
    if not drive:
        s3 = client(settings.backups, Identity.RESTORE)
        if s3 is None:
            raise OpsError(
                f"s3://{settings.backups.bucket} can't be read: {NO_CREDENTIALS}.\nNext: the AWS "
                f"profile {settings.backups.bucket}-{Identity.RESTORE}, or `ytops drill --from "
                "DRIVE`"
            )
        bucket = Bucket(s3, settings.backups, drilled.stack)
        yield Source(bucket, newest(bucket.catalogue()))
        return
    if drive not in settings.backups.drives:
        known = ", ".join(settings.backups.drives) or "none"
        raise Misused(f"--from: expected one of backupDrives ({known}), got {drive}")
    host = HostArgs(image(drilled))
    with helper(drilled.docker, drilled.names, (DriveArgs(drive),), host) as found:
        if drive in found.lost:
            raise OpsError(f"{drive}: {found.lost[drive]}.\nNext: `ytops backup status`")
        at = Drive(found, drive, found.drives[drive], drilled.stack)
        yield Source(at, newest(at.catalogue()))


def newest(found: Catalogue) -> Stored:
    """The newest that is not known to be bad and whose content was read."""
    good = (s for s in found.backups if s.manifest and is_verified(s.manifest))
    first = next((s for s in good if s.folder.series.kind == "dump"), None)
    if first is None:
        raise OpsError(f"There is no verified backup, {found.where}.\nNext: `ytops backup status`")
    return first


@dataclass(frozen=True)
class Database:
    """The drill's, which nobody uses yet. settings: of the stack that is drilled."""

    docker: Docker
    names: Names
    settings: Settings

    def restore(self, source: Source, key: Key, by: str) -> None:
        """As `ytops restore` does it; what was there before was never anything."""
        manifest = source.stored.manifest
        assert manifest
        size = database_bytes(manifest, 0)
        story = Restore(
            server=self._beside.server,
            beside=self._beside,
            sources=[BackupSource(source.kept, source.stored, key, size)],
            by=by,
            release="",
            migrate=None,
            migrations_table=self.settings.backend.migrations_table,
            tell=lambda *_: None,
            keep=False,
        )
        story.check()
        story.prepare()
        story.go()

    def rows(self) -> dict[str, int]:
        return self._beside.rows(self.settings.postgres.database)

    @property
    def _beside(self) -> Beside:
        postgres = self.settings.postgres
        server = Server(self.docker, self.names, postgres.database, postgres.image)
        return Beside.on(server, postgres.memory, lambda *_: None)


def compared(stored: Stored, rows: dict[str, int]) -> str:
    """In words, what was counted. Raises OpsError where it is not what was dumped."""
    assert stored.manifest
    wrong = differing_rows(stored.manifest.rows, rows)
    if wrong:
        raise OpsError(wrong)
    counts = ", ".join(f"{count:,} in {table}" for table, count in sorted(key_rows(rows).items()))
    return f"as in the manifest: {counts}; {len(rows)} tables in all"
