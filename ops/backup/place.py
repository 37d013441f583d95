"""What a place for backups can do, whether it is a drive of the host or the bucket."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ops.backup.packing import Reader, Writer
from rollout.backups import Catalogue, Folder
from rollout.records import Artifact
from rollout.wal import Piece


@dataclass(frozen=True)
class Written:
    """A file as it lies there, by the place's own word."""

    sha256: str = ""
    s3_sha256: str = ""


class File(Writer, Protocol):
    """A file on its way to a place. It has no final name before `finish`."""

    def finish(self) -> Written: ...

    def abort(self) -> None: ...


class Place(Protocol):
    """Each raises OpsError where it can't."""

    @property
    def name(self) -> str:
        """As records call it."""
        ...

    @property
    def where(self) -> str:
        """In words."""
        ...

    def catalogue(self) -> Catalogue: ...

    def begin(self, folder: Folder, name: str) -> File: ...

    def add(self, key: str) -> File:
        """A file that stays, whether or not a manifest follows: content that is sent once."""
        ...

    def wal(self, since: datetime | None = None) -> tuple[Piece, ...]:
        """Of the database's log, the files that were closed then or later."""
        ...

    def seal(self, folder: Folder, manifest: str) -> None:
        """The manifest, last: now it is a backup."""
        ...

    def note(self, key: str, text: str) -> None:
        """A further text beside a manifest."""
        ...

    def text(self, key: str) -> str:
        """A text as it lies there."""
        ...

    def discard(self, folder: Folder) -> None:
        """What was begun and came to nothing."""
        ...

    def wrong(self, artifacts: Iterable[Artifact]) -> dict[str, str]:
        """The keys of those that are not as they were written, and how."""
        ...

    def read(self, artifact: Artifact) -> AbstractContextManager[Reader]: ...
