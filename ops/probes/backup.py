"""The newest verified backup in a store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ops.errors import OpsError
from rollout.backups import Catalogue, catalogue, is_text
from rollout.evidence import Backup, Unknown
from rollout.judge import is_verified

DATABASE = ("dump", "base")


class Store(Protocol):
    """Where backups lie."""

    def catalogue(self) -> Catalogue: ...


@dataclass(frozen=True)
class Folder:
    """A copy of what a drive or the bucket has, in files of this machine."""

    root: Path
    stack: str

    def catalogue(self) -> Catalogue:
        files = {str(p.relative_to(self.root)): p for p in self.root.rglob("*") if p.is_file()}
        try:
            texts = {key: path.read_text() for key, path in files.items() if is_text(key)}
        except (OSError, UnicodeDecodeError) as error:
            raise OpsError(f"The backups in {self.root} can't be read: {error}") from None
        return catalogue(str(self.root), self.stack, files, texts)


def backup(store: Store | None) -> Backup | Unknown:
    """Of this stack's database."""
    if store is None:
        return Unknown(why="no store of backups is known here")
    found = store.catalogue()
    if found.problems:
        raise OpsError(f"The backups in {found.where} can't all be read: {found.problems[0]}")
    kept = [s.manifest for s in found.backups if s.manifest and s.manifest.kind in DATABASE]
    newest = max(filter(is_verified, kept), key=lambda manifest: manifest.finished, default=None)
    return Backup(by=found.where, at=datetime.now(UTC), newest=newest)
