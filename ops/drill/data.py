"""What a drill restores: the newest backup away from the host, into a database that is empty."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ops.backup.bucket import Bucket, client
from ops.backup.drive import Drive
from ops.backup.host import DriveArgs, HostArgs, helper
from ops.backup.packing import Identity as Key
from ops.backup.packing import Reader, Sum, Writer, unpack
from ops.backup.place import Place as Kept
from ops.backup.shell import LONG_SECONDS, ContainerShell
from ops.backup.stores import NO_CREDENTIALS
from ops.docker import Docker
from ops.errors import OpsError
from ops.verbs._exit import Misused
from ops.verbs._place import Place
from ops.verbs._store import image
from rollout.backups import DATABASE, GLOBALS, Catalogue, Stored, differing_rows
from rollout.bucket_policies import Identity
from rollout.drills import key_rows
from rollout.dumps import COUNT_ROWS
from rollout.judge import is_verified
from rollout.names import Names
from rollout.records import Artifact
from rollout.settings import REPLICATION_USER, Postgres, Settings

# The two roles that the stack has made keep its own passwords; all else is as it was.
RESTORE_GLOBALS = r"""
sed -E -e "/^CREATE ROLE \"?($PGUSER|$REPLICATION)\"?;$/d" \
    -e "/^ALTER ROLE \"?($PGUSER|$REPLICATION)\"? WITH /d" |
    psql -X -q -v ON_ERROR_STOP=1 -o /dev/null -d postgres
"""
RESTORE = """
dropdb --force --if-exists --maintenance-db postgres "$PGDATABASE" &&
    exec pg_restore --exit-on-error --create -d postgres
"""
COUNT = "exec psql -X -qAt -v ON_ERROR_STOP=1"


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
    """The drill's, which nobody uses yet."""

    docker: Docker
    names: Names
    settings: Postgres

    def restore(self, source: Source, key: Key) -> None:
        self._load(source, GLOBALS, RESTORE_GLOBALS, key)
        self._load(source, DATABASE, RESTORE, key)

    def rows(self) -> dict[str, int]:
        answer = self.docker.exec(
            self.names.postgres,
            *("sh", "-c", COUNT),
            stdin=COUNT_ROWS.encode(),
            variables=self._client,
            user="postgres",
            timeout=LONG_SECONDS,
        )
        if answer.code:
            raise OpsError(f"the restored rows can't be counted: {answer.words}")
        return {name: int(count) for _, name, count in map(json.loads, answer.out.splitlines())}

    def _load(self, source: Source, name: str, script: str, key: Key) -> None:
        """Out of the place and into the server, every byte read and hashed on its way."""
        artifact = _artifact(source.stored, name)
        server = ContainerShell(self.docker, self.names.postgres)
        with (
            source.kept.read(artifact) as reader,
            server.pipe(script, gives=False, variables=self._client) as target,
        ):
            total = Sum()
            unpack(_Tapped(reader, total), target, key)
            answer = target.finish(LONG_SECONDS)
        if total.sha256 != artifact.sha256:
            raise OpsError(f"{artifact.key}: its SHA-256 is not the manifest's")
        if answer.code:
            raise OpsError(f"{name} can't be restored: {answer.words}")

    @property
    def _client(self) -> dict[str, str]:
        return {
            "PGHOST": "/var/run/postgresql",
            "PGUSER": self.settings.user,
            "PGDATABASE": self.settings.database,
            "REPLICATION": REPLICATION_USER,
        }


def compared(stored: Stored, rows: dict[str, int]) -> str:
    """In words, what was counted. Raises OpsError where it is not what was dumped."""
    assert stored.manifest
    wrong = differing_rows(stored.manifest.rows, rows)
    if wrong:
        raise OpsError(wrong)
    counts = ", ".join(f"{count:,} in {table}" for table, count in sorted(key_rows(rows).items()))
    return f"as in the manifest: {counts}; {len(rows)} tables in all"


@dataclass
class _Tapped:
    """A reader whose bytes are hashed as they pass."""

    source: Reader
    total: Writer

    def read(self, size: int = -1) -> bytes:
        data = self.source.read(size)
        self.total.write(data)
        return data


def _artifact(stored: Stored, name: str) -> Artifact:
    assert stored.manifest
    wanted = stored.folder.key(name)
    found = next((a for a in stored.manifest.artifacts if a.key == wanted), None)
    if found is None:
        raise OpsError(f"{stored.folder} has no {name}")
    return found
