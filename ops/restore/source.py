"""Where a restore comes from: anything that gives a dump in pg_dump's custom format, and says what
is in it. A backup is one; so is a server that was recovered to a time."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ops.backup.opening import Heard, artifact_of, read
from ops.backup.packing import Identity, Writer
from ops.backup.place import Place
from rollout.backups import DATABASE, GLOBALS, Stored


@dataclass(frozen=True)
class Expected:
    """What a source says of its database. rows: of each table; schema: the newest migration of each
    app; tables: how many have data in the dump; bytes: what it took on the disk. What is empty or
    None is not compared."""

    what: str
    taken: datetime
    major: int
    rows: Mapping[str, int] = field(default_factory=dict)
    schema: Mapping[str, str] = field(default_factory=dict)
    tables: int | None = None
    bytes: int = 0


class Source(Protocol):
    """Raises OpsError where it can't; Damaged when what it has is not what it should be."""

    @property
    def place(self) -> str:
        """In words, and as records call it."""
        ...

    @property
    def expected(self) -> Expected: ...

    @property
    def size(self) -> int:
        """The bytes that `dump` is going to read."""
        ...

    def roles(self) -> str:
        """As pg_dumpall gives them; a small thing that shows that the key fits."""
        ...

    def dump(self, target: Writer, heard: Heard) -> None: ...


@dataclass(frozen=True)
class BackupSource:
    """One copy of a backup."""

    at: Place
    stored: Stored
    key: Identity
    bytes: int
    """What its database takes on the disk."""

    @property
    def place(self) -> str:
        return self.at.name

    @property
    def expected(self) -> Expected:
        manifest = self.stored.manifest
        assert manifest
        return Expected(
            what=str(self.stored.folder),
            taken=self.stored.folder.taken,
            major=int(manifest.tools["pg_dump"].partition(".")[0]),
            rows=manifest.rows,
            schema=manifest.schema_revision,
            tables=manifest.objects,
            bytes=self.bytes,
        )

    @property
    def size(self) -> int:
        return artifact_of(self.stored, DATABASE).bytes

    def roles(self) -> str:
        text = io.BytesIO()
        read(self.at, artifact_of(self.stored, GLOBALS), text, self.key)
        return text.getvalue().decode()

    def dump(self, target: Writer, heard: Heard) -> None:
        read(self.at, artifact_of(self.stored, DATABASE), target, self.key, heard)
