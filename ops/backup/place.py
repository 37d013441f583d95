"""What a place for backups can do, whether it is a drive of the host or the bucket."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from ops.backup.packing import Reader, Writer
from rollout.backups import Catalogue, Folder, Stored
from rollout.records import Artifact


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

    def seal(self, folder: Folder, manifest: str) -> None:
        """The manifest, last: now it is a backup."""
        ...

    def note(self, key: str, text: str) -> None:
        """A further text beside a manifest."""
        ...

    def discard(self, folder: Folder) -> None:
        """What was begun and came to nothing."""
        ...

    def damaged(self, backups: Iterable[Stored]) -> dict[Folder, str]:
        """Those whose files are not what their manifests say, and how."""
        ...

    def read(self, artifact: Artifact) -> AbstractContextManager[Reader]: ...
